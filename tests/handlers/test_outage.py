"""The token call while something we depend on is down: a token that works is served, with the truth about its end."""

from __future__ import annotations

import pytest

from grantkeeper.api_key_format import new_api_key
from grantkeeper.errors import ProviderUnavailable
from grantkeeper.model import ApiKey
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import CLIENT, GRACE, LASTING, STRICT, RefreshWorld
from tests.support.functions import Function

TOKEN_ROUTE = "GET /v1/connections/{id}/token"
REFRESH_ROUTE = "POST /v1/connections/{id}/refresh"
HOUR = 3600
LEFT = 200  # seconds of the token's life when the trouble begins
RULES = {"strict": STRICT, "grace": GRACE, "lasting": LASTING}


@pytest.fixture(params=RULES)
def world(request, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    world = RefreshWorld(monkeypatch, rule=RULES[request.param])
    world.pass_time(HOUR - LEFT)
    return world


@pytest.fixture
def ask(world, monkeypatch):
    """The token call of one caller, over and over in one execution environment."""
    function = Function("refresh", world.full_wiring())
    monkeypatch.setattr(function.module.time, "time", lambda: world.clock.now)
    monkeypatch.setattr(function.module.time, "sleep", world.clock.sleep)
    made = new_api_key()
    stored = ApiKey(made.key_id, made.secret_hash, ("connections:token",), NOON, NOON + 10**8, CLIENT)
    world.wiring.api_keys.put(stored, audit=world.event("api_key.created"))

    def call(route=TOKEN_ROUTE, **query):
        query = {name: str(value) for name, value in query.items()}
        return function(
            route, headers={"x-api-key": made.text}, query=query, path_parameters={"id": world.connection_id}
        )

    return call


def refused(world):
    """Nothing listens."""
    for _ in range(50):
        world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))


def silent(world):
    """Requests arrive and no answer comes."""
    for _ in range(50):
        world.provider.fail_next(ProviderUnavailable("timeout", outcome_unknown=True))


def status(code, **headers):
    def fail(world):
        for _ in range(50):
            world.provider.answer_next(code, b"<html>trouble</html>", **headers)

    fail.__name__ = f"status_{code}"
    return fail


def breaker(world):
    """Others have found it down."""
    for _ in range(5):
        world.wiring.breakers.record_failure("example", now=world.now, retry_after=600)


def breaker_and_refused(world):
    breaker(world)
    refused(world)


def table_takes_no_writes(world):
    """Reads go on: throttled partitions, or a table at its limit."""
    for operation in ("put_item", "update_item", "transact_write_items"):
        world.aws.dynamodb.faults.throttle(operation, times=10_000)


OUTAGES = [
    refused,
    silent,
    status(500),
    status(503),
    status(503, retry_after="120"),
    status(429, retry_after="120"),
    breaker_and_refused,
    table_takes_no_writes,
]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
def test_f30_a_token_that_still_works_is_served_through_an_outage(world, ask, outage):
    """Asked for 300 s it is given with the 200 it has, again and again; when it has run out, 503 and when to ask."""
    token, end = world.tokens().access_token, world.grant().expires_at
    outage(world)

    for _ in range(6):
        begun = world.clock.now
        answer = ask(min_ttl=300)
        assert answer.status == 200, answer.body
        assert (answer.json["access_token"], answer.json["expires_at"]) == (token, end)
        assert answer.json["generation"] == 1
        assert world.clock.now - begun < 20
    world.clock.now = max(world.clock.now, end - 4)

    answer = ask(min_ttl=300)

    assert answer.status == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 3600
    assert world.grant().status == "active"
    assert world.actions().count("connection.needs_reauth") == 0


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
def test_what_needs_no_refresh_does_not_notice_an_outage(world, ask, outage):
    """As long as what is left is what was asked for, nobody is asked, and nothing is written but the day of its use."""
    outage(world)
    calls = len(world.provider.requests)

    for _ in range(3):
        answer = ask(min_ttl=60)
        assert answer.status == 200
        assert answer.json["generation"] == 1

    assert len(world.provider.requests) == calls


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.__name__)
def test_a_forced_refresh_and_a_rejected_token_are_told_the_truth(world, ask, outage):
    """Who needs a new one is not given the old one."""
    outage(world)

    forced = ask(REFRESH_ROUTE)
    reported = ask(rejected_generation=1)

    assert (forced.status, reported.status) == (503, 503)
    assert "retry-after" in forced.headers
    assert "retry-after" in reported.headers
    if outage is not table_takes_no_writes:
        assert ask().status == 503  # the report stands for everybody


def test_the_first_caller_after_an_outage_is_served_a_new_token(world, ask):
    """The provider is back, the breaker's pause is over: no operator, no restart."""
    refused(world)
    assert ask(min_ttl=300).status == 200
    world.provider._faults.clear()
    world.pass_time(LEFT + 600)

    answer = ask(min_ttl=300)

    assert answer.status == 200
    assert answer.json["generation"] == 2
    assert answer.json["expires_at"] - world.now >= 300
