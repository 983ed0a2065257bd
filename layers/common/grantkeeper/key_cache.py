"""Opened keys in memory, for minutes: so that warm reads and refreshes call no KMS."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

MAX_AGE = 300.0  # seconds
MAX_USES = 10_000
MAX_KEYS = 256


@dataclass(slots=True)
class _Held:
    key: bytearray
    since: float
    uses: int = 0


class KeyCache:
    """
    Plaintext keys by name, each for at most `max_age` seconds and `max_uses` uses.

    Age is wall-clock time: a frozen Lambda environment does not advance the
    monotonic clock, and a key must not outlive the freeze. A clock that went
    back counts as expiry. Our copy of an expired key is overwritten with
    zeros; copies handed out die with their callers.

    Threads that miss the same key together wait for one load and share its
    outcome, also when it is an error: a KMS outage costs them one time-out,
    not one each.
    """

    def __init__(
        self,
        *,
        max_age: float = MAX_AGE,
        max_uses: int = MAX_USES,
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Args: max_age: seconds; max_keys: the oldest goes when there are more; clock: epoch seconds."""
        self._max_age, self._max_uses, self._max_keys = max_age, max_uses, max_keys
        self._clock = clock
        self._lock = Lock()
        self._held: dict[Hashable, _Held] = {}
        self._loads: dict[Hashable, Future[bytes]] = {}

    def get(self, name: Hashable, load: Callable[[], bytes]) -> bytes:
        """Return the key, opening it with `load` when it is not at hand; what `load` raises passes through."""
        with self._lock:
            key = self._take(name)
            if key is not None:
                return key
            waiting = self._loads.get(name)
            if waiting is None:
                ours = self._loads[name] = Future()
        if waiting is not None:
            return waiting.result()
        try:
            key = load()
        except BaseException as error:
            self._finish(name, None)
            ours.set_exception(error)
            raise
        self._finish(name, key)
        ours.set_result(key)
        return key

    def __len__(self) -> int:
        """How many keys are held."""
        return len(self._held)

    def _take(self, name: Hashable) -> bytes | None:
        self._expire()
        held = self._held.get(name)
        if held is None:
            return None
        held.uses += 1
        return bytes(held.key)

    def _finish(self, name: Hashable, key: bytes | None) -> None:
        with self._lock:
            del self._loads[name]
            if key is None:
                return
            while len(self._held) >= self._max_keys:
                self._forget(next(iter(self._held)))
            self._held[name] = _Held(bytearray(key), self._clock(), uses=1)

    def _expire(self) -> None:
        now = self._clock()
        for name, held in list(self._held.items()):
            if not 0 <= now - held.since < self._max_age or held.uses >= self._max_uses:
                self._forget(name)

    def _forget(self, name: Hashable) -> None:
        key = self._held.pop(name).key
        key[:] = bytes(len(key))
