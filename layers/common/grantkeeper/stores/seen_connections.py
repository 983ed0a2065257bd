"""
Connections for those who may see nothing sealed (T-08).

A connection's partition holds its grants as well, and IAM cannot tell sort keys apart. So whoever reads through this
module asks for attributes by name, `sealed` not among them, and his role allows him no other question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.stores import keys
from grantkeeper.stores.connection_item import read_connection
from grantkeeper.stores.items import from_value
from grantkeeper.stores.list_pages import key_at, list_page
from grantkeeper.stores.revocation import PUBLIC, Revocation
from grantkeeper.stores.shared_accounts import counts
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import AuditEvent, Connection


class SeenConnections:
    """`services.admin_connections.Seen` and `services.disconnect.Ended` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str, *, due_shards: int) -> None:
        """Args: due_shards: partitions of the due index."""
        self._table = Table(client, grants_table)
        self._revocation = Revocation(self._table, Table(client, audit_table), due_shards)

    def get(self, connection_id: str) -> Connection | None:
        """Consistent."""
        items = self._table.query(keys.connection(connection_id)[0], prefix="META", only=PUBLIC)
        return read_connection(items[0]) if items else None

    def page(
        self, provider: str, *, prefix: str, where: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[Sequence[Connection], str | None]:
        """
        Connections of a provider by status, service and id; possibly a moment late, and possibly fewer than there are.

        Args:
            prefix: How `status#service#id` begins; empty, all.
            where: Fields of a connection and the values they must have.
            after: What the page before returned.
            limit: Connections at most.

        Returns:
            Connections, and what to pass as `after` for the next page; None at the end.
        """
        kind = f"CONN#{provider}"
        start = None
        if after is not None:
            start = key_at(kind, (*keys.connection(after.rpartition("#")[2]), after))
        page = list_page(self._table, kind, prefix=prefix, where=where, after=start, limit=limit)
        stopped_at = None if page.stopped_at is None else from_value(page.stopped_at["list_sk"])
        return [read_connection(item) for item in page.items], stopped_at

    def ids_of_user(self, sub: str) -> Sequence[str]:
        """Ids of what a user has connected now; consistent."""
        entries = self._table.query(keys.user(sub)[0], prefix="CONN#")
        return [from_value(entry["connection_id"]) for entry in entries]

    def past_ids_of_user(self, sub: str) -> Sequence[str]:
        """Ids of what a user has disconnected, as far as anything is left of it; consistent."""
        return [item["sk"]["S"].partition("#")[2] for item in self._table.query(keys.user(sub)[0], prefix="PAST#")]

    def unerased(self, connection_id: str) -> Sequence[int]:
        """Generations of the sealed sets of a revoked connection that are not erased yet; consistent."""
        return self._revocation.unerased(connection_id)

    def sharing(self, credentials_id: str, account_id: str, *, now: int) -> Sequence[str]:
        """Ids of the connections, live or to be confirmed, under the same credentials and account; consistent."""
        items = self._table.query(keys.shared_account_partition(credentials_id, account_id))
        return [item["sk"]["S"].partition("#")[2] for item in items if counts(item, now=now)]

    def disconnect(self, connection_id: str, *, now: int, audit: AuditEvent) -> Connection | None:
        """Revoke connection and grants at once, in one transaction; None when unknown; idempotent."""
        return self._revocation.disconnect(connection_id, now=now, audit=audit)

    def erase(self, connection_id: str, *, audit: AuditEvent, write_ids: Collection[str] | None = None) -> None:
        """Empty the sealed sets of a revoked connection; idempotent."""
        self._revocation.erase(connection_id, audit=audit, write_ids=write_ids)
