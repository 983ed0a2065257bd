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
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import Connection

PUBLIC = (
    "#pk, #sk, #sub, #client_id, #provider, #service, #account_id, #credentials_id, #scopes, #requested_scopes,"
    " #status, #created_at, #updated_at, #kind, #label, #reason, #used_day, #token_names, #reconnect_by, #profile,"
    " #metadata, #write_id, #generation, #due_at"
)  # of META, and what says whether a tombstone's grant still waits for its provider


class SeenConnections:
    """`services.admin_connections.Seen` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def get(self, connection_id: str) -> Connection | None:
        """Consistent."""
        items = self._table.query(keys.connection(connection_id)[0], prefix="META", only=PUBLIC)
        return read_connection(items[0]) if items else None

    def ids_of_user(self, sub: str) -> Sequence[str]:
        """Ids of what a user has connected now; consistent."""
        entries = self._table.query(keys.user(sub)[0], prefix="CONN#", only="#connection_id")
        return [from_value(entry["connection_id"]) for entry in entries]
