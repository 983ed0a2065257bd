"""The function `refresh`: events in, answers out; the rules themselves are tested at the services."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import CLIENT, STRICT, RefreshWorld
from tests.support.functions import CONTEXT, Function

ROOT = Path(__file__).parents[2]
TOKEN_ROUTE = "GET /v1/connections/{id}/token"
REFRESH_ROUTE = "POST /v1/connections/{id}/refresh"
HOUR = 3600


@pytest.fixture(autouse=True)
def quiet_metrics(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")


@pytest.fixture
def world(monkeypatch):
    return RefreshWorld(monkeypatch, rule=STRICT)


@pytest.fixture
def function(world, monkeypatch):
    function = Function("refresh", world.full_wiring())
    monkeypatch.setattr(function.module.time, "time", lambda: world.clock.now)
    monkeypatch.setattr(function.module.time, "sleep", world.clock.sleep)
    return function


@pytest.fixture
def log(function):
    """What the function's logger writes, line by line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(function.module.logger.registered_formatter)
    function.module.logger.addHandler(handler)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def key(world, *scopes, client_id=CLIENT):
    """An API key's header."""
    made = new_api_key()
    stored = ApiKey(made.key_id, made.secret_hash, scopes or ("connections:token",), NOON, NOON + 10**8, client_id)
    world.wiring.api_keys.put(stored, audit=world.event("api_key.created"))
    return {"x-api-key": made.text}


def call(world, function, route=TOKEN_ROUTE, *, headers=None, connection_id=None, **parts):
    return function(
        route,
        headers=headers or key(world),
        path_parameters={"id": connection_id or world.connection_id},
        **parts,
    )


def test_the_token_call_answers_with_the_token_and_is_not_stored(world, function):
    """The contract's fields, and no cache anywhere."""
    answer = call(world, function, query={"min_ttl": "60", "token": "main"})

    assert answer.status == 200
    assert set(answer.json) == {
        "kind",
        "access_token",
        "token_type",
        "expires_at",
        "scopes",
        "generation",
        "connection_id",
    }
    assert answer.json["access_token"] == world.tokens().access_token
    assert answer.headers["cache-control"] == "no-store"


def test_the_token_call_has_no_cors(world, function):
    """Tokens are for servers: no origin may read them, none is even answered."""
    headers = key(world) | {"origin": "https://app.example"}

    for answer in (call(world, function, headers=headers), call(world, function, REFRESH_ROUTE, headers=headers)):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not [route for route in function.module.routes.routes if route.startswith("OPTIONS")]


def test_handing_out_a_token_is_one_line_without_the_token(world, function, log):
    """Principal, connection and generation."""
    answer = call(world, function)

    [line] = log()
    assert line["message"] == "token handed out"
    assert line["connection_id"] == world.connection_id
    assert line["generation"] == 1
    assert line["principal"].startswith("key:")
    assert answer.json["access_token"] not in json.dumps(line)


def test_a_refusal_is_one_line_with_its_reason(world, function, log):
    """What support needs to answer a user."""
    world.disconnect()
    call(world, function)

    [line] = log()
    assert (line["message"], line["error"]) == ("token refused", "connection-revoked")


def test_a_report_travels_through_the_query(world, function):
    """rejected_generation=1: another token comes back."""
    world.pass_time(120)

    answer = call(world, function, query={"rejected_generation": "1"})

    assert answer.json["generation"] == 2
    assert world.refreshes == 1


@pytest.mark.parametrize(
    "query",
    [
        "min_ttl=-1",
        "min_ttl=1e3",
        "min_ttl=",
        "min_ttl=%D9%A1",
        "min_ttl=99999999",
        "min_ttl=9999999999999999",
        "min_ttl=1&min_ttl=2",
        "rejected_generation=x",
        "token=main&token=bot",
    ],
)
def test_malformed_parameters_are_400(world, function, query):
    """Each once, whole numbers only."""
    answer = call(world, function, query=query)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_who_has_no_credential_gets_401(world, function):
    """And who lacks the scope 403: metadata and secrets are two scopes."""
    assert call(world, function, headers={"accept": "*/*"}).status == 401
    answer = call(world, function, headers=key(world, "connections:read", "connections:write"))
    assert answer.status == 403
    assert answer.json["scope"] == "connections:token"


def test_another_clients_key_gets_404(world, function):
    """As for an id that was never given out."""
    from grantkeeper.model import Client

    world.wiring.clients.put(Client("other", "Other", (), NOON), audit=world.event("client.changed"))
    headers = key(world, client_id="other")

    known = call(world, function, headers=headers)
    unknown = call(world, function, headers=headers, connection_id="con_unknown")

    assert (known.status, known.json["title"]) == (unknown.status, unknown.json["title"]) == (404, "Not found")


def test_errors_carry_their_typed_reason_and_retry_after(world, function):
    """409 with a reason; 503 with a time."""
    world.pass_time(HOUR)
    world.provider.revoke_everything()

    pending = call(world, function)
    assert pending.status == 503
    assert int(pending.headers["retry-after"]) > 0

    world.pass_time(int(pending.headers["retry-after"]))
    dead = call(world, function)
    assert (dead.status, dead.json["reason"]) == (409, "revoked_by_user")
    assert dead.json["type"].endswith("/reauthorization-required")


def test_scopes_missing_is_listed(world, function):
    """With the list, in JSON."""
    answer = call(world, function, query={"scopes": "files.read files.write"})

    assert (answer.status, answer.json["scopes_missing"]) == (409, ["files.write"])


def test_a_forced_refresh_answers_without_a_token(world, function):
    """It says how the connection stands."""
    world.pass_time(120)

    answer = call(world, function, REFRESH_ROUTE)

    assert answer.status == 200
    assert answer.json["generation"] == 2
    assert "access_token" not in answer.json


def test_l01_a_bug_says_nothing(world, function, monkeypatch, log):
    """500 with an empty explanation; the log knows type and place and no value."""
    secret = world.tokens().access_token
    monkeypatch.setattr(world.wiring.vault, "open", lambda *_, **__: (_ for _ in ()).throw(ValueError(secret)))
    function.module.app_wiring.__dict__["vault"] = world.wiring.vault

    answer = call(world, function)

    assert answer.status == 500
    assert secret not in answer.body
    assert secret not in json.dumps(log())


def test_refused_kms_is_counted_for_the_alarm(world, function, capsys):
    """EMF, with the service for its only dimension."""
    world.aws.kms.disable()
    function.module.app_wiring = world.full_wiring()

    assert call(world, function).status == 503

    [metrics] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert metrics["KmsRefused"] == [1]
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert world.connection_id not in json.dumps(metrics)


def test_a_sync_reads_the_profile_again(world, function):
    """Metadata, so another scope; the answer is the connection and holds no token."""
    headers = key(world, "connections:write")

    answer = call(world, function, "POST /v1/connections/{id}/sync", headers=headers)

    assert answer.status == 200
    assert answer.json["account"]["name"] == "Alice Example"
    assert world.tokens().access_token not in answer.body
    assert call(world, function, "POST /v1/connections/{id}/sync").status == 403


def test_a_fresh_token_loads_no_http_client():
    """The hot path: nothing of pydantic, authlib, joserfc, X-Ray or an HTTP client, not even by a detour."""
    script = """
import sys
from tests.doubles.aws import ENVIRONMENT
import os
os.environ.update(ENVIRONMENT)
from tests.support.functions import _load
_load("refresh")
import grantkeeper.services.work, grantkeeper.stores.grants, grantkeeper.vault
heavy = {"pydantic", "boto3", "authlib", "joserfc", "httpx2", "httpx", "aws_xray_sdk"}
print(sorted(heavy & sys.modules.keys()))
print("aws_lambda_powertools.event_handler" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'layers' / 'common'}{os.pathsep}{ROOT}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.splitlines() == ["[]", "False"]


# --- the batch ---


def batch(*bodies):
    event = json.loads((ROOT / "events" / "refresh-batch.json").read_text())
    record = event["Records"][0]
    return {
        "Records": [record | {"messageId": f"m{at}", "body": body} for at, body in enumerate(bodies)],
    }


def message(world, kind="refresh"):
    ids = [[world.connection_id, world.grant().generation]]
    return json.dumps({"kind": kind, "provider": "example", "ids": ids, "request_id": "sweep1"})


def test_the_committed_event_is_worked_through(function):
    """Connections that are not there fail nothing."""
    event = json.loads((ROOT / "events" / "refresh-batch.json").read_text())

    assert function.module.batch_handler(event, CONTEXT) == {"batchItemFailures": []}


def test_a_due_grant_comes_out_fresh(world, function):
    """The sweeper's message."""
    world.pass_time(HOUR - 200)

    assert function.module.batch_handler(batch(message(world)), CONTEXT) == {"batchItemFailures": []}
    assert world.grant().generation == 2


def test_d22_the_threads_of_a_batch_share_what_remembers(world, function):
    """Caches of one worker are one: a thread each would ask KMS and Parameter Store as often as there are threads."""
    wiring = function.module.app_wiring
    for part in function.module.SHARED_BY_THREADS:
        wiring.__dict__.pop(part, None)
    wiring.__dict__["provider_http"] = world.provider_http
    seen, event = [], batch(message(world))
    world.aws.dynamodb.faults.yield_point = lambda *_: seen.append(frozenset(wiring.__dict__))

    function.module.batch_handler(event, CONTEXT)

    assert set(function.module.SHARED_BY_THREADS) <= seen[0]


@pytest.mark.parametrize(
    "poison",
    [
        "",
        "{",
        "[]",
        "null",
        '{"kind":"refresh"}',
        '{"kind":"drop","provider":"x","ids":[["c",1]]}',
        '{"kind":"refresh","provider":"x","ids":[]}',
        '{"kind":"refresh","provider":"x","ids":[["c","one"]]}',
        json.dumps({"kind": "refresh", "provider": "x", "ids": [["c", 1]] * 26}),
    ],
)
def test_d16_only_the_message_that_cannot_be_read_fails(world, function, poison):
    """Its batch mates are done, once."""
    world.pass_time(HOUR - 200)

    answer = function.module.batch_handler(batch(poison, message(world)), CONTEXT)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert world.grant().generation == 2


def test_d17_what_is_answered_is_always_ids_of_the_batch(world, function):
    """Lambda takes a wrong, empty or missing id for a failure of the whole batch."""
    world.pass_time(HOUR - 200)
    bodies = ["x", message(world), "y", message(world), "x"]

    answer = function.module.batch_handler(batch(*bodies), CONTEXT)

    identifiers = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
    assert identifiers == ["m0", "m2", "m4"]
    assert set(answer) == {"batchItemFailures"}


def test_an_event_that_is_no_batch_fails_as_a_whole(function):
    """Nothing of it is deleted."""
    with pytest.raises(KeyError):
        function.module.batch_handler({"Records": [{"body": "{}"}]}, CONTEXT)
