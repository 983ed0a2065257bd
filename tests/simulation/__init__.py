"""Deterministic simulation of the real refresh services: see README.md."""
