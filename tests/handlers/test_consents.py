"""What a user lets clients use: shown with its history, withdrawn, and then refused."""

from __future__ import annotations

import json
import time

import pytest

from grantkeeper.edge import principals
from tests.doubles.api import SCOPES, api_of
from tests.doubles.connect_world import ALICE
from tests.doubles.provider import Account

SCOPE = f"{SCOPES} profile account:write"
WITHDRAW = "/v1/consents/{client_id}/{connection_id}"
TOKEN = "/v1/connections/{id}/token"


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    api = api_of(monkeypatch, "account", "connections", "refresh")
    monkeypatch.setattr(time, "time", lambda: float(api.world.now))  # also where it is read at import
    api.world.add_client("app", scopes=(*SCOPE.split(), "connections:token"))
    return api


def withdraw(api, connection, *, client_id="app", as_=None):
    path = f"/v1/consents/{client_id}/{connection}"
    return api.call("DELETE", path, route=WITHDRAW, as_=as_ or api.user(scope=SCOPE)).status


def listed(api, sub="usr_alice"):
    return api.call("GET", "/v1/consents", as_=api.user(sub, scope=SCOPE)).body["consents"]


def read(api, connection, key):
    return api.call("GET", f"/v1/connections/{connection}/token", route=TOKEN, as_=key).status


def test_a_connection_is_listed_with_the_client_that_connected_it(api):
    """Who, what, with which scopes, since when."""
    connection = api.world.connect(ALICE)

    assert listed(api) == [
        {
            "client_id": "app",
            "client_name": "App",
            "connection_id": connection.id,
            "service": "example-files",
            "provider": "example",
            "label": "alice@example.com",
            "scopes": list(connection.scopes),
            "granted_at": api.world.now,
            "withdrawn_at": None,
        }
    ]
    assert listed(api, "usr_bob") == []


def test_a_withdrawn_consent_stays_in_the_list_and_ends_the_clients_sight(api):
    """Its own list, the connection itself and its tokens; the user still has it."""
    connection, key = api.world.connect(ALICE), api.key("app", "connections:read", "connections:token")
    assert read(api, connection.id, key) == 200

    api.world.now += 100
    assert withdraw(api, connection.id) == 204

    (consent,) = listed(api)
    assert (consent["granted_at"], consent["withdrawn_at"]) == (api.world.now - 100, api.world.now)
    assert read(api, connection.id, key) == 403
    seen = api.call("GET", "/v1/connections", as_=key, query={"user_sub": "usr_alice"})
    assert (seen.status, seen.body.get("connections", [])) in ((200, []), (404, []))
    assert [c["id"] for c in api.call("GET", "/v1/connections", as_=api.user()).body["connections"]] == [connection.id]


@pytest.mark.parametrize(("later", "status"), [(0, 200), (29, 200), (30, 403), (31, 403)])
def test_t07_a_warm_function_remembers_a_consent_for_thirty_seconds_at_most(api, later, status):
    """A yes is believed that long, wherever it was asked; a no is asked again each time."""
    connection, key = api.world.connect(ALICE), api.key("app", "connections:read", "connections:token")
    assert read(api, connection.id, key) == 200
    assert withdraw(api, connection.id) == 204

    api.world.now += later
    assert read(api, connection.id, key) == status


def test_a_consent_given_again_counts_at_once_and_the_history_has_both(api):
    """By a re-connect."""
    connection, key = api.world.connect(ALICE), api.key("app", "connections:read", "connections:token")
    assert withdraw(api, connection.id) == 204
    api.world.now += 60
    again = api.world.connect(ALICE, connection_id=connection.id)

    assert again.id == connection.id
    assert [c["withdrawn_at"] for c in listed(api)] == [None, api.world.now - 60]
    assert read(api, connection.id, key) == 200


def test_t02_another_users_consent_does_not_exist(api):
    """Nor does one of another client, one that was withdrawn, or none."""
    connection = api.world.connect(ALICE)
    bobs = api.world.connect(ALICE, account=Account("second"))

    assert withdraw(api, connection.id, as_=api.user("usr_bob", scope=SCOPE)) == 404
    assert withdraw(api, connection.id, client_id="other") == 404
    assert withdraw(api, "con_none") == 404
    assert withdraw(api, "§" * 70) == 404
    assert withdraw(api, bobs.id) == 204
    assert withdraw(api, bobs.id) == 404
    assert [c["withdrawn_at"] for c in listed(api) if c["connection_id"] == connection.id] == [None]


def test_the_list_is_paged(api):
    """Every consent once, newest first, the withdrawn among them; a cursor is good for its own list only."""
    made = []
    for number in range(3):
        api.world.now += 1
        made.append(api.world.connect(ALICE, account=Account(f"a{number}")).id)
    withdraw(api, made[0])
    alice, seen, cursor = api.user(scope=SCOPE), [], None
    for _ in range(3):
        query = {"limit": "1"} | ({"cursor": cursor} if cursor else {})
        page = api.call("GET", "/v1/consents", as_=alice, query=query).body
        seen += [consent["connection_id"] for consent in page["consents"]]
        cursor = page["cursor"]

    assert (seen, cursor) == (made[::-1], None)
    stolen = api.call("GET", "/v1/consents", as_=alice, query={"limit": "1"}).body["cursor"]
    assert api.call("GET", "/v1/consents", as_=api.user("usr_bob", scope=SCOPE), query={"cursor": stolen}).status == 400
    assert api.call("GET", "/v1/audit", as_=alice, query={"cursor": stolen}).status == 400


def test_a_withdrawal_is_told_in_the_trail(api):
    """Who and which client, by ids; under the connection too."""
    connection = api.world.connect(ALICE)
    withdraw(api, connection.id)

    trail = api.call("GET", "/v1/audit", as_=api.user()).body["events"]
    (entry,) = [event for event in trail if event["action"] == "consent.withdrawn"]
    assert (entry["by"], entry["client_id"], entry["connection_id"]) == ("you", "app", connection.id)


def test_consents_are_a_persons_own(api):
    """Not a key's, and not to be changed without the scope."""
    connection = api.world.connect(ALICE)
    assert api.call("GET", "/v1/consents", as_=api.key("app", "profile")).status == 403
    assert withdraw(api, connection.id, as_=api.user(scope=f"{SCOPES} profile")) == 403
    assert json.dumps(listed(api)).count("token") == 0
    principals._SHARED._kept.clear()
