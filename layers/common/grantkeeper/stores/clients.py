"""Applications of the team and the origins they may call from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Client
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import Item, from_item, to_item
from grantkeeper.stores.listing import listed, listing
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item, new_write_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient

ROUNDS = 5  # of a read and a conditional write, when two admins edit one client


class DynamoClients:
    """`ports.Clients` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def get(self, client_id: str) -> Client | None:
        """Consistent."""
        item = self._table.get(keys.client(client_id))
        return None if item is None else _read(item)

    def put(self, client: Client, *, audit: AuditEvent) -> None:
        """Create or replace a client together with the entries of its origins, in one transaction."""
        for _ in range(ROUNDS):
            stored = self._table.get(keys.client(client.client_id))
            try:
                self._table.transact([*self._writes(client, stored), *audit_writes(self._audit, audit)])
            except TransactionFailed:
                continue  # somebody else wrote it between our read and our write
            return
        raise StoreUnavailable("The client is being changed by others.", retry_after=1)

    def allows_origin(self, origin: str) -> bool:
        """True when some active client registered this origin (exact string)."""
        if len(origin) > 512:
            return False
        return any(item["status"] == {"S": "active"} for item in self._table.query(keys.origin(origin, "")[0]))

    def _writes(self, client: Client, stored: Item | None) -> list[Item]:
        item = key_item(keys.client(client.client_id)) | to_item(client) | listing("CLIENT", client.client_id)
        item["write_id"] = {"S": new_write_id()}
        if stored is None:
            first = self._table.to_put(item, condition=NEW)
        else:
            seen = stored["write_id"]["S"]
            first = self._table.to_put(item, condition="#write_id = :seen", values={":seen": seen})
        status = {"status": {"S": client.status}}
        entries = [
            self._table.to_put(key_item(keys.origin(origin, client.client_id)) | status)
            for origin in dict.fromkeys(client.origins)
        ]
        gone = set(_read(stored).origins if stored else ()) - set(client.origins)
        return [first, *entries, *(self._table.to_delete(keys.origin(o, client.client_id)) for o in sorted(gone))]

    def list(self) -> Sequence[Client]:
        """All clients, by id."""
        return [_read(item) for item in listed(self._table, "CLIENT")]


def _read(item: Item) -> Client:
    return from_item(Client, item)
