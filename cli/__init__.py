"""The operator's command `grantkeeper`: IAM is the root of trust, AWS credentials are what it works with."""
