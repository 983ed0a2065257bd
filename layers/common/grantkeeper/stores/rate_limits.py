"""Fixed windows of a rate limit, in the table that nobody backs up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.stores import keys
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PATIENCE = 0.5  # seconds for counting calls that are made anyway
KEPT = 60  # seconds after a window that its item may go


class DynamoRateLimits:
    """`ports.RateLimits` in the table Requests."""

    def __init__(self, client: DynamoDBClient, requests_table: str) -> None:
        self._table = Table(client, requests_table)

    def hit(self, key: str, *, limit: int, window: int, now: int) -> int:
        """
        Count one in the current window of a key.

        A spent window is not written to any more. A retried write may count twice: that errs to the safe side.

        Args:
            key: What is limited; only its hash is stored.
            limit: Hits allowed in a window.
            window: Seconds.
            now: Epoch seconds.

        Returns:
            0 when allowed, else the seconds until the window ends.
        """
        start = now - now % window
        try:
            self._table.update(
                keys.rate_window(key, start),
                "SET #hits = if_not_exists(#hits, :none) + :one, #ttl = :ttl",
                condition="attribute_not_exists(#hits) OR #hits < :limit",
                values={":none": 0, ":one": 1, ":limit": limit, ":ttl": start + window + KEPT},
            )
        except ConditionFailed:
            return max(1, start + window - now)
        return 0

    def add(self, key: str, *, amount: int, window: int, now: int) -> int:
        """
        Count some at once in the current window of a key, with little patience: it stands before somebody's request.

        A retried write may count twice: that errs to the safe side.

        Args:
            key: What is counted; only its hash is stored.
            amount: How many.
            window: Seconds.
            now: Epoch seconds.

        Returns:
            How many were counted in this window by everybody.
        """
        start = now - now % window
        item = self._table.update(
            keys.rate_window(key, start),
            "SET #hits = if_not_exists(#hits, :none) + :amount, #ttl = :ttl",
            values={":none": 0, ":amount": amount, ":ttl": start + window + KEPT},
            budget=PATIENCE,
        )
        return int(item["hits"]["N"])
