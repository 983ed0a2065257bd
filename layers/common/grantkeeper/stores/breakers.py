"""
A circuit breaker per provider, shared by all execution environments.

    closed ── 5 failures, none older than a minute apart ──▶ open ── its time passes ──▶ half open
      ▲                                                       ▲                             │
      └─────────────── a success ─────────────────────────────┼──────── a success ──────────┤
                                                              └── a failure: twice as long ─┘

The success that closes it leaves the time it came: the sweep begins small and doubles from there.

A breaker is a courtesy to a provider in trouble, so it never stops us by itself: when the table does not answer,
what was known last holds, and failing to count is no failure.

The same item remembers that the provider refused our registration. That stops no call: it is what an operator and the
connect page are told, until a call succeeds or the registration is changed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import BreakerState
from grantkeeper.stores import keys
from grantkeeper.stores.items import from_value
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

CACHED = 5  # seconds
THRESHOLD = 5  # failures in a row
WINDOW = 60  # seconds after which a failure is forgotten, if the breaker was never open
FIRST_PAUSE, LONGEST_PAUSE = 15, 600
LONGEST_RETRY_AFTER = 3600
BUDGET = 1.0
_FORGOTTEN = "REMOVE #failures, #failed_at, #open_until, #misconfigured_at, #misconfigured_error"


class _Seen(NamedTuple):
    """What the item said when it was read."""

    read_at: float
    open_until: int = 0
    closed_at: int = 0
    failures: bool = False
    misconfigured: bool = False


class DynamoBreakers:
    """`ports.Breakers` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, *, clock: Callable[[], float] = time.time) -> None:
        """Args: clock: epoch seconds, for what is remembered."""
        self._table = Table(client, grants_table)
        self._clock = clock
        self._known: dict[str, _Seen] = {}

    def open_until(self, provider: str) -> int:
        """Epoch second until which the provider is not to be called; 0 when closed. Remembered for 5 seconds."""
        return self._look(provider).open_until

    def state(self, provider: str) -> BreakerState:
        """The breaker as the sweep needs it. Remembered for 5 seconds."""
        seen = self._look(provider)
        return BreakerState(seen.open_until, seen.closed_at)

    def record_failure(self, provider: str, *, now: int, retry_after: int | None = None) -> bool:
        """
        Count a failure, and open the breaker when it is one too many or the provider named a time.

        Returns:
            True when this failure opened a closed breaker: of all who fail at once, one is told.

        Args:
            provider: Who failed.
            now: Epoch seconds.
            retry_after: Seconds the provider asked us to stay away; obeyed up to an hour.
        """
        opened = False
        with contextlib.suppress(StoreUnavailable):
            failures = self._count(provider, now=now)
            pause = 0
            if failures >= THRESHOLD:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - THRESHOLD, 16))
            pause = max(pause, min(retry_after or 0, LONGEST_RETRY_AFTER))
            if pause:
                opened = self._open(provider, until=now + pause)
        self._known.pop(provider, None)
        return opened

    def record_success(self, provider: str) -> bool:
        """
        Close the breaker, our registration works; writes only when there is something to forget.

        Returns:
            True when this success closed an open breaker.
        """
        seen = self._look(provider)
        if seen.open_until:
            return self._close(provider)
        if seen.failures or seen.misconfigured:
            self._forget(provider, condition="attribute_exists(#pk) AND attribute_not_exists(#open_until)")
        return False

    def record_refusal(self, provider: str, *, error: str | None, now: int) -> None:
        """
        Remember that the provider refused our registration, once.

        Args:
            provider: Who refused.
            error: The registered code, for whoever reads the item.
            now: Epoch seconds.
        """
        with contextlib.suppress(StoreUnavailable):
            if not self._look(provider).misconfigured:
                values = {":now": now, ":error": error or "unknown"}
                change = "SET #misconfigured_at = :now, #misconfigured_error = :error"
                self._table.update(keys.breaker(provider), change, values=values, budget=BUDGET)
                self._known.pop(provider, None)

    def misconfigured(self, provider: str) -> bool:
        """Tell whether our registration was refused and nothing has worked since. Remembered for 5 seconds."""
        return self._look(provider).misconfigured

    def forget(self, provider: str) -> None:
        """Forget everything: an operator has changed the registration."""
        self._forget(provider, condition="attribute_exists(#pk)")

    def _forget(self, provider: str, *, condition: str) -> None:
        with contextlib.suppress(StoreUnavailable, ConditionFailed):
            self._table.update(keys.breaker(provider), _FORGOTTEN, condition=condition, budget=BUDGET)
        self._known.pop(provider, None)

    def _close(self, provider: str) -> bool:
        """Of all who succeed at once, one closes."""
        closed = False
        with contextlib.suppress(StoreUnavailable, ConditionFailed):
            self._table.update(
                keys.breaker(provider),
                f"SET #closed_at = :now {_FORGOTTEN}",
                condition="attribute_exists(#open_until)",
                values={":now": int(self._clock())},
                budget=BUDGET,
            )
            closed = True
        self._known.pop(provider, None)
        return closed

    def _look(self, provider: str) -> _Seen:
        known, now = self._known.get(provider), self._clock()
        if known is not None and 0 <= now - known.read_at < CACHED:
            return known
        try:
            item = self._table.get(keys.breaker(provider), consistent=False) or {}
        except StoreUnavailable:
            return known or _Seen(now)
        seen = _Seen(
            now,
            open_until=_number(item, "open_until"),
            closed_at=_number(item, "closed_at"),
            failures="failures" in item,
            misconfigured="misconfigured_at" in item,
        )
        self._known[provider] = seen
        return seen

    def _count(self, provider: str, *, now: int) -> int:
        """Failures in a row with this one; a lone old one is forgotten. A repeated write counts at most once more."""
        key, values = keys.breaker(provider), {":one": 1, ":now": now}
        try:
            item = self._table.update(
                key,
                "SET #failures = #failures + :one, #failed_at = :now",
                condition="#failures >= :one AND (#failed_at > :old OR attribute_exists(#open_until))",
                values={**values, ":old": now - WINDOW},
                budget=BUDGET,
            )
        except ConditionFailed:
            item = self._table.update(key, "SET #failures = :one, #failed_at = :now", values=values, budget=BUDGET)
        return _number(item, "failures")

    def _open(self, provider: str, *, until: int) -> bool:
        """Open it, or keep it open for longer: a short pause never ends a longer one. True when it was closed."""
        key, change, values = keys.breaker(provider), "SET #open_until = :until", {":until": until}
        with contextlib.suppress(ConditionFailed):
            condition = "attribute_not_exists(#open_until)"
            self._table.update(key, change, condition=condition, values=values, budget=BUDGET)
            return True
        with contextlib.suppress(ConditionFailed):
            self._table.update(key, change, condition="#open_until < :until", values=values, budget=BUDGET)
        return False


def _number(item: dict[str, Any], name: str) -> int:
    return int(from_value(item[name])) if name in item else 0
