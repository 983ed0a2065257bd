"""I2, I3, I5: an answer in hand is never lost, never goes back, and revives nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest

from grantkeeper.errors import (
    ConnectionRevoked,
    RefreshPending,
)
from grantkeeper.model import Profile
from grantkeeper.services import successor as successor_module
from grantkeeper.services.lease_policy import CALL_BUDGET, LEASE_SECONDS, RESCUE_HORIZON, START_NEEDS
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause
from grantkeeper.services.rescue import rescue
from grantkeeper.stores.aws import (
    CONNECT_TIMEOUT,
    RESCUE_CONNECT_TIMEOUT,
    RESCUE_READ_TIMEOUT,
    STORE_READ_TIMEOUT,
)
from grantkeeper.stores.queues import rescued_grant
from tests.doubles.refresh_world import (
    GRACE,
    TIMEOUT,
    Killed,
    RefreshWorld,
    assert_works,
    grant_write,
)

HOUR = 3600


# --- the save ---


def test_f14_a_throttled_save_is_repeated_and_the_provider_not_asked_again(world):
    """The answer is in hand; only the store is tried again."""
    world.aws.dynamodb.faults.throttle("put_item", times=6, when=grant_write)

    world.refresh()

    assert world.refreshes == 1
    assert_works(world, generation=2)


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_f15_a_lost_acknowledgement_of_the_save_is_our_success(world, fault):
    """The condition fails on our own write_id."""
    getattr(world.aws.dynamodb.faults, fault)("put_item", when=grant_write)

    done = world.refresh()

    assert done.grant.generation == 2
    assert world.refreshes == 1
    assert_works(world, generation=2)


def test_a_transaction_on_the_same_item_is_waited_out(world):
    """TransactionConflict passes by itself."""
    world.aws.dynamodb.faults.conflict("put_item", times=3, when=grant_write)

    world.refresh()

    assert_works(world, generation=2)


def test_f16_an_answer_that_dynamodb_refuses_is_rescued(world):
    """Sealed in the rescue queue within the deadline, and applied from there: nothing is lost."""
    world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    run = world.run()

    done = world.refresh(run=run)

    assert run.remaining > 0
    assert done.grant.generation == 2  # the caller is served what the provider gave
    assert world.grant().generation == 1
    [body] = world.parked()
    for secret in world.provider.live_refresh_tokens:
        assert secret not in body

    world.aws.dynamodb.faults.clear()
    assert rescue(rescued_grant(body), grants=world.wiring.grants) == "saved"
    assert rescue(rescued_grant(body), grants=world.wiring.grants) == "saved"
    assert_works(world, generation=2)


def test_f16_a_loss_is_told_and_without_the_secret(strict):
    """Both stores refuse until the end: the highest alarm, ids only."""
    strict.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    strict.aws.sqs.faults.throttle("send_message", times=1000, code="RequestThrottled")
    run = strict.run()

    strict.refresh(run=run)

    assert run.remaining > 0
    [lost] = strict.reports.of("token_set_lost")
    assert lost["connection_id"] == strict.connection_id
    assert not any(token in str(strict.reports.events) for token in strict.provider.live_refresh_tokens)
    assert strict.grant().status == "active"


def test_f16_the_parked_answer_comes_before_any_retry_at_a_strict_provider(strict):
    """Nobody spends the old token while its successor may be in the rescue queue."""
    strict.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    strict.refresh()
    strict.aws.dynamodb.faults.clear()
    strict.pass_time(LEASE_SECONDS + 100)

    with pytest.raises(RefreshPending):
        strict.refresh()
    assert strict.refreshes == 1

    rescue(rescued_grant(strict.parked()[0]), grants=strict.wiring.grants)
    assert_works(strict, generation=2)


@pytest.mark.parametrize("outage", [60, 600, 7200])
def test_f16_an_outage_longer_than_the_horizon_costs_no_parked_answer(strict, outage):
    """The horizon counts from when the table could be written again: redelivery comes before the old token is spent."""
    strict.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    strict.refresh()
    strict.pass_time(outage)
    strict.aws.dynamodb.faults.clear()

    for _ in range(4):  # sweeps, while the message is still hidden
        with pytest.raises(RefreshPending):
            strict.refresh()
        strict.pass_time(60)
    rescue(rescued_grant(strict.parked()[0]), grants=strict.wiring.grants)

    assert strict.refreshes == 1
    assert_works(strict, generation=2)


def test_f16_a_parked_answer_is_not_made_void_by_a_replay_within_the_grace(monkeypatch):
    """A provider that answers a replay with another token forgets the first: nobody asks before it is saved."""
    world = RefreshWorld(monkeypatch, rule=replace(GRACE, grace_answer="another"))
    world.pass_time(HOUR - 60)
    world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    world.refresh()
    world.aws.dynamodb.faults.clear()

    world.pass_time(LEASE_SECONDS)
    for _ in range(3):
        with pytest.raises(RefreshPending):
            world.refresh(wiring=world.container())
        world.pass_time(60)
    rescue(rescued_grant(world.parked()[0]), grants=world.wiring.grants)

    assert world.refreshes == 1
    assert_works(world, generation=2)


def test_f12_killed_in_the_window_costs_nothing_within_the_grace_of_such_a_provider(monkeypatch):
    """After the horizon its grace still holds: the lost answer is asked for again."""
    world = RefreshWorld(monkeypatch, rule=replace(GRACE, grace_answer="another"))
    world.pass_time(HOUR - 60)
    world.die_at("after")
    world.outwait_orphan()

    world.refresh(wiring=world.container())

    assert_works(world, generation=2)


@pytest.mark.parametrize("broken", ["save", "park"])
def test_f16_a_bug_in_one_store_s_adapter_leaves_the_other(strict, monkeypatch, broken):
    """An answer in hand is not dropped for an error nobody thought of; only its name is told."""

    def bug(*_args):
        strict.aws.dynamodb.faults.clear()
        met.append(True)
        raise UnicodeEncodeError("utf-8", "secret", 0, 1, "bug")

    met: list[bool] = []
    ports, run = strict.ports(), strict.run()
    run = replace(run, remaining_ms=lambda ending=run.remaining_ms: 7_000 if met else ending())  # for one more round
    kept = SimpleNamespace(**vars(ports))
    if broken == "save":
        kept.grants = _Instead(ports.grants, save=bug)
    else:
        strict.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
        kept.rescue_queue = SimpleNamespace(park=bug)
    refresh(strict.grant(), cause=Cause("sweep", "system"), ports=kept, run=run)

    if broken == "save":
        assert rescue(rescued_grant(strict.parked()[0]), grants=strict.wiring.grants) == "saved"
    assert_works(strict, generation=2)
    assert "secret" not in str(strict.reports.events)
    assert strict.reports.of("token_set_lost") == []
    assert strict.reports.of(f"{broken}_failed")[0]["error"] == "UnicodeEncodeError"


class _Instead:
    def __init__(self, port, **methods):
        self.__dict__ |= methods
        self._port = port

    def __getattr__(self, name):
        return getattr(self._port, name)


@pytest.mark.parametrize("scope", ["files.read \ud800", "files.read \x00 files.write"])
def test_f14_scopes_that_no_table_takes_cost_no_grant(strict, scope):
    """What cannot be printed is no scope; the answer it came with is saved."""
    issue = strict.provider._issue
    strict.provider._issue = lambda family, **how: issue(family, **how) | {"scope": scope}

    strict.refresh()

    assert_works(strict, generation=2)
    assert "".join(strict.grant().scopes).isprintable()


def test_f17_a_late_holder_drops_what_another_has_replaced(grace):
    """Its lease ran out, the next holder saved: the generation decides, and the caller gets the newer one."""

    def other_holder():
        grace.pass_time(LEASE_SECONDS + 1)
        grace.refresh(wiring=grace.container())

    grace.provider_http.during = other_holder

    done = grace.refresh()

    assert done.grant == grace.grant()
    assert grace.grant().generation == 2


def test_f17_a_late_holder_whose_token_is_still_current_saves(strict):
    """Fenced on the generation, not on the lease: it holds the only valid successor."""

    def lease_runs_out_and_is_taken():
        strict.pass_time(LEASE_SECONDS + RESCUE_HORIZON + 1)
        orphan = strict.lease()
        assert strict.wiring.grants.take_over(replace(orphan, write_id="thief", owner="thief"), orphan=orphan)

    strict.provider_http.during = lease_runs_out_and_is_taken

    strict.refresh()

    assert_works(strict, generation=2)


def test_i3_a_stale_writer_changes_nothing(world):
    """A successor of an older generation is refused, however late it comes."""
    stale = replace(world.grant(), generation=2, n=2, write_id="stale")
    world.refresh()
    current = world.grant()

    assert world.wiring.grants.save(stale).outcome == "moved"
    assert world.grant() == current


def test_unrelated_writes_meanwhile_touch_no_grant(world):
    """Profile, use and a report are written while the provider answers; the rotated token is stored all the same."""

    def meanwhile():
        world.wiring.connections.touch(world.connection_id, day="2027-01-15")
        profile = Profile("alice", name="Alice")
        assert world.wiring.connections.update_profile(
            world.connection_id, profile, now=world.now, audit=world.event("profile.synced")
        )
        assert world.wiring.grants.reject(world.grant())

    world.provider_http.during = meanwhile

    world.refresh()

    assert_works(world, generation=2)


def test_the_caller_going_away_after_the_answer_loses_nothing(world, monkeypatch):
    """The save comes first: whatever happens afterwards happens to a stored generation."""

    def gone(_provider):
        raise Killed

    monkeypatch.setattr(world.wiring.breakers, "record_success", gone)
    with pytest.raises(Killed):
        world.refresh()

    assert_works(world, generation=2)


@pytest.mark.parametrize("text", ["one-very-long-scope" * 10_000, " ".join(f"scope-{n}" for n in range(20_000))])
def test_the_largest_answer_that_comes_in_can_be_stored_and_opened_again(world, text):
    """A quarter of a megabyte passes the HTTP client; sealed, it fits the row and the reader's own limit."""
    answer = {"access_token": "at", "refresh_token": "the-next", "expires_in": 3600, "scope": text}
    world.provider.answer_next(200, answer)

    world.refresh()

    assert world.parked() == []
    assert world.grant().generation == 2
    assert world.tokens().refresh_token == "the-next"


@pytest.mark.parametrize("part", ["plan", "normalise_scopes", "can_refresh"])
def test_f13_a_bug_in_reading_an_answer_costs_no_grant(world, monkeypatch, part):
    """What stands beside the sealed set can be wrong; the set must be stored."""

    def broken(*_, **__):
        raise ZeroDivisionError

    bug = lambda: monkeypatch.setattr(successor_module, part, broken)  # noqa: E731 - from the answer on
    world.provider_http.during = bug

    world.refresh()

    monkeypatch.undo()
    assert_works(world, generation=2)
    assert world.grant().due_at is not None


# --- revoked meanwhile ---


def test_f18_tokens_that_arrive_after_a_revoke_wait_for_their_revocation(world):
    """I5: nothing is revived; the new set, sealed, and an id in the queue are all there is."""
    world.provider_http.during = world.disconnect

    with pytest.raises(ConnectionRevoked):
        world.refresh()

    assert world.grant().status == "revoked"
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens
    assert world.queued()[-1]["kind"] == "revoke"
    assert not any(token in str(world.queued()) for token in world.provider.live_refresh_tokens)


def test_f18_and_when_dynamodb_refuses_they_are_rescued_first(world):
    """Revoked and store down: the rescue keeps them for the worker."""

    def meanwhile():
        world.disconnect()
        world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)

    world.provider_http.during = meanwhile
    world.refresh()
    world.aws.dynamodb.faults.clear()

    assert rescue(rescued_grant(world.parked()[0]), grants=world.wiring.grants) == "revoked"
    assert world.grant().status == "revoked"
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens
    assert world.grant().due_at is not None


# --- the time it takes ---


@pytest.mark.parametrize("seed", range(1000, 1060))
def test_f16_parking_fits_the_time_that_is_left_however_slowly_both_stores_fail(strict, seed):
    """Tries at DynamoDB hang, and so does the first at SQS: the answer is parked before the kill."""
    rng = random.Random(seed)

    def hangs(operation, kwargs):
        if operation == "put_item" and grant_write(kwargs):
            strict.clock.sleep(rng.choice([0.01, 0.5, 1.0, 1.0]) * (CONNECT_TIMEOUT + STORE_READ_TIMEOUT))
        if operation == "send_message":
            strict.clock.sleep(RESCUE_CONNECT_TIMEOUT + RESCUE_READ_TIMEOUT)

    run = strict.run()
    strict.pass_time(rng.random() * (TIMEOUT - START_NEEDS))
    strict.provider_http.seconds = rng.random() * CALL_BUDGET
    strict.aws.dynamodb.faults.yield_point = strict.aws.sqs.faults.yield_point = hangs
    strict.aws.dynamodb.faults.unreachable("put_item", times=1000, when=grant_write)

    strict.refresh(run=run)

    assert run.remaining > 0
    assert len(strict.parked()) == 1
