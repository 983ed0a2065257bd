"""The sweep: what is due, oldest first, into the queue; no secret is read and no grant written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import ShardMark
from grantkeeper.services.choose_due import Limits, choose, crowds, messages
from grantkeeper.services.due_shards import in_turn, lowered, occupied, patrolled, raised
from grantkeeper.services.kindness import DEFAULT, MOST_IDS, Budgets, allowance, lanes
from grantkeeper.services.refresh_run import Run

if TYPE_CHECKING:
    from grantkeeper.model import DueGrant
    from grantkeeper.ports import Breakers, DueShards, Grants, WorkQueue

AHEAD = 60  # seconds: what falls due before the next sweep
HORIZON = 90  # seconds of work that may stand in the queue
SECONDS_PER_MESSAGE = 3  # a message of 25 ids, worked through in parallel threads
BUDGET = 45.0  # seconds for one sweep
RESERVE = 5.0  # seconds kept for what else the invocation does
MOST_DUE = 1000  # ids read of one shard at once
MOST_LOOKS = 5  # at one shard, past providers that are down
SILENT = 4  # shards asked in vain, and none answered yet: the index is down, and the other shards are not waited for


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep saw and did. `oldest_due` is the age in seconds of the longest overdue grant, 0 when none is."""

    due: int
    sent: int
    held_back: int  # their provider's breaker is open
    left: int  # beyond the capacity, or what their provider should be asked for
    oldest_due: int
    shards: int  # that may hold rows: the high-water mark
    shards_unread: int  # the time ran out, or the index did not answer


class _LimitsByProvider(dict[str, Limits]):
    """What this sweep may do for a provider, looked up once for each, so that the whole sweep goes by one answer."""

    def __init__(self, breakers: Breakers, budgets: Budgets, *, workers: int, now: int) -> None:
        super().__init__()
        self._breakers, self._budgets, self._workers, self._now = breakers, budgets, workers, now

    def __missing__(self, provider: str) -> Limits:
        budget = self._budgets(provider)
        allowed = allowance(self._breakers.state(provider), budget=budget, now=self._now)
        limits = Limits(allowed, lanes=min(lanes(budget, workers=self._workers), MOST_IDS))
        self[provider] = limits
        return limits


def sweep(
    *,
    grants: Grants,
    breakers: Breakers,
    work_queue: WorkQueue,
    due_shards: DueShards,
    shards: int,
    workers: int,
    run: Run,
    budgets: Budgets = lambda _provider: DEFAULT,
) -> SweepReport:
    """
    Send what is due to the workers: at most what they can do in 90 s, less what is queued already, and of no provider
    more than its budget and the state of its breaker allow.

    The index gives hints, possibly stale; the worker reads the row. Overlapping or late sweeps and duplicates are
    harmless.

    Args:
        shards: How many shards of the due index new rows are spread over; those to read are at least as many.
        workers: How many messages are worked on at once.
        budgets: What may be asked of a provider, by its id.

    Raises:
        StoreUnavailable: The index or the queue is down; the next sweep finds the same.
    """
    now = run.clock()
    ends_at = max(run.remaining - BUDGET, RESERVE)
    limits = _LimitsByProvider(breakers, budgets, workers=workers, now=now)
    mark = _mark(due_shards, to=shards, run=run)
    numbers = in_turn(mark.high_water, now=now)
    due, unread = _due(grants, limits, shards=numbers, before=now + AHEAD, ends_at=ends_at, run=run)
    if run.remaining > ends_at:
        strays = _patrol(grants, mark, now=now, run=run)
        if strays:
            numbers = list(range(mark.high_water, max(strays) + 1))
            mark = _mark(due_shards, to=max(strays) + 1, run=run)
            more, unread_there = _due(grants, limits, shards=numbers, before=now + AHEAD, ends_at=ends_at, run=run)
            due, unread = _by_age([*due, *more]), unread + unread_there
    callable_now = [each for each in due if limits[each.provider].ids]
    chosen = choose(callable_now, capacity=_capacity(work_queue.depth(), workers), limits=limits)
    work_queue.send(messages(chosen, limits=limits))
    if run.remaining > ends_at:
        mark = _lower(due_shards, grants, mark, to=shards, run=run)
    return SweepReport(
        due=len(due),
        sent=len(chosen),
        held_back=len(due) - len(callable_now),
        left=len(callable_now) - len(chosen),
        oldest_due=max(0, now - min((each.due_at for each in due), default=now)),
        shards=mark.high_water,
        shards_unread=unread,
    )


def _mark(due_shards: DueShards, *, to: int, run: Run) -> ShardMark:
    """The mark, raised before anything is read; a mark that cannot be had stops no sweep."""
    try:
        return raised(due_shards, to=to)
    except StoreUnavailable as error:
        run.report("due_shards_unknown", {"error": error.slug})
        return ShardMark(high_water=to)


def _patrol(grants: Grants, mark: ShardMark, *, now: int, run: Run) -> list[int]:
    """Shards above the mark that hold rows all the same, of the few whose turn it is."""
    try:
        strays = [shard for shard in patrolled(mark.high_water, now=now) if occupied(grants, shard)]
    except StoreUnavailable:
        return []  # their turn comes again
    if strays:
        run.report("due_rows_above_the_mark", {"mark": str(mark.high_water), "shard": str(max(strays))})
    return strays


def _lower(due_shards: DueShards, grants: Grants, mark: ShardMark, *, to: int, run: Run) -> ShardMark:
    """The mark, lowered when its time has come; otherwise, or when a store does not answer, as it was."""
    try:
        return lowered(due_shards, grants, mark, to=to, now=run.clock())
    except StoreUnavailable as error:
        run.report("due_shards_unknown", {"error": error.slug})
        return mark


def _due(
    grants: Grants, limits: Mapping[str, Limits], *, shards: Sequence[int], before: int, ends_at: float, run: Run
) -> tuple[list[DueGrant], int]:
    """
    These shards, oldest first over all of them, each grant once; and how many could not be read.

    One that does not answer hides none of the others, unless the first ones all keep silent: then the sweep ends
    instead of waiting its whole budget for each of the rest. The next one begins at another shard.

    Raises:
        StoreUnavailable: None of them answered, or none of the first four.
    """
    found: dict[tuple[str, str], DueGrant] = {}
    failures: list[StoreUnavailable] = []
    for at, shard in enumerate(shards):
        if run.remaining <= ends_at:
            return _by_age(found.values()), len(failures) + len(shards) - at
        try:
            for each in _of_shard(grants, limits, shard, shards=len(shards), before=before):
                found[(each.connection_id, each.name)] = each
        except StoreUnavailable as error:
            failures.append(error)
            if len(failures) == at + 1 == min(SILENT, len(shards)):
                raise
    return _by_age(found.values()), len(failures)


def _of_shard(grants: Grants, limits: Mapping[str, Limits], shard: int, *, shards: int, before: int) -> list[DueGrant]:
    """
    The oldest of a shard, and behind a backlog that cannot be worked off, the oldest of the others.

    What waits for a provider that is down, or for its turn at a slow one, stays on the index, oldest of all: it must
    not hide everybody else's.
    """
    found, held = list(grants.due(shard, before=before, limit=MOST_DUE)), set[str]()
    last = found
    for _ in range(MOST_LOOKS):
        more = crowds(found, limits=limits, shards=shards) - held
        if len(last) < MOST_DUE or not more:
            break
        held |= more
        last = list(grants.due(shard, before=before, limit=MOST_DUE, without=held))
        found += last
    return found


def _by_age(due: Iterable[DueGrant]) -> list[DueGrant]:
    return sorted(due, key=lambda each: (each.due_at, each.connection_id, each.name))


def _capacity(queued: int, workers: int) -> int:
    """How many messages may be added."""
    return max(0, workers * HORIZON // SECONDS_PER_MESSAGE - queued)
