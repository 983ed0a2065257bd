"""API keys, by their public id; of the secret there is only a hash."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import ApiKey, AuditEvent
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import from_item, to_item
from grantkeeper.stores.listing import listed, listing
from grantkeeper.stores.retrying import ConditionFailed, TransactionFailed
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_dynamodb import DynamoDBClient


class DynamoApiKeys:
    """`ports.ApiKeys` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def get(self, key_id: str) -> ApiKey | None:
        """Consistent."""
        item = self._table.get(keys.api_key(key_id))
        return None if item is None else from_item(ApiKey, item)

    def put(self, key: ApiKey, *, audit: AuditEvent) -> None:
        """
        Create a key, or replace it by the same key with another status, name or expiry.

        Raises:
            StoreUnavailable: The id belongs to a key with another secret.
        """
        item = key_item(keys.api_key(key.key_id)) | to_item(key)
        item |= listing("APIKEY", f"{key.client_id or ''}#{key.key_id}")
        put = self._table.to_put(
            item,
            condition="attribute_not_exists(#pk) OR #secret_hash = :secret_hash",
            values={":secret_hash": key.secret_hash},
        )
        try:
            self._table.transact([put, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            raise StoreUnavailable("The key exists already.") from None

    def touch(self, key_id: str, *, day: str) -> None:
        """Note the last-used day, at most once a day; best effort: never fails a request."""
        with contextlib.suppress(ConditionFailed, StoreUnavailable):
            self._table.update(
                keys.api_key(key_id),
                "SET #used_day = :day",
                condition="attribute_exists(#pk) AND #used_day <> :day",
                values={":day": day},
                budget=0.5,
            )

    def list(self) -> Sequence[ApiKey]:
        """All keys, the operator's first, then by client."""
        return [from_item(ApiKey, item) for item in listed(self._table, "APIKEY")]
