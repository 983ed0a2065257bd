"""The operator's command against the deployed stack: what it writes, the functions obey."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.stack


@pytest.fixture
def grantkeeper(stack):
    """Run it as a person would, with no AWS credentials but those of the local run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env = kept | {"GRANTKEEPER_LOCAL_STACK": str(Path(stack.facts["state_dir"]) / "stack.json")}

    def run(*arguments, given=""):
        command = [sys.executable, "-m", "cli", "--local", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=env, input=given, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_key_made_by_the_operator_opens_what_its_scopes_say(grantkeeper, api):
    """And nothing else."""
    made = json.loads(grantkeeper("api-keys", "create", "--name", "scraper", "--scope", "metrics:read", "--json"))
    key = {"x-api-key": made["api_key"]}

    assert api.get("/metrics", headers=key).status_code == 200
    assert api.get("/v1/admin/stats", headers=key).status_code == 403


def test_a_client_registered_by_the_operator_may_sign_users_in(grantkeeper, api):
    """Its redirect URI is exact from the first request on."""
    made = json.loads(
        grantkeeper("clients", "register", "--name", "Web", "--redirect-uri", "https://app.example/cb", "--json")
    )
    asked = {
        "client_id": made["client_id"],
        "response_type": "code",
        "scope": "openid",
        "state": "s",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }

    assert api.get("/oauth2/authorize", params=asked | {"redirect_uri": "https://app.example/cb"}).status_code == 200
    assert api.get("/oauth2/authorize", params=asked | {"redirect_uri": "https://app.example/cb/"}).status_code == 400


def test_keys_and_providers_are_told(grantkeeper):
    """`init` repeats without harm; the list says what is configured."""
    assert "already" in grantkeeper("init")
    states = {row["provider"]: row["state"] for row in json.loads(grantkeeper("providers", "list", "--json"))}
    assert states["demo"] == states["rotating"] == "available"
    assert states["spotify"] == "not configured"
