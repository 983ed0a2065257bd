"""`make check`: format, lint, types, template, what describes the API. Every check runs; any that fails tells why."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from local.aws import ROOT

BIN = ROOT / ".venv" / "bin"
TYPED = ("layers/common/grantkeeper", "functions", "cli", "local", "bench", "examples")
CHECKS = {
    "ruff format": ("ruff", "format", "--check", "--quiet", "."),
    "ruff check": ("ruff", "check", "--quiet", "."),
    "mypy": ("mypy", "--no-error-summary", *(path for path in TYPED if (ROOT / path).exists())),
    "cfn-lint": ("cfn-lint", "template.yaml", "waf.yaml"),
    "openapi.json": ("python", "-m", "local.openapi", "--check"),
}


def main() -> int:
    """Returns 0 when everything is in order, else 1."""
    failed = 0
    for name, (tool, *arguments) in CHECKS.items():
        begun = time.monotonic()
        done = subprocess.run(
            [str(BIN / tool), *arguments],
            cwd=ROOT,
            env=os.environ | {"AWS_DEFAULT_REGION": "us-east-1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(f"  {'✓' if done.returncode == 0 else '✗'} {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        if done.returncode != 0:
            failed += 1
            print(done.stdout)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
