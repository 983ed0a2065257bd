"""Cold starts: what a user waits for loads nothing that it does not use."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from grantkeeper import model
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


# To make a dataclass takes a third of a millisecond: what a function starts with, of the domain's own words.
WORDS = {
    "authorize": {"audit", "clients", "connect_sessions", "providers", "trips"},
    "callback": {
        "audit", "callers", "connect_sessions", "connections", "consents", "grants", "http", "people", "providers",
        "sessions", "trips", "work",
    },
    "refresh": {
        "audit", "branch_keys", "callers", "connections", "consents", "grants", "http", "providers", "work",
    },
    "sweeper": {"audit", "branch_keys", "connections", "grants", "providers", "signing_keys", "work"},
}  # fmt: skip


def loaded(script: str, *paths: str, **environment: str) -> set[str]:
    """The modules that a fresh process holds after a script."""
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
    return set(json.loads(done.stdout.splitlines()[-1]))


def started(name: str) -> set[str]:
    """The modules of a function as Lambda starts it."""
    paths = (str(ROOT / "functions" / name), str(ROOT / "layers" / "common"))
    return loaded("import app", *paths, AWS_LAMBDA_FUNCTION_NAME=name, **ENVIRONMENT)


@pytest.mark.parametrize("name", HOT)
def test_a_hot_function_starts_without_what_it_may_never_need(name):
    """As Lambda starts it, with all that it builds ahead."""
    assert started(name) & HEAVY == set()


@pytest.mark.parametrize("name", HOT)
def test_a_hot_function_starts_with_the_words_it_uses_and_no_other(name):
    """No protocol is made where nobody looks at it, and of the model only the modules of what the function handles."""
    modules = started(name)

    assert {module.removeprefix("grantkeeper.model.") for module in modules if "grantkeeper.model." in module} <= (
        WORDS[name]
    )
    assert "grantkeeper.ports" not in modules


def test_a_token_that_is_fresh_is_handed_out_without_any_provider_record():
    """The record's twenty classes come with the first provider that is asked."""
    assert "grantkeeper.providers.record" not in started("refresh")


def test_every_word_of_the_model_is_where_its_door_says():
    """A word that moved, or that the door does not know, is found here and not in a function's first request."""
    missing = [word for word in model._HOMES if not hasattr(model, word)]
    homes = {
        word: path.stem
        for path in Path(model.__file__).parent.glob("[a-z]*.py")
        for word, kind in vars(import_module(f"grantkeeper.model.{path.stem}")).items()
        if getattr(kind, "__module__", "").startswith("grantkeeper.model.") and kind.__module__.endswith(path.stem)
    }

    assert missing == []
    assert homes.items() <= model._HOMES.items()


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

    assert loaded(prelude + call, str(ROOT / "layers" / "common"), str(ROOT), **ENVIRONMENT) & HEAVY == set()
