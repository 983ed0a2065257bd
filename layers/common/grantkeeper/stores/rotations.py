"""The rotation of the branch keys that goes on or was the last one, and the end of old versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper.key_rotation import Rotation
from grantkeeper.model import AuditEvent
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.branch_keys import version_key
from grantkeeper.stores.items import Item, from_item, from_value, to_item
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item, new_write_id

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoRotations:
    """`key_rotation.Rotations` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def current(self) -> Rotation | None:
        """
        The last rotation, finished or not; consistent.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        item = self._table.get(keys.rotation())
        return None if item is None else from_item(Rotation, item)

    def put(self, rotation: Rotation, *, replaces: Rotation | None, audit: AuditEvent) -> bool:
        """
        Store a rotation with its audit entry in place of another; False when somebody else was faster.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        item = key_item(keys.rotation()) | to_item(replace(rotation, write_id=new_write_id()))
        condition, values = (NEW, {}) if replaces is None else ("#write_id = :before", {":before": replaces.write_id})
        return self._transact([self._table.to_put(item, condition=condition, values=values)], audit)

    def versions(self, bucket: int, *, below: int) -> Mapping[int, int | None]:
        """
        Stored versions below one, with when they were retired (epoch seconds), None for those that are not.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        found = self._table.batch_get([version_key(bucket, version) for version in range(1, below)])
        retired = ((from_value(item["version"]), item.get("retired_at")) for item in found)
        return {version: None if at is None else from_value(at) for version, at in retired}

    def retire(self, bucket: int, version: int, *, now: int, audit: AuditEvent) -> bool:
        """
        Mark a version as retired; it goes on opening what it sealed. False when it is gone or retired already.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        mark = self._table.to_update(
            version_key(bucket, version),
            "SET #retired_at = :now",
            condition="attribute_exists(#pk) AND attribute_not_exists(#retired_at)",
            values={":now": now},
        )
        return self._transact([mark], audit)

    def delete(self, bucket: int, version: int, *, retired_before: int, audit: AuditEvent) -> bool:
        """
        Delete a version retired before (epoch seconds): what it sealed opens no more. False when it was not.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        gone = self._table.to_delete(
            version_key(bucket, version), condition="#retired_at <= :before", values={":before": retired_before}
        )
        return self._transact([gone], audit)

    def _transact(self, writes: list[Item], audit: AuditEvent) -> bool:
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True
