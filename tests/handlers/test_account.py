"""The function `account`: a user's own things, and nobody else's."""

from __future__ import annotations

import json

import pytest

from grantkeeper.model import Avatar
from tests.doubles.api import SCOPES, api_of
from tests.doubles.provider import NOON
from tests.handlers.test_connections import come_back, complete, opened

ORIGIN = "https://app.example"
JPEG = b"\xff\xd8\xff\xe0 a picture"


@pytest.fixture
def api(monkeypatch):
    return api_of(monkeypatch, "account", "connections")


def test_the_own_trail_tells_what_happened_and_not_which_stranger_tried(api):
    """Another user's hand is told by kind only."""
    alice = api.user()
    complete(api, come_back(api, opened(api, alice)), api.user("usr_bob"))

    trail = api.call("GET", "/v1/audit", as_=alice).body["events"]
    refused = next(e for e in trail if e["action"] == "connect_session.refused")
    assert (refused["by"], refused["reason"]) == ("another_user", "other_user")
    assert "usr_bob" not in json.dumps(trail)
    assert api.call("GET", "/v1/audit", as_=api.key()).status == 403


def test_the_trail_is_paged(api):
    """Newest first, every entry once."""
    alice = api.user()
    for _ in range(5):
        api.world.now += 1
        opened(api, alice)

    first = api.call("GET", "/v1/audit", as_=alice, query={"limit": "2"}).body
    second = api.call("GET", "/v1/audit", as_=alice, query={"limit": "2", "cursor": first["cursor"]}).body
    seen = [e["id"] for e in first["events"] + second["events"]]
    assert len(set(seen)) == 4


def test_w02_the_trail_is_readable_by_registered_origins_only(api):
    """A page of another site is answered, and cannot read the answer; errors are readable as well."""
    alice = api.user()
    mine = api.call("GET", "/v1/audit", as_=alice, headers={"origin": "https://app.example"})
    evil = api.call("GET", "/v1/audit", as_=alice, headers={"origin": "https://evil.example"})
    refused = api.call("GET", "/v1/audit", headers={"origin": "https://app.example"})

    assert mine.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in evil.headers
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://app.example")


def test_a_users_own_picture(api):
    """His, by his own credential; bytes that are a picture to a browser or nothing."""
    audit = api.world.event("user.avatar_changed")
    api.world.wiring.avatars.put_for_user(
        "usr_alice", Avatar("microsoft", NOON, "image/jpeg", "d1gest", JPEG), audit=audit
    )
    path, scope = "/v1/profile/avatar", f"{SCOPES} profile"

    found = api.call("GET", path, as_=api.user(scope=scope), headers={"origin": ORIGIN})

    assert (found.status, found.raw) == (200, JPEG)
    assert found.headers["content-type"] == "image/jpeg"
    assert found.headers["cache-control"] == "private, no-cache"
    assert found.headers["etag"] == '"d1gest"'
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert found.headers["access-control-allow-origin"] == ORIGIN
    assert api.call("GET", path, as_=api.user("usr_bob", scope=scope)).status == 404
    assert api.call("GET", path, as_=api.user()).status == 403  # without the scope profile
    assert api.call("GET", path, as_=api.key("app", "profile")).status == 403
    assert api.call("GET", path).status == 401


@pytest.mark.parametrize(
    ("told", "status"),
    [('"d1gest"', 304), ('W/"d1gest"', 304), ('"old", "d1gest"', 304), ("*", 304), ('"old"', 200), ("d1gest", 200)],
)
def test_a_picture_that_is_there_already_is_not_sent_again(api, told, status):
    """RFC 9110 section 13.1.2."""
    audit = api.world.event("user.avatar_changed")
    api.world.wiring.avatars.put_for_user(
        "usr_alice", Avatar("microsoft", NOON, "image/jpeg", "d1gest", JPEG), audit=audit
    )
    as_ = api.user(scope=f"{SCOPES} profile")

    found = api.call("GET", "/v1/profile/avatar", as_=as_, headers={"if-none-match": told})

    assert (found.status, found.headers["etag"]) == (status, '"d1gest"')
    assert found.raw == (b"" if status == 304 else JPEG)
