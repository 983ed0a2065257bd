"""
What is dead and only takes up room: tombstones of connections that ended long ago, keys that are over.

Found by the index `list`, taken away on condition that it still is what was found. Whoever runs this may not see
anything sealed, so attributes are asked for by name, and a refused write does not show what stood there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grantkeeper.admin_ports import DeadConnection, DeadKey
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import Item, from_value
from grantkeeper.stores.list_pages import key_at, list_page
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, unshown

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import AuditEvent

MAX_CONSENTS = 60  # of one connection; with these its removal fits into one transaction of at most 100 writes
SEEN = "#pk, #sk, #status, #due_at, #updated_at, #write_id"


class DynamoDeadRows:
    """`admin_ports.DeadRows` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def connections(
        self, provider: str, *, after: str | None, limit: int
    ) -> tuple[Sequence[DeadConnection], str | None]:
        """Revoked connections of a provider, by service and id; possibly a moment late."""
        kind = f"CONN#{provider}"
        start = None if after is None else key_at(kind, [*keys.connection(after.rpartition("#")[2]), after])
        page = list_page(self._table, kind, prefix="revoked#", after=start, limit=limit)
        found = [
            DeadConnection(
                id=item["pk"]["S"].partition("#")[2],
                sub=from_value(item["sub"]),
                provider=from_value(item["provider"]),
                service=from_value(item["service"]),
                ended_at=from_value(item["updated_at"]),
            )
            for item in page.items
        ]
        return found, None if page.stopped_at is None else page.stopped_at["list_sk"]["S"]

    def remove_connection(self, dead: DeadConnection, *, ended_before: int, audit: AuditEvent) -> bool:
        """Take away tombstones, leases and consents of a connection that ended before; False if anything is left."""
        partition = keys.connection(dead.id)[0]
        rows = {row["sk"]["S"]: row for row in self._table.query(partition, only=SEEN)}
        meta = rows.pop("META", None)
        if meta is None or meta["status"] != {"S": "revoked"} or from_value(meta["updated_at"]) >= ended_before:
            return False
        if any("due_at" in row or sk.startswith("PENDING#") for sk, row in rows.items()):
            return False  # a sealed set that has not been revoked upstream and erased yet, or one to be discarded
        consents = self._consents(dead)
        if len(consents) > MAX_CONSENTS:
            return False
        writes = [
            self._delete(
                (partition, "META"),
                "#status = :revoked AND #write_id = :seen",
                {":revoked": "revoked", ":seen": from_value(meta["write_id"])},
            ),
            *(self._row(partition, sk) for sk in sorted(rows)),
            *(self._table.to_delete((row["pk"]["S"], row["sk"]["S"])) for row in consents),
            self._table.to_delete(keys.past_connection(dead.sub, dead.id)),
        ]
        return self._removed(writes, audit)

    def api_keys(self, *, after: str | None, limit: int) -> tuple[Sequence[DeadKey], str | None]:
        """All keys with when they ended, or will: revoked or expired, whatever came first."""
        start = None if after is None else key_at("APIKEY", [*keys.api_key(after.rpartition("#")[2]), after])
        page = list_page(self._table, "APIKEY", after=start, limit=limit)
        found = [
            DeadKey(
                id=from_value(item["key_id"]),
                sub=from_value(item["sub"]) if "sub" in item else None,
                client_id=from_value(item["client_id"]) if "client_id" in item else None,
                ended_at=min(from_value(item[name]) for name in ("expires_at", "revoked_at") if name in item),
            )
            for item in page.items
        ]
        return found, None if page.stopped_at is None else page.stopped_at["list_sk"]["S"]

    def remove_key(self, dead: DeadKey, *, ended_before: int, audit: AuditEvent) -> bool:
        """Take away a key that expired or was revoked before; one that was rotated since is not."""
        condition = "#expires_at < :before OR (#status = :revoked AND #revoked_at < :before)"
        values = {":before": ended_before, ":revoked": "revoked"}
        writes = [self._delete(keys.api_key(dead.id), condition, values)]
        if dead.sub is not None:
            entries = keys.user_api_key(dead.sub, dead.id), keys.ended_api_key(dead.sub, dead.id)
            writes += [self._table.to_delete(entry) for entry in entries]
        return self._removed(writes, audit)

    def _consents(self, dead: DeadConnection) -> list[Item]:
        """What its user let clients do with it, and had withdrawn: it is the end of their keys, or before a time."""
        mine = {":mine": dead.id}
        names = "#pk, #sk, #connection_id"
        owner = keys.user(dead.sub)[0]
        return [
            row
            for prefix in ("CONSENT#", "WITHDRAWN#")
            for row in self._table.query(owner, prefix=prefix, where="#connection_id = :mine", values=mine, only=names)
        ]

    def _row(self, partition: str, sk: str) -> Item:
        if sk.startswith("GRANT#"):
            empty = "#status = :revoked AND attribute_not_exists(#sealed) AND attribute_not_exists(#due_at)"
            return self._delete((partition, sk), empty, {":revoked": "revoked"})
        return self._table.to_delete((partition, sk))

    def _delete(self, key: keys.Key, condition: str, values: Item) -> Item:
        return unshown(self._table.to_delete(key, condition=condition, values=values))

    def _removed(self, writes: Sequence[Item], audit: AuditEvent) -> bool:
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True
