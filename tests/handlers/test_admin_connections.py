"""The function `admin`: connections."""

from __future__ import annotations

import re

import pytest

from grantkeeper.model import Connection
from grantkeeper.stores.revocation import PUBLIC
from tests.doubles.api import api_of
from tests.doubles.connect_world import BOB, SERVICE
from tests.doubles.deployment import trail
from tests.doubles.provider import Account
from tests.handlers.test_admin import admin
from tests.infrastructure.template import profile


@pytest.fixture
def api(monkeypatch):
    return api_of(monkeypatch, "admin", "connections")


def listed(api, **query):
    """Ids on all pages of two."""
    key, found, cursor = api.key(None, "admin:read"), [], None
    for _ in range(60):
        asked = {"limit": "2", **query, **({"cursor": cursor} if cursor else {})}
        page = api.call("GET", "/v1/admin/connections", as_=key, query=asked).body
        assert len(page["connections"]) <= 2
        found += [connection["id"] for connection in page["connections"]]
        cursor = page["cursor"]
        if cursor is None:
            return found
    raise AssertionError("the list has no end")


def one(api, connection_id, *, method="GET", as_=None):
    path = f"/v1/admin/connections/{connection_id}"
    return api.call(method, path, route="/v1/admin/connections/{id}", as_=as_ or api.key(None, "admin:read"))


def connect(api, *names):
    return [api.world.connect(account=Account(name)).id for name in names]


def test_connections_of_everybody_are_listed_once_whatever_the_filter(api):
    """By provider, service, status or user, page by page; what was disconnected is listed as that."""
    live = connect(api, "a", "b", "c")
    (gone,) = connect(api, "d")
    api.world.disconnect(gone)

    for query in ({}, {"provider": "example"}, {"service": SERVICE}, {"user": "usr_alice"}):
        assert sorted(listed(api, **query)) == sorted([*live, gone]), query
    for query in (
        {"status": "active"},
        {"status": "active", "service": SERVICE},
        {"status": "active", "user": "usr_alice"},
    ):
        assert sorted(listed(api, **query)) == sorted(live), query
    assert listed(api, status="revoked") == listed(api, status="revoked", user="usr_alice") == [gone]
    assert listed(api, provider="google") == listed(api, user="usr_bob") == listed(api, status="needs_reauth") == []


def test_filters_that_name_nothing_are_refused(api):
    """Not answered with everything."""
    for query in ({"status": "dead"}, {"provider": "a/b"}, {"user": "*"}, {"limit": "101"}):
        answer = api.call("GET", "/v1/admin/connections", as_=api.key(None, "admin:read"), query=query)

        assert answer.status == 400


def test_t08_a_connection_is_shown_with_its_history_and_nothing_sealed(api):
    """Who opened it, what was asked, what happened since; the trail's words and no token's."""
    connection = api.world.connect()

    shown = one(api, connection.id)

    assert shown.body["client_id"] == "app"
    assert "connection.activated" in [entry["action"] for entry in shown.body["history"]]
    grant = api.world.wiring.grants.get(connection.id)
    assert grant.sealed
    for word in ("sealed", "access_token", "refresh_token", "grant_id", "write_id"):
        assert word.encode() not in shown.raw


def test_an_admin_revokes_a_connection_and_its_provider_is_told(api):
    """The same answer as the user's own disconnect; the trail says whose hand it was."""
    connection = api.world.connect()

    answer = one(api, connection.id, method="DELETE", as_=admin(api))

    assert answer.body == {"id": connection.id, "status": "revoked", "upstream": "revocation_queued"}
    (entry,) = [entry for entry in trail(api.world.wiring) if entry["action"] == "connection.revoked"][:1]
    assert entry["actor"] == "user:usr_root"
    api.world.work()
    assert api.world.provider.revoked_tokens
    assert one(api, connection.id).body["upstream"] == "revoked_upstream"
    assert one(api, connection.id, method="DELETE", as_=admin(api)).body["upstream"] == "done"


def test_an_admin_revokes_within_the_same_radius(api):
    """Where the provider would cut off another live connection, it is not told."""
    shared = Account("shared")
    hers, his = api.world.connect(account=shared), api.world.connect(BOB, account=shared)

    assert one(api, hers.id, method="DELETE", as_=admin(api)).body["upstream"] == "shared_grant_kept"
    assert one(api, his.id).body["status"] == "active"


def test_a_connection_nobody_knows_is_not_found(api):
    """To read and to revoke."""
    for connection_id in ("con_never", "%00"):
        for method in ("GET", "DELETE"):
            assert one(api, connection_id, method=method, as_=admin(api)).status == 404


def test_t08_the_attributes_the_role_may_ask_for_are_all_but_the_sealed_ones():
    """Every field of a connection is there; no field of a grant that could hold a secret."""
    asked = set(re.findall(r"#(\w+)", PUBLIC))
    allowed = [s.values("dynamodb:Attributes") for s in profile("AdminFunction") if s.sid == "SeeConnections"]

    assert allowed == [frozenset(asked)]
    assert set(Connection.__dataclass_fields__) - {"id"} <= asked
    assert not asked & {"sealed", "grants", "previous_refresh_token_hash", "image", "grant_id", "n"}
