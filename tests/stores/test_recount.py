"""What the recount reads and keeps: pages, positions, and notes that nobody overwrites."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from grantkeeper.recount_ports import Progress, Reconciled, State
from tests.stores.records import DAY, NOON, connected, event, identity, user


def page_by_page(read: Any) -> tuple[Counter[str], int]:
    """To the end, and in how many pages."""
    sums, pages, position = Counter(), 0, None
    for _ in range(100):
        page = read(position)
        sums.update(page.counted)
        pages, position = pages + 1, page.position
        if position is None:
            return sums, pages
    raise AssertionError("the pages have no end")


def of_day(world: Any, day: str = DAY) -> tuple[Counter[str], int]:
    records, sums, pages = world.recount_records, Counter(), 0
    for shard in range(records.shards):
        found, some = page_by_page(
            lambda position, shard=shard: records.entries(
                day, shard, position=position, count=lambda entry: {f"{entry.action} {entry.provider}": 1}
            )
        )
        sums, pages = sums + found, pages + some
    return sums, pages


def test_a_days_entries_are_found_once_each_in_whatever_pages(world: Any) -> None:
    """Though some stand in two places; other days are left out."""
    for number in range(30):
        both = {"sub": "usr_1", "connection_id": "con_1"} if number % 2 else {}
        world.audit.record(event("user.signed_in", provider="google", time=NOON + number, **both))
    world.audit.record(event("user.signed_in", provider="google", time=NOON + 86_400))
    world.audit.record(event("keys.rotated", actor="system:sweeper"))
    expected = {"user.signed_in google": 30, "keys.rotated None": 1}
    assert of_day(world) == (expected, 4)


def test_small_pages_add_up_to_the_same(memory: Any) -> None:
    """The position goes on where the page before ended."""
    for number in range(30):
        memory.audit.record(event("user.signed_in", provider="google", time=NOON + number // 9))
    memory.aws.dynamodb.page_size = 3
    sums, pages = of_day(memory)
    assert sums == {"user.signed_in google": 30}
    assert pages >= 10


def test_a_row_that_is_no_entry_is_passed_over(memory: Any) -> None:
    """The projector parked it, and counted nothing either."""
    memory.audit.record(event("user.signed_in", provider="google"))
    (row,) = memory.aws.dynamodb.dump("audit")
    memory.aws.dynamodb.restore("audit", row | {"sk": {"S": "odd"}, "details": {"S": "?"}, "action": {"N": "1"}})
    memory.aws.dynamodb.restore("audit", {k: row[k] for k in ("pk", "day_pk", "day_sk")} | {"sk": {"S": "bare"}})
    assert of_day(memory)[0]["user.signed_in google"] == 1


def test_the_list_is_counted_by_kind_and_status(world: Any) -> None:
    """No item of it is read out."""
    for number in range(5):
        sub = f"usr_{number}"
        world.users.provision(user(sub), identity(sub, subject=sub), audit=event("user.provisioned", sub=sub))
        connected(world, f"con_{number}", connection={"account_id": f"account-{number}"})
    world.connections.disconnect("con_0", now=NOON + 1, audit=event("connection.revoked"))

    def listed(kind: str, prefix: str = "") -> int:
        return page_by_page(lambda position: world.recount_records.listed(kind, prefix=prefix, position=position))[0][
            "n"
        ]

    assert listed("USER") == 5
    assert (listed("CONN#google", "active#"), listed("CONN#google", "revoked#")) == (4, 1)
    assert (listed("CONN#google", "needs_reauth#"), listed("CONN#github", "active#")) == (0, 0)


def test_the_list_is_counted_in_small_pages_too(memory: Any) -> None:
    """A million rows are a thousand pages."""
    for number in range(7):
        connected(memory, f"con_{number}", connection={"account_id": f"account-{number}"})
    memory.aws.dynamodb.page_size = 2
    read = memory.recount_records.listed
    sums, pages = page_by_page(lambda position: read("CONN#google", prefix="active#", position=position))
    assert (sums["n"], pages) == (7, 4)


def test_notes_come_back_as_they_were_kept(world: Any) -> None:
    """Nothing before the first run."""
    assert world.recount_notes.load() == State()
    progress = Progress(
        DAY,
        look=2,
        shard=4,
        position='{"a": 1}',
        recounted={"users": 1},
        units=("users",),
        found={},
        before={"users": 2},
    )
    state = world.recount_notes.save(State(progress=progress, last=Reconciled(NOON, DAY, {"users": -1})))
    assert state.version == 1
    assert world.recount_notes.load() == state


def test_of_two_runs_at_once_one_goes_on(world: Any) -> None:
    """The other finds that it was overtaken, and its entry is not written."""
    seen = world.recount_notes.load()
    assert world.recount_notes.save(replace(seen, progress=Progress(DAY))) is not None
    told = event("counters.drifted", actor="system:reconcile")
    assert world.recount_notes.save(replace(seen, last=Reconciled(NOON, DAY, {})), audit=told) is None
    assert world.audit.day(DAY, limit=5)[0] == []
    assert world.recount_notes.load().progress == Progress(DAY)
