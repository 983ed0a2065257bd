"""Signing keys: one item that holds the whole ring, changed by version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grantkeeper.model import AuditEvent, SigningKey, SigningKeyRing
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import from_item, from_value, to_item, to_value
from grantkeeper.stores.keys import Key
from grantkeeper.stores.retrying import TransactionFailed, call
from grantkeeper.stores.table import Table, key_item

SIGNER: Key = ("SIGNER", "SIGNER")


class DynamoSigningKeys:
    """`ports.SigningKeys`. Nothing is remembered here: whoever reads decides how old a key set may be."""

    def __init__(self, dynamodb: Any, table: str, audit_table: str = "") -> None:
        """Args: audit_table: needed by `replace` alone."""
        self._table = Table(dynamodb, table)
        self._audit = Table(dynamodb, audit_table)

    def public(self) -> Sequence[SigningKey]:
        """
        Return all keys; the wrapped private halves stay in the table.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        answer = call(
            self._table.client.get_item,
            TableName=self._table.name,
            Key=key_item(SIGNER),
            ConsistentRead=True,
            ProjectionExpression="#keys",
            ExpressionAttributeNames={"#keys": "keys"},
        )
        return _keys(answer.get("Item", {}))

    def load(self) -> SigningKeyRing:
        """
        Return the ring with its wrapped private halves.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        item = self._table.get(SIGNER)
        if item is None:
            return SigningKeyRing()
        return SigningKeyRing(from_value(item["version"]), _keys(item), from_value(item["wrapped"]))

    def replace(self, ring: SigningKeyRing, *, audit: AuditEvent) -> bool:
        """
        Store a ring in place of version `ring.version - 1`, and the audit entry, in one transaction.

        Returns:
            False when somebody else was first; nothing was written then.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        item = key_item(SIGNER) | {
            "version": to_value(ring.version),
            "keys": {"L": [{"M": to_item(key)} for key in ring.keys]},
            "wrapped": to_value(ring.wrapped),
        }
        condition, values = "#version = :previous", {":previous": ring.version - 1}
        if ring.version == 1:
            condition, values = "attribute_not_exists(#pk)", {}
        put = self._table.to_put(item, condition=condition, values=values)
        try:
            self._table.transact([put, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True


def _keys(item: Mapping[str, Any]) -> tuple[SigningKey, ...]:
    members = item.get("keys", {"L": []})["L"]
    return tuple(from_item(SigningKey, member["M"]) for member in members)
