"""
Disconnecting: tombstones at once; the sealed sets stay due until they are revoked upstream and erased.

Nothing here looks at what is sealed, nor is shown it by a write that is refused, so that whoever may see no sealed
bytes may disconnect (T-08). A tombstone is due exactly as long as its set is not erased.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.connection_item import list_key, read_connection
from grantkeeper.stores.grant_item import due_shard
from grantkeeper.stores.items import Item, from_value, to_value
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item, new_write_id, unshown

if TYPE_CHECKING:
    from grantkeeper.model import Connection

PUBLIC = (
    "#pk, #sk, #sub, #client_id, #provider, #service, #account_id, #credentials_id, #scopes, #requested_scopes,"
    " #status, #created_at, #updated_at, #kind, #label, #reason, #used_day, #token_names, #reconnect_by, #profile,"
    " #metadata, #write_id, #generation, #due_at, #frozen_by"
)  # every attribute of META, and of a grant how it stands
ROUNDS = 6
FROZEN = "frozen_by"  # marks a grant that went into an archive and lives on in another stack (`grantkeeper export`)
FOLLOW_UP = 300  # seconds after which the sweeper sees to a revocation whose message was lost


@dataclass(frozen=True, slots=True)
class Revocation:
    """Disconnects and erases; see `ports.Connections`."""

    table: Table
    audit: Table
    due_shards: int

    def disconnect(self, connection_id: str, *, now: int, audit: AuditEvent) -> Connection | None:
        """
        Turn META and every grant to `revoked` in one transaction, whatever generation a refresh is at.

        The user's entry goes, so that the account can be connected anew, under a new id; so does the entry among those
        who share the provider's account. That it was his stays: whoever erases him finds what is left of it.
        """
        for _ in range(ROUNDS):
            found = self.table.query(keys.connection(connection_id)[0], only=PUBLIC)
            items = {item["sk"]["S"]: item for item in found}
            if "META" not in items:
                return None
            connection = read_connection(items["META"])
            if connection.status == "revoked":
                return connection
            grants = [item for sk, item in items.items() if sk.startswith("GRANT#")]
            picture = keys.connection_avatar(connection_id)
            writes = [
                self._meta(connection, items["META"], now=now),
                *(unshown(self._tombstone(connection, item, now=now)) for item in grants),
                *self._entries(connection, now=now),
                *([self.table.to_delete(picture)] if picture[1] in items else []),
            ]
            left = {**audit.details, "from": connection.status}
            of_user = replace(audit, sub=audit.sub or connection.sub, details=left)
            try:
                self.table.transact([*writes, *audit_writes(self.audit, of_user)])
            except TransactionFailed:
                continue  # a confirmation or another disconnect came between our read and our write
            return replace(connection, status="revoked", reason="revoked_by_user", updated_at=now)
        raise StoreUnavailable("The connection keeps changing.", retry_after=1)

    def erase(self, connection_id: str, *, audit: AuditEvent, write_ids: Collection[str] | None) -> None:
        """Remove the sealed sets of tombstones, and with them their place on the due index."""
        for _ in range(ROUNDS):
            kept = self._unerased(connection_id)
            if write_ids is not None:
                kept = [item for item in kept if from_value(item["write_id"]) in write_ids]
            if not kept:
                return
            try:
                self.table.transact(
                    [*(unshown(self._emptied(item)) for item in kept), *audit_writes(self.audit, audit)]
                )
            except TransactionFailed:
                continue  # tokens that came late were put in the place of those we read
            return
        raise StoreUnavailable("The connection keeps changing.", retry_after=1)

    def unerased(self, connection_id: str) -> Sequence[int]:
        """Generations of tombstones whose sealed sets are there still; consistent."""
        return [from_value(item["generation"]) for item in self._unerased(connection_id)]

    def _unerased(self, connection_id: str) -> list[Item]:
        items = self.table.query(keys.connection(connection_id)[0], prefix="GRANT#", only=PUBLIC)
        return [item for item in items if item["status"] == {"S": "revoked"} and "due_at" in item]

    def _meta(self, connection: Connection, stored: Item, *, now: int) -> Item:
        return self.table.to_update(
            keys.connection(connection.id),
            "SET #status = :revoked, #reason = :reason, #updated_at = :now, #list_sk = :order, #write_id = :write_id",
            condition="#write_id = :seen",
            values={
                ":revoked": "revoked",
                ":reason": "revoked_by_user",
                ":now": now,
                ":order": list_key("revoked", connection.service, connection.id),
                ":write_id": new_write_id(),
                ":seen": from_value(stored["write_id"]),
            },
        )

    def _tombstone(self, connection: Connection, item: Item, *, now: int) -> Item:
        key = (item["pk"]["S"], item["sk"]["S"])
        if FROZEN in item:  # whoever has it now would be cut off: there is nothing to revoke here, so nothing is kept
            return self.table.to_update(
                key,
                "SET #status = :revoked, #reason = :reason"
                " REMOVE #sealed, #due_at, #due_shard, #previous_refresh_token_hash",
                condition="attribute_exists(#frozen_by)",
                values={":revoked": "revoked", ":reason": "revoked_by_user"},
            )
        return self.table.to_update(
            key,
            "SET #status = :revoked, #reason = :reason, #due_at = :due_at, #due_shard = :shard",
            condition="attribute_exists(#pk)",
            values={
                ":revoked": "revoked",
                ":reason": "revoked_by_user",
                ":due_at": now + FOLLOW_UP,
                ":shard": due_shard(connection.id, self.due_shards),
            },
        )

    def _entries(self, connection: Connection, *, now: int) -> list[Item]:
        own = {":own": connection.id}
        entry = keys.account_entry(connection.sub, connection.service, connection.account_id)
        free = self.table.to_delete(entry, condition="attribute_not_exists(#pk) OR #connection_id = :own", values=own)
        shared = keys.shared_account(connection.credentials_id, connection.account_id, connection.id)
        past = key_item(keys.past_connection(connection.sub, connection.id)) | {"ended_at": to_value(now)}
        return [free, self.table.to_delete(shared), self.table.to_put(past)]

    def _emptied(self, item: Item) -> Item:
        return self.table.to_update(
            (item["pk"]["S"], item["sk"]["S"]),
            "REMOVE #sealed, #due_at, #due_shard, #previous_refresh_token_hash",
            condition="#status = :revoked AND #write_id = :seen",
            values={":revoked": "revoked", ":seen": from_value(item["write_id"])},
        )
