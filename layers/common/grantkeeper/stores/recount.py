"""What the recount reads: the trail by day and the list by kind, a page of DynamoDB's at a time."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from typing import TYPE_CHECKING

from grantkeeper.model import AuditEvent
from grantkeeper.recount_ports import Page
from grantkeeper.stores.audit_item import DAY_SHARDS
from grantkeeper.stores.items import from_item
from grantkeeper.stores.retrying import call
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from types_boto3_dynamodb import DynamoDBClient

WHAT_COUNTS = "#id, #time, #action, #provider, #reason, #details"  # of an entry


class DynamoRecords:
    """`recount_ports.Records` in the tables Audit and Grants. Reads indexes alone: nothing sealed, no user's trail."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._grants = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    @property
    def shards(self) -> int:
        """How many partitions a day has."""
        return DAY_SHARDS

    def entries(
        self, day: str, shard: int, *, position: str | None, count: Callable[[AuditEvent], Mapping[str, int]]
    ) -> Page:
        """
        A page of a day's entries: a megabyte of them, counted.

        Args:
            day: `yyyy-mm-dd`.
            shard: Of `shards`.
            position: What the page before returned.
            count: What an entry adds to which counter. A row that is no entry was parked and adds nothing.
        """
        condition = "#day_pk = :day"
        request = self._audit.request(
            condition=None, values={":day": f"D#{day}#{shard}"}, expressions=(condition, WHAT_COUNTS)
        )
        request |= {"IndexName": "day", "KeyConditionExpression": condition, "ProjectionExpression": WHAT_COUNTS}
        answer = self._page(self._audit, request, position)
        sums: Counter[str] = Counter()
        for item in answer["Items"]:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                sums.update(count(from_item(AuditEvent, item, actor="")))
        return Page(dict(sums), _position(answer))

    def listed(self, kind: str, *, prefix: str, position: str | None) -> Page:
        """
        How many there are on a page of the list; none of them leaves the table.

        Args:
            kind: `USER`, or `CONN#<provider>`.
            prefix: Only those whose keys begin with it.
            position: What the page before returned.
        """
        condition = "#list_pk = :kind" + (" AND begins_with(#list_sk, :prefix)" if prefix else "")
        values = {":kind": kind, **({":prefix": prefix} if prefix else {})}
        request = self._grants.request(condition=None, values=values, expressions=(condition,))
        request |= {"IndexName": "list", "KeyConditionExpression": condition, "Select": "COUNT"}
        answer = self._page(self._grants, request, position)
        return Page({"n": answer["Count"]}, _position(answer))

    def _page(self, table: Table, request: Mapping[str, Any], position: str | None) -> Mapping[str, Any]:
        start = {} if position is None else {"ExclusiveStartKey": json.loads(position)}
        answer: Mapping[str, Any] = call(table.client.query, **request, **start)
        return answer


def _position(answer: Mapping[str, Any]) -> str | None:
    """Where to go on, as text: keys of ours are text and numbers."""
    last = answer.get("LastEvaluatedKey")
    return None if last is None else json.dumps(last)
