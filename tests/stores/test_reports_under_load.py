"""A thousand callers report that the provider refuses a token, through the function itself, on DynamoDB Local."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey
from tests.doubles.aws import InMemoryAws
from tests.doubles.faults import FaultyClient
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import CLIENT, LASTING, STRICT, RealClock, RefreshWorld, together
from tests.support.functions import Function

TOKEN_ROUTE = "GET /v1/connections/{id}/token"
ENVIRONMENTS, CALLS = 32, 32  # one after the other in each
WRITES = ("put_item", "update_item", "delete_item", "transact_write_items", "batch_write_item")


@pytest.fixture(params={"strict": STRICT, "lasting": LASTING}.items(), ids=lambda rule: rule[0])
def world(request, dynamodb_tables, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")
    aws = InMemoryAws()
    aws.dynamodb = FaultyClient(dynamodb_tables.client)
    names = {"GRANTS_TABLE": dynamodb_tables.grants, "REQUESTS_TABLE": dynamodb_tables.requests}
    return RefreshWorld(
        rule=request.param[1], clock=RealClock(), aws=aws, env={**names, "AUDIT_TABLE": dynamodb_tables.audit}
    )


def environments(world, monkeypatch):
    """Instances of the function, each with caches of its own, under the world's clock."""
    functions = [Function("refresh", world.full_wiring()) for _ in range(ENVIRONMENTS)]
    monkeypatch.setattr(functions[0].module.time, "time", lambda: world.clock.now)
    return functions


def key(world):
    made = new_api_key()
    stored = ApiKey(made.key_id, made.secret_hash, ("connections:token",), NOON, NOON + 10**8, CLIENT)
    world.wiring.api_keys.put(stored, audit=world.event("api_key.created"))
    return {"x-api-key": made.text}


def test_f25_a_thousand_reports_of_one_generation_are_one_refresh(world, monkeypatch, capsys):
    """Everybody is served the new generation, or told when to come again and served then; few of them write."""
    headers, report = key(world), {"rejected_generation": "1"}
    functions = environments(world, monkeypatch)
    rejected = world.tokens().access_token
    world.pass_time(120)  # the token has most of its hour before it; only the provider does not want it
    world.aws.dynamodb.faults.calls.clear()
    answers, lock = [], threading.Lock()

    def environment(function):
        def call():
            for _ in range(CALLS):
                answer = function(
                    TOKEN_ROUTE, headers=headers, query=report, path_parameters={"id": world.connection_id}
                )
                with lock:
                    answers.append((function, answer))

        return call

    failures = [result for result in together(*map(environment, functions)) if result is not None]
    capsys.readouterr()

    assert failures == []
    assert len(answers) == ENVIRONMENTS * CALLS >= 1000
    assert world.refreshes == 1
    assert world.grant().generation == 2
    served = [answer.json for _, answer in answers if answer.status == 200]
    assert {(body["generation"], body["access_token"]) for body in served} == {(2, world.tokens().access_token)}
    assert rejected not in {body["access_token"] for body in served}
    waiting = [(function, answer) for function, answer in answers if answer.status != 200]
    assert {answer.status for _, answer in waiting} <= {503}
    for function, answer in waiting:
        world.pass_time(int(answer.headers["retry-after"]))
        assert function(TOKEN_ROUTE, headers=headers, path_parameters={"id": world.connection_id}).status == 200
    assert len(served) >= len(answers) * 9 // 10

    written = Counter(name for name, _ in world.aws.dynamodb.faults.calls if name in WRITES)
    # A report is written by those who saw none yet, at most once an environment; so is a lease asked for in vain.
    rejections = world.aws.dynamodb.faults.count("update_item", when=writes_a_rejection)
    assert 1 <= rejections <= ENVIRONMENTS
    assert sum(written.values()) <= 6 * ENVIRONMENTS
    assert world.actions().count("connection.needs_reauth") == 0


def writes_a_rejection(request):
    return "rejected_generation" in request["UpdateExpression"]
