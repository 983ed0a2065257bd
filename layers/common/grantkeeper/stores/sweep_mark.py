"""
The sweeper's mark: when it last got through, and what it saw.

One small write a minute, about three cents a month. It is what tells a schedule that stopped from one with nothing to
do: a metric that is missing is noticed by an alarm, and by nobody who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from grantkeeper.stores.items import from_value, to_value
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KEY = ("CONFIG", "SWEEP")
BUDGET = 1.0


class DynamoSweepMark:
    """The item, written by the sweeper and read by the administration."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def put(self, facts: Mapping[str, int]) -> None:
        """
        Replace what the sweep before left; of two that overlap the later one's stays.

        Raises:
            StoreUnavailable: Within a second it could not be written. The sweep is none the worse for it.
        """
        item = key_item(KEY) | {name: to_value(value) for name, value in facts.items()}
        self._table.put(item, budget=BUDGET)

    def read(self) -> Mapping[str, int] | None:
        """What the last sweep left; None before the first. Consistent."""
        item = self._table.get(KEY)
        if item is None:
            return None
        return {name: int(from_value(value)) for name, value in item.items() if "N" in value}
