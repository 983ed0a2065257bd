"""
Every record again: what its vendor says later of the account that was connected, and the pictures behind a token.

The services are the product's own, the vendors those of the dialects.
"""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from grantkeeper.model import HttpResponse
from tests.conformance.cases import MINUTES, dialects, stale
from tests.conformance.dialects import DIALECTS
from tests.conformance.grants import ALICE, UNVERIFIED, Person
from tests.conformance.world import World

BOB = Person(id="3099", login="bob", email="bob@example.com", name="Bob")
CHANGED = replace(
    ALICE,
    login="alice-2",
    email="alice.married@example.com",
    name="Alice Married",
    avatar="https://images.example/alice-2.png",
    language="de-DE",
)


@pytest.fixture
def world(request, new_world) -> World:
    """The world of the dialect this test is for."""
    return new_world(request.getfixturevalue("key"))


def every(which: str = "connect"):
    return pytest.mark.parametrize("key", dialects(which))


def with_pictures(which: str):
    return pytest.mark.parametrize("key", [key for key in dialects(which) if DIALECTS[key].bears_pictures])


def told(world: World, connection_id: str, names) -> dict[str, object]:
    """What is stored of the account."""
    profile = world.connection(connection_id).profile
    return {name: getattr(profile, name) for name in names}


def changes(world: World, connection_id: str) -> list[set[str]]:
    """Which fields the trail says have changed, sync by sync."""
    events = [event for event in world.trail(connection_id) if event.action == "connection.profile_synced"]
    return [set(event.details.get("changed", "").split()) for event in events]


@every()
@pytest.mark.parametrize("person", [ALICE, UNVERIFIED], ids=["alice", "unverified"])
def test_sync_of_an_unchanged_account(key, person, world):
    """Nothing is lost by asking again, not even that an address was verified."""
    connection_id = world.connect(person=person)
    before = world.connection(connection_id).profile

    answer = world.sync(connection_id)

    assert answer.status == 200, answer.body
    assert world.connection(connection_id).profile == before
    assert changes(world, connection_id)[0] <= {"avatar"}


@every()
def test_sync_notices_a_change(key, world):
    """Name, address, picture and language, as far as the vendor tells them; and the trail says which."""
    connection_id = world.connect()
    expected = world.vendor.expected_later(ALICE, CHANGED)
    before = told(world, connection_id, expected)
    world.vendor.grants.become(CHANGED)

    answer = world.sync(connection_id)

    assert answer.status == 200, answer.body
    assert told(world, connection_id, expected) == expected
    [noticed] = changes(world, connection_id)
    assert noticed >= {name for name in expected if expected[name] != before[name]}
    assert noticed
    assert world.connection(connection_id).account_id == before["provider_user_id"]


@every("refresh")
def test_sync_works_when_the_first_answer_is_long_gone(key, world):
    """After refreshes, whose answers need not name the account."""
    connection_id = world.connect()
    for name in world.vendor.token_names():
        for _ in range(2):
            assert stale(world, connection_id, name=name).status == 200
    world.vendor.grants.become(CHANGED)

    answer = world.sync(connection_id)

    expected = world.vendor.expected_later(ALICE, CHANGED)
    assert answer.status == 200, answer.body
    assert told(world, connection_id, expected) == expected


@every()
def test_sync_refuses_a_stranger(key, world):
    """C-57: the token turns out to be somebody else's; nothing is taken over, and the trail says so."""
    connection_id = world.connect()
    before = world.connection(connection_id)
    world.vendor.become_strangers(BOB)
    world.clock.skip(1)

    answer = world.sync(connection_id)

    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (409, "account-mismatch"), answer.body
    assert world.connection(connection_id) == before
    assert world.trail(connection_id)[-1].action == "connection.profile_refused"
    assert changes(world, connection_id) == []


# --- pictures behind a token ---


def shown(answer) -> bytes | None:
    """The bytes that are served, None when there are none."""
    if answer.status == 404:
        return None
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "image/jpeg"
    return base64.b64decode(answer.body)


@with_pictures("signin")
def test_picture_of_a_sign_in(key, world):
    """Fetched while the token is in hand, served to the user; replaced, and gone when it is gone at the vendor."""
    for avatar in ("https://images.example/1", "https://images.example/1", "https://images.example/2", None):
        person = replace(ALICE, avatar=avatar)
        claims = world.sign_in(person)
        assert "picture" not in claims  # nobody could open it
        assert shown(world.own_picture()) == world.vendor.picture(person)

    world.sign_in(BOB)
    assert shown(world.own_picture()) == world.vendor.picture(BOB)
    events, _ = world.wiring.audit.for_user(claims["sub"], limit=100)
    assert [event.action for event in events].count("user.avatar_changed") == 3  # the second brought nothing new


@with_pictures("signin")
@pytest.mark.parametrize(
    ("body", "status"),
    [(b"<svg onload=alert(1)>", 200), (b"\xff\xd8\xff" + b"x" * 65_536, 200), (b"\xff\xd8\xff", 503), (b"", 302)],
    ids=["svg", "large", "down", "elsewhere"],
)
def test_trouble_with_a_picture_is_no_trouble_with_a_sign_in(key, body, status, world):
    """The user is signed in, and what was kept stands."""
    world.sign_in()
    headers = {"content-type": "image/jpeg", "location": "https://169.254.169.254/"}
    world.vendor.instead_of_picture = HttpResponse(status, headers, body)

    world.sign_in(replace(ALICE, avatar="https://images.example/2"))

    assert shown(world.own_picture()) == world.vendor.picture(ALICE)


@with_pictures("signin")
def test_a_slow_sign_in_does_without_a_picture(key, world):
    """What the trip needed has taken its time: nobody waits for more."""
    world.vendor.nap = lambda: world.clock.skip(4)

    world.sign_in()

    assert not [place for _, place in world.vendor.calls if "photo" in place]
    assert world.own_picture().status == 404


@with_pictures("connect")
def test_picture_of_a_connection(key, world):
    """Kept by a sync, for those who see the connection; gone with it."""
    connection_id = world.connect()
    assert world.connection_picture(connection_id).status == 404

    assert world.sync(connection_id).status == 200
    assert shown(world.connection_picture(connection_id)) == world.vendor.picture(ALICE)
    world.clock.skip(MINUTES)
    assert world.sync(connection_id).status == 200
    assert changes(world, connection_id) == [{"avatar"}, set()]

    world.disconnect(connection_id)
    assert world.connection_picture(connection_id).status == 404
