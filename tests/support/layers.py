"""
`make test`: every test, in layers from fast to slow; a layer that fails ends the run.

What needs neither a stack nor a browser runs on all processors; the stack is
started once for the rest. Coverage is of both together.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
COVERAGE = ("--cov", "--cov-report=", "--cov-append")
LAYERS = {
    "logic, stores and handlers": (
        *("-n", "logical", "--dist", "loadgroup"),
        *("-m", "not stack and not browser and not simulation and not chaos and not story"),
    ),
    "stories of ten thousand steps": ("-n", "logical", "--dist", "loadgroup", "-m", "story"),
    # Spreads over the processors by itself.
    "interleavings of the refresh, simulated": ("-m", "simulation", "tests/simulation"),
    # A lane for each: its own tables, queues and processes, which die on purpose.
    "processes that are killed, stopped and cut off": (
        *("-n", "3", "--dist", "loadgroup"),
        *("-m", "chaos", "tests/chaos"),
    ),
    # Few at a time, for they share one stack; but some wait for a minute to pass.
    "the deployed stack and the browser": ("-n", "2", "--dist", "loadgroup", "-m", "stack or browser"),
}
UNCOVERED = frozenset(
    {
        "stories of ten thousand steps",  # none of their steps is only theirs
        "interleavings of the refresh, simulated",  # at a tenth of the speed they would show no more
        "processes that are killed, stopped and cut off",  # the code under test runs in other processes
    }
)
NO_TESTS = 5


def main() -> int:
    """Returns the exit code of the first layer that failed, or 0."""
    (ROOT / ".coverage").unlink(missing_ok=True)
    for name, options in LAYERS.items():
        begun = time.monotonic()
        print(f"\n── {name} ──", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", *options, *(() if name in UNCOVERED else COVERAGE)]
        code = subprocess.run(command, cwd=ROOT, env=os.environ, check=False).returncode
        if code not in (0, NO_TESTS):
            return code
        print(f"  ✓ {name} ({time.monotonic() - begun:.0f} s)", flush=True)
    report = [sys.executable, "-m", "coverage", "report", "--format=total"]
    print("\nBranch coverage, in percent: ", end="", flush=True)
    return subprocess.run(report, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
