"""Counters: of all time and of each day, each batch of events counted once."""

from __future__ import annotations

import calendar
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from grantkeeper.counter_names import COUNTER_NAME
from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores import keys
from grantkeeper.stores.items import from_value, to_value
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_dynamodb import DynamoDBClient

SHARDS = 4
TOTAL = "total"
PREFIX = "n."  # before a counter's name, so that it can be no other attribute
BATCH_KEPT = 8 * 86400  # seconds from the start of its day; a stream delivers again for one day at most


class DynamoCounters:
    """`ports.Counters` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def add_batch(self, batch_id: str, increments: Mapping[str, int], *, day: str) -> bool:
        """
        Add once per batch id: the mark of the batch and the sums change together or not at all.

        Args:
            batch_id: The id of the batch's first event.
            increments: Counter → what to add, which may be negative.
            day: The UTC day counted beside the total, `yyyy-mm-dd`.

        Raises:
            ValueError: A counter's name is not one.
        """
        mark = key_item(keys.batch(batch_id)) | {"day": {"S": day}, "ttl": {"N": str(_start_of(day) + BATCH_KEPT)}}
        writes = [self._table.to_put(mark, condition=NEW)]
        shard = keys.shard_of(batch_id, SHARDS)
        changes = {name: by for name, by in increments.items() if by}
        if changes:
            writes += [self._add(when, shard, changes) for when in (TOTAL, day)]
        try:
            self._table.transact(writes)
        except TransactionFailed as failure:
            if not failure.failed(0):
                raise StoreUnavailable("The counters could not be changed.") from None
            return False
        return True

    def totals(self) -> Mapping[str, int]:
        """All counters summed over their shards: four small items, however many connections there are."""
        return self._sum(TOTAL)

    def of_day(self, day: str) -> Mapping[str, int]:
        """The counters of one UTC day."""
        return self._sum(day)

    def _sum(self, when: str) -> Mapping[str, int]:
        sums: Counter[str] = Counter()
        for item in self._table.batch_get([keys.counter(when, shard) for shard in range(SHARDS)]):
            for name, value in item.items():
                if name.startswith(PREFIX):
                    sums[name.removeprefix(PREFIX)] += from_value(value)
        return dict(sums)

    def _add(self, when: str, shard: int, changes: Mapping[str, int]) -> dict[str, Any]:
        """An ADD for every counter; inside the transaction it happens once or not at all."""
        for name in changes:
            if COUNTER_NAME.match(name) is None:
                raise ValueError("not the name of a counter")
        numbered = list(enumerate(changes.items()))
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": key_item(keys.counter(when, shard)),
                "UpdateExpression": "ADD " + ", ".join(f"#n{at} :v{at}" for at, _ in numbered),
                "ExpressionAttributeNames": {f"#n{at}": f"{PREFIX}{name}" for at, (name, _) in numbered},
                "ExpressionAttributeValues": {f":v{at}": to_value(by) for at, (_, by) in numbered},
            }
        }


def _start_of(day: str) -> int:
    return calendar.timegm(time.strptime(day, "%Y-%m-%d"))
