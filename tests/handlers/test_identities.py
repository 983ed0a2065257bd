"""The routes of identities: who may call them, and what they tell."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grantkeeper.edge import principals
from tests.doubles.api import SCOPES, api_of
from tests.doubles.connect_world import BACK
from tests.doubles.errand_world import ALICE_SIGNED_IN, ErrandWorld
from tests.doubles.provider import Account

SCOPE = f"{SCOPES} profile account:write"
WANTED = {"provider": "second", "redirect_uri": BACK, "state": "theirs"}
COMPLETE = "/v1/identities/{id}/complete"


@pytest.fixture
def api(monkeypatch):
    api = api_of(monkeypatch, "account")
    api.world = ErrandWorld(wiring=api.world.wiring)
    monkeypatch.setattr(api.modules[0], "_now", lambda: api.world.now)
    api.world.add_client("app", scopes=tuple(SCOPE.split()))
    return api


def complete(api, opened, **changes):
    """The browser's part by the services, then the client's call."""
    world = api.world
    onward = world.prove(type("Opened", (), {"url": opened["link_url"]})())
    back = world.link_at("second", onward, account=Account("alice-2", {"email": "alice@second.example"}))
    assert back.told["state"] == "theirs"
    credential = changes.get("as_") or api.user(scope=SCOPE)
    return api.call(
        "POST", f"/v1/identities/{back.id}/complete", route=COMPLETE, as_=credential,
        json={"confirmation": changes.get("confirmation", back.confirmation)},
    )  # fmt: skip


def test_a_user_links_lists_and_unlinks(api):
    """A whole life of an identity; the list never says the provider's name for him."""
    alice = api.user(scope=SCOPE)
    opened = api.call("POST", "/v1/identities", as_=alice, json=WANTED)
    assert opened.status == 201
    assert opened.body["expires_at"] == api.world.now + 600

    linked = complete(api, opened.body)

    assert linked.status == 200
    listed = api.call("GET", "/v1/identities", as_=alice).body["identities"]
    assert {(i["provider"], i["email"]) for i in listed} == {
        ("example", "usr_alice@example.com"), ("second", "alice@second.example")
    }  # fmt: skip
    assert set(listed[0]) == {"id", "provider", "issuer", "email", "linked_at"}
    assert "alice-2" not in json.dumps(listed)

    gone = api.call("DELETE", f"/v1/identities/{linked.body['id']}", route="/v1/identities/{id}", as_=alice)
    assert gone.status == 204
    last = api.call("DELETE", f"/v1/identities/{listed[0]['id']}", route="/v1/identities/{id}", as_=alice)
    assert (last.status, last.body["reason"]) == (409, "last_identity")


def test_a_confirmation_by_another_user_is_refused_and_final(api):
    """403 for him, 410 for who comes after."""
    opened = api.call("POST", "/v1/identities", as_=api.user(scope=SCOPE), json=WANTED).body

    refused = complete(api, opened, as_=api.user("usr_bob", scope=SCOPE))
    path = f"/v1/identities/{opened['id']}/complete"
    late = api.call("POST", path, route=COMPLETE, as_=api.user(scope=SCOPE), json={"confirmation": "x"})

    assert (refused.status, late.status) == (403, 403)
    assert "usr_" not in json.dumps([refused.body, late.body])


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/v1/identities", None),
        ("POST", "/v1/identities/some/complete", COMPLETE),
        ("DELETE", "/v1/identities/some", "/v1/identities/{id}"),
    ],
)
def test_t11_linking_takes_a_recent_sign_in_and_the_scope(api, method, path, route):
    """401 with what the client can act on after 15 minutes, 403 without account:write or with a key."""
    body = {"json": WANTED if route is None else {"confirmation": "x"}} if method == "POST" else {}
    no_scope = api.call(method, path, route=route, as_=api.user(), **body)
    key = api.call(method, path, route=route, as_=api.key("app", "account:write"), **body)
    alice = api.user(scope=SCOPE)
    api.world.now += 15 * 60 - 1  # the session is as old as the token
    in_time = api.call(method, path, route=route, as_=alice, **body)
    api.world.now += 2

    principals._SHARED._kept.clear()  # of this process, whose clock jumps
    stale = api.call(method, path, route=route, as_=alice, **body)

    assert (no_scope.status, key.status) == (403, 403)
    assert in_time.status != 401
    assert stale.status == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"provider": "second"},
        {"provider": "second", "redirect_uri": "https://evil.example/"},
        {**WANTED, "user_sub": "usr_bob"},
        {**WANTED, "state": "s" * 1025},
        {**WANTED, "provider": 7},
    ],
)
def test_t06_what_a_link_is_for_is_said_exactly(api, body):
    """Nothing missing, nothing more, nothing of another type."""
    assert api.call("POST", "/v1/identities", as_=api.user(scope=SCOPE), json=body).status == 400


@pytest.mark.parametrize("provider", ["example-keys", "nobody"])
def test_a_provider_that_signs_nobody_in_cannot_be_linked(api, provider):
    """Unknown and unfit read the same."""
    wanted = WANTED | {"provider": provider}
    assert api.call("POST", "/v1/identities", as_=api.user(scope=SCOPE), json=wanted).status == 404


def test_links_are_opened_ten_a_minute(api):
    """A stolen token fills no table."""
    alice = api.user(scope=SCOPE)
    answers = [api.call("POST", "/v1/identities", as_=alice, json=WANTED).status for _ in range(11)]
    assert answers == [201] * 10 + [429]


def test_a_link_of_another_client_is_no_link_here(api):
    """The id alone is nobody's."""
    other = replace(ALICE_SIGNED_IN, client_id="other")
    api.world.signed_in("usr_alice", sid="sid_other", client_id="other")
    opened = api.world.open_link(replace(other, sid="sid_other"))

    answer = complete(api, {"link_url": opened.url})

    assert answer.status == 403
    assert len(api.world.identities()) == 1
