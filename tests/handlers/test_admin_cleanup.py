"""The function `admin`: clean-up, looked at first."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doubles.api import api_of
from tests.support.desk import person

CLEANUP = "/v1/admin/cleanup"
DAY = 86_400
BOTH = ["revoked_connections", "api_keys"]


@pytest.fixture
def api(monkeypatch: Any) -> Any:
    return api_of(monkeypatch, "admin", "connections")


def dead(api: Any) -> Any:
    """A connection that ended a hundred days ago."""
    connection, wiring = api.world.connect(), api.world.wiring
    at = api.world.now - 100 * DAY
    wiring.connections.disconnect(connection.id, now=at, audit=api.world.event("connection.revoked"))
    wiring.connections.erase(connection.id, audit=api.world.event("grant.erased"))
    return connection


def figures(answer: Any, name: str) -> list[int]:
    return [kind[name] for kind in answer.body["kinds"]]


def test_what_would_go_is_told_and_then_goes(api: Any) -> None:
    """The dry run first, which takes nothing; then a step; then there is nothing."""
    connection, key = dead(api), api.key(None, "admin:read", "admin:write")
    for _ in range(2):
        assert figures(api.call("GET", CLEANUP, as_=key), "removable") == [1, 0]
    done = api.call("POST", CLEANUP, as_=key, json={"kinds": BOTH})
    assert (figures(done, "removed"), done.body["cursor"]) == ([1, 0], None)
    assert figures(api.call("GET", CLEANUP, as_=key), "removable") == [0, 0]
    assert api.world.wiring.connections.get(connection.id) is None


def test_a_step_goes_on_where_the_one_before_stopped(api: Any) -> None:
    """Its cursor is good for the same kinds and age, and for nothing else (T-04)."""
    for _ in range(3):
        dead(api)
    key = api.key(None, "admin:write", "admin:read")
    first = api.call("POST", CLEANUP, as_=key, json={"kinds": BOTH, "limit": 1})
    cursor = first.body["cursor"]
    assert figures(first, "removed") == [1, 0]
    for body in ({"kinds": ["api_keys"]}, {"kinds": BOTH, "older_than_days": 91}):
        assert api.call("POST", CLEANUP, as_=key, json=body, query={"cursor": cursor}).status == 400
    assert api.call("GET", CLEANUP, as_=key, query={"cursor": cursor}).status == 400
    rest = api.call("POST", CLEANUP, as_=key, json={"kinds": BOTH}, query={"cursor": cursor})
    assert (figures(rest, "removed"), rest.body["cursor"]) == ([2, 0], None)


def test_an_age_that_is_not_safe_is_refused(api: Any) -> None:
    """In both, and nothing is taken."""
    dead(api)
    key = api.key(None, "admin:write", "admin:read")
    for days in ("34", "0", "-1", "x", "99999"):
        assert api.call("GET", CLEANUP, as_=key, query={"older_than_days": days}).status == 400
    assert api.call("POST", CLEANUP, as_=key, json={"kinds": BOTH, "older_than_days": 34}).status == 400
    assert api.call("POST", CLEANUP, as_=key, json={}).status == 400
    assert figures(api.call("GET", CLEANUP, as_=key, query={"older_than_days": "35"}), "removable") == [1, 0]


def test_an_auditor_looks_and_takes_nothing(api: Any) -> None:
    """An admin's key may: what is dead gives nobody power."""
    auditor = person(api, "auditor")
    assert api.call("GET", CLEANUP, as_=auditor).status == 200
    assert api.call("POST", CLEANUP, as_=auditor, json={"kinds": BOTH}).status == 403
