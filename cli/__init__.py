"""The operator's command `grantkeeper`: IAM is the root of trust, AWS credentials are what it works with."""

import sys
from pathlib import Path

# The product's own package, from this checkout: the CLI goes the same way as the functions.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "layers" / "common"))
