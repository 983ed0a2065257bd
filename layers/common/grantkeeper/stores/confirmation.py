"""
The one transaction that makes unconfirmed tokens a connection.

Everything is read first, consistently; then all of it changes on condition that nothing moved: the unconfirmed
item, the connection, each grant's generation, the session. What moved is read again, a few times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grantkeeper.errors import Conflict, ConnectSessionExpired, StoreUnavailable
from grantkeeper.model import AuditEvent, consent_of
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.connection_item import connection_item, read_connection, read_pending
from grantkeeper.stores.consents import consent_put
from grantkeeper.stores.grant_item import grant_item, read_grant
from grantkeeper.stores.items import Item, from_value
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.shared_accounts import confirmed
from grantkeeper.stores.table import Table, key_item, new_write_id

if TYPE_CHECKING:
    from grantkeeper.model import Connection, Grant, Pending

ROUNDS = 6


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the partition of a connection holds."""

    pending: Item | None
    meta: Item | None
    grants: dict[str, Grant]

    @property
    def connection(self) -> Connection | None:
        return None if self.meta is None else read_connection(self.meta)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Confirms; see `ports.Connections.confirm`."""

    table: Table
    requests: Table
    audit: Table
    due_shards: int

    def confirm(self, pending: Pending, *, consent_client_id: str, now: int, audit: AuditEvent) -> Connection:
        """
        Move pending grants into place, byte for byte, and activate the connection.

        Raises:
            ConnectSessionExpired: Nothing pending, or the session was ended.
            Conflict: The account was connected by a racing session, or the connection was disconnected meanwhile.
        """
        for _ in range(ROUNDS):
            stored = self._read(pending)
            if stored.pending is None:
                return self._confirmed_before(pending, stored)
            waiting = read_pending(stored.pending)
            if waiting.expires_at <= now:
                raise ConnectSessionExpired("The connection was not confirmed in time.")
            if stored.connection is not None and stored.connection.status == "revoked":
                raise Conflict("The connection was disconnected meanwhile.")
            active = _activated(waiting.connection, stored.connection, now=now)
            writes = [
                uniqueness(self.table, active),
                self._session_confirmed(waiting),
                self._pending_gone(stored.pending, now=now),
                self._meta(active, stored.meta),
                *(self._grant(grant, stored.grants.get(grant.name)) for grant in waiting.grants),
                *entries(self.table, active, consent_client_id=consent_client_id, now=now),
                *_moved_account(self.table, active, stored.connection),
            ]
            try:
                self.table.transact([*writes, *audit_writes(self.audit, _with_origin(audit, stored.connection))])
            except TransactionFailed as failure:
                self._refuse_if_final(failure)
                continue
            return active
        raise StoreUnavailable("The connection keeps changing.", retry_after=1)

    def _refuse_if_final(self, failure: TransactionFailed) -> None:
        """Raise for what another round cannot change."""
        session = failure.item(1)
        if failure.failed(1) and (session is None or from_value(session["status"]) != "confirmed"):
            raise ConnectSessionExpired("The connect session is over.") from None
        if failure.failed(0) and not failure.failed(2):
            raise Conflict("This account is connected already.") from None

    def _read(self, pending: Pending) -> _Stored:
        items = self.table.query(keys.connection(pending.connection.id)[0])
        by_key = {item["sk"]["S"]: item for item in items}
        grants = [read_grant(item) for sk, item in by_key.items() if sk.startswith("GRANT#")]
        return _Stored(
            pending=by_key.get(keys.pending(pending.connection.id, pending.session_id)[1]),
            meta=by_key.get("META"),
            grants={grant.name: grant for grant in grants},
        )

    def _confirmed_before(self, pending: Pending, stored: _Stored) -> Connection:
        session = self.requests.get(keys.connect_session(pending.session_id))
        confirmed = session is not None and from_value(session["status"]) == "confirmed"
        if not confirmed or stored.connection is None:
            raise ConnectSessionExpired("The connect session is over.")
        return stored.connection

    # --- the writes ---

    def _session_confirmed(self, waiting: Pending) -> Item:
        return self.requests.to_update(
            keys.connect_session(waiting.session_id),
            "SET #status = :confirmed, #write_id = :write_id",
            condition="#status = :authorized AND #pending_connection_id = :connection",
            values={
                ":confirmed": "confirmed",
                ":authorized": "authorized",
                ":connection": waiting.connection.id,
                ":write_id": new_write_id(),
            },
        )

    def _pending_gone(self, item: Item, *, now: int) -> Item:
        return self.table.to_delete(
            (item["pk"]["S"], item["sk"]["S"]),
            condition="#write_id = :seen AND #expires_at > :now",
            values={":seen": from_value(item["write_id"]), ":now": now},
        )

    def _meta(self, active: Connection, stored: Item | None) -> Item:
        item = connection_item(active, write_id=new_write_id())
        if stored is None:
            return self.table.to_put(item, condition=NEW)
        return self.table.to_put(item, condition="#write_id = :seen", values={":seen": from_value(stored["write_id"])})

    def _grant(self, waiting: Grant, before: Grant | None) -> Item:
        """The sealed bytes as they are: `generation` is outside what they are bound to."""
        generation = 1 if before is None else before.generation + 1
        item = grant_item(
            replace(waiting, generation=generation, status="active", reason=None, write_id=new_write_id()),
            due_shards=self.due_shards,
        )
        if before is None:
            return self.table.to_put(item, condition=NEW)
        return self.table.to_put(
            item,
            condition="#generation = :before AND #status <> :revoked",
            values={":before": before.generation, ":revoked": "revoked"},
        )


def _with_origin(audit: AuditEvent, before: Connection | None) -> AuditEvent:
    """The entry with the status that was left, so that counters can follow without asking."""
    return replace(audit, details={**audit.details, "from": "none" if before is None else before.status})


def uniqueness(table: Table, connection: Connection) -> Item:
    """The user's list entry, which is also what makes an account unique; refused when it is another connection's."""
    key = keys.account_entry(connection.sub, connection.service, connection.account_id)
    return table.to_put(
        key_item(key) | {"connection_id": {"S": connection.id}},
        condition="attribute_not_exists(#pk) OR #connection_id = :own",
        values={":own": connection.id},
    )


def entries(table: Table, connection: Connection, *, consent_client_id: str, now: int) -> list[Item]:
    """The consent of the client that connected, and the entry among those who share the provider's account."""
    writes = [consent_put(table, consent_of(connection, client_id=consent_client_id, now=now))]
    if connection.kind != "api_key":  # nobody shares a key of the user's own
        writes.append(confirmed(table, connection))
    return writes


def _activated(waiting: Connection, before: Connection | None, *, now: int) -> Connection:
    active = replace(waiting, status="active", reason=None, updated_at=now)
    if before is None:
        return active
    return replace(
        active,
        client_id=before.client_id,
        created_at=before.created_at,
        label=before.label or active.label,
        used_day=before.used_day,
    )


def _moved_account(table: Table, active: Connection, before: Connection | None) -> list[Item]:
    """A re-connect under newer provider credentials leaves the circle of the old ones."""
    if before is None or before.credentials_id == active.credentials_id:
        return []
    return [table.to_delete(keys.shared_account(before.credentials_id, before.account_id, active.id))]
