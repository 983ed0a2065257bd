"""The number of due shards changes under grants that are due before, during and after: none is missed."""

from __future__ import annotations

import math

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import ShardMark
from grantkeeper.services.due_shards import ANY_TIME, EMPTY_FOR, MOST_SHARDS, PATROL, PATROL_TURN, in_turn, patrolled
from grantkeeper.services.sweep import SILENT
from grantkeeper.stores.retrying import MAX_ATTEMPTS
from tests.doubles.fleet import MINUTE, Fleet

HOUR = 3600


@pytest.fixture
def fleet(monkeypatch):
    return Fleet(monkeypatch)


def test_growing_live_misses_nothing(fleet):
    """16 to 64: due before, during the deployment (whose writers come before the sweeper) and after it."""
    before = fleet.connect(20, shards=16)
    fleet.tick(16)
    during = fleet.connect(40, shards=64) + fleet.connect(10, shards=16)

    report = fleet.tick(64)

    assert fleet.generations(before) == fleet.generations(during) == {2}
    assert report.oldest_due <= MINUTE
    after = fleet.connect(40, shards=64)
    assert fleet.tick(64).sent == len(after)
    assert fleet.generations(after) == {2}
    assert fleet.mark.high_water == 64


def test_shrinking_live_misses_nothing_and_the_mark_falls_last(fleet):
    """64 to 4: rows of the upper shards are read as long as there are any, and an hour longer."""
    fleet.tick(64)
    before = fleet.connect(40, shards=64)
    later = fleet.connect(40, shards=64, due_at=fleet.world.now + 30 * MINUTE)

    oldest = [fleet.tick(4, after=5 * MINUTE).oldest_due for _ in range(7)]

    assert fleet.generations(before) == fleet.generations(later) == {2}
    assert max(oldest) <= 5 * MINUTE
    assert fleet.mark.high_water == 64
    for _ in range(5):
        fleet.tick(4, after=EMPTY_FOR // 2)
    assert fleet.mark == ShardMark(high_water=4, write_id=fleet.mark.write_id)


def test_the_mark_falls_to_what_still_holds_a_row_that_is_due_later(fleet):
    """A row that waits for its keep-alive keeps its shard read, and no shard above it."""
    fleet.tick(64)
    idle = fleet.connect_in(9, shards=64, due_at=fleet.world.now + 3 * HOUR)

    for _ in range(4):
        fleet.tick(4, after=EMPTY_FOR // 2)

    assert fleet.mark.high_water == 10
    fleet.tick(4, after=HOUR)
    assert fleet.generations([idle]) == {2}


def test_a_stale_writer_stops_the_fall(fleet):
    """A row that appears in an upper shard while the hour runs begins it anew."""
    fleet.tick(64)
    for _ in range(50):
        fleet.tick(4)
    late = fleet.connect_in(63, shards=64, due_at=fleet.world.now + 5 * MINUTE)

    for _ in range(30):
        fleet.tick(4)

    assert fleet.mark.high_water == 64
    assert fleet.generations([late]) == {2}


def test_the_mark_rises_before_anything_is_read(fleet):
    """A sweep that dies while it reads leaves the mark of its own version behind."""
    fleet.tick(1)
    fleet.world.aws.dynamodb.faults.throttle("query", times=10_000)

    with pytest.raises(StoreUnavailable):
        fleet.tick(3)

    assert fleet.mark.high_water == 3


@pytest.mark.parametrize("shard", [16, 63, 240])
def test_rows_of_a_deployment_that_was_rolled_back_are_found(fleet, shard):
    """Writers used more shards, no sweeper of theirs ever ran: a patrol finds the row within its turn."""
    fleet.tick(16)
    stranded = fleet.connect_in(shard, shards=256)

    ticks = next(at for at in range(PATROL_TURN) if fleet.tick(16) and fleet.generations([stranded]) == {2})

    assert ticks <= PATROL_TURN
    assert fleet.mark.high_water == shard + 1


def test_a_patrol_sees_every_shard_within_its_turn():
    """Wherever the mark stands."""
    for mark in (1, 4, 16, 100, 255, 256):
        seen = [shard for at in range(PATROL_TURN) for shard in patrolled(mark, now=at * MINUTE + 7)]
        assert sorted(seen) == list(range(mark, MOST_SHARDS))


def test_an_idle_sweep_costs_a_query_a_shard_and_the_patrol(fleet):
    """Half a read unit each, whatever is held: 16 shards and 16 above them, a cent or two a month."""
    fleet.tick(16)
    fleet.connect(50, shards=16, due_at=fleet.world.now + 24 * HOUR)
    costs = []
    for _ in range(PATROL_TURN):
        before = fleet.queries()
        fleet.tick(16)
        costs.append(fleet.queries() - before)

    assert max(costs) <= 16 + PATROL
    assert math.ceil(sum(costs) / len(costs)) == 16 + PATROL - 1  # the turn that is all below the mark costs nothing


def test_a_fall_costs_at_most_one_more_query_for_each_upper_shard(fleet):
    """And only while the mark stands above the parameter."""
    fleet.tick(64)
    before = fleet.queries()

    fleet.tick(4)

    assert fleet.queries() - before <= 64 + 60 + PATROL


def test_overlapping_sweeps_of_two_versions_agree(fleet):
    """One with an older environment changes nothing that the newer one has seen."""
    fleet.tick(64)
    for _ in range(EMPTY_FOR // MINUTE):
        fleet.tick(4)
    stale = fleet.mark
    fleet.tick(64)  # the newer version grows again: its first sweep forgets the fall

    assert fleet.world.wiring.shard_mark.replace(ShardMark(high_water=4), expected=stale) is None
    assert fleet.mark.high_water == 64
    assert fleet.mark.falls_to is None


def test_a_mark_that_cannot_be_read_stops_no_sweep(fleet):
    """The parameter's shards are read all the same."""
    due = fleet.connect(20, shards=16)
    config = {"pk": {"S": "CONFIG"}, "sk": {"S": "DUE_SHARDS"}}
    fleet.world.aws.dynamodb.faults.throttle("get_item", times=12, when=lambda request: request["Key"] == config)

    fleet.tick(16)

    assert fleet.generations(due) == {2}
    assert fleet.world.reports.of("due_shards_unknown")


def test_a_shard_that_does_not_answer_hides_no_other(fleet):
    """Its rows wait for the next sweep, and the report says that something was not seen."""
    fleet.tick(4)
    rows = {shard: fleet.connect_in(shard, shards=4) for shard in range(4)}
    hot = {"S": "2"}
    faults = fleet.world.aws.dynamodb.faults
    faults.throttle("query", times=12, when=lambda r: r["ExpressionAttributeValues"].get(":shard") == hot)

    report = fleet.tick(4)

    assert report.shards_unread == 1
    assert {shard: fleet.world.grant(row).generation for shard, row in rows.items()} == {0: 2, 1: 2, 2: 1, 3: 2}
    faults.clear()
    fleet.tick(4)
    assert fleet.generations(rows.values()) == {2}


def test_an_index_that_does_not_answer_ends_the_sweep_early(fleet):
    """Each shard is waited for three seconds: sixty-four would outlast the function. The next sweep finds the same."""
    fleet.tick(64)
    due = fleet.connect(20, shards=64)
    faults = fleet.world.aws.dynamodb.faults
    faults.throttle("query", times=1000)
    before = faults.count("query")

    with pytest.raises(StoreUnavailable):
        fleet.tick(64)

    assert faults.count("query") - before <= SILENT * MAX_ATTEMPTS
    faults.clear()
    fleet.tick(64)
    assert fleet.generations(due) == {2}


def test_shards_that_do_not_answer_hide_no_other_once_one_has(fleet):
    """Three silent ones, an answer, and more silent ones: all the others are read."""
    fleet.tick(16)
    rows = {shard: fleet.connect_in(shard, shards=16) for shard in range(16)}
    first = in_turn(16, now=fleet.world.now + MINUTE)
    silent = {str(shard) for shard in (*first[:3], *first[4:8])}
    fleet.world.aws.dynamodb.faults.throttle(
        "query",
        times=1000,
        code="AccessDeniedException",  # an answer that no repeating mends, so that no time passes
        when=lambda r: r["ExpressionAttributeValues"].get(":shard", {}).get("S") in silent,
    )

    report = fleet.tick(16)

    assert report.shards_unread == len(silent)
    assert {shard for shard, row in rows.items() if fleet.world.grant(row).generation == 1} == {int(s) for s in silent}


def test_shards_are_read_from_another_one_each_minute():
    """A sweep that runs out of time does not starve the same shards again."""
    assert in_turn(4, now=5 * MINUTE) == [1, 2, 3, 0]
    assert {in_turn(16, now=minute * MINUTE)[0] for minute in range(16)} == set(range(16))


def test_a_lost_acknowledgement_of_the_mark_is_recognised(fleet):
    """The retry meets our own write."""
    fleet.world.aws.dynamodb.faults.lose_acknowledgement("put_item", when=lambda r: r["Item"]["pk"] == {"S": "CONFIG"})

    fleet.tick(16)

    assert fleet.mark.high_water == 16
    assert not fleet.world.reports.of("due_shards_unknown")


def test_a_patrol_and_a_fall_that_cannot_look_stop_no_sweep(fleet):
    """What they would have seen is seen by the next; what is due goes out."""
    fleet.tick(64)
    mark, due = fleet.mark, fleet.connect(20, shards=4)
    any_time = {"N": str(ANY_TIME)}
    faults = fleet.world.aws.dynamodb.faults
    faults.throttle("query", times=50, when=lambda r: r["ExpressionAttributeValues"].get(":before") == any_time)

    report = fleet.tick(4)

    assert report.shards_unread == 0
    assert fleet.generations(due) == {2}
    assert fleet.mark == mark
    assert fleet.world.reports.of("due_shards_unknown")


def test_a_tick_costs_the_same_however_many_grants_are_held(fleet):
    """Ten or three hundred that are due tomorrow: the same queries, and no row read."""
    seen = []
    for count in (10, 300):
        fleet.connect(count, shards=16, due_at=fleet.world.now + 24 * HOUR)
        before = fleet.queries()
        report = fleet.tick(16, after=16 * MINUTE)
        seen.append((fleet.queries() - before, report.due))

    assert seen[0] == seen[1]
    assert seen[0][1] == 0
