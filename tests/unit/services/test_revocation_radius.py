"""Whom a revocation would cut off: who is connected to the same account, and who is about to be."""

from __future__ import annotations

import pytest

from grantkeeper.errors import ConfirmationRefused
from grantkeeper.services.discard_tokens import discard_tokens
from grantkeeper.services.refresh_run import Cause, Run
from tests.doubles.connect_world import ALICE, BOB, RECORD, ConnectWorld


@pytest.fixture
def world():
    return ConnectWorld()


def come_back(world, principal=ALICE):
    """The user consents anew; nothing is confirmed yet."""
    return world.come_back(world.follow(world.open(principal)))


def discard(world, back):
    """The worker finds tokens whose time has passed."""
    run = Run(clock=lambda: world.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)
    return discard_tokens(waiting(world, back), cause=Cause("sweep", "system"), ports=world.wiring, run=run)


def waiting(world, back):
    return world.wiring.connect_sessions.get(back.session, now=world.now).pending_connection_id


def test_i6_a_late_revocation_spares_who_has_consented_anew_and_not_confirmed_yet(world):
    """Disconnected, connected again, and only then does the queue deliver: the new consent is not taken along."""
    first = world.connect()
    assert world.disconnect(first.id).upstream == "revocation_queued"
    back = come_back(world)

    world.work()

    assert world.provider.revoked_tokens == []
    assert world.wiring.grants.get(first.id).sealed == b""
    active = world.confirm(back)
    assert active.status == "active"
    assert active.id != first.id


def test_what_was_spared_for_a_consent_nobody_confirms_is_revoked_with_it(world):
    """The grant at the provider does not outlive the last of those who shared it."""
    first = world.connect()
    world.disconnect(first.id)
    back = come_back(world)
    connection_id = waiting(world, back)
    world.work()
    pending = world.wiring.connections.unconfirmed(connection_id)[0]

    world.now = pending.over_at
    run = Run(clock=lambda: world.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)
    assert discard_tokens(connection_id, cause=Cause("sweep", "system"), ports=world.wiring, run=run) == 1

    assert len(world.provider.revoked_tokens) == 1


def test_tokens_that_were_thrown_away_spare_nobody_and_are_spared_by_nobody(world):
    """Two strangers' consents to one account, both refused: neither keeps the other alive."""
    backs = [come_back(world, ALICE), come_back(world, BOB)]
    for back, stranger in zip(backs, (BOB, ALICE), strict=True):
        with pytest.raises(ConfirmationRefused):
            world.confirm(back, stranger)

    world.work()

    assert len(world.provider.revoked_tokens) == 2


def test_a_disconnect_is_told_that_somebody_is_about_to_share_the_account(world):
    """What the user reads is what will happen."""
    first = world.connect()
    come_back(world, BOB)
    assert world.disconnect(first.id).upstream == "shared_grant_kept"


def register(world, *client_ids):
    """The operator's registrations, newest first; all of one secret, which the provider in the process takes."""
    world.wiring.provider_items.put(
        "example",
        record=RECORD | {"revocation": world.revocation},
        registrations=[
            {"client_id": client_id, "secret_parameter": "/grantkeeper/example", "state": state}
            for client_id, state in zip(client_ids, ("active", "retiring"), strict=False)
        ],
        disabled=False,
        audit=world.event("provider.changed"),
    )


@pytest.mark.parametrize(("effect", "revoked"), [("project_user", 0), ("grant", 1)])
def test_a_revocation_that_takes_a_whole_project_spares_who_is_connected_by_a_newer_registration(effect, revoked):
    """An operator has replaced his client: both stand in one project, and the user's consents fall together."""
    world = ConnectWorld(revocation={"kind": "rfc7009", "effect": effect})
    world.revocation = {"kind": "rfc7009", "effect": effect}
    older = world.connect()
    old_client = world.provider.client_id
    world.provider.client_id = "newer-client"
    register(world, "newer-client", old_client)
    newer = world.connect(BOB)
    assert (older.credentials_id, newer.credentials_id) == (old_client, "newer-client")
    world.provider.client_id = old_client

    world.disconnect(older.id)
    world.work()

    assert len(world.provider.revoked_tokens) == revoked
    assert world.wiring.grants.get(older.id).sealed == b""
