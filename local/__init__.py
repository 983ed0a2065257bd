"""The local run: an AWS emulator, the real template deployed to it, and everything a browser needs around it."""

import sys
from pathlib import Path

# The product's package as the layer has it; nothing is installed into the environment for it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "layers" / "common"))
