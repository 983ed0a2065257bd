"""Cold starts: what a user waits for loads nothing that it does not use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.aws import ENVIRONMENT

ROOT = Path(__file__).parents[2]
HOT = ("authorize", "callback", "refresh", "sweeper")
HEAVY = {
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.parser",
    "aws_xray_sdk",
    "authlib",
    "boto3",
    "httpcore2",
    "httpx",
    "httpx2",
    "joserfc",
    "pydantic",
}
LAMBDA = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-west-1",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "Grantkeeper",
}

TOKEN_CALL = """
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import CLIENT, STRICT, RefreshWorld

world, made = RefreshWorld(rule=STRICT), new_api_key()
key = ApiKey(made.key_id, made.secret_hash, ("connections:token",), NOON, NOON + 10**8, CLIENT)
world.wiring.api_keys.put(key, audit=world.event("api_key.created"))
wiring = world.full_wiring()
forget()
function = Function("refresh", wiring)
function.module.time.time = lambda: world.clock.now
answer = function(
    "GET /v1/connections/{id}/token", headers={"x-api-key": made.text}, path_parameters={"id": world.connection_id}
)
assert answer.status == 200 and answer.json["access_token"], answer
"""

TO_THE_CONSENT_PAGE = """
import time
from grantkeeper.oauth.pkce import code_challenge
from tests.doubles.deployment import REDIRECT_URI, VERIFIER, deployment, register_provider
from tests.doubles.provider import FakeProvider

wiring = deployment()
register_provider(wiring, FakeProvider(now=int(time.time())))
forget()
function = Function("authorize", wiring)
answer = function("GET /oauth2/authorize", query={
    "client_id": "spa", "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid", "state": "s",
    "provider": "example", "code_challenge": code_challenge(VERIFIER), "code_challenge_method": "S256",
})
assert answer.status == 303 and "code_challenge" in answer.location, answer
"""


def loaded(script: str, *paths: str, **environment: str) -> set[str]:
    """The heavy modules that a fresh process holds after a script."""
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"],
        cwd=ROOT,
        env={"PYTHONPATH": os.pathsep.join(paths), "PATH": os.environ["PATH"], **LAMBDA, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", HOT)
def test_a_hot_function_starts_without_what_it_may_never_need(name):
    """As Lambda starts it, with all that it builds ahead."""
    paths = (str(ROOT / "functions" / name), str(ROOT / "layers" / "common"))

    assert loaded("import app", *paths, AWS_LAMBDA_FUNCTION_NAME=name, **ENVIRONMENT) == set()


@pytest.mark.parametrize("call", [TOKEN_CALL, TO_THE_CONSENT_PAGE], ids=["fresh token", "authorize"])
def test_a_call_that_asks_no_provider_loads_no_http_client(call):
    """From the event to the answer, with the real client behind the port."""
    prelude = """
import sys
from tests.support.functions import Function

def forget():
    wiring.__dict__.pop("provider_http", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "joserfc"]:
        del sys.modules[name]  # the provider in the process signs with it
"""

    assert loaded(prelude + call, str(ROOT / "layers" / "common"), str(ROOT), **ENVIRONMENT) == set()
