"""The function `admin`: clients, their secrets and keys; and that what is switched off is refused everywhere."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import pytest

from grantkeeper.edge import principals
from tests.doubles.api import api_of
from tests.doubles.deployment import trail
from tests.doubles.provider import NOON
from tests.support.desk import person
from tests.support.functions import Function

CLIENTS, ONE, SECRETS = "/v1/admin/clients", "/v1/admin/clients/{id}", "/v1/admin/clients/{id}/secrets"
BODY = {"client_name": "Reports", "redirect_uris": ["https://reports.example/cb"]}
CONFIDENTIAL = BODY | {"token_endpoint_auth_method": "client_secret_basic"}


@pytest.fixture
def api(monkeypatch: Any) -> Any:
    principals._SHARED._kept.clear()
    return api_of(monkeypatch, "admin", "connections", "account")


def on(api: Any, method: str, route: str, client_id: str, as_: dict[str, str], **parts: Any) -> Any:
    return api.call(method, route.replace("{id}", client_id), route=route, as_=as_, **parts)


def created(api: Any, admin: dict[str, str], body: dict[str, Any] = CONFIDENTIAL) -> Any:
    answer = api.call("POST", CLIENTS, as_=admin, json=body)
    assert answer.status == 201, answer.body
    return answer.body


def test_t09_a_client_is_registered_and_its_secret_shown_once(api: Any) -> None:
    """The answer that makes it holds it; no other does, and the store holds a hash."""
    admin = person(api)
    shown = created(api, admin)
    assert len(shown["client_secret"]) == 43
    read = on(api, "GET", ONE, shown["client_id"], admin)
    listed = api.call("GET", CLIENTS, as_=admin)
    assert read.body == {name: value for name, value in shown.items() if name != "client_secret"}
    assert (read.body["has_secret"], read.body["live_secrets"]) == (True, 1)
    stored = api.world.wiring.clients.get(shown["client_id"])
    for text in (read.raw, listed.raw, json.dumps(trail(api.world.wiring)).encode(), repr(stored).encode()):
        assert shown["client_secret"].encode() not in text
    for hashed in stored.secret_hashes:
        assert hashed.encode() not in read.raw + listed.raw


def test_clients_are_listed_page_by_page(api: Any) -> None:
    """Each once, those the command line made among them."""
    admin = person(api)
    made = {created(api, admin, BODY)["client_id"] for _ in range(3)}
    found, cursor = [], None
    for _ in range(20):
        page = api.call("GET", CLIENTS, as_=admin, query={"limit": "2", **({"cursor": cursor} if cursor else {})}).body
        found += [client["client_id"] for client in page["clients"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == sorted(set(found))
    assert made | {"app", "desk", "spa"} <= set(found)


@pytest.mark.parametrize(
    "member", ["client_id", "status", "secret_hashes", "client_secret", "created_at", "has_secret"]
)
def test_t06_a_registration_says_nothing_that_is_not_its_own(api: Any, member: str) -> None:
    """Neither when it is made nor when it is changed."""
    admin = person(api)
    shown = created(api, admin)
    assert api.call("POST", CLIENTS, as_=admin, json=BODY | {member: "x"}).status == 400
    changed = on(api, "PUT", ONE, shown["client_id"], admin, json=BODY | {member: "x"}, headers={"if-match": "*"})
    assert changed.status == 400


def test_a_change_says_which_state_it_is_of(api: Any) -> None:
    """Without If-Match it is refused, with an old one as well; what was read and is still so may be changed."""
    admin = person(api)
    client_id = created(api, admin)["client_id"]
    etag = on(api, "GET", ONE, client_id, admin).headers["etag"]
    assert on(api, "GET", ONE, client_id, admin, headers={"if-none-match": etag}).status == 304
    assert on(api, "PUT", ONE, client_id, admin, json=CONFIDENTIAL).status == 428
    first = on(api, "PUT", ONE, client_id, admin, json=CONFIDENTIAL | {"client_name": "A"}, headers={"if-match": etag})
    assert (first.status, first.body["client_name"], first.body["live_secrets"]) == (200, "A", 1)
    assert first.headers["etag"] != etag
    late = on(api, "PUT", ONE, client_id, admin, json=CONFIDENTIAL | {"client_name": "B"}, headers={"if-match": etag})
    assert late.status == 412
    assert api.world.wiring.clients.get(client_id).client_name == "A"


def test_t11_what_gives_power_asks_for_a_sign_in_a_moment_ago(api: Any) -> None:
    """Registering, changing, secrets, enabling and keys: not by an old sign-in, not by any key (K-14)."""
    shown = created(api, person(api))
    key_body = {"client_id": shown["client_id"], "name": "k", "scopes": ["connections:read"]}
    calls = (
        ("POST", CLIENTS, BODY), ("PUT", ONE, BODY), ("POST", SECRETS, {}), ("POST", f"{ONE}/enable", None),
        ("POST", "/v1/admin/api-keys", key_body),
    )  # fmt: skip
    for credential, expected in ((person(api, age=3600), 401), (api.key(None, "admin:write"), 403)):
        for method, route, body in calls:
            parts = {} if body is None else {"json": body}
            answer = on(api, method, route, shown["client_id"], credential, headers={"if-match": "*"}, **parts)
            assert answer.status == expected, (method, route, answer.body)
            if expected == 401:
                assert answer.body["error"] == "reauthentication_required"


def test_an_auditor_reads_clients_and_changes_none(api: Any) -> None:
    """His role has the one scope and not the other."""
    client_id = created(api, person(api))["client_id"]
    auditor = person(api, "auditor")
    assert on(api, "GET", ONE, client_id, auditor).status == 200
    assert on(api, "POST", f"{ONE}/disable", client_id, auditor).status == 403


def test_a_secret_rotates_at_the_token_endpoint(api: Any, monkeypatch: Any) -> None:
    """Two are good while it does; then the new one alone."""
    admin = person(api)
    shown = created(api, admin)
    client_id, old = shown["client_id"], shown["client_secret"]
    new = on(api, "POST", SECRETS, client_id, admin, json={}).body["client_secret"]
    assert [_authenticates(api, client_id, secret, monkeypatch) for secret in (old, new)] == [True, True]
    assert on(api, "POST", SECRETS, client_id, admin, json={}).status == 409
    ended = on(api, "DELETE", SECRETS, client_id, admin)
    assert (ended.status, ended.body["live_secrets"]) == (200, 1)
    assert [_authenticates(api, client_id, secret, monkeypatch) for secret in (old, new)] == [False, True]
    last = on(api, "POST", SECRETS, client_id, admin, json={"keep_previous": False}).body["client_secret"]
    assert [_authenticates(api, client_id, secret, monkeypatch) for secret in (new, last)] == [False, True]
    assert on(api, "POST", SECRETS, client_id, admin, json={"keep_previous": "no"}).status == 400


def _authenticates(api: Any, client_id: str, secret: str, monkeypatch: Any) -> bool:
    monkeypatch.setattr("time.time", lambda: float(NOON))
    basic = base64.b64encode(f"{client_id}:{quote_plus(secret)}".encode()).decode()
    headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
    answer = Function("session", api.world.wiring)("POST /oauth2/introspect", form={"token": "x"}, headers=headers)
    return bool(answer.status == 200)


def test_a_disabled_client_is_refused_with_its_users_and_keys_until_it_is_enabled(api: Any) -> None:
    """Its key, its users' tokens and its pages; within the half minute for which callers are remembered."""
    admin = person(api)
    key, user = api.key("app"), api.user("usr_alice", client_id="app")
    named = {"user_sub": "usr_alice"}
    api.world.connect()

    def statuses() -> list[int]:
        api.world.now += 31
        return [
            api.call("GET", "/v1/connections", as_=key, query=named).status,
            api.call("GET", "/v1/connections", as_=user).status,
            api.call("GET", "/v1/profile", as_=api.user("usr_alice", client_id="app", scope="profile")).status,
        ]

    assert statuses() == [200, 200, 200]
    assert on(api, "POST", f"{ONE}/disable", "app", admin).body["status"] == "disabled"
    assert statuses() == [401, 401, 401]
    assert on(api, "POST", f"{ONE}/enable", "app", admin).body["status"] == "active"
    assert statuses() == [200, 200, 200]


def test_a_disabled_client_refreshes_no_session_and_signs_nobody_in(api: Any, monkeypatch: Any) -> None:
    """At the token endpoint it is no client, and its users are not sent to a provider."""
    admin, wiring = person(api), api.world.wiring
    shown = created(api, admin)
    assert _authenticates(api, shown["client_id"], shown["client_secret"], monkeypatch)
    on(api, "POST", f"{ONE}/disable", shown["client_id"], admin)
    assert not _authenticates(api, shown["client_id"], shown["client_secret"], monkeypatch)
    query = {
        "response_type": "code", "client_id": shown["client_id"], "redirect_uri": BODY["redirect_uris"][0],
        "scope": "openid", "code_challenge": "c" * 43, "code_challenge_method": "S256", "provider": "example",
    }  # fmt: skip
    answer = Function("authorize", wiring)("GET /oauth2/authorize", query=query)
    assert answer.status == 400


def test_t10_nobody_disables_the_client_he_is_at(api: Any) -> None:
    """It would be the last thing he did there."""
    admin = person(api)
    answer = on(api, "POST", f"{ONE}/disable", "desk", admin)
    assert answer.status == 409
    assert api.world.wiring.clients.get("desk").status == "active"


def test_an_unknown_client_is_not_found(api: Any) -> None:
    """Whatever is asked of it."""
    admin = person(api)
    for method, route in (("GET", ONE), ("POST", f"{ONE}/disable"), ("DELETE", SECRETS)):
        assert on(api, method, route, "cli_never", admin).status == 404


# --- keys ---


def test_k03_a_key_is_made_for_a_client_shown_once_and_works(api: Any) -> None:
    """Lists never hold it, nor its hash."""
    admin = person(api)
    body = {"client_id": "app", "name": "nightly", "scopes": ["connections:read"], "expires_in_days": 7}
    shown = api.call("POST", "/v1/admin/api-keys", as_=admin, json=body)
    assert (shown.status, shown.body["expires_at"]) == (201, NOON + 7 * 86_400)
    listed = api.call("GET", "/v1/admin/api-keys", as_=admin, query={"client_id": "app"})
    assert [key["name"] for key in listed.body["api_keys"]] == ["nightly"]
    stored = api.world.wiring.api_keys.get(shown.body["id"])
    assert shown.body["api_key"].encode() not in listed.raw
    assert stored.secret_hash.encode() not in listed.raw + shown.raw
    called = api.call(
        "GET", "/v1/connections", as_={"x-api-key": shown.body["api_key"]}, query={"user_sub": "usr_alice"}
    )
    assert called.status in (200, 404)


@pytest.mark.parametrize(
    "scope", ["admin:read", "admin:write", "audit:read", "metrics:read", "openid", "connections:token"]
)
def test_k14_t08_no_key_of_an_operator_and_none_that_reads_tokens_is_made_here(api: Any, scope: str) -> None:
    """Not by an admin who signed in a moment ago either: the command line makes them, with IAM."""
    body = {"client_id": "app", "name": "k", "scopes": [scope]}
    assert api.call("POST", "/v1/admin/api-keys", as_=person(api), json=body).status == 400
    assert api.call("POST", "/v1/admin/api-keys", as_=person(api), json=body | {"client_id": None}).status == 400


def test_k08_any_key_is_revoked(api: Any) -> None:
    """By an operator's key as well, for an incident does not wait; a second time it is not found."""
    operator, key = api.key(None, "admin:write", "admin:read"), api.key("app")
    key_id = key["x-api-key"].split("_")[1]
    revoke = {"method": "DELETE", "path": f"/v1/admin/api-keys/{key_id}", "route": "/v1/admin/api-keys/{id}"}
    assert api.call(**revoke, as_=operator).status == 204
    assert api.call(**revoke, as_=operator).status == 404
    api.world.now += 31
    assert api.call("GET", "/v1/connections", as_=key, query={"user_sub": "usr_alice"}).status == 401


def test_k13_a_clients_keys_are_all_revoked_by_one_call(api: Any) -> None:
    """The drill after a leak: its own, its users', and nobody else's."""
    operator = api.key(None, "admin:write")
    mine = [api.key("app") for _ in range(3)]
    other = api.key("spa")
    first = api.world.wiring.api_keys.get(mine[0]["x-api-key"].split("_")[1])
    api.world.wiring.api_keys.put(
        replace(first, key_id="alices", secret_hash="x", sub="usr_alice"), audit=api.world.event("api_key.created")
    )
    answer = on(api, "POST", f"{ONE}/revoke-api-keys", "app", operator)
    assert answer.body == {"revoked": 4, "more": False, "cursor": None}
    api.world.now += 31
    named = {"user_sub": "usr_alice"}
    assert {api.call("GET", "/v1/connections", as_=key, query=named).status for key in mine} == {401}
    assert api.call("GET", "/v1/connections", as_=other, query=named).status in (200, 404)
    assert api.call("GET", "/v1/admin/users", as_=api.key(None, "admin:read")).status == 200


def test_k13_the_next_hundred_is_asked_for_with_the_cursor(api: Any) -> None:
    """Which is of this client's keys alone."""
    operator = api.key(None, "admin:write")
    made = api.key("app")
    first = api.world.wiring.api_keys.get(made["x-api-key"].split("_")[1])
    for number in range(100):
        api.world.wiring.api_keys.put(
            replace(first, key_id=f"z{number:03d}", secret_hash="x"), audit=api.world.event("api_key.created")
        )
    answer = on(api, "POST", f"{ONE}/revoke-api-keys", "app", operator).body
    assert (answer["revoked"], answer["more"]) == (100, True)
    onward = {"cursor": answer["cursor"]}
    assert on(api, "POST", f"{ONE}/revoke-api-keys", "spa", operator, query=onward).status == 400
    assert on(api, "POST", f"{ONE}/revoke-api-keys", "app", operator, query=onward).body["revoked"] == 1


def test_keys_are_listed_by_user_too_and_a_filter_that_is_no_id_is_refused(api: Any) -> None:
    """The operator's are listed with no client."""
    admin = person(api)
    api.key(None, "metrics:read")
    listed = api.call("GET", "/v1/admin/api-keys", as_=admin).body["api_keys"]
    assert [key["client_id"] for key in listed] == [None]
    assert api.call("GET", "/v1/admin/api-keys", as_=admin, query={"user": "usr_nobody"}).body["api_keys"] == []
    assert api.call("GET", "/v1/admin/api-keys", as_=admin, query={"client_id": "a b"}).status == 400
