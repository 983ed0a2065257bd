"""Re-sealing everything beside a queue that is never empty."""

from __future__ import annotations

from itertools import cycle

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.key_rotation import SealedGrant
from grantkeeper.services.reseal_all import Pace, reseal_all

OLD, NEW = SealedGrant("con_a", 1, "branch", 0, 1), SealedGrant("con_a", 1, "branch", 0, 2)
HOUR = 3600


class Busy:
    """A queue that others fill as fast as it is emptied."""

    def __init__(self, depths):
        self.sent = []
        self._depths = cycle(depths)

    def send(self, work, *, delay=0):
        self.sent += work

    def depth(self):
        return next(self._depths)


class Table:
    """Old until a message was sent."""

    def __init__(self, queue):
        self._queue = queue

    def pages(self, *, consistent):
        yield [NEW if self._queue.sent else OLD]


class Clock:
    """Nobody waits for more than an hour."""

    now = 0

    def sleep(self, seconds):
        self.now += seconds
        assert self.now < HOUR


def run(queue):
    clock = Clock()
    return reseal_all(
        Table(queue), targets={0: 2}, queue=queue, pace=Pace(clock=lambda: int(clock.now), sleep=clock.sleep)
    )


def test_a_queue_that_is_never_empty_ends_nevertheless():
    """A million connections are refreshed beside it: there is always a message in flight."""
    queue = Busy([3, 2])

    seen = run(queue)

    assert (seen.left, len(queue.sent)) == (0, 1)


def test_a_queue_that_is_full_of_refreshes_is_told():
    """They come first, and the operator hears why nothing is re-sealed."""
    queue = Busy([90, 60])

    with pytest.raises(StoreUnavailable, match="Refreshes leave"):
        run(queue)

    assert queue.sent == []
