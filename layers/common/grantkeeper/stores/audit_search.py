"""
The audit trail as an auditor asks for it: what matches, newest first, a bounded stretch at a time.

Every method reads one stretch and says how far down it came, so that a rare action in a long trail is found by going
on, and never by one call that reads until its time is up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grantkeeper.admin_ports import Slice
from grantkeeper.stores.audit import DynamoAuditTrail
from grantkeeper.stores.audit_item import DAY_SHARDS, event_of
from grantkeeper.stores.items import Item
from grantkeeper.stores.retrying import call
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

FILTERED = 500  # rows looked at in one Query with a filter: some 300 KB
MIN_ROWS = 2  # the row a stretch ends at is read again by the next


class DynamoAuditSearch:
    """`admin_ports.Trail` in the table Audit."""

    def __init__(self, client: DynamoDBClient, audit_table: str) -> None:
        self._table = Table(client, audit_table)
        self._trail = DynamoAuditTrail(client, audit_table)

    def of_user(self, sub: str, *, after: str, before: str, where: Mapping[str, str], limit: int) -> Slice:
        """Entries under a user; routine refreshes stand under their connections."""
        rows, floor = self._stretch("#pk", f"USER#{sub}", "#sk", after=after, before=before, where=where, limit=limit)
        return _cut([(row["sk"]["S"], row) for row in rows], floor, limit=limit)

    def of_day(self, day: str, *, after: str, before: str, where: Mapping[str, str], limit: int) -> Slice:
        """
        Entries of a day, merged from its shards.

        Each shard was read down to a place of its own. What lies below the highest of these may be missing entries of
        that shard, so the stretch ends there.
        """
        found: list[tuple[str, Item]] = []
        floors: list[str] = []
        share = limit // DAY_SHARDS * 2 + MIN_ROWS
        for shard in range(DAY_SHARDS):
            partition = f"D#{day}#{shard}"
            rows, floor = self._stretch(
                "#day_pk", partition, "#day_sk", after=after, before=before, where=where, limit=share, index="day"
            )
            found += [(row["day_sk"]["S"], row) for row in rows]
            floors += [floor] if floor else []
        floor = max(floors, default=None)
        whole = [each for each in found if floor is None or each[0] >= floor]
        return _cut(sorted(whole, key=lambda each: each[0], reverse=True), floor, limit=limit)

    def of_actor(self, actor: str, *, after: str, before: str, limit: int) -> Slice:
        """
        What one actor did. The index holds keys only: up to a hundred of them, then their entries.

        The index may be a moment late, and an entry its retention took since is passed over.
        """
        rows, floor = self._stretch(
            "#actor_pk", f"A#{actor}", "#actor_sk", after=after, before=before, where={}, limit=limit, index="actor"
        )
        order = {(row["pk"]["S"], row["sk"]["S"]): row["actor_sk"]["S"] for row in rows[:limit]}
        if len(rows) > limit:
            floor = rows[limit - 1]["actor_sk"]["S"]
        items = self._table.batch_get(list(order), consistent=False)
        found = [(order[item["pk"]["S"], item["sk"]["S"]], item) for item in items]
        return _cut(sorted(found, key=lambda each: each[0], reverse=True), floor, limit=limit)

    def of_connection(self, connection_id: str, *, before: str | None, limit: int) -> Slice:
        """Entries under a connection, its refreshes among them, each token's in the order of its generations."""
        events, position = self._trail.for_connection(connection_id, limit=limit, before=before)
        return Slice(events, position)

    def _stretch(
        self,
        partition: str,
        value: str,
        order: str,
        *,
        after: str,
        before: str,
        where: Mapping[str, str],
        limit: int,
        index: str | None = None,
    ) -> tuple[Sequence[Item], str | None]:
        """
        What matches in one stretch of a partition, newest first, below `before`.

        Returns:
            Rows, and the key down to which everything was looked at; None: to the end.
        """
        condition = f"{partition} = :partition AND {order} BETWEEN :after AND :before"
        filters = " AND ".join(_filter(name, wanted) for name, wanted in sorted(where.items()))
        values = {":partition": value, ":after": after, ":before": before, **{f":{n}": v for n, v in where.items()}}
        request: dict[str, Any] = self._table.request(
            condition=None, values=values, expressions=(condition, filters) if filters else (condition,)
        )
        request |= {"KeyConditionExpression": condition, "ScanIndexForward": False}
        request |= {"Limit": FILTERED if filters else max(limit + 1, MIN_ROWS)}
        request |= {"ConsistentRead": True} if index is None else {"IndexName": index}
        request |= {"FilterExpression": filters} if filters else {}
        answer = call(self._table.client.query, **request)
        last, name = answer.get("LastEvaluatedKey"), order[1:]
        rows = [row for row in answer["Items"] if row[name]["S"] != before]
        return rows, None if last is None else last[name]["S"]


def _filter(name: str, wanted: str) -> str:
    return f"begins_with(#{name}, :{name})" if wanted.endswith(".") else f"#{name} = :{name}"


def _cut(rows: Sequence[tuple[str, Item]], floor: str | None, *, limit: int) -> Slice:
    """At most so many; what is cut off is found again from the last one that is told."""
    told = [event_of(item) for _, item in rows[:limit]]
    return Slice(told, rows[limit - 1][0] if len(rows) > limit else floor)
