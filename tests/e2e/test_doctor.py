"""`grantkeeper doctor` against the deployed stack; it only reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]
NOBODYS = ("stack", "clock", "issuer", "tables", "keys")  # other tests leave dead letters, and keys nobody uses


def test_the_local_stack_is_as_the_template_says(stack):
    """What the emulator leaves out is skipped with a reason, and no check of ours breaks on it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env = kept | {"GRANTKEEPER_LOCAL_STACK": str(Path(stack.facts["state_dir"]) / "stack.json")}
    command = [sys.executable, "-m", "cli", "--local", "doctor", "--json"]

    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=100, check=False)

    findings = json.loads(done.stdout)["findings"]
    here = [each for each in findings if each["check"].partition(".")[0] in NOBODYS]
    assert [each for each in here if each["status"] in ("failing", "warning")] == []
    assert [each for each in findings if each["found"].startswith("The check itself failed")] == []
    assert {"issuer.keys", "tables.indexes", "keys.policy"} <= {each["check"] for each in here}
