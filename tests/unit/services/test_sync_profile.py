"""Profile sync: a new name, never another account."""

from __future__ import annotations

import pytest

from grantkeeper.errors import (
    AccountMismatch,
    Conflict,
    ConnectionRevoked,
    NotFound,
    ProviderUnavailable,
    TooManyRequests,
)
from grantkeeper.model import Principal
from grantkeeper.services.sync_profile import HOURLY_CAP, sync_profile
from tests.doubles.refresh_world import ALICE, CLIENT, KEY, RefreshWorld

HOUR = 3600


@pytest.fixture
def world(monkeypatch):
    world = RefreshWorld(monkeypatch)
    world.clock.now = (world.clock.now // HOUR + 1) * HOUR  # windows of an hour begin on the hour
    world.connection_id = world.connect(service="example-mail")
    return world


def sync(world, connection_id=None, *, principal=KEY):
    return sync_profile(
        connection_id or world.connection_id,
        principal=principal,
        ports=world.ports(),
        run=world.run(),
        request_id="req",
    )


def test_the_profile_is_read_again_and_stored(world):
    """With the connection's own token; the grant is not touched."""
    before = world.grant()

    connection = sync(world)

    assert connection.profile.name == "Alice Example"
    assert world.wiring.connections.get(world.connection_id).profile == connection.profile
    assert world.grant() == before
    assert "connection.profile_synced" in world.actions()


def test_an_expired_token_is_refreshed_first(world):
    """As for any caller."""
    world.pass_time(2 * HOUR)

    assert sync(world).profile.name == "Alice Example"
    assert world.grant().generation == 2


def test_c57_another_account_is_refused(world):
    """The provider names somebody else: nothing is stored."""
    other = world.connect(account_id="bob")  # the provider's answers are all of alice

    with pytest.raises(AccountMismatch):
        sync(world, other)
    assert world.wiring.connections.get(other).profile is None


def test_c57_a_refusal_is_in_the_trail(world):
    """Somebody has to know."""
    other = world.connect(account_id="bob")
    with pytest.raises(AccountMismatch):
        sync(world, other)

    assert world.actions(other)[-1] == "connection.profile_refused"


def test_the_trail_says_what_changed(world):
    """The names of fields, never what they hold; nothing when nothing did."""
    sync(world)
    world.pass_time(1)
    sync(world)
    world.pass_time(1)
    for account in world.provider.accounts():
        account.claims |= {"name": "Alice Married", "picture": "https://images.example/new.png"}
    sync(world)

    events, _ = world.wiring.audit.for_connection(world.connection_id, limit=100)
    synced = [event for event in reversed(events) if event.action == "connection.profile_synced"]
    assert [event.details.get("changed") for event in synced][1:] == [None, "name avatar_url"]


def test_who_may_not_see_the_connection_may_not_sync_it(world):
    """Another user, another client."""
    for principal in (
        Principal("user", frozenset(), client_id=CLIENT, sub="usr_bob"),
        Principal("api_key", frozenset(), client_id="other", key_id="k"),
    ):
        with pytest.raises(NotFound):
            sync(world, principal=principal)
    assert sync(world, principal=Principal("user", frozenset(), client_id=CLIENT, sub=ALICE)).profile


def test_an_api_key_has_no_profile(world):
    """There is nobody to ask."""
    with pytest.raises(Conflict):
        sync(world, world.connect(account_id="key", kind="api_key"))


def test_a_disconnected_connection_is_not_synced(world):
    """Revoked is final."""
    world.disconnect()

    with pytest.raises(ConnectionRevoked):
        sync(world)


def test_ten_times_an_hour_are_enough(world):
    """The provider's quota is not the caller's to burn."""
    for _ in range(HOURLY_CAP):
        sync(world)

    with pytest.raises(TooManyRequests):
        sync(world)


def test_a_provider_that_is_down_is_503(world):
    """And nothing is changed."""
    send = world.provider.send
    world.provider.send = lambda *_, **__: (_ for _ in ()).throw(ProviderUnavailable("slow"))

    with pytest.raises(ProviderUnavailable):
        sync(world)

    world.provider.send = send
    assert sync(world).profile
