"""Following a connect link."""

from urllib.parse import parse_qs, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.errors import ConnectSessionExpired, ProviderDisabled, ProviderNotConfigured
from tests.doubles.connect_world import ALICE, RECORD, ConnectWorld


@pytest.fixture
def world():
    return ConnectWorld()


def sent(trip):
    return {name: values[0] for name, values in parse_qs(urlsplit(trip.url).query).items()}


def test_a_link_leads_to_the_provider_with_the_sessions_scopes(world):
    """A ticket in a URL can widen nothing: what is asked was decided when the session was opened."""
    query = sent(world.follow(world.open(access="write")))

    assert query["scope"].split() == ["openid", "email", "files.read", "files.write", "offline_access"]
    assert query["redirect_uri"] == "https://id.example.com/oauth2/callback/example"
    assert query["code_challenge_method"] == "S256"
    assert "include_granted_scopes" not in query


def test_connecting_asks_which_account_is_meant(world):
    """People have several; the one they are signed in with may be the wrong one."""
    assert sent(world.follow(world.open()))["prompt"] == "select_account"


def test_a_record_that_says_how_to_prompt_is_obeyed():
    """Providers differ in what they combine."""
    world = ConnectWorld(connect_params={"prompt": "consent"})

    assert sent(world.follow(world.open()))["prompt"] == "consent"


def test_c04_a_link_may_be_followed_again_and_every_trip_is_its_own(world):
    """Two tabs, two states; neither disturbs the other."""
    opened = world.open()
    first, second = world.follow(opened), world.follow(opened)

    assert first.state != second.state
    assert sent(first)["nonce"] != sent(second)["nonce"]
    back = world.come_back(first)
    assert back.confirmation


def test_a_trip_is_bound_to_the_browser_that_made_it(world):
    """The callback compares the hash with its cookie (C-31)."""
    trip = world.follow(world.open(), browser="a secret")

    request = world.wiring.authorization_requests.get(ids.digest(trip.state), now=world.now)
    assert request.browser_hash == ids.digest("a secret")


def test_a_link_is_dead_once_a_trip_came_back(world):
    """Repeatable until the callback succeeds, not longer."""
    opened = world.open()
    world.come_back(world.follow(opened))

    with pytest.raises(ConnectSessionExpired):
        world.follow(opened)


def test_a_link_is_dead_after_ten_minutes(world):
    """TTL is not waited for."""
    opened = world.open()
    world.now += 600

    with pytest.raises(ConnectSessionExpired):
        world.follow(opened)


@pytest.mark.parametrize("ticket", ["", "x", "../..", "a" * 200, "ä"])
def test_a_made_up_ticket_is_an_expired_one(world, ticket):
    """Unknown and expired are one answer."""
    opened = world.open(ALICE)
    made_up = type(opened)(opened.id, f"https://id.example.com/connect/{ticket}", opened.expires_at)

    with pytest.raises(ConnectSessionExpired):
        world.follow(made_up)


def test_a_registration_that_went_away_sends_nobody_anywhere(world):
    """Said here, not by the provider's error page."""
    opened = world.open()
    world.wiring.provider_items.put(
        "example", record=None, registrations=[], disabled=None, audit=world.event("provider.changed")
    )

    with pytest.raises(ProviderNotConfigured):
        world.follow(opened)


def test_a_provider_that_was_switched_off_is_not_gone_to():
    """An open link outlives no decision of the operator by more than the minute a container remembers."""
    world = ConnectWorld()
    opened = world.open()
    registrations = world.wiring.provider_items.registrations()["example"]
    world.wiring.provider_items.put(
        "example", record=RECORD, registrations=registrations, disabled=True, audit=world.event("provider.changed")
    )
    del world.wiring.provider_items  # another container

    with pytest.raises(ProviderDisabled):
        world.follow(opened)
