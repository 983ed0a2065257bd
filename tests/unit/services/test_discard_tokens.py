"""Tokens nobody confirmed against a confirmation that comes at the last moment, on clocks that differ."""

from __future__ import annotations

import contextlib

import pytest

from grantkeeper.errors import GrantkeeperError, ProviderUnavailable
from grantkeeper.services.abandon_tokens import abandon_tokens
from grantkeeper.services.discard_tokens import discard_tokens
from grantkeeper.services.refresh_run import Cause, Run
from tests.doubles.aws import memory_wiring
from tests.doubles.connect_world import ConnectWorld


class World(ConnectWorld):
    """Connecting at one clock, discarding at another."""

    def back(self):
        back = self.come_back(self.follow(self.open()))
        session = self.wiring.connect_sessions.get(back.session, now=self.now)
        self.pending_id = session.pending_connection_id
        self.pending = self.wiring.connections.pending(self.pending_id, session.id, now=self.now)
        return back

    def discard(self, *, at):
        run = Run(clock=lambda: at, sleep=lambda _: None, remaining_ms=lambda: 20_000)
        return discard_tokens(self.pending_id, cause=Cause("sweep", "system"), ports=self.wiring, run=run)

    def confirm_at(self, back, *, at):
        self.now = at
        with contextlib.suppress(GrantkeeperError):
            return self.confirm(back)
        return None

    def sound(self):
        """A connection that is active has its tokens; one whose tokens were revoked is not active."""
        connection = self.wiring.connections.get(self.pending_id)
        active = connection is not None and connection.status == "active"
        assert active != bool(self.provider.revoked_tokens), (active, self.provider.revoked_tokens)
        return active


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("ahead", range(-10, 11, 2))
@pytest.mark.parametrize("moment", [-6, -1, 0, 1, 6, 30, 75])
def test_f24_a_confirmation_that_succeeded_never_finds_its_tokens_revoked(world, moment, ahead):
    """The worker's clock is ahead or behind; both act around the end, the worker in the middle of the confirmation."""
    back = world.back()
    end = world.pending.expires_at
    faults = world.wiring.aws.dynamodb.faults
    met = []

    def interrupt(operation, _request):
        if operation == "transact_write_items" and not met:
            met.append(True)
            world.discard(at=end + moment + ahead)

    faults.yield_point = interrupt
    confirmed = world.confirm_at(back, at=end + moment)
    faults.yield_point = None
    world.discard(at=end + 200)

    assert world.sound() == (confirmed is not None)
    assert bool(met) == (moment < 0)


@pytest.mark.parametrize("ahead", range(-10, 11, 2))
@pytest.mark.parametrize("moment", [-1, 0, 1, 6, 30, 75])
def test_f24_what_is_being_revoked_upstream_cannot_be_confirmed_meanwhile(world, moment, ahead):
    """The confirmation comes between the revocation at the provider and the deletion here."""
    back = world.back()
    end = world.pending.expires_at
    send = world.provider.send

    def interrupted(request, *, budget):
        world.provider.send = send
        world.confirm_at(back, at=end + moment)
        return send(request, budget=budget)

    world.provider.send = interrupted
    world.discard(at=end + moment + ahead)
    world.provider.send = send

    if world.wiring.connections.unconfirmed(world.pending_id):  # not looked at yet: nothing was revoked
        assert world.provider.revoked_tokens == []
        assert world.confirm_at(back, at=end - 1) is not None
    world.sound()


@pytest.mark.parametrize("behind", [0, 5, 10, 40])
def test_f24_abandoned_tokens_are_confirmed_by_no_clock_and_no_request_in_flight(world, behind):
    """A session that lost a race is over for a container whose clock is behind as well."""
    back = world.back()
    w = world.wiring
    started = world.now - behind
    assert abandon_tokens(
        world.pending_id, back.session, provider="example", connections=w.connections, work_queue=w.work_queue,
        now=world.now, request_id="r",
    )  # fmt: skip
    world.discard(at=world.now)

    assert world.confirm_at(back, at=started) is None
    assert not world.sound()


def test_a_record_that_this_environment_does_not_know_yet_loses_no_revocation():
    """A connection that nobody confirms, just after its provider's record came: looked at again, and then revoked."""
    warm = memory_wiring()
    assert warm.provider_items.overrides() == {}
    world = World(wiring=memory_wiring(aws=warm.aws))
    warm.__dict__["provider_http"] = world.provider
    back, knows = world.back(), world.wiring
    (refresh_token,) = world.provider.live_refresh_tokens
    w = world.wiring
    assert abandon_tokens(
        world.pending_id, back.session, provider="example", connections=w.connections, work_queue=w.work_queue,
        now=world.now, request_id="r",
    )  # fmt: skip

    world.wiring = warm
    with pytest.raises(ProviderUnavailable):
        world.discard(at=world.now)

    world.wiring = knows
    assert world.discard(at=world.now) == 1
    assert world.provider.revoked_tokens == [refresh_token]


def test_the_week_of_an_unreachable_provider_counts_from_the_end(world):
    """Looking at them again and again puts nothing off."""
    world.back()
    end = world.pending.expires_at
    for _ in range(3):
        world.provider.answer_next(503)
    week = 7 * 86_400
    world.wiring.breakers.record_failure("example", now=end + week)

    assert world.discard(at=end + week + 60) == 1
    assert world.wiring.connections.unconfirmed(world.pending_id) == []
