"""Holders that die, hang or err: what becomes of their lease (security.md F-05, F-07, F-11, F-12, F-22, F-24)."""

from __future__ import annotations

import pytest

from grantkeeper.errors import (
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshPending,
    StoreUnavailable,
)
from grantkeeper.services.lease_policy import LEASE_SECONDS, RESCUE_HORIZON
from tests.doubles.refresh_world import (
    RULES,
    Killed,
    RefreshWorld,
    assert_works,
    grant_write,
)

HOUR = 3600


@pytest.mark.parametrize("moment", ["before", "after"])
def test_f05_f07_f11_nobody_takes_the_lease_of_the_living(world, moment):
    """A holder that died is waited for until its lease has run out: until then it may only be slow."""
    world.die_at(moment)
    calls = world.refreshes
    world.pass_time(LEASE_SECONDS - 12)

    with pytest.raises(RefreshPending):
        world.refresh()

    assert world.refreshes == calls
    assert world.grant().generation == 1


@pytest.mark.parametrize("rule", ["lasting", "grace"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_f05_f11_an_orphan_is_resolved_at_once_where_a_token_can_be_spent_twice(monkeypatch, rule, moment):
    """The next holder spends the same token again; the provider obeys or repeats itself: nothing is lost."""
    world = RefreshWorld(monkeypatch, rule=RULES[rule])
    world.pass_time(HOUR - 600)
    world.die_at(moment)
    world.pass_time(LEASE_SECONDS)

    world.refresh()

    assert_works(world, generation=2)


def test_f05_a_strict_orphan_that_never_spent_is_saved_after_the_horizon(strict):
    """Not before the rescue queue had its time; then the retry obeys and nothing is lost."""
    strict.die_at("before")
    strict.pass_time(LEASE_SECONDS)
    with pytest.raises(RefreshPending) as found:
        strict.refresh()
    assert found.value.retry_after == RESCUE_HORIZON
    strict.pass_time(RESCUE_HORIZON - 30)
    with pytest.raises(RefreshPending) as pending:
        strict.refresh()
    assert strict.refreshes == 0
    assert pending.value.retry_after <= 31

    strict.pass_time(pending.value.retry_after)
    strict.refresh()
    assert_works(strict, generation=2)


def test_f11_f12_a_strict_orphan_that_spent_ends_with_the_reason_that_is_ours(strict):
    """Two refusals, 30 s apart, after the horizon: rotation_outcome_unknown, and the lease's lineage is remembered."""
    strict.die_at("after")
    strict.outwait_orphan()

    with pytest.raises(RefreshPending) as strike_one:
        strict.refresh()
    assert strict.grant().strikes == 1
    assert strict.grant().status == "active"

    strict.pass_time(strike_one.value.retry_after)
    with pytest.raises(ReauthorizationRequired) as strike_two:
        strict.refresh()

    assert strike_two.value.extensions["reason"] == "rotation_outcome_unknown"
    assert strict.grant().status == "needs_reauth"
    assert strict.wiring.connections.get(strict.connection_id).reason == "rotation_outcome_unknown"
    assert strict.actions().count("connection.needs_reauth") == 1


def test_f12_killed_between_answer_and_save_costs_nothing_where_the_provider_repeats_itself(grace):
    """The window of loss: an answer received and not written. A grace provider gives it again."""

    def kill(operation, kwargs):
        if operation == "put_item" and grant_write(kwargs):
            raise Killed

    grace.aws.dynamodb.faults.yield_point = kill
    with pytest.raises(Killed):
        grace.refresh()
    grace.aws.dynamodb.faults.yield_point = None
    grace.pass_time(LEASE_SECONDS)

    grace.refresh()
    assert_works(grace, generation=2)


def test_an_orphan_met_by_a_store_fault_is_still_an_orphan(strict):
    """A take-over that stops before the provider leaves the orphan as it found it."""
    strict.die_at("after")
    orphan = strict.lease()
    strict.outwait_orphan()
    strict.aws.dynamodb.faults.throttle("query", times=20)

    with pytest.raises(StoreUnavailable):
        strict.refresh()
    strict.aws.dynamodb.faults.clear()

    left = strict.lease()
    assert (left.intent, left.until, left.attempt) == (orphan.intent, orphan.until, orphan.attempt)


def test_f22_a_lease_that_could_not_be_given_back_runs_out(lasting):
    """An error path that cannot write either: expiry frees the lease."""
    lasting.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))
    lasting.aws.dynamodb.faults.throttle("update_item", times=100)

    with pytest.raises(ProviderUnavailable):
        lasting.refresh()
    lasting.aws.dynamodb.faults.clear()
    lasting.pass_time(LEASE_SECONDS)

    lasting.refresh()
    assert_works(lasting, generation=2)


@pytest.mark.parametrize("skew", [-5, 5])
def test_f24_a_clock_that_is_off_steals_no_lease(lasting, skew):
    """Five seconds either way, and a holder at the end of its invocation is still not robbed."""
    robbed = []

    def late():
        lasting.pass_time(19)
        try:
            lasting.refresh(wiring=lasting.container(), run=lasting.run(skew=skew), patience=0)
        except RefreshPending:
            return
        robbed.append(True)

    lasting.provider_http.during = late
    lasting.refresh()

    assert not robbed
    assert lasting.refreshes == 1


def test_f24_a_clock_an_hour_back_loses_nothing(world):
    """Times in the future do not confuse the rules: one refresh, one generation."""
    world.refresh(run=world.run(skew=-HOUR))

    assert_works(world, generation=2)
    assert world.refreshes == 1


def test_f24_a_container_an_hour_ahead_costs_one_report(world):
    """It wrote an end an hour too late; the caller's 401 brings a token that works, and nothing is lost."""
    world.refresh(run=world.run(skew=HOUR))
    assert world.grant().expires_at > world.now + HOUR
    world.pass_time(HOUR + 60)
    served = world.read()

    mended = world.read(rejected_generation=served.generation)

    assert mended.generation == served.generation + 1
    assert mended.expires_at <= world.now + HOUR
    assert_works(world, generation=mended.generation)


def test_i7_the_doubt_of_a_dead_holder_outlives_the_next_one_that_dies(strict):
    """Two crashes in a row, a strike between them: what was spent by us is not told as the user's revocation."""
    strict.provider.lose_next_answer()
    with pytest.raises(RefreshPending):
        strict.refresh()  # obeyed, the answer lost, asked again and refused: strike one
    assert strict.grant().strikes == 1
    strict.pass_time(LEASE_SECONDS + 15)
    strict.die_at("before")
    strict.pass_time(2)
    strict.outwait_orphan()

    with pytest.raises(ReauthorizationRequired) as error:
        strict.refresh()

    assert error.value.extensions["reason"] == "rotation_outcome_unknown"
