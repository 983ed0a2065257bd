"""The audit trail: only ever added to; read by user, by connection, by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.model import AuditEvent
from grantkeeper.stores.audit_item import DAY_SHARDS, audit_items, event_of, generation_key
from grantkeeper.stores.items import Item
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient

FIRST_TIME, LAST_TIME = "0", "9~"  # every `time#id` sorts between them, and no `generation#…` does
LAST_GENERATION = 999_999_999_999
MAX_NAMES = 8  # tokens of one connection

Row = tuple[str, int, Item]  # order by time, stream it came from, item


class DynamoAuditTrail:
    """`ports.AuditTrail` in the table Audit."""

    def __init__(self, client: DynamoDBClient, audit_table: str) -> None:
        self._table = Table(client, audit_table)

    def record(self, event: AuditEvent) -> None:
        """Write an entry that stands alone. Writing one again, with the same id and time, changes nothing."""
        for item in audit_items(event, table=self._table.name):
            try:
                self._table.put(item, condition=NEW)
            except ConditionFailed:
                continue

    def for_user(self, sub: str, *, limit: int, before: str | None = None) -> tuple[Sequence[AuditEvent], str | None]:
        """
        A user's entries, newest first. Routine refreshes are told by their connection, not here.

        Args:
            sub: The user.
            limit: Entries at most.
            before: What the page before returned.

        Returns:
            Entries, and what to pass as `before` for the next page; None at the end.
        """
        rows = self._newest("#pk", f"USER#{sub}", "#sk", before=before or LAST_TIME, limit=limit + 1)
        return _page([(row["sk"]["S"], 0, row) for row in rows], limit)

    def for_connection(
        self, connection_id: str, *, limit: int, before: str | None = None
    ) -> tuple[Sequence[AuditEvent], str | None]:
        """
        A connection's entries, its refreshes among them, newest first; as `for_user`.

        Entries stand by time, refreshes by generation under the name of their token: each is a stream in order, the
        streams are merged by time, and `before` holds how far each was read.
        """
        partition = f"CONNECTION#{connection_id}"
        bounds = before.split("|") if before else [LAST_TIME, *self._token_bounds(partition)]
        found: list[Row] = []
        for stream, bound in enumerate(bounds):
            after = FIRST_TIME if stream == 0 else bound.rpartition("#")[0]
            rows = self._newest("#pk", partition, "#sk", after=after, before=bound, limit=limit + 1)
            found += [(_order(row), stream, row) for row in rows]
        found.sort(key=lambda row: row[0], reverse=True)
        for _, stream, row in found[:limit]:
            bounds[stream] = row["sk"]["S"]
        events = [event_of(row) for *_, row in found[:limit]]
        return events, "|".join(bounds) if len(found) > limit else None

    def day(self, day: str, *, limit: int, before: str | None = None) -> tuple[Sequence[AuditEvent], str | None]:
        """All entries of a day (`yyyy-mm-dd`), newest first, merged from the shards of the index; as `for_user`."""
        found: list[Row] = []
        for shard in range(DAY_SHARDS):
            rows = self._newest(
                "#day_pk", f"D#{day}#{shard}", "#day_sk", before=before or LAST_TIME, limit=limit + 1, index="day"
            )
            found += [(row["day_sk"]["S"], shard, row) for row in rows]
        return _page(sorted(found, key=lambda row: row[0], reverse=True), limit)

    def generation_recorded(self, connection_id: str, name: str, generation: int) -> bool:
        """
        True when the trail knows this generation or a later one: how an old row put back is found out.

        One consistent read of one row; an entry that has outlived its retention hides nothing, as later ones remain.
        """
        after, before = generation_key(name, generation), generation_key(name, LAST_GENERATION)
        return bool(self._newest("#pk", f"CONNECTION#{connection_id}", "#sk", after=after, before=before, limit=1))

    def _token_bounds(self, partition: str) -> list[str]:
        """The end of the refreshes of each token of a connection: one read of one row for each."""
        bounds: list[str] = []
        before = "generation#~"
        for _ in range(MAX_NAMES):
            rows = self._newest("#pk", partition, "#sk", after="generation#", before=before, limit=1)
            if not rows:
                break
            before = rows[0]["sk"]["S"].rpartition("#")[0]
            bounds.append(f"{before}#~")
        return bounds

    def _newest(
        self,
        partition: str,
        value: str,
        order: str,
        *,
        before: str,
        limit: int,
        after: str = FIRST_TIME,
        index: str | None = None,
    ) -> list[Item]:
        """Up to `limit` rows between two sort keys, `before` left out, newest first."""
        condition = f"{partition} = :partition AND {order} BETWEEN :after AND :before"
        values = {":partition": value, ":after": after, ":before": before}
        request = self._table.request(condition=None, values=values, expressions=(condition,))
        request |= {"KeyConditionExpression": condition, "ScanIndexForward": False, "Limit": limit + 1}
        request |= {"ConsistentRead": True} if index is None else {"IndexName": index}
        rows = self._table.pages(request, limit=limit + 1)
        return [row for row in rows if row[order[1:]]["S"] != before][:limit]


def _order(item: Item) -> str:
    return f"{int(item['time']['N']):010d}#{item['id']['S']}"


def _page(found: list[Row], limit: int) -> tuple[list[AuditEvent], str | None]:
    events = [event_of(row) for *_, row in found[:limit]]
    return events, found[limit - 1][0] if len(found) > limit else None
