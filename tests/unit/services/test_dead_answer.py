"""I7: a grant is dead after two refusals well apart, for the current generation, and after nothing else."""

from __future__ import annotations

import pytest

from grantkeeper.errors import (
    ReauthorizationRequired,
    RefreshPending,
)
from grantkeeper.services.lease_policy import LEASE_SECONDS

HOUR = 3600


def test_c52_a_dead_grant_takes_two_refusals_well_apart(world):
    """I7: one invalid_grant proves nothing; the second, 30 s later, does; the event is told once."""
    world.provider.revoke_everything()

    with pytest.raises(RefreshPending) as strike_one:
        world.refresh()
    assert world.grant().status == "active"
    assert world.wiring.connections.get(world.connection_id).status == "active"

    for _ in range(3):  # impatient callers neither ask the provider nor count
        with pytest.raises(RefreshPending):
            world.refresh()
    assert world.refreshes == 1

    world.pass_time(strike_one.value.retry_after)
    with pytest.raises(ReauthorizationRequired) as strike_two:
        world.refresh()
    assert strike_two.value.extensions["reason"] == "revoked_by_user"
    assert world.grant().status == "needs_reauth"
    assert world.grant().due_at is None
    assert world.refreshes == 2
    with pytest.raises(ReauthorizationRequired):
        world.read()
    assert world.actions().count("connection.needs_reauth") == 1


def test_i7_a_success_between_two_refusals_starts_anew(world):
    """Strikes belong to a generation."""
    world.provider.answer_next(400, {"error": "invalid_grant"})
    with pytest.raises(RefreshPending):
        world.refresh()
    world.pass_time(60)
    world.refresh()
    assert world.grant().strikes == 0

    world.pass_time(HOUR)
    world.provider.answer_next(400, {"error": "invalid_grant"})
    with pytest.raises(RefreshPending):
        world.refresh()
    assert world.grant().status == "active"


def test_i7_a_dead_answer_after_the_generation_moved_on_is_a_lost_race(strict):
    """The loser of a race is refused for the token the winner spent; it does not destroy the winner's grant."""

    def other_holder_wins():
        strict.outwait_orphan()
        strict.refresh(wiring=strict.container())

    strict.provider_http.before = other_holder_wins

    done = strict.refresh()

    assert done.grant.generation == 2
    assert strict.grant().strikes == 0
    assert strict.grant().status == "active"


def test_i7_a_second_refusal_under_a_lease_that_ran_out_declares_nothing(world):
    """Another holder may be saving at that moment."""
    world.provider.revoke_everything()
    with pytest.raises(RefreshPending):
        world.refresh()
    world.pass_time(60)
    world.provider_http.during = lambda: world.pass_time(LEASE_SECONDS)

    with pytest.raises(RefreshPending):
        world.refresh()

    assert world.grant().status == "active"
