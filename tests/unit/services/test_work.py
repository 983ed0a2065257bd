"""The worker: the index is the backlog, messages may come twice, late or never."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from grantkeeper.errors import ProviderUnavailable, RefreshPending
from grantkeeper.model import CONFIRM_SLACK, Work
from grantkeeper.providers.record import RefreshRule, RevocationRule
from grantkeeper.services import work as work_module
from grantkeeper.services.lease_policy import LEASE_SECONDS, RESCUE_HORIZON
from grantkeeper.services.note_use import day_of
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.services.work import AGAIN, JITTER, MOST_THREADS, in_threads, work_through
from tests.doubles.refresh_world import LASTING, STRICT, RefreshWorld
from tests.unit.services.test_revoke_upstream import answers, waiting

HOUR, DAY = 3600, 86_400
IDLE_AFTER = RefreshRule(rotation="none", previous_refresh_token="valid", inactivity_days=180)


@pytest.fixture
def world(monkeypatch):
    world = RefreshWorld(monkeypatch, rule=STRICT, revocation=RevocationRule(kind="rfc7009"))
    world.pass_time(HOUR - 300)
    return world


def in_turn(tasks):
    for task in tasks:
        task()


def do(world, *works, run=None, wiring=None):
    return work_through(works, ports=world.ports(wiring), run=run or world.run(), parallel=in_turn)


def job(world, kind="refresh", connection_id=None, generation=None):
    connection_id = connection_id or world.connection_id
    generation = world.grant(connection_id).generation if generation is None else generation
    return Work(kind, "example", ((connection_id, generation),), request_id="sweep1")


def test_a_due_grant_is_refreshed(world):
    """And is due again before it expires."""
    assert do(world, job(world)) == frozenset()

    assert world.grant().generation == 2
    assert world.now < world.grant().due_at < world.grant().expires_at
    assert world.grant().caused_by == "sweep"
    assert world.grant().request_id == "sweep1"


def test_d23_an_invocation_that_ends_soon_begins_nothing(world):
    """Not even a read, which may hang: what is due stays due, and a revocation is delivered again."""
    ending = replace(world.run(), remaining_ms=lambda: 6_000)
    before = len(world.aws.dynamodb.faults.calls)
    jobs = [job(world), job(world, "revoke")]
    calls = len(world.aws.dynamodb.faults.calls) - before

    assert do(world, *jobs, run=ending) == frozenset({1})

    assert len(world.aws.dynamodb.faults.calls) == before + calls


def test_i9_an_orphan_is_looked_at_when_its_time_has_come(world):
    """However long it has been overdue: its horizon is a time of its own, and two sweeps later it is decided."""
    world.pass_time(HOUR)
    world.die_at("after")
    world.pass_time(LEASE_SECONDS)
    unlucky = SimpleNamespace(random=lambda: 0.999)
    do(world, job(world), run=replace(world.run(), rng=unlucky))

    assert world.lease().seen_at == world.now
    assert world.now + RESCUE_HORIZON <= world.grant().due_at <= world.now + RESCUE_HORIZON + JITTER


def test_i9_a_store_that_refused_puts_nobody_off_for_long(world):
    """The spread is for providers that come back; a throttled lease is tried again by the second sweep."""
    world.pass_time(HOUR)
    world.aws.dynamodb.faults.throttle("put_item", times=99)
    unlucky = SimpleNamespace(random=lambda: 0.999)
    do(world, job(world), run=replace(world.run(), rng=unlucky))

    assert world.refreshes == 0
    assert world.now < world.grant().due_at <= world.now + AGAIN + JITTER


def test_f26_a_job_for_an_older_generation_is_dropped(world):
    """Whatever happened to it was done by somebody else."""
    old = job(world)
    do(world, old)
    world.pass_time(HOUR - 100)

    assert do(world, old, old) == frozenset()
    assert world.refreshes == 1


def test_f25_d15_a_job_that_comes_thirty_two_times_is_one_refresh(world):
    """Duplicates, in one batch and over time."""
    due = job(world)

    do(world, *[due] * 16)
    for _ in range(16):
        do(world, due)

    assert world.refreshes == 1


def test_d20_a_message_redelivered_days_later_does_no_harm(world):
    """From the dead-letter queue: the row decides."""
    old = job(world)
    do(world, old)
    world.pass_time(5 * DAY)

    assert do(world, old) == frozenset()
    assert world.refreshes == 1


def test_what_is_not_due_is_left_alone(world):
    """The index showed an old row: the grant itself says when."""
    do(world, job(world))
    world.pass_time(120)

    do(world, job(world))
    assert world.refreshes == 1


def test_a_job_for_nobody_is_done(world):
    """D-16: the connection is gone; the message is no poison."""
    assert do(world, Work("refresh", "example", (("con_gone", 3),))) == frozenset()
    assert do(world, Work("revoke", "example", (("con_gone", 3),))) == frozenset()


def test_a_failed_refresh_is_acknowledged_and_due_again_soon(world):
    """I9: within a sweep or two after the trouble is over."""
    world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))

    assert do(world, job(world)) == frozenset()

    assert world.now + AGAIN <= world.grant().due_at <= world.now + 90
    assert world.grant().status == "active"

    world.pass_time(90)
    do(world, job(world))
    assert world.grant().generation == 2


def test_retry_after_moves_the_due_time(world):
    """The provider's own word."""
    world.provider.answer_next(429, b"", retry_after="600")

    do(world, job(world))

    assert world.grant().due_at >= world.now + 600


def test_what_has_failed_for_a_day_is_tried_hourly(world):
    """No outage is that long; the grant is not given up either."""
    world.pass_time(2 * DAY)
    world.wiring.connections.touch(world.connection_id, day="2027-01-17")
    world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))

    do(world, job(world))

    assert world.now + HOUR <= world.grant().due_at <= world.now + HOUR + 60


def test_work_not_begun_is_due_at_once(world):
    """The time ran out before its turn: no call, no failure, no wait."""
    run = world.run()
    world.pass_time(10)

    assert do(world, job(world), run=run) == frozenset()

    assert world.refreshes == 0
    assert world.grant().due_at <= world.now


def test_a_lease_in_use_is_no_failure(world):
    """Somebody refreshes it right now; the worker does not wait for him."""
    world.die_at("before")
    started = world.clock.now

    assert do(world, job(world)) == frozenset()

    assert world.clock.now - started < 1
    assert world.grant().due_at > world.now


def test_dynamodb_down_fails_no_refresh_message(world):
    """Nothing could be moved, so the row is due as it was: the sweeper finds it."""
    due = job(world)
    world.aws.dynamodb.faults.throttle("get_item", times=100)

    assert do(world, due) == frozenset()
    world.aws.dynamodb.faults.clear()

    assert world.grant().due_at <= world.now + 90


def test_dead_grants_are_due_no_more(world):
    """Two jobs, two strikes, and the index forgets it."""
    world.provider.revoke_everything()
    do(world, job(world))
    assert world.grant().strikes == 1
    world.pass_time(60)

    do(world, job(world))

    assert world.grant().status == "needs_reauth"
    assert world.grant().due_at is None


def test_c49_an_expired_grant_without_successor_is_told(monkeypatch):
    """By the sweep, without anybody asking."""
    world = RefreshWorld(monkeypatch)
    world.provider.issues_refresh_tokens = False
    world.connection_id = world.connect(account_id="bob")
    world.pass_time(HOUR)
    do(world, job(world))
    world.pass_time(60)

    do(world, job(world))

    assert world.grant().status == "needs_reauth"
    assert world.grant().reason == "expired_no_refresh_token"


# --- idle ---


def test_an_idle_grant_waits_for_its_keep_alive(monkeypatch):
    """Nobody used it for days: it is kept alive well inside the provider's limit, and costs nothing till then."""
    world = RefreshWorld(monkeypatch, rule=IDLE_AFTER)
    world.pass_time(3 * DAY)

    do(world, job(world))

    assert world.refreshes == 0
    assert world.grant().due_at == world.grant().refreshed_at + 90 * DAY

    world.pass_time(87 * DAY)
    do(world, job(world))
    assert world.refreshes == 1


def test_an_idle_grant_that_never_lapses_leaves_the_index(monkeypatch):
    """The next read refreshes it."""
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.pass_time(3 * DAY)

    do(world, job(world))

    assert world.grant().due_at is None
    assert world.read().generation == 2


def test_a_grant_used_yesterday_is_refreshed_ahead(monkeypatch):
    """Use is by the day."""
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.pass_time(3 * DAY)
    world.wiring.connections.touch(world.connection_id, day="2027-01-17")

    do(world, job(world))

    assert world.grant().generation == 2


def test_an_idle_grant_that_was_refused_once_is_decided(monkeypatch):
    """One read met the refusal and nobody came again: the second look is not put off for lack of use."""
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.pass_time(3 * DAY)
    do(world, job(world))
    world.provider.revoke_everything()
    with pytest.raises(RefreshPending):
        world.read()

    world.pass_time(60)
    assert world.grant().due_at <= world.now
    do(world, job(world))

    assert world.grant().status == "needs_reauth"


def test_what_a_worker_has_no_time_for_stays_the_oldest(world):
    """Nothing is written: moved, a backlog would look young for ever, and the alarm on the oldest never ring."""
    world.pass_time(HOUR)
    due_at = world.grant().due_at
    calls = world.aws.dynamodb.faults.calls
    before = len(calls)

    do(world, job(world), run=replace(world.run(), remaining_ms=lambda: 14_000))

    assert world.grant().due_at == due_at
    assert not [name for name, *_ in calls[before:] if name in ("put_item", "update_item", "transact_write_items")]


def test_a_row_that_meets_a_bug_is_told_and_makes_no_dead_letter_a_minute(world, monkeypatch):
    """The message fails, as it must; the row comes again in ten minutes, not with every sweep."""

    def bug(*_args, **_keywords):
        raise ZeroDivisionError

    monkeypatch.setattr(work_module, "refresh", bug)

    assert do(world, job(world)) == frozenset({0})

    assert world.reports.of("work_failed")[0]["error"] == "ZeroDivisionError"
    assert world.grant().due_at == world.now + 600
    assert do(world, job(world)) == frozenset(), "delivered again, it finds nothing due"


def test_a_grant_that_is_stuck_is_told_to_the_operator(world):
    """A refusal no record lists ends nothing; after a day past its end it is told by name, every hour."""
    world.pass_time(2 * DAY)
    world.wiring.connections.touch(world.connection_id, day=day_of(world.now))
    answers(world, 403, {"error": "account_on_hold"})

    do(world, job(world))

    assert world.grant().status == "active"
    assert world.reports.of("refresh_stuck") == [
        {"connection_id": world.connection_id, "provider": "example", "error": "provider-unavailable"}
    ]


# --- revocation ---


def test_a_tombstone_there_is_nothing_to_do_for_is_not_looked_at_every_minute(world):
    """A row that contradicts its connection, as after a restore by hand, makes no loop and rings no alarm for ever."""
    world.disconnect()
    meta = ("CONNECTION#" + world.connection_id, "META")
    world.wiring.connections._table.update(meta, "SET #status = :active", values={":active": "active"})
    world.pass_time(600)

    do(world, job(world))

    assert world.grant().due_at > world.now + HOUR
    assert world.grant().sealed


def test_unconfirmed_tokens_a_provider_does_not_take_back_are_put_off(world):
    """From a minute on to hours, by how long it has been down; nothing but that time changes."""
    waiting(world)
    world.pass_time(600 + CONFIRM_SLACK)
    (before,) = world.wiring.connections.unconfirmed("con_new")
    for passed, least in ((0, AGAIN), (HOUR, HOUR // 2), (DAY, 6 * HOUR)):
        world.pass_time(passed)
        answers(world, 503, {})
        assert do(world, job(world, "erase", "con_new", 0)) == frozenset()
        (due,) = [row for row in due_rows(world, before=world.now + DAY) if row.connection_id == "con_new"]
        assert world.now + least <= due.due_at <= world.now + 6 * HOUR + JITTER

    assert world.wiring.connections.unconfirmed("con_new") == [before]


def due_rows(world, *, before):
    return [row for shard in range(16) for row in world.wiring.grants.due(shard, before=before, limit=10)]


def test_a_revoke_message_revokes_and_erases(world):
    """The disconnect's own message."""
    world.disconnect()

    assert do(world, job(world, "revoke")) == frozenset()

    assert world.provider.live_refresh_tokens == []
    assert world.grant().sealed == b""


def test_an_unreachable_provider_is_asked_again_later_and_later(world):
    """Acknowledged, due again; the pause grows with the time since the disconnect, up to six hours."""
    world.disconnect()
    pauses = []
    for _ in range(20):
        answers(world, 503, {})
        assert do(world, job(world, "revoke")) == frozenset()
        pauses.append(world.grant().due_at - world.now)
        world.pass_time(pauses[-1])

    assert pauses[0] < 100
    assert 6 * HOUR <= max(pauses) <= 6 * HOUR + 60

    do(world, job(world))  # found by the sweeper, as a refresh: the row says that it is revoked
    assert world.grant().sealed == b""


def test_a_revocation_that_can_neither_be_done_nor_put_off_is_delivered_again(world):
    """DynamoDB is down: this message must not be lost."""
    world.disconnect()
    message = job(world, "revoke")
    world.aws.dynamodb.faults.throttle("get_item", times=100)

    assert do(world, message) == frozenset({0})


def test_a_crash_fails_its_own_message_only(world, monkeypatch):
    """D-16: a bug met by one id; its neighbours are done, and the log knows its name."""
    other = world.connect(account_id="bob")
    world.pass_time(HOUR - 300)
    broken = world.connection_id
    get = world.wiring.grants.get

    def bug(connection_id, name="main"):
        if connection_id == broken:
            raise ZeroDivisionError
        return get(connection_id, name)

    messages = job(world), job(world, connection_id=other)
    monkeypatch.setattr(world.wiring.grants, "get", bug)

    assert do(world, *messages) == frozenset({0})
    assert get(other).generation == 2
    assert world.reports.of("work_failed")[0]["error"] == "ZeroDivisionError"


def test_erase_discards_unconfirmed_tokens(world):
    """The message of a refused confirmation."""
    waiting(world)
    world.pass_time(600 + CONFIRM_SLACK)

    assert do(world, Work("erase", "example", (("con_new", 0),))) == frozenset()

    assert world.wiring.connections.unconfirmed("con_new") == []
    assert len(world.provider.revoked_tokens) == 1


def test_reseal_brings_a_grant_under_the_newest_key(world):
    """`keys rotate`: same tokens, same generation, another key."""
    ensure_keys(
        key_maker=world.wiring.key_maker,
        signing_keys=world.wiring.signing_keys,
        branch_keys=world.wiring.branch_keys,
        now=world.now,
    )
    before = world.grant()

    assert do(world, job(world, "reseal"), wiring=world.container()) == frozenset()

    after = world.grant()
    assert after.sealed != before.sealed
    assert replace(after, sealed=before.sealed) == before
    assert world.tokens(after) == world.tokens(before)


# --- in parallel ---


def test_ids_are_worked_on_side_by_side():
    """Twenty-five at once, no more; all are waited for."""
    running, most, lock, done = 0, 0, threading.Lock(), []
    gate = threading.Event()

    def task():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == MOST_THREADS:
                gate.set()
        gate.wait(10)
        with lock:
            running -= 1
            done.append(1)

    in_threads([task] * 60)

    assert most == MOST_THREADS
    assert len(done) == 60


def test_many_connections_in_threads_are_each_refreshed_once(monkeypatch):
    """Real threads over one world: every grant one generation more."""
    world = RefreshWorld(monkeypatch, rule=STRICT)
    world.provider_http.seconds = 0
    connections = [world.connect(account_id=f"user{i}") for i in range(40)]
    world.pass_time(HOUR - 300)
    ids = tuple((connection_id, 1) for connection_id in connections)
    messages = [Work("refresh", "example", ids[:25]), Work("refresh", "example", ids[25:])]

    assert work_through(messages, ports=world.ports(), run=world.run()) == frozenset()

    assert {world.grant(connection_id).generation for connection_id in connections} == {2}
    assert world.refreshes == 40
    assert world.clock.now - (world.deadline - 20) < LEASE_SECONDS


def test_no_more_ids_of_a_provider_are_under_way_than_its_messages_allow(world):
    """Its budget of concurrent calls, shared among the workers; each id is worked on once."""
    others = [world.connect(account_id=f"lane{at}") for at in range(7)]
    lanes = []
    work = Work("refresh", "example", tuple((each, 1) for each in others), lanes=3)

    world.pass_time(HOUR - 300)
    world.provider_http.seconds = 0

    work_through([work], ports=world.ports(), run=world.run(), parallel=lanes.extend)

    assert len(lanes) == 3
    for lane in lanes:
        lane()
    assert {world.grant(each).generation for each in others} == {2}
    assert world.refreshes == 7


def test_f30_work_for_a_provider_that_is_down_costs_nothing(world):
    """Neither a read nor a write: the rows are due still, and the sweeper waits as well."""
    due = job(world)
    world.wiring.breakers.record_failure("example", now=world.now, retry_after=60)
    world.wiring.breakers.open_until("example")
    before = len(world.aws.dynamodb.faults.calls)

    assert do(world, due) == frozenset()

    assert len(world.aws.dynamodb.faults.calls) == before
    assert world.grant().due_at <= world.now


def test_tries_of_one_grant_spread_over_the_time_it_has_been_failing(world):
    """Full jitter: up to ten minutes in the end, and never less than the first wait."""
    waits = []
    for seed in range(12):
        world.pass_time(600 if seed else 0)
        world.wiring.breakers.forget("example")
        world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))
        world.wiring.grants.postpone(world.connection_id, "main", generation=1, due_at=world.now)
        do(world, job(world), run=world.run(seed=seed))
        waits.append(world.grant().due_at - world.now)

    assert AGAIN <= waits[0] <= AGAIN + 60
    assert all(AGAIN <= wait <= 600 for wait in waits)
    assert max(waits) > 300


def test_a_grant_whose_record_was_removed_fails_no_message(world):
    """The operator took the provider away: that is no poison for the queue."""
    world.pass_time(3 * DAY)
    due = job(world)
    world.records.clear()

    assert do(world, due) == frozenset()
    assert world.grant().due_at > world.now
