"""The function `admin_stats`."""

from __future__ import annotations

import time

import pytest

from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey
from tests.doubles.aws import memory_wiring
from tests.stores.records import event
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


def test_an_operator_reads_the_counters(world, function):
    """Users, connections by provider and status, refreshes."""
    world.counters.add_batch("b1", {"users": 3, "connections/google/active": 2, "refreshes": 9}, day="2026-11-21")

    answer = function("GET /v1/admin/stats", headers=key(world, "admin:read"))

    assert answer.status == 200
    assert answer.json["users"] == 3
    assert answer.json["connections"]["by_provider"] == {"google": {"active": 2}}
    assert answer.json["refreshes"]["total"] == 9


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
