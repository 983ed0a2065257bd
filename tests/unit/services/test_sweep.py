"""The sweep: what is due, oldest first, no more than can be done, nothing for a provider that is down."""

from __future__ import annotations

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Work
from grantkeeper.services import sweep as sweep_module
from grantkeeper.services.kindness import MOST_IDS, PROBES
from grantkeeper.services.sweep import sweep
from grantkeeper.services.work import work_through
from tests.doubles.refresh_world import STRICT, RefreshWorld
from tests.unit.services.test_revoke_upstream import waiting

HOUR = 3600
SHARDS = 4  # of the doubles' environment


@pytest.fixture
def world(monkeypatch):
    return RefreshWorld(monkeypatch, rule=STRICT)


def do(world, *, workers=2, run=None, shards=SHARDS):
    return sweep(
        grants=world.wiring.grants,
        breakers=world.wiring.breakers,
        work_queue=world.wiring.work_queue,
        due_shards=world.wiring.shard_mark,
        shards=shards,
        workers=workers,
        run=run or world.run(),
    )


def queued_ids(world):
    return [tuple(each) for message in world.queued() for each in message["ids"]]


def connect(world, count, **changes):
    """Connections due one second after the other."""
    made = []
    for at in range(count):
        made.append(world.connect(account_id=f"user{at}", **changes))
        world.wiring.grants.postpone(made[-1], "main", generation=1, due_at=world.now + at)
    return made


def work_off(world):
    """What the workers do with all that is queued."""
    url = world.wiring.env["WORK_QUEUE_URL"]
    messages = world.queued()
    world.aws.sqs._queues[url] = []
    works = [Work(m["kind"], m["provider"], tuple(tuple(i) for i in m["ids"])) for m in messages]
    assert (
        work_through(works, ports=world.ports(), run=world.run(), parallel=lambda tasks: [task() for task in tasks])
        == frozenset()
    )


def test_nothing_due_sends_nothing_and_says_so(world):
    """The oldest due is reported as 0, not left out: missing data is an alarm."""
    report = do(world)

    assert (report.due, report.sent, report.oldest_due) == (0, 0, 0)
    assert world.queued() == []


def test_what_is_due_is_queued_with_its_generation(world):
    """Ids only, grouped by provider."""
    world.pass_time(HOUR - 100)

    report = do(world)

    assert report.sent == 1
    [message] = world.queued()
    assert message["kind"] == "refresh"
    assert message["provider"] == "example"
    assert message["ids"] == [[world.connection_id, 1]]
    assert not any(token in str(message) for token in world.provider.live_refresh_tokens)


def test_i9_every_due_grant_is_fresh_after_a_sweep_and_the_work(world):
    """100 % of due tokens are refreshed five minutes before they expire."""
    connections = [world.connection_id, *connect(world, 60)]
    world.provider_http.seconds = 0
    for connection_id in connections:
        world.wiring.grants.postpone(connection_id, "main", generation=1, due_at=world.now)
    world.pass_time(120)

    do(world)
    work_off(world)

    assert {world.grant(connection_id).generation for connection_id in connections} == {2}


def test_messages_hold_twenty_five_ids_of_one_provider(world):
    """Fair queues: a provider's ids travel together."""
    connect(world, 60)
    world.pass_time(120)

    do(world)

    assert sorted(len(message["ids"]) for message in world.queued()) == [10, 25, 25]


def test_the_oldest_go_first_when_there_is_more_than_can_be_done(world):
    """The capacity is what the workers do in 90 s, less what waits already."""
    connections = connect(world, 90)
    world.pass_time(600)
    world.wiring.work_queue.send([Work("refresh", "example", (("con_x", 1),))] * 58)  # of 60 for two workers

    report = do(world, workers=2)

    assert report.sent == 2 * MOST_IDS
    assert report.left == 90 - 50
    sent = [connection_id for connection_id, _ in queued_ids(world) if connection_id != "con_x"]
    assert sent == connections[:50]


def test_a_full_queue_gets_nothing_more(world):
    """The index is the backlog."""
    world.pass_time(HOUR)
    world.wiring.work_queue.send([Work("refresh", "example", (("con_x", 1),))] * 60)

    report = do(world, workers=2)

    assert (report.sent, report.left) == (0, 1)
    assert report.oldest_due > 0


def test_the_age_of_the_oldest_is_reported(world):
    """Seconds since it was due: what the alarm watches."""
    world.wiring.grants.postpone(world.connection_id, "main", generation=1, due_at=world.now)
    world.pass_time(400)

    assert do(world).oldest_due == pytest.approx(400, abs=2)


def test_f30_a_provider_that_is_down_is_skipped(world):
    """Its grants stay due and wait; nobody else is held up."""
    connections = connect(world, 10)
    world.pass_time(60)
    for _ in range(5):
        world.wiring.breakers.record_failure("example", now=world.now)

    report = do(world)

    assert (report.sent, report.held_back) == (0, 10)
    assert {world.grant(c).status for c in connections} == {"active"}


def test_f30_a_provider_that_comes_back_is_not_run_over(world):
    """Half open: a handful of probes; after a success twice as many, and again twice as many every minute."""
    connect(world, 100)
    world.pass_time(120)
    for _ in range(5):
        world.wiring.breakers.record_failure("example", now=world.now)
    world.pass_time(20)

    assert do(world).sent == PROBES

    world.wiring.breakers.record_success("example")
    world.pass_time(6)
    sent = []
    for _ in range(4):
        sent.append(do(world).sent)
        world.pass_time(60)
    assert sent == [10, 20, 40, 80]


def test_f30_an_outage_of_two_hours_ends_no_connection(world):
    """Sweep and work every minute through it: 0 needs_reauth, few calls, and all fresh two sweeps after it ended."""
    connections = [world.connection_id, *connect(world, 30)]
    world.provider_http.seconds = 0.01
    world.pass_time(HOUR - 300)
    calls_before = len(world.provider.requests)
    world.provider.answer_next(503)
    world.provider._faults *= 100_000
    for _ in range(120):
        do(world)
        work_off(world)
        world.pass_time(60)
    calls = len(world.provider.requests) - calls_before
    assert {world.grant(c).status for c in connections} == {"active"}
    assert calls < 31 * 12

    world.provider._faults.clear()
    world.pass_time(600)  # the breaker's longest pause
    for _ in range(4):
        do(world)
        work_off(world)
        world.pass_time(60)

    assert min(world.grant(c).generation for c in connections) == 2


def test_one_provider_cannot_starve_another(world):
    """The oldest are all of one; the other still gets its share."""
    connect(world, 80)
    world.records["other"] = world.provider.record(id="other")
    late = world.connect(account_id="late")
    grant = world.grant(late)
    rename(world, late, provider="other")
    world.wiring.grants.postpone(late, "main", generation=grant.generation, due_at=world.now + 200)
    world.pass_time(300)
    world.wiring.work_queue.send([Work("refresh", "example", (("con_x", 1),))] * 58)

    do(world, workers=2)

    assert late in [connection_id for connection_id, _ in queued_ids(world)]


@pytest.mark.parametrize("state", ["open", "half open"])
def test_f30_a_backlog_of_a_provider_that_is_down_hides_nobody(world, monkeypatch, state):
    """Its rows are the oldest and more than are read of a shard: those behind them are found all the same."""
    monkeypatch.setattr(sweep_module, "MOST_DUE", 5)
    connect(world, 60)
    world.records["other"] = world.provider.record(id="other")
    late = world.connect(account_id="late")
    rename(world, late, provider="other")
    world.wiring.grants.postpone(late, "main", generation=1, due_at=world.now + 200)
    for _ in range(5):
        world.wiring.breakers.record_failure("example", now=world.now + 250)
    world.pass_time({"open": 260, "half open": 300}[state])

    report = do(world)

    sent = [connection_id for connection_id, _ in queued_ids(world)]
    assert late in sent
    assert len(sent) == (1 if state == "open" else 1 + PROBES)
    assert report.oldest_due >= 250


def rename(world, connection_id, *, provider):
    [row] = [
        i
        for i in world.aws.dynamodb.dump("grants")
        if i["pk"]["S"] == f"CONNECTION#{connection_id}" and i["sk"]["S"] == "GRANT#main"
    ]
    world.aws.dynamodb.restore("grants", row | {"provider": {"S": provider}})


def test_d26_overlapping_sweeps_are_harmless(world):
    """Sent twice, refreshed once."""
    world.pass_time(HOUR - 100)
    do(world)
    do(world)

    work_off(world)

    assert world.grant().generation == 2
    assert world.refreshes == 1


def test_d09_a_lagging_index_is_only_a_hint(world):
    """It shows what was refreshed long since: the worker reads the row."""
    world.pass_time(HOUR - 100)
    world.aws.dynamodb.freeze_indexes()
    for _ in range(3):
        do(world)
        work_off(world)
        world.pass_time(61)

    assert world.refreshes == 1


def test_unconfirmed_tokens_are_sent_to_be_erased(world):
    """Their time is over: generation 0."""
    waiting(world)
    world.pass_time(700)

    do(world)
    work_off(world)

    assert world.wiring.connections.unconfirmed("con_new") == []


def test_a_revocation_whose_message_was_lost_is_found(world):
    """The disconnect left the row due."""
    world.disconnect()
    world.pass_time(400)

    do(world)
    work_off(world)

    assert world.grant().sealed == b""


def test_time_that_runs_out_leaves_shards_for_the_next_sweep(world):
    """The budget holds, and what was not looked at is told."""
    run = world.run()
    world.pass_time(18)

    assert do(world, run=run).shards_unread == SHARDS


def test_a_queue_that_refuses_fails_the_sweep_and_nothing_else(world):
    """The next minute finds the same."""
    world.pass_time(HOUR)
    world.aws.sqs.faults.throttle("send_message_batch", times=100, code="RequestThrottled")

    with pytest.raises(StoreUnavailable):
        do(world)
    world.aws.sqs.faults.clear()

    assert do(world).sent == 1
