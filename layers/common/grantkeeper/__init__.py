"""Grantkeeper: an OAuth connection broker on AWS Lambda."""
