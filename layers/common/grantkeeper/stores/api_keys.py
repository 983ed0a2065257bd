"""API keys, by their public id; of the secret there is only a hash."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import ApiKey, AuditEvent
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import Item, from_item, to_item
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
        Create a key, or replace it by the same key with another name or expiry.

        Raises:
            StoreUnavailable: The id belongs to a key with another secret.
        """
        put = self._table.to_put(
            _item(key),
            condition="attribute_not_exists(#pk) OR #secret_hash = :secret_hash",
            values={":secret_hash": key.secret_hash},
        )
        listed_too = [] if key.sub is None else [self._table.to_put(_in_the_list_of(key.sub, key.key_id))]
        try:
            self._table.transact([put, *listed_too, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            raise StoreUnavailable("The key exists already.") from None

    def rotate(self, key: ApiKey, *, replaces: ApiKey, audit: AuditEvent) -> bool:
        """One of racing rotations wins, and none brings a revoked key back."""
        put = self._table.to_put(
            _item(key),
            condition="#status = :active AND #secret_hash = :before",
            values={":active": "active", ":before": replaces.secret_hash},
        )
        try:
            self._table.transact([put, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True

    def revoke(self, key: ApiKey, *, audit: AuditEvent) -> bool:
        """The key stays, revoked, for whoever reads the trail; it leaves its user's list. That it was his is kept."""
        of_user = []
        if key.sub is not None:
            kept = self._table.to_put(key_item(keys.ended_api_key(key.sub, key.key_id)))
            of_user = [self._table.to_delete(keys.user_api_key(key.sub, key.key_id)), kept]
        writes = [
            self._table.to_update(
                keys.api_key(key.key_id),
                "SET #status = :revoked, #revoked_at = :now",
                condition="attribute_exists(#pk) AND #status <> :revoked",
                values={":revoked": "revoked", ":now": audit.time},
            ),
            *of_user,
        ]
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True

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

    def of_user(self, sub: str) -> Sequence[ApiKey]:
        """Consistent."""
        listed_there = self._table.query(keys.user(sub)[0], prefix="KEY#")
        wanted = [keys.api_key(item["sk"]["S"].removeprefix("KEY#")) for item in listed_there]
        found = [from_item(ApiKey, item) for item in self._table.batch_get(wanted)]
        return sorted(found, key=lambda key: (key.created_at, key.key_id))


def _item(key: ApiKey) -> Item:
    return key_item(keys.api_key(key.key_id)) | to_item(key) | listing("APIKEY", f"{key.client_id or ''}#{key.key_id}")


def _in_the_list_of(sub: str, key_id: str) -> Item:
    """The bare name: what is shown of a key is read where it is looked up, the day of use with it."""
    return key_item(keys.user_api_key(sub, key_id))
