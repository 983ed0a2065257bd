"""Counters: every event once, whatever a stream makes of its batches."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
from greenlet import getcurrent, greenlet

from grantkeeper.counter_names import REFRESH_FAILURES, Counted
from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.reconcile import STATUSES
from grantkeeper.services.what_counts import BY_PROVIDER, COUNTED
from grantkeeper.stores.counters import SHARDS
from grantkeeper.stores.keys import shard_of
from grantkeeper.stores.table import Table
from tests.doubles.dynamodb_values import item_size
from tests.stores.records import DAY, NOON, race

NEXT_DAY = "2026-11-22"
SIGN_INS = {"sign_ins", "sign_ins_refused"}
KNOWN = [
    *("google", "github", "slack", "notion", "microsoft", "salesforce", "hubspot", "dropbox", "spotify", "zoom"),
    *("linkedin", "atlassian", "asana", "box", "discord", "figma", "gitlab", "linear", "trello", "youtube"),
]


def counted(number: int | str, by: int = 1, *, name: str = "refreshes", time: int = NOON) -> Counted:
    return Counted(f"evt_{number}", time, {name: by} if by else {})


def add(world: Any, *events: Counted) -> None:
    world.counters.add_once(events, now=NOON)


def test_an_event_is_counted_once_however_often_it_is_delivered(world: Any) -> None:
    """Of 8 deliveries at once too."""
    event = Counted("evt_1", NOON, {"connections/google/active": 3, "refreshes": 10})
    race(8, lambda _: add(world, event, event))
    assert world.counters.totals() == {"connections/google/active": 3, "refreshes": 10}


@pytest.mark.parametrize(
    "batches",
    [
        [range(6), range(6)],
        [range(6), range(9)],  # a poller that began again: the same first event, and more
        [range(6), range(3, 9)],  # halved, or another first event
        [range(3, 6), range(9), range(1)],
        [range(8, -1, -1), range(9)],
        [[n] for n in (5, 0, 5, 3, 8, 1, 2, 4, 6, 7, 0)],
    ],
    ids=str,
)
def test_f21_batches_that_are_regrouped_count_each_event_once(world: Any, batches: Any) -> None:
    """Longer, shorter, beginning elsewhere, backwards: nothing twice and nothing left out."""
    everything = [counted(n, time=NOON + n // 4) for n in range(9)]
    for batch in batches:
        add(world, *(everything[n] for n in batch))
    assert world.counters.totals() == {"refreshes": len({n for batch in batches for n in batch})}


def test_counters_go_up_and_down_over_days(world: Any) -> None:
    """The total over all days, and each day alone."""
    changes = [(5, NOON), (-2, NOON), (0, NOON), (4, NOON + 86_400)]
    add(world, *(counted(n, by, time=time) for n, (by, time) in enumerate(changes)))
    assert world.counters.totals() == {"refreshes": 7}
    days = world.counters.of_days([DAY, NEXT_DAY, "2026-11-23"])
    assert days == {DAY: {"refreshes": 3}, NEXT_DAY: {"refreshes": 4}, "2026-11-23": {}}
    assert world.counters.of_day(DAY) == days[DAY]


def test_some_counters_of_many_days_are_read_alone(world: Any) -> None:
    """The others are not sent: a day has hundreds, and a chart shows eight."""
    add(
        world, Counted("evt_1", NOON, {"users": 1, "sign_ins": 2, "sign_ins/google": 2, "connections/google/active": 3})
    )
    days = world.counters.of_days([DAY, NEXT_DAY], only=["users", "sign_ins", "refreshes"])
    assert days == {DAY: {"users": 1, "sign_ins": 2}, NEXT_DAY: {}}
    (asked,) = [kwargs for name, kwargs in world.aws.dynamodb.faults.calls if name == "batch_get_item"]
    (request,) = asked["RequestItems"].values()
    assert len(request["Keys"]) == 8
    assert request["ProjectionExpression"] == "#pk, #sk, #n0, #n1, #n2"


def test_what_changes_nothing_is_remembered_too(world: Any) -> None:
    """So that what was told to the bus is not told again."""
    told, new = counted(1, 0), counted(2, 0)
    add(world, told)
    assert world.counters.unseen([new, told, new]) == [new]
    assert world.counters.totals() == {}


def test_racing_batches_all_count(world: Any) -> None:
    """16 projectors at once, each event delivered to two of them."""
    outcomes = race(16, lambda n: add(world, *(counted(n // 2 * 5 + at) for at in range(5))))
    assert all(o is None or isinstance(o, StoreUnavailable) for o in outcomes)
    add(world, *(counted(at) for at in range(40)))
    assert world.counters.totals() == {"refreshes": 40}


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_count_whose_acknowledgement_was_lost_is_counted_once(world: Any, fault: str) -> None:
    """ADD is applied twice by a retry; in its transaction it is not."""
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items")
    add(world, counted(1), counted(2))
    assert world.counters.totals() == {"refreshes": 2}


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "a#b", "x" * 101, "pk\n"])
def test_d01_odd_names_of_counters_are_refused(world: Any, name: str) -> None:
    """Names come from a table of constants; this is the second line."""
    with pytest.raises(ValueError, match="counter"):
        add(world, counted(1, name=name))


def test_a_batch_too_large_for_one_transaction_is_counted_in_several(world: Any) -> None:
    """Many in one second, many seconds, many days, many names: each has a bound of its own in DynamoDB."""
    one_second = [counted(n) for n in range(100)]
    many_days = [counted(100 + n, time=NOON + n * 86_400) for n in range(100)]
    many_names = [Counted(f"evt_n{n}", NOON, {f"n{n}.{at}": 1 for at in range(4)}) for n in range(100)]
    for batch in (one_second, many_days, many_names):
        for _ in range(2):
            add(world, *batch)
    totals = world.counters.totals()
    assert totals["refreshes"] == 200
    assert {name for name in totals if name != "refreshes"} == {f"n{n}.{at}" for n in range(100) for at in range(4)}
    assert set(totals.values()) == {200, 1}


def test_marks_go_by_themselves_eight_days_after_their_delivery(world: Any) -> None:
    """A stream keeps what it delivers for one day. An event takes eight bytes."""
    world.counters.add_once([counted(1), counted(2)], now=NOON + 5)
    rows = world.aws.dynamodb.scan(TableName=world.env["GRANTS_TABLE"])["Items"]
    (mark,) = (row for row in rows if row["pk"]["S"].startswith("BATCH#"))
    assert mark["ttl"] == {"N": str(NOON + 5 + 8 * 86_400)}
    assert len(bytes(mark["seen"]["B"])) == 16


def test_a_routine_batch_costs_one_read_and_one_transaction(world: Any) -> None:
    """Of four writes, at a turn of the second: two marks, the total and the day."""
    add(world, *(counted(n, time=NOON + n // 50) for n in range(100)))
    calls = world.aws.dynamodb.faults.calls
    assert [name for name, _ in calls] == ["query", "transact_write_items"]
    assert len(calls[1][1]["TransactItems"]) == 4


@pytest.mark.parametrize(("providers", "units"), [(1, 8), (5, 16), (10, 20), (20, 32)])
def test_a_batch_takes_the_write_units_of_the_documentation(memory: Any, providers: int, units: int) -> None:
    """
    When all that is counted has happened at each of them, sign-ins at three.

    An item is paid whole, and twice in a transaction: two counters' items, and two marks at a turn of the second.
    """
    some = KNOWN[:providers]
    names = [f"connections/{provider}/{status}" for status in STATUSES for provider in some]
    names += [f"{name}/{provider}" for name in (*BY_PROVIDER - SIGN_INS, REFRESH_FAILURES) for provider in some]
    names += [f"{name}/{provider}" for name in SIGN_INS for provider in some[:3]]
    names += [*COUNTED.values(), "connected", "disconnected", "needs_reauth", REFRESH_FAILURES]
    names += [f"needs_reauth_reasons/{reason}" for reason in ("revoked_by_user", "expired_unused")]
    one_shard = (event for n in itertools.count() if shard_of((event := counted(n)).id, SHARDS) == 0)
    for event, name in zip(one_shard, names, strict=False):
        add(memory, event._replace(changes={name: 98_765}))

    rows = memory.aws.dynamodb.scan(TableName=memory.env["GRANTS_TABLE"])["Items"]
    largest = max(item_size(row) for row in rows if row["pk"]["S"].startswith("COUNTER#"))

    assert 2 * (2 * math.ceil(largest / 1024) + 2) == units


def test_f21_random_deliveries_add_up(memory: Any) -> None:
    """Overlapping, repeated, shuffled, some failing half way; by seed."""
    rng = random.Random(20261121)
    events = [counted(n, rng.choice((-1, 1, 2)), time=NOON + rng.randrange(40)) for n in range(400)]
    for _ in range(60):
        start = rng.randrange(400)
        batch = events[start : start + rng.randrange(1, 100)]
        rng.shuffle(batch)
        if rng.random() < 0.3:
            memory.aws.dynamodb.faults.lose_acknowledgement("transact_write_items")
        add(memory, *batch)
    add(memory, *events)
    assert memory.counters.totals() == {"refreshes": sum(e.changes["refreshes"] for e in events)}


def _pollers_that_overtake_each_other(memory: Any, rng: random.Random, events: list[Counted]) -> None:
    """
    Deliver all events of a shard by pollers of which any may hang at any call to the table and go on much later.

    Each begins where the checkpoint stands, as Lambda's do, and moves it when it is done: so whatever lies before the
    checkpoint is counted, and two deliveries overlap whenever one hung.
    """
    checkpoint, live, hub = 0, [], getcurrent()
    memory.aws.dynamodb.faults.yield_point = lambda *_: hub.switch()

    def poll(start: int, size: int) -> None:
        nonlocal checkpoint
        batch = events[start : start + size]
        add(memory, *memory.counters.unseen(batch))
        checkpoint = max(checkpoint, start + len(batch))

    while checkpoint < len(events) or live:
        if checkpoint < len(events) and len(live) < 4 and rng.random() < 0.3:
            poller = greenlet(poll)
            live.append(poller)
            poller.switch(checkpoint, rng.randrange(1, 30))
        elif live:
            rng.choice(live).switch()
        live = [each for each in live if not each.dead]
    memory.aws.dynamodb.faults.yield_point = None


def test_f21_pollers_that_hang_and_are_overtaken_count_each_event_once(memory: Any, monkeypatch: Any) -> None:
    """Their batches overlap and are under way at once, over several transactions each; 150 ways, by seed."""
    monkeypatch.setattr("grantkeeper.stores.counters.MOST_MARKS", 4)
    for seed in range(150):
        rng = random.Random(seed)
        events = [counted(f"{seed}.{n}", time=NOON + 50 * seed + n // 3 + rng.randrange(2)) for n in range(60)]
        before = memory.counters.totals().get("refreshes", 0)
        _pollers_that_overtake_each_other(memory, rng, events)
        assert memory.counters.totals()["refreshes"] - before == 60, seed


def test_the_counters_of_all_time_are_read_as_of_now(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum with a late shard in it would fall, which Prometheus takes for a counter that began anew."""
    add(world, counted(1))
    asked, answer = [], Table.batch_get

    def batch_get(table: Table, wanted: Any, **how: Any) -> Any:
        asked.append(how["consistent"])
        return answer(table, wanted, **how)

    monkeypatch.setattr(Table, "batch_get", batch_get)
    assert world.counters.totals() == {"refreshes": 1}
    world.counters.of_day(DAY)

    assert asked == [True, False]
