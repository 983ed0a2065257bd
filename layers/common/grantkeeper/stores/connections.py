"""The public halves of connections, from unconfirmed tokens to tombstones."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grantkeeper.errors import Conflict, ConnectSessionExpired, StoreUnavailable, TokenTooLarge
from grantkeeper.model import CONFIRM_SLACK, AuditEvent
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.confirmation import Confirmation, entries, uniqueness
from grantkeeper.stores.connection_item import connection_item, pending_item, read_connection, read_pending
from grantkeeper.stores.grant_item import grant_item
from grantkeeper.stores.items import from_value
from grantkeeper.stores.one_time import NEW, ttl
from grantkeeper.stores.retrying import ConditionFailed, TransactionFailed
from grantkeeper.stores.revocation import Revocation
from grantkeeper.stores.shared_accounts import counts, expected, expected_never, expected_no_more
from grantkeeper.stores.table import Table, is_own, new_write_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import Avatar, Connection, ConnectSession, Grant, Pending, Profile
    from grantkeeper.stores.items import Item

MAX_SEALED = 24 * 1024  # bytes of one sealed set; the services refuse token sets over 16 KiB


class DynamoConnections:
    """`ports.Connections` in the table Grants; the state of connect sessions stands in Requests."""

    def __init__(
        self, client: DynamoDBClient, grants_table: str, requests_table: str, audit_table: str, *, due_shards: int
    ) -> None:
        """Args: due_shards: partitions of the due index."""
        self._table = Table(client, grants_table)
        self._requests = Table(client, requests_table)
        self._audit = Table(client, audit_table)
        self._due_shards = due_shards
        self._confirmation = Confirmation(self._table, self._requests, self._audit, due_shards)
        self._revocation = Revocation(self._table, self._audit, due_shards)

    # --- reads ---

    def get(self, connection_id: str) -> Connection | None:
        """Consistent."""
        item = self._table.get(keys.connection(connection_id))
        return None if item is None else read_connection(item)

    def list_for_user(self, sub: str) -> Sequence[Connection]:
        """A user's connections, oldest first, consistent; a disconnected one is no longer listed."""
        entries_of_user = self._table.query(f"USER#{sub}", prefix="CONN#")
        wanted = [keys.connection(from_value(entry["connection_id"])) for entry in entries_of_user]
        found = [read_connection(item) for item in self._table.batch_get(wanted)]
        return sorted(found, key=lambda c: (c.created_at, c.id))

    def find_account(self, sub: str, service: str, account_id: str) -> str | None:
        """The connection id that user already has for this account at this service."""
        item = self._table.get(keys.account_entry(sub, service, account_id))
        return None if item is None else from_value(item["connection_id"])

    def sharing(self, credentials_id: str, account_id: str, *, now: int) -> Sequence[str]:
        """Ids of the connections, live or to be confirmed, under the same credentials and account; consistent."""
        items = self._table.query(keys.shared_account_partition(credentials_id, account_id))
        return [item["sk"]["S"].partition("#")[2] for item in items if counts(item, now=now)]

    def has_consent(self, sub: str, client_id: str, connection_id: str) -> bool:
        """True when the user allows this client to use the connection; consistent."""
        return self._table.get(keys.consent(sub, client_id, connection_id)) is not None

    def consented(self, sub: str, client_id: str) -> frozenset[str]:
        """Ids of all connections of the user that this client may use; consistent."""
        items = self._table.query(f"USER#{sub}", prefix=f"CONSENT#{client_id}#")
        return frozenset(from_value(item["connection_id"]) for item in items)

    # --- unconfirmed ---

    def authorize(self, pending: Pending, session: ConnectSession, *, now: int, audit: AuditEvent) -> None:
        """
        Store unconfirmed tokens and move their session open → authorized, in one transaction.

        Raises:
            ConnectSessionExpired: The session is not open any more.
            TokenTooLarge: Refused before any write.
        """
        _refuse_large(pending.grants)
        write_id = new_write_id()
        moved = self._requests.to_update(
            keys.connect_session(session.id),
            "SET #status = :authorized, #confirmation_hash = :confirmation, #pending_connection_id = :connection,"
            " #expires_at = :expires_at, #ttl = :ttl, #write_id = :write_id",
            condition="#status = :open AND #expires_at > :now",
            values={
                ":authorized": "authorized",
                ":open": "open",
                ":confirmation": session.confirmation_hash or "",
                ":connection": pending.connection.id,
                ":expires_at": session.expires_at,
                ":ttl": from_value(ttl(session.expires_at)["ttl"]),
                ":now": now,
                ":write_id": write_id,
            },
        )
        item = pending_item(pending, due_shards=self._due_shards, write_id=write_id)
        put = self._table.to_put(item, condition=NEW)
        seen = expected(self._table, pending)
        try:
            self._table.transact([moved, put, seen, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            if not is_own(failure.item(0), write_id):
                raise ConnectSessionExpired("The connect session is over.") from None

    def pending(self, connection_id: str, session_id: str, *, now: int) -> Pending | None:
        """The unconfirmed half of a session while it may be confirmed; consistent."""
        item = self._table.get(keys.pending(connection_id, session_id))
        pending = None if item is None else read_pending(item)
        return pending if pending is not None and pending.expires_at > now else None

    def unconfirmed(self, connection_id: str) -> Sequence[Pending]:
        """Every unconfirmed half of a connection, those past their time too; consistent."""
        return [read_pending(i) for i in self._table.query(keys.connection(connection_id)[0], prefix="PENDING#")]

    def abandon(self, connection_id: str, session_id: str, *, now: int) -> bool:
        """Make unconfirmed tokens long over, so that no clock confirms them, and due at once for the worker."""
        try:
            item = self._table.update(
                keys.pending(connection_id, session_id),
                "SET #expires_at = :over, #due_at = :now, #write_id = :write_id",
                condition="attribute_exists(#pk)",
                values={":now": now, ":over": now - CONFIRM_SLACK, ":write_id": new_write_id()},
            )
        except ConditionFailed:
            return False
        with contextlib.suppress(TransactionFailed, StoreUnavailable):  # its time passes by itself otherwise
            self._table.transact([expected_no_more(self._table, read_pending(item))])
        return True

    def postpone_discard(self, connection_id: str, session_id: str, *, due_at: int) -> None:
        """Move the time at which unconfirmed tokens past theirs are looked at again; nothing else of them."""
        with contextlib.suppress(ConditionFailed):
            self._table.update(
                keys.pending(connection_id, session_id),
                "SET #due_at = :due_at",
                condition="attribute_exists(#pk)",
                values={":due_at": due_at},
            )

    def discard(self, connection_id: str, session_id: str, *, audit: AuditEvent) -> Pending | None:
        """Delete unconfirmed tokens. Of callers that race, one is given what was deleted."""
        key = keys.pending(connection_id, session_id)
        item = self._table.get(key)
        if item is None:
            return None
        delete = self._table.to_delete(
            key, condition="#write_id = :seen", values={":seen": from_value(item["write_id"])}
        )
        try:
            self._table.transact([delete, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return None
        pending = read_pending(item)
        with contextlib.suppress(TransactionFailed, StoreUnavailable):  # it counts no more; nor need it stay
            self._table.transact([expected_never(self._table, pending)])
        return pending

    # --- active ---

    def confirm(self, pending: Pending, *, consent_client_id: str, now: int, audit: AuditEvent) -> Connection:
        """
        Move pending grants into place, byte for byte, and activate the connection, in one transaction.

        Raises:
            ConnectSessionExpired: Nothing pending, or the session was ended.
            Conflict: The account was connected by a racing session, or the connection was disconnected meanwhile.
        """
        return self._confirmation.confirm(pending, consent_client_id=consent_client_id, now=now, audit=audit)

    def add_api_key(self, connection: Connection, grant: Grant, *, consent_client_id: str, audit: AuditEvent) -> None:
        """
        Store a user's own key for a service: connection and grant at once.

        Raises:
            Conflict: The user has a connection for this account.
            TokenTooLarge: Refused before any write.
        """
        _refuse_large((grant,))
        writes = [
            uniqueness(self._table, connection),
            self._table.to_put(connection_item(connection, write_id=new_write_id()), condition=NEW),
            self._table.to_put(grant_item(grant, due_shards=self._due_shards), condition=NEW),
            *entries(self._table, connection, consent_client_id=consent_client_id, now=connection.created_at),
        ]
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            stored = failure.item(0)
            if stored is None:
                raise StoreUnavailable("The connection could not be stored.") from None
            if from_value(stored["connection_id"]) != connection.id:
                raise Conflict("The user has a connection for this account.") from None

    def update_profile(
        self, connection_id: str, profile: Profile, *, now: int, audit: AuditEvent, avatar: Avatar | None = None
    ) -> bool:
        """Replace the account's profile on META, unless the connection is revoked; never touches a grant."""
        change = "SET #profile = :value, #updated_at = :now, #write_id = :write_id"
        beside: tuple[Item, ...] = ()
        if avatar is not None:
            from grantkeeper.stores.avatars import avatar_item  # noqa: PLC0415 - a hot function does without

            beside = (self._table.to_put(avatar_item(keys.connection_avatar(connection_id), avatar)),)
        return self._update_meta(connection_id, change, profile, now=now, audit=audit, beside=beside)

    def update_metadata(self, connection_id: str, metadata: Mapping[str, Any], *, now: int, audit: AuditEvent) -> bool:
        """Replace what is known of the connection on META, unless it is revoked; never touches a grant."""
        change = "SET #metadata = :value, #updated_at = :now, #write_id = :write_id"
        return self._update_meta(connection_id, change, metadata, now=now, audit=audit)

    def update_scopes(self, connection_id: str, scopes: Sequence[str], *, now: int, audit: AuditEvent) -> bool:
        """Replace the granted scopes on META, unless the connection is revoked; never touches a grant."""
        change = "SET #scopes = :value, #updated_at = :now, #write_id = :write_id"
        return self._update_meta(connection_id, change, tuple(scopes), now=now, audit=audit)

    def update_forecast(self, connection_id: str, reconnect_by: int | None, *, now: int, audit: AuditEvent) -> bool:
        """Replace `reconnect_by` on META, unless the connection is revoked; never touches a grant."""
        change = "SET #reconnect_by = :value, #updated_at = :now, #write_id = :write_id"
        return self._update_meta(connection_id, change, reconnect_by, now=now, audit=audit)

    def _update_meta(
        self,
        connection_id: str,
        change: str,
        value: object,
        *,
        now: int,
        audit: AuditEvent,
        beside: Sequence[Item] = (),
    ) -> bool:
        write_id = new_write_id()
        update = self._table.to_update(
            keys.connection(connection_id),
            change,
            condition="#status <> :revoked AND attribute_exists(#pk)",
            values={":value": value, ":now": now, ":write_id": write_id, ":revoked": "revoked"},
        )
        try:
            self._table.transact([update, *beside, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            return is_own(failure.item(0), write_id)
        return True

    def touch(self, connection_id: str, *, day: str) -> None:
        """Write `used_day`, at most once a day; best effort."""
        with contextlib.suppress(ConditionFailed, StoreUnavailable):
            self._table.update(
                keys.connection(connection_id),
                "SET #used_day = :day",
                condition="attribute_exists(#pk) AND #used_day <> :day",
                values={":day": day},
                budget=0.5,
            )

    # --- revoked ---

    def unerased(self, connection_id: str) -> Sequence[int]:
        """Generations of the sealed sets of a revoked connection that are not erased yet; consistent."""
        return self._revocation.unerased(connection_id)

    def disconnect(self, connection_id: str, *, now: int, audit: AuditEvent) -> Connection | None:
        """Revoke connection and grants at once, in one transaction; None when unknown; idempotent."""
        return self._revocation.disconnect(connection_id, now=now, audit=audit)

    def erase(self, connection_id: str, *, audit: AuditEvent, write_ids: Collection[str] | None = None) -> None:
        """
        Empty the sealed sets of a revoked connection; the tombstones stay. Idempotent.

        Args:
            write_ids: Only the sets of these writes; what came later stays, and stays due. None: all.
        """
        self._revocation.erase(connection_id, audit=audit, write_ids=write_ids)


def _refuse_large(grants: Sequence[Grant]) -> None:
    if any(len(grant.sealed) > MAX_SEALED for grant in grants):
        raise TokenTooLarge("The provider's token set is over 16 KiB.")
