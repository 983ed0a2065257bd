"""
A circuit breaker per provider, shared by all execution environments.

    closed ── 5 failures, none older than a minute apart ──▶ open ── its time passes ──▶ half open
      ▲                                                       ▲                             │
      └────────────────── a success ──────────────────────────┼──────── a success ──────────┤
                                                              └── a failure: twice as long ─┘

A breaker is a courtesy to a provider in trouble, so it never stops us by itself: when the table does not answer,
what was known last holds, and failing to count is no failure.

The same item remembers that the provider refused our registration. That stops no call: it is what an operator and the
connect page are told, until a call succeeds or the registration is changed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import StoreUnavailable
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


class DynamoBreakers:
    """`ports.Breakers` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, *, clock: Callable[[], float] = time.time) -> None:
        """Args: clock: epoch seconds, for what is remembered."""
        self._table = Table(client, grants_table)
        self._clock = clock
        self._known: dict[str, tuple[float, int, bool, bool]] = {}  # read at, open until, failures?, misconfigured?

    def open_until(self, provider: str) -> int:
        """Epoch second until which the provider is not to be called; 0 when closed. Remembered for 5 seconds."""
        return self._look(provider)[1]

    def record_failure(self, provider: str, *, now: int, retry_after: int | None = None) -> None:
        """
        Count a failure, and open the breaker when it is one too many or the provider named a time.

        Args:
            provider: Who failed.
            now: Epoch seconds.
            retry_after: Seconds the provider asked us to stay away; obeyed up to an hour.
        """
        with contextlib.suppress(StoreUnavailable):
            failures = self._count(provider, now=now)
            pause = 0
            if failures >= THRESHOLD:
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - THRESHOLD, 16))
            pause = max(pause, min(retry_after or 0, LONGEST_RETRY_AFTER))
            if pause:
                self._open(provider, until=now + pause)
        self._known.pop(provider, None)

    def record_success(self, provider: str) -> None:
        """Close the breaker, our registration works; writes only when there is something to forget."""
        if any(self._look(provider)[2:]):
            self.forget(provider)

    def record_refusal(self, provider: str, *, error: str | None, now: int) -> None:
        """
        Remember that the provider refused our registration, once.

        Args:
            provider: Who refused.
            error: The registered code, for whoever reads the item.
            now: Epoch seconds.
        """
        with contextlib.suppress(StoreUnavailable):
            if not self._look(provider)[3]:
                values = {":now": now, ":error": error or "unknown"}
                change = "SET #misconfigured_at = :now, #misconfigured_error = :error"
                self._table.update(keys.breaker(provider), change, values=values, budget=BUDGET)
                self._known.pop(provider, None)

    def misconfigured(self, provider: str) -> bool:
        """Tell whether our registration was refused and nothing has worked since. Remembered for 5 seconds."""
        return self._look(provider)[3]

    def forget(self, provider: str) -> None:
        """Forget everything: an operator has changed the registration."""
        with contextlib.suppress(StoreUnavailable, ConditionFailed):
            self._table.update(
                keys.breaker(provider),
                "REMOVE #failures, #failed_at, #open_until, #misconfigured_at, #misconfigured_error",
                condition="attribute_exists(#pk)",
                budget=BUDGET,
            )
        self._known.pop(provider, None)

    def _look(self, provider: str) -> tuple[float, int, bool, bool]:
        known, now = self._known.get(provider), self._clock()
        if known is not None and 0 <= now - known[0] < CACHED:
            return known
        try:
            item = self._table.get(keys.breaker(provider), consistent=False) or {}
        except StoreUnavailable:
            return known or (now, 0, False, False)
        seen = (now, _number(item, "open_until"), "failures" in item, "misconfigured_at" in item)
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

    def _open(self, provider: str, *, until: int) -> None:
        """Later ends win: a short pause never ends a longer one."""
        with contextlib.suppress(ConditionFailed):
            self._table.update(
                keys.breaker(provider),
                "SET #open_until = :until",
                condition="attribute_not_exists(#open_until) OR #open_until < :until",
                values={":until": until},
                budget=BUDGET,
            )


def _number(item: dict[str, Any], name: str) -> int:
    return int(from_value(item[name])) if name in item else 0
