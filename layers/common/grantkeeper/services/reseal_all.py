"""
Bringing every grant under the newest branch keys: found by a scan, re-sealed by the workers, looked at again.

Nothing is remembered between two runs but which versions are wanted: whether a grant is under an old key stands in
the grant. So a run may be killed at any point, and the next one goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Protocol

from grantkeeper.errors import StoreUnavailable
from grantkeeper.key_rotation import SealedGrant, SealedGrants
from grantkeeper.model import Work

IDS = 25  # in a message
GROUP = "re-seal"  # its own message group, so that it holds up no provider's refreshes
MOST_QUEUED = 20  # messages: refreshes come first, and find the queue nearly empty
SETTLE = 5  # seconds between the last message taken and the next look
LONGEST_WAIT = 600  # seconds for workers to take anything
NAMED = 20  # connections that are told by their id
FRUITLESS = 3  # looks that found nothing better


class Queue(Protocol):
    """What is used of the work queue."""

    def send(self, work: Sequence[Work], *, delay: int = 0) -> None:
        """Send work; raises StoreUnavailable."""

    def depth(self) -> int:
        """Messages waiting and in flight, approximately."""


@dataclass(frozen=True, slots=True)
class Pace:
    """
    Time, and how fast to go.

    Args:
        clock: Epoch seconds.
        sleep: Waits so many seconds.
        rate: Grants a second at most.
        told: Hears what is being done, how much of it is done, and of how much (None when nobody knows).
    """

    clock: Callable[[], int]
    sleep: Callable[[float], None]
    rate: float = 100.0
    told: Callable[[str, int, int | None], None] = lambda _what, _done, _total: None


@dataclass(slots=True)
class Census:
    """How many grants are under which keys."""

    total: int = 0
    by_kms: int = 0  # as the callback seals them: their next read or refresh brings them under a branch key
    old: Counter[tuple[int, int]] = field(default_factory=Counter)  # (bucket, version) → grants
    unreadable: list[str] = field(default_factory=list)  # connections
    named: list[str] = field(default_factory=list)  # of those under old versions the first connections

    @property
    def left(self) -> int:
        """Grants under a version that is to be retired."""
        return sum(self.old.values())


def census(grants: SealedGrants, *, targets: Mapping[int, int], consistent: bool = False) -> Census:
    """
    Count every grant.

    Args:
        grants: Where they are.
        targets: Bucket → the version from which on a grant is not old.
        consistent: See every write acknowledged before.
    """
    seen = Census()
    for page in grants.pages(consistent=consistent):
        for grant in page:
            _count(grant, seen, targets)
    return seen


def reseal_all(grants: SealedGrants, *, targets: Mapping[int, int], queue: Queue, pace: Pace) -> Census:
    """
    Have the workers re-seal every old grant, and look again until none is left.

    A re-seal changes no tokens, no generation and no status, and yields to a refresh that is faster.

    Args:
        targets: Bucket → the version that is wanted; every worker must know it by now.

    Returns:
        What the last look found. Its `left` is over 0 when three looks in a row found no fewer: those grants do not
        open, or no worker works.

    Raises:
        StoreUnavailable: DynamoDB or SQS does not answer, nobody takes anything from the queue for ten minutes, or
            refreshes fill it for as long.
    """
    least, fruitless, most = None, 0, 0
    while True:
        seen = _send_old(grants, targets=targets, queue=queue, pace=pace)
        most = max(most, seen.left)
        pace.told("Re-sealing", most - seen.left, most)
        fruitless = 0 if least is None or seen.left < least else fruitless + 1
        least = seen.left if least is None else min(least, seen.left)
        if not seen.left or fruitless == FRUITLESS:
            return seen
        _until_taken(queue, most=0, pace=pace)  # or look all the same: where many are refreshed it is never empty
        pace.sleep(SETTLE)


def _send_old(grants: SealedGrants, *, targets: Mapping[int, int], queue: Queue, pace: Pace) -> Census:
    """One look at everything, each page's old grants sent before the next page is read."""
    seen = Census()
    for page in grants.pages(consistent=False):
        ids = {
            (grant.connection_id, grant.generation)
            for grant in page
            if _count(grant, seen, targets) or grant.wrapping == "kms"
        }
        for some in batched(sorted(ids), IDS, strict=False):
            if not _until_taken(queue, most=MOST_QUEUED, pace=pace):
                raise StoreUnavailable("Refreshes leave the workers no time: allow more of them.", retry_after=600)
            queue.send([Work("reseal", GROUP, some)])
            pace.sleep(len(some) / pace.rate)
    return seen


def _count(grant: SealedGrant, seen: Census, targets: Mapping[int, int]) -> bool:
    """Count a grant; True when it is under a version that is to be retired."""
    seen.total += 1
    if grant.wrapping == "unreadable":
        seen.unreadable.append(grant.connection_id)
    elif grant.wrapping == "kms":
        seen.by_kms += 1
    elif grant.version < targets.get(grant.bucket, 0):
        seen.old[grant.bucket, grant.version] += 1
        if len(seen.named) < NAMED:
            seen.named.append(grant.connection_id)
        return True
    return False


def _until_taken(queue: Queue, *, most: int, pace: Pace) -> bool:
    """
    Wait until the workers have left no more than `most` messages, ten minutes at the longest.

    Returns:
        False when they took some all the while and others came: refreshes fill the queue.

    Raises:
        StoreUnavailable: They took none.
    """
    depth = queue.depth()
    begun = since = pace.clock()
    while depth > most:
        now = pace.clock()
        if now - since >= LONGEST_WAIT:
            raise StoreUnavailable("No worker takes anything from the queue.", retry_after=60)
        if now - begun >= LONGEST_WAIT:
            return False
        pace.sleep(1)
        left = queue.depth()
        if left < depth:
            since = pace.clock()
        depth = left
    return True
