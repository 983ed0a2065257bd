"""Permissions to connect: found by id or by ticket, and moved forward one way only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.errors import ConnectSessionExpired, StoreUnavailable
from grantkeeper.model import AuditEvent, ConnectSession
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import from_item, from_value, to_item
from grantkeeper.stores.one_time import NEW, ttl
from grantkeeper.stores.retrying import ConditionFailed, TransactionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoConnectSessions:
    """`ports.ConnectSessions` in the table Requests. `open` → `authorized` → `confirmed` is `connections`' to write."""

    def __init__(self, client: DynamoDBClient, requests_table: str, audit_table: str) -> None:
        self._table = Table(client, requests_table)
        self._audit = Table(client, audit_table)

    def put(self, session: ConnectSession, *, audit: AuditEvent) -> None:
        """Store a session and the way to it from its ticket's hash, in one transaction."""
        kept = ttl(session.expires_at)
        item = key_item(keys.connect_session(session.id)) | to_item(session) | kept
        pointer = key_item(keys.ticket(session.ticket_hash)) | {"session_id": {"S": session.id}} | kept
        try:
            self._table.transact(
                [
                    self._table.to_put(item, condition=NEW),
                    self._table.to_put(pointer, condition=NEW),
                    *audit_writes(self._audit, audit),
                ]
            )
        except TransactionFailed:
            raise StoreUnavailable("The connect session exists already.") from None

    def get(self, session_id: str, *, now: int) -> ConnectSession:
        """
        Consistent, whatever its status.

        Raises:
            ConnectSessionExpired: Unknown or past `expires_at`.
        """
        item = self._table.get(keys.connect_session(session_id))
        session = None if item is None else from_item(ConnectSession, item)
        if session is None or session.expires_at <= now:
            raise ConnectSessionExpired("The connect session is unknown or expired.")
        return session

    def find_by_ticket(self, ticket_hash: str, *, now: int) -> ConnectSession:
        """
        By the hash of the ticket in the connect URL; does not consume it.

        Raises:
            ConnectSessionExpired: Unknown or past `expires_at`.
        """
        item = self._table.get(keys.ticket(ticket_hash))
        if item is None:
            raise ConnectSessionExpired("The connect session is unknown or expired.")
        return self.get(from_value(item["session_id"]), now=now)

    def bind_browser(self, session_id: str, browser_hash: str, *, now: int) -> None:
        """
        Remember the browser that opened the ticket last.

        Raises:
            ConnectSessionExpired: The session is not `open` any more.
        """
        try:
            self._table.update(
                keys.connect_session(session_id),
                "SET #browser_hash = :browser_hash",
                condition="#status = :open AND #expires_at > :now",
                values={":browser_hash": browser_hash, ":open": "open", ":now": now},
            )
        except ConditionFailed:
            raise ConnectSessionExpired("The connect session is over.") from None

    def end(self, session_id: str, *, now: int, audit: AuditEvent) -> bool:
        """Move open|authorized → ended; False if it was over already, confirmed included."""
        write_id = new_write_id()
        end = self._table.to_update(
            keys.connect_session(session_id),
            "SET #status = :ended, #ended_at = :now, #write_id = :write_id",
            condition="#status IN (:open, :authorized)",
            values={
                ":ended": "ended",
                ":open": "open",
                ":authorized": "authorized",
                ":now": now,
                ":write_id": write_id,
            },
        )
        try:
            self._table.transact([end, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            return is_own(failure.item(0), write_id)
        return True
