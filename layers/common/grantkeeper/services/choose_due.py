"""Which of what is due goes into the queue now: the oldest, within what workers can do and providers should bear."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Literal

from grantkeeper.model import Work
from grantkeeper.services.kindness import MOST_IDS, PROBES, delay_of, ids_per_message

if TYPE_CHECKING:
    from grantkeeper.model import DueGrant

LARGEST_SHARE = 2  # one provider takes at most half of the capacity while others have work


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sweep may do for one provider: ids in all, and how many of them one worker has under way at once."""

    ids: int
    lanes: int = MOST_IDS

    @property
    def size(self) -> int:
        """Ids of a message."""
        return ids_per_message(self.ids)


def crowds(found: Sequence[DueGrant], *, limits: Mapping[str, Limits], shards: int) -> set[str]:
    """Providers with as many rows in this shard as can be sent for them anyway: the others stand behind them."""
    counted = Counter(each.provider for each in found)
    return {
        provider for provider, count in counted.items() if count >= max(PROBES, limits[provider].ids // max(shards, 1))
    } | {provider for provider in counted if limits[provider].ids == 0}


def choose(due: Sequence[DueGrant], *, capacity: int, limits: Mapping[str, Limits]) -> list[DueGrant]:
    """
    Take the oldest, so that no provider starves the others and none is asked for more than its limit.

    Args:
        due: Oldest first.
        capacity: Messages at most; a message holds one provider's ids.
        limits: By provider.
    """
    share = max(1, capacity // LARGEST_SHARE)
    taken: Counter[str] = Counter()
    first, rest = [], []
    for each in due:
        limit = limits[each.provider]
        if taken[each.provider] < min(limit.ids, share * limit.size):
            first.append(each)
        elif taken[each.provider] < limit.ids:
            rest.append(each)
        else:
            continue
        taken[each.provider] += 1
    return _fitting([*first, *rest], capacity, limits)


def _fitting(chosen: Sequence[DueGrant], capacity: int, limits: Mapping[str, Limits]) -> list[DueGrant]:
    """As many as fill `capacity` messages, oldest first."""
    counts: Counter[tuple[str, str]] = Counter()
    messages, fitting = 0, []
    for each in chosen:
        group = _group(each)
        if counts[group] % limits[each.provider].size == 0:
            if messages == capacity:
                continue
            messages += 1
        counts[group] += 1
        fitting.append(each)
    return fitting


def messages(chosen: Sequence[DueGrant], *, limits: Mapping[str, Limits]) -> Iterator[Work]:
    """
    The messages of a sweep, one provider's evenly over the minute until the next.

    Delivery is spread by the queue's own delay, so that the pace costs no write and no waiting worker.
    """
    grouped: dict[tuple[Literal["erase", "refresh"], str], dict[tuple[str, int], None]] = defaultdict(dict)
    for each in chosen:
        grouped[_group(each)][(each.connection_id, each.generation)] = None
    sent: Counter[str] = Counter()
    for (kind, provider), ids in grouped.items():
        limit = limits[provider]
        for some in batched(ids, limit.size, strict=False):
            yield Work(kind, provider, some, lanes=limit.lanes, delay=delay_of(sent[provider], rate=limit.ids))
            sent[provider] += len(some)


def _group(due: DueGrant) -> tuple[Literal["erase", "refresh"], str]:
    """Tokens that never came to be a generation are there to be erased."""
    return ("erase" if due.generation == 0 else "refresh"), due.provider
