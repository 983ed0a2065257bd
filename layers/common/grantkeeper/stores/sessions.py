"""Refresh-token families: one item each, replaced whole at every rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.model import AuditEvent, Session
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import Item, from_item, from_value, to_item
from grantkeeper.stores.one_time import NEW, ttl
from grantkeeper.stores.retrying import ConditionFailed, TransactionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient


class DynamoSessions:
    """`ports.Sessions` in the table Requests: a restore of Grants never revives a session."""

    def __init__(self, client: DynamoDBClient, requests_table: str, audit_table: str) -> None:
        self._table = Table(client, requests_table)
        self._audit = Table(client, audit_table)

    def create(self, session: Session, *, audit: AuditEvent) -> bool:
        """
        Open a family, with its entry in the user's list, in one transaction.

        Returns:
            False when the family exists: a second use of its code was faster, and put a revoked one there.
        """
        entry = {"family": {"S": session.family}, **ttl(session.expires_at)}
        write_id = new_write_id()
        try:
            self._table.transact(
                [
                    self._table.to_put(_item(session, write_id), condition=NEW),
                    self._table.to_put(key_item(keys.user_session(session.sub, session.sid)) | entry, condition=NEW),
                    *audit_writes(self._audit, audit),
                ]
            )
        except TransactionFailed as failure:
            return is_own(failure.item(0), write_id)
        return True

    def get(self, family: str) -> Session | None:
        """Consistent, whatever its status or age."""
        item = self._table.get(keys.session(family))
        return None if item is None else from_item(Session, item)

    def rotate(self, successor: Session, *, expected_counter: int) -> bool:
        """
        Replace the family's item, if it is active and its counter is still the expected one.

        The order of rotations is the counter's, never a clock's: two within a second stay two. A revoke that comes
        first wins; one that comes later finds the successor and ends it.
        """
        write_id = new_write_id()
        try:
            self._table.put(
                _item(successor, write_id),
                condition="#counter = :expected AND #status = :active",
                values={":expected": expected_counter, ":active": "active"},
            )
        except ConditionFailed as failure:
            return is_own(failure.item, write_id)
        return True

    def revoke(self, family: str, *, audit: AuditEvent) -> bool:
        """End a family, whichever rotation it is at, with its audit entry."""
        write_id = new_write_id()
        end = self._table.to_update(
            keys.session(family),
            "SET #status = :revoked, #write_id = :write_id REMOVE #sealed_successor",
            condition="#status = :active",
            values={":revoked": "revoked", ":active": "active", ":write_id": write_id},
        )
        try:
            self._table.transact([end, *audit_writes(self._audit, audit)])
        except TransactionFailed as failure:
            return is_own(failure.item(0), write_id)
        return True

    def find(self, sub: str, sid: str) -> Session | None:
        """The session that tokens name `sid`: two reads, however many sessions the user has; consistent."""
        entry = self._table.get(keys.user_session(sub, sid))
        return None if entry is None else self.get(from_value(entry["family"]))

    def list(self, sub: str) -> Sequence[Session]:
        """A user's sessions of every status; the caller leaves out the expired."""
        entries = self._table.query(f"USER#{sub}", prefix="SESSION#")
        families = [from_value(entry["family"]) for entry in entries]
        items = self._table.batch_get([keys.session(family) for family in families])
        return sorted((from_item(Session, item) for item in items), key=lambda s: (s.created_at, s.sid))


def _item(session: Session, write_id: str) -> Item:
    key = key_item(keys.session(session.family))
    return key | to_item(session) | ttl(session.expires_at) | {"write_id": {"S": write_id}}
