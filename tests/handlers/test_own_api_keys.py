"""A user's own API keys, and a client's key that rotates itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grantkeeper.api_key_format import parse_api_key
from grantkeeper.edge import principals
from grantkeeper.model import Client
from grantkeeper.stores.audit_item import day_of
from tests.doubles.api import api_of
from tests.doubles.deployment import actions, trail
from tests.doubles.provider import NOON

DAY = 86_400
SCOPES = "openid profile account:write connections:read connections:write"
ROTATE, ONE = "/v1/api-keys/{id}/rotate", "/v1/api-keys/{id}"


@pytest.fixture
def api(monkeypatch):
    api = api_of(monkeypatch, "account", "connections")
    scopes = (*Client("", "", (), 0).scopes, "account:write", "connections:token")
    api.world.add_client("app", scopes=scopes)
    return api


def make(api, as_=None, *, status=201, **body):
    wanted = {"name": "nightly", "scopes": ["connections:read"]} | body
    answer = api.call("POST", "/v1/api-keys", as_=as_ or api.user(scope=SCOPES), json=wanted)
    assert answer.status == status, answer.body
    return answer.body


def rotate(api, key_id, as_=None, **body):
    as_ = as_ or api.user(scope=SCOPES)
    return api.call("POST", f"/v1/api-keys/{key_id}/rotate", route=ROTATE, as_=as_, json=body)


def revoke(api, key_id, as_=None):
    return api.call("DELETE", f"/v1/api-keys/{key_id}", route=ONE, as_=as_ or api.user(scope=SCOPES))


def listed(api):
    return api.call("GET", "/v1/api-keys", as_=api.user(scope=SCOPES)).body["api_keys"]


def reads(api, text, *, at=None):
    """Whether a key reads its user's connections, in an environment that knows nothing yet."""
    principals._SHARED._kept.clear()
    api.world.now = api.world.now if at is None else at
    return api.call("GET", "/v1/connections", as_={"x-api-key": text}).status


def test_a_key_acts_as_its_user(api):
    """It sees his connections and nobody else's, and it names nobody else."""
    made = make(api)
    own = {"x-api-key": made["api_key"]}
    alice = api.call("GET", "/v1/connections", as_=api.user()).body

    assert api.call("GET", "/v1/connections", as_=own).body == alice
    assert api.call("GET", "/v1/connections", as_=own, query={"user_sub": "usr_alice"}).status == 200
    assert api.call("GET", "/v1/connections", as_=own, query={"user_sub": "usr_bob"}).status == 404


def test_k03_a_key_is_shown_once_and_stored_as_a_hash(api):
    """Neither the list nor the tables give it away; the trail names it by its id."""
    made = make(api)
    text = parse_api_key(made["api_key"])
    dumped = json.dumps([api.world.wiring.aws.dynamodb.dump(name) for name in ("grants", "audit")], default=str)

    assert text.secret not in dumped + json.dumps(listed(api))
    (entry,) = [e for e in trail(api.world.wiring) if e["action"] == "api_key.created"]
    assert (entry["sub"], entry["actor"]) == ("usr_alice", "user:usr_alice")


def test_k06_keys_live_90_days_unless_said_and_365_at_most(api):
    """The end is by our clock."""
    made = make(api)
    assert made["expires_at"] == NOON + 90 * DAY
    assert make(api, expires_in_days=365)["expires_at"] == NOON + 365 * DAY
    for days in (0, 366, -1, "90", 1.5, True, None):
        make(api, expires_in_days=days, status=400)

    assert reads(api, made["api_key"], at=NOON + 90 * DAY - 1) == 200
    assert reads(api, made["api_key"], at=NOON + 90 * DAY) == 401


def test_k07_two_secrets_are_good_for_seven_days_and_the_old_one_stops_on_time(api):
    """And not a third one."""
    made = make(api)
    turned = rotate(api, made["id"]).body

    assert (turned["id"], turned["status"]) == (made["id"], "rotating")
    assert turned["old_secret_ends_at"] == NOON + 7 * DAY
    assert rotate(api, made["id"]).status == 409
    for at, old in ((NOON, 200), (NOON + 7 * DAY - 1, 200), (NOON + 7 * DAY, 401)):
        assert (reads(api, made["api_key"], at=at), reads(api, turned["api_key"])) == (old, 200)


def test_k07_a_new_secret_is_good_at_once_where_the_old_one_was_remembered(api):
    """A warm environment looks again before it refuses."""
    made = make(api)
    assert reads(api, made["api_key"]) == 200
    turned = rotate(api, made["id"]).body
    api.world.now += 1

    assert api.call("GET", "/v1/connections", as_={"x-api-key": turned["api_key"]}).status == 200


def test_k07_the_new_end_of_a_rotated_key_is_the_one_that_was_asked_for(api):
    """So that a key in use never has to be replaced."""
    made = make(api, expires_in_days=10)

    assert rotate(api, made["id"], expires_in_days=20).body["expires_at"] == NOON + 20 * DAY
    assert rotate(api, made["id"], expires_in_days=400).status == 400


def test_k08_a_revoked_key_is_refused_within_a_minute_where_it_was_remembered(api):
    """And gone from the list; revoking it again finds nothing, and it is never rotated back to life."""
    made = make(api)
    assert reads(api, made["api_key"]) == 200
    assert revoke(api, made["id"]).status == 204

    api.world.now += 59
    assert api.call("GET", "/v1/connections", as_={"x-api-key": made["api_key"]}).status == 401
    assert listed(api) == []
    assert (revoke(api, made["id"]).status, rotate(api, made["id"]).status) == (404, 404)
    assert "api_key.revoked" in actions(api.world.wiring)


def test_k12_the_day_of_the_last_use_is_shown(api):
    """As the key was looked up, and how the key stands."""
    made = make(api)
    assert listed(api)[0]["used_day"] is None
    reads(api, made["api_key"])
    rotate(api, made["id"])

    (key,) = listed(api)
    assert (key["used_day"], key["status"], key["name"]) == (day_of(NOON), "rotating", "nightly")


@pytest.mark.parametrize(
    "scopes",
    [["connections:token"], ["account:write"], ["admin:read"], ["openid"], ["users:read"], [], "connections:read", [1]],
)
def test_k14_no_key_gets_what_its_maker_lacks_or_what_no_users_key_may_have(api, scopes):
    """Refused, and nothing is stored."""
    answer = api.call("POST", "/v1/api-keys", as_=api.user(scope=SCOPES), json={"name": "n", "scopes": scopes})

    assert answer.status == (403 if scopes == ["connections:token"] else 400)
    assert listed(api) == []


def test_k14_a_key_makes_no_keys_and_changes_nothing_of_the_account(api):
    """Whatever was written on it."""
    made = make(api, scopes=["connections:read", "connections:write"])
    stored = api.world.wiring.api_keys.get(made["id"])
    everything = replace(stored, scopes=(*stored.scopes, "account:write", "profile", "admin:write"))
    api.world.wiring.api_keys.put(everything, audit=api.world.event("api_key.changed"))
    own = {"x-api-key": made["api_key"]}

    for method, path, route in (
        ("POST", "/v1/api-keys", None), ("GET", "/v1/api-keys", None), ("GET", "/v1/profile", None),
        ("POST", f"/v1/api-keys/{made['id']}/rotate", ROTATE), ("DELETE", f"/v1/api-keys/{made['id']}", ONE),
        ("DELETE", "/v1/sessions", None), ("GET", "/v1/audit", None), ("POST", "/v1/api-keys/self/rotate", None),
        ("POST", "/v1/connect-sessions", None), ("POST", "/v1/connections", None),
    ):  # fmt: skip
        assert api.call(method, path, route=route, as_=own, json={}).status == 403, (method, path)


def test_k14_a_key_is_not_rotated_by_who_could_not_make_it(api):
    """Neither from another client nor by a token of fewer scopes: the new secret would be worth more than the token."""
    made = make(api, scopes=["connections:read", "connections:write"])
    api.world.add_client("other", scopes=(*Client("", "", (), 0).scopes, "account:write"))

    elsewhere, fewer = api.user(client_id="other", scope=SCOPES), api.user(scope="account:write connections:read")
    assert rotate(api, made["id"], elsewhere).status == 404
    assert rotate(api, made["id"], fewer).status == 403
    assert revoke(api, made["id"], elsewhere).status == 204  # to end it is his right wherever he is signed in


def test_t11_keys_are_made_and_rotated_by_who_signed_in_a_moment_ago(api):
    """Fifteen minutes; to list and to revoke takes no more than the session."""
    made = make(api)
    claims = {
        "iss": api.world.wiring.issuer, "aud": api.world.wiring.issuer, "sub": "usr_alice", "client_id": "app",
        "scope": SCOPES, "iat": NOON + 800, "exp": NOON + 1700, "jti": "j", "sid": "sid_usr_alice_app",
    }  # fmt: skip
    refreshed = {"authorization": f"Bearer {api.world.wiring.signer.sign(claims, alg='ES256', typ='at+jwt')}"}

    api.world.now = NOON + 15 * 60 + 1
    for refused in (rotate(api, made["id"], refreshed), make(api, refreshed, status=401)):
        assert "reauthentication_required" in str(refused if isinstance(refused, dict) else refused.body)
    assert api.call("GET", "/v1/api-keys", as_=refreshed).status == 200
    assert revoke(api, made["id"], refreshed).status == 204


def test_t02_anothers_key_is_a_missing_key(api):
    """Told apart by nobody."""
    made, bob = make(api), api.user("usr_bob", scope=SCOPES)

    for key_id in (made["id"], "a" * 16, "x" * 70, "é"):
        assert revoke(api, key_id, bob).status == 404
        assert rotate(api, key_id, bob).status == 404
    assert len(listed(api)) == 1


def test_k16_a_key_ends_with_its_user_and_its_client(api):
    """Suspended or erased, switched off or gone: 401."""
    text = make(api)["api_key"]
    alice = api.world.wiring.users.get("usr_alice")
    version = alice.version
    assert reads(api, text) == 200

    suspended = replace(alice, status="suspended")
    api.world.wiring.users.update(suspended, expected_version=version, audit=api.world.event("user.suspended"))
    assert reads(api, text) == 401
    back = replace(api.world.wiring.users.get("usr_alice"), status="active")
    api.world.wiring.users.update(back, expected_version=back.version, audit=api.world.event("user.restored"))
    assert reads(api, text) == 200
    api.world.add_client("app", status="disabled")
    assert reads(api, text) == 401


def test_a_user_has_25_keys_at_most(api):
    """Whoever has more has lost sight of them."""
    for _ in range(25):
        made = make(api)
    make(api, status=409)
    revoke(api, made["id"])
    make(api)


def test_k07_a_clients_key_rotates_itself_and_lives_no_longer_for_it(api):
    """Where the operator gave it the scope; a thief gains no time by it, and the owner sees it."""
    held = api.key("app", "account:write", "connections:read")
    before = api.world.wiring.api_keys.get(parse_api_key(held["x-api-key"]).key_id)

    turned = api.call("POST", "/v1/api-keys/self/rotate", as_=held)

    assert turned.status == 200
    assert turned.body["expires_at"] == before.expires_at
    assert turned.body["old_secret_ends_at"] == before.expires_at  # it ends in a day, as it would have
    assert api.call("POST", "/v1/api-keys/self/rotate", as_=held).status == 409
    assert api.call("POST", "/v1/api-keys/self/rotate", as_=api.key()).status == 403
    assert api.call("POST", "/v1/api-keys/self/rotate", as_=api.user(scope=SCOPES)).status == 403


def test_the_trail_tells_what_a_key_did(api):
    """Its user sees that it was his key."""
    connection = api.world.connect()
    made = make(api, scopes=["connections:read", "connections:write"])
    path = f"/v1/connections/{connection.id}"
    gone = api.call("DELETE", path, route="/v1/connections/{id}", as_={"x-api-key": made["api_key"]})

    assert gone.status == 200
    events = api.call("GET", "/v1/audit", as_=api.user(scope=SCOPES)).body["events"]
    (entry,) = [e for e in events if e["action"] == "connection.revoked"]
    assert entry["by"] == "your_key"


@pytest.mark.parametrize("place", ["query", "body", "cookie", "password"])
def test_k09_a_key_counts_in_a_header_only(api, place):
    """In a URL it would stand in logs; in a cookie any site could send it."""
    text = make(api)["api_key"]
    parts = {
        "query": {"query": {"api_key": text, "access_token": text}},
        "body": {"json": {"api_key": text, "access_token": text}},
        "cookie": {"headers": {"cookie": f"x-api-key={text}; api_key={text}"}},
        "password": {"headers": {"authorization": f"Basic {text}"}},
    }[place]
    method = "POST" if place == "body" else "GET"

    assert api.call(method, "/v1/connections", **parts).status == 401
