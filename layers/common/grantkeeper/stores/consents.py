"""
What users let clients use.

A consent counts while its item is there: one read tells. A withdrawn one moves aside in the same transaction, so
the list shows it and no check can take it for one that counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.model import AuditEvent, Consent
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import Item, from_item, to_item
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient


class DynamoConsents:
    """`ports.Consents` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def list(self, sub: str) -> Sequence[Consent]:
        """All of a user's consents, those he withdrew too, newest first; consistent."""
        partition = f"USER#{sub}"
        items = [*self._table.query(partition, prefix="CONSENT#"), *self._table.query(partition, prefix="WITHDRAWN#")]
        found = [from_item(Consent, item, sub=sub) for item in items]
        return sorted(found, key=lambda c: (c.created_at, c.client_id, c.connection_id, c.withdrawn_at or 0))[::-1]

    def withdraw(self, sub: str, client_id: str, connection_id: str, *, now: int, audit: AuditEvent) -> bool:
        """End a consent and keep that it was; False when there is none."""
        key = keys.consent(sub, client_id, connection_id)
        item = self._table.get(key)
        if item is None:
            return False
        kept = {name: value for name, value in item.items() if name not in ("pk", "sk")}
        aside = key_item(keys.withdrawn_consent(sub, client_id, connection_id, now))
        writes = [
            self._table.to_delete(
                key, condition="#created_at = :seen", values={":seen": from_item(Consent, item, sub=sub).created_at}
            ),
            self._table.to_put(aside | kept | {"withdrawn_at": {"N": str(now)}}),
        ]
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True


def consent_put(table: Table, consent: Consent) -> Item:
    """A consent as part of a transaction."""
    key = keys.consent(consent.sub, consent.client_id, consent.connection_id)
    return table.to_put(key_item(key) | to_item(consent, without=("sub",)))
