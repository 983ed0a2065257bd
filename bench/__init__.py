"""Benchmarks, each runnable alone; results are ratios within one run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "layers" / "common"))
# The layer has no awscrt; botocore would sign with it where the development environment has it.
os.environ.setdefault("BOTO_DISABLE_CRT", "true")
