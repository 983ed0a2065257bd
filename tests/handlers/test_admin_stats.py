"""The function `admin_stats`."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from grantkeeper.api_key_format import new_api_key
from grantkeeper.counter_names import Counted
from grantkeeper.model import ApiKey
from grantkeeper.recount_ports import Reconciled, State
from tests.doubles.aws import memory_wiring
from tests.stores.records import DAY, NOON, event
from tests.support.functions import Function


@pytest.fixture
def world():
    return memory_wiring()


@pytest.fixture
def function(world):
    return Function("admin_stats", world)


def key(world, *scopes):
    text = new_api_key()
    now = int(time.time())
    stored = ApiKey(
        key_id=text.key_id, secret_hash=text.secret_hash, scopes=scopes, created_at=now, expires_at=now + 3600
    )
    world.api_keys.put(stored, audit=event("api_key.created"))
    return {"x-api-key": text.text}


def test_an_operator_reads_the_counters(world, function, monkeypatch):
    """Users, connections by provider and status, refreshes."""
    now = int(time.time())
    monkeypatch.setattr(function.module, "_now", lambda: now)
    counted = {"users": 3, "connections/google/active": 2, "refreshes": 9}
    world.counters.add_once([Counted("evt_1", now, counted)], now=now)

    answer = function("GET /v1/admin/stats", headers=key(world, "admin:read"))

    assert answer.status == 200
    assert answer.json["users"] == 3
    assert answer.json["connections"]["by_provider"] == {"google": {"active": 2}}
    assert answer.json["refreshes"]["total"] == 9
    assert [row["users"] for row in answer.json["days"]] == [0] * 29 + [3]
    assert answer.json["reconciliation"] is None


@pytest.mark.parametrize(("days", "status"), [("1", 200), ("90", 200), ("0", 400), ("91", 400), ("x", 400), ("", 400)])
def test_as_many_days_are_shown_as_were_asked_for(world, function, days, status):
    """Three months at most."""
    answer = function("GET /v1/admin/stats", headers=key(world, "admin:read"), query=f"days={days}")

    assert answer.status == status
    if status == 200:
        assert len(answer.json["days"]) == int(days)


@pytest.mark.parametrize("route", ["GET /v1/admin/stats", "GET /metrics"])
def test_numbers_cost_the_same_however_many_connections_there_are(world, function, route):
    """The same reads of the same keys, with three and with three thousand."""
    asked = []
    for many in (3, 3000):
        for at in range(many):
            item = {
                "pk": f"CONNECTION#con_{at}",
                "sk": "META",
                "list_pk": "CONN#google",
                "list_sk": f"active##con_{at}",
            }
            world.aws.dynamodb.restore("grants", {name: {"S": text} for name, text in item.items()})
        counted = {"connections/google/active": many, "users": many, "refreshes": many * 9}
        world.counters.add_once([Counted(f"evt_{many}", NOON + many, counted)], now=NOON)
        operator = key(world, "admin:read", "metrics:read")
        begun = len(world.aws.dynamodb.faults.calls)
        assert function(route, headers=operator).status == 200
        calls = [
            (name, parts)
            for name, parts in world.aws.dynamodb.faults.calls[begun:]
            if "batch" in name or name == "query"
        ]
        asked.append([(name, sorted(map(str, parts["RequestItems"]["grants"]["Keys"]))) for name, parts in calls])

    assert asked[0] == asked[1]
    assert sum(len(keys) for _, keys in asked[0]) <= (31 + 2) * 4


def test_what_the_last_recount_found_is_shown(world, function):
    """By counter, and when; the metrics tell how much it is in all."""
    world.recount_notes.save(State(last=Reconciled(NOON, DAY, {"users": -2, "day/refreshes": 1})))

    answer = function("GET /v1/admin/stats", headers=key(world, "admin:read"))
    text = function("GET /metrics", headers=key(world, "metrics:read")).body

    assert answer.json["reconciliation"] == {"at": NOON, "day": DAY, "drift": {"users": -2, "day/refreshes": 1}}
    assert "\ngrantkeeper_counter_drift 3\n" in text
    assert f"\ngrantkeeper_recounted_timestamp_seconds {NOON}\n" in text


def test_a_scraper_sees_which_provider_is_not_called(world, function):
    """Of those that anybody is connected at."""
    now = int(time.time())
    world.counters.add_once(
        [Counted("evt_1", now, {"connections/google/active": 2, "connections/github/active": 1})], now=now
    )
    world.breakers.record_failure("google", now=now, retry_after=60)
    world.breakers.record_failure("github", now=now - 120, retry_after=60)

    text = function("GET /metrics", headers=key(world, "metrics:read")).body

    opened = {
        sample.labels["provider"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "grantkeeper_provider_breaker_open"
    }
    assert opened == {"google": 1, "github": 0}


def test_metrics_have_a_scope_of_their_own(world, function):
    """A scraper's key reads metrics and nothing else."""
    scraper = key(world, "metrics:read")

    assert function("GET /metrics", headers=scraper).headers["content-type"].startswith("text/plain; version=0.0.4")
    assert function("GET /v1/admin/stats", headers=scraper).status == 403


@pytest.mark.parametrize("route", ["GET /v1/admin/stats", "GET /metrics"])
def test_k11_without_a_key_there_are_no_numbers(world, function, route):
    """A typed 401, and for a wrong key as well."""
    wrong = new_api_key().text

    assert function(route).status == 401
    assert function(route, headers={"x-api-key": wrong}).status == 401
