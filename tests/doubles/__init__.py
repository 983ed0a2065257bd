"""Doubles of the world outside, shared by all tests."""
