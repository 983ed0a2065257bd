"""
Which shards of the due index a sweep reads, while their number changes under it.

A row stands in the shard that its last writer chose, by the number of shards in the writer's environment. So the sweep
reads up to a stored high-water mark, and three rules make that enough:

- The mark rises at once: to the parameter before a sweep reads, and to any row found above it.
- Above the mark a patrol looks at a few shards with every sweep, all of them within `PATROL_TURN` sweeps. It finds what
  a deployment rolled back before its first sweep, or a writer of an older version, has left there.
- The mark falls to where no row has been seen above for `EMPTY_FOR` seconds, due or not yet due.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper.model import ShardMark

if TYPE_CHECKING:
    from grantkeeper.ports import DueShards, Grants

MOST_SHARDS = 256  # the parameter's largest value
PATROL = 16  # shards above the mark that one sweep looks at
PATROL_TURN = MOST_SHARDS // PATROL  # sweeps until every one was looked at
EMPTY_FOR = 3600  # seconds; an execution environment of an older version is gone long before
MINUTE = 60
ANY_TIME = 1 << 40  # epoch seconds: whatever has a due time at all


def raised(due_shards: DueShards, *, to: int) -> ShardMark:
    """
    The mark, raised to a number of shards if it was lower. A fall that had begun towards less than that is forgotten.

    A lost race is no harm: whoever won raised it too, or the next sweep does.

    Raises:
        StoreUnavailable: The mark could not be read or written.
    """
    mark = due_shards.mark()
    if mark.high_water >= to and not (mark.falls_to is not None and mark.high_water == to):
        return mark
    higher = ShardMark(high_water=max(mark.high_water, to))
    return due_shards.replace(higher, expected=mark) or replace(mark, high_water=higher.high_water)


def in_turn(shards: int, *, now: int) -> list[int]:
    """All shards, beginning with another one each minute: what a slow store leaves unread is not always the same."""
    first = now // MINUTE % max(1, shards)
    return [*range(first, shards), *range(first)]


def patrolled(mark: int, *, now: int) -> list[int]:
    """The shards above the mark that are looked at in this minute."""
    first = now // MINUTE % PATROL_TURN * PATROL
    return [shard for shard in range(first, first + PATROL) if shard >= mark]


def occupied(grants: Grants, shard: int) -> bool:
    """Whether any row stands in a shard, whenever it is due. Half a read unit; the index may lag."""
    return bool(grants.due(shard, before=ANY_TIME, limit=1))


def lowered(due_shards: DueShards, grants: Grants, mark: ShardMark, *, to: int, now: int) -> ShardMark:
    """
    The mark after one more look at the shards above the parameter, from the top down to the first that holds a row.

    Args:
        mark: As this sweep has read it; if it was replaced since, nothing is changed.
        to: The parameter: the mark never falls below it.
        now: Epoch seconds.

    Raises:
        StoreUnavailable: The index or the mark does not answer.
    """
    if mark.high_water <= to:
        return mark
    filled = next((at + 1 for at in range(mark.high_water - 1, to - 1, -1) if occupied(grants, at)), to)
    if filled == mark.high_water:
        seen = replace(mark, falls_to=None, empty_since=None)
    elif mark.empty_since is None or filled != mark.falls_to:
        seen = replace(mark, falls_to=filled, empty_since=now)
    elif now - mark.empty_since >= EMPTY_FOR:
        seen = ShardMark(high_water=filled)
    else:
        return mark
    return mark if seen == mark else due_shards.replace(seen, expected=mark) or mark
