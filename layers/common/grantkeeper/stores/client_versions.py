"""Clients as they are edited: each at a version, so that of two editors the second is told."""

from __future__ import annotations

from grantkeeper.admin_ports import VersionedClient
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Client
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.clients import DynamoClients
from grantkeeper.stores.items import Item, from_item
from grantkeeper.stores.list_pages import key_at, list_page
from grantkeeper.stores.retrying import TransactionFailed


class DynamoClientVersions(DynamoClients):
    """`admin_ports.ClientVersions` in the table Grants; the version is what a write leaves to be known by."""

    def versioned(self, client_id: str) -> VersionedClient | None:
        """Consistent."""
        item = self._table.get(keys.client(client_id))
        return None if item is None else VersionedClient(from_item(Client, item), item["write_id"]["S"])

    def create(self, client: Client, *, audit: AuditEvent) -> None:
        """
        Store a new client with the entries of its origins.

        Raises:
            StoreUnavailable: Its id is taken, or it is not known whether it was stored.
        """
        try:
            self._table.transact([*self._writes(client, None), *audit_writes(self._audit, audit)])
        except TransactionFailed:
            raise StoreUnavailable("The client exists already.") from None

    def replace(self, client: Client, *, version: str, audit: AuditEvent) -> bool:
        """Put a client in place of the version that was read, origins with it; False when it was changed since."""
        stored = self._table.get(keys.client(client.client_id))
        if stored is None or stored["write_id"]["S"] != version:
            return False
        try:
            self._table.transact([*self._writes(client, stored), *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True

    def page(self, *, limit: int, after: str | None) -> tuple[list[Client], str | None]:
        """Clients by id, as the index has them: possibly a moment late."""
        start: Item | None = None if after is None else key_at("CLIENT", [*keys.client(after), after])
        page = list_page(self._table, "CLIENT", limit=limit, after=start)
        found = [from_item(Client, item) for item in page.items]
        return found, None if page.stopped_at is None else page.stopped_at["list_sk"]["S"]
