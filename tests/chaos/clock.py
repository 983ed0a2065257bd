"""
A clock that several processes share, and that runs ahead of the real one when a test says so.

A lease lasts 30 s and the rescue horizon 300 s: nobody can wait for them 300 times. Every process of a scenario, the
provider's included, reads the real time plus one number in a file; what one of them sleeps is added to the number
instead of being waited for, so that time passes for all of them alike.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from pathlib import Path

_NUMBER = struct.Struct("d")
_time, _monotonic, _sleep = time.time, time.monotonic, time.sleep


class SharedClock:
    """Real time and `ahead` seconds; the file is shared by all who opened it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT)
        if os.fstat(self._fd).st_size < _NUMBER.size:
            os.ftruncate(self._fd, _NUMBER.size)
        self._map = mmap.mmap(self._fd, _NUMBER.size)

    @property
    def ahead(self) -> float:
        """Seconds by which this clock is before the real one."""
        return float(_NUMBER.unpack_from(self._map)[0])

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return _time() + self.ahead

    def advance(self, seconds: float) -> None:
        """Let time pass, for everybody."""
        fcntl.lockf(self._fd, fcntl.LOCK_EX)
        try:
            _NUMBER.pack_into(self._map, 0, self.ahead + seconds)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def reset(self) -> None:
        """Back to the real time: a new scenario begins."""
        _NUMBER.pack_into(self._map, 0, 0.0)


class ProcessClock:
    """What the module `time` says in a process of a scenario."""

    def __init__(self, shared: SharedClock) -> None:
        self._shared = shared
        self.skew = 0.0  # seconds this container's wall clock is wrong by
        self.waits = False  # True: sleeps take real time, as races want it

    def install(self) -> None:
        """Put this clock in the module's place; the modules under test take their time from there."""
        time.time, time.monotonic, time.sleep = self._time, self._monotonic, self._sleep

    def _time(self) -> float:
        return _time() + self._shared.ahead + self.skew

    def _monotonic(self) -> float:
        return _monotonic() + self._shared.ahead

    def _sleep(self, seconds: float) -> None:
        if self.waits:
            _sleep(seconds)
        else:
            self._shared.advance(seconds)
            _sleep(0)
