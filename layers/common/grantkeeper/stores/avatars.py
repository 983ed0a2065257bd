"""Pictures that providers show to a token's bearer only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Avatar
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import Item, from_item, to_item
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoAvatars:
    """`ports.Avatars` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def of_user(self, sub: str) -> Avatar | None:
        """Consistent."""
        return self._read(keys.user_avatar(sub))

    def of_connection(self, connection_id: str) -> Avatar | None:
        """Consistent."""
        return self._read(keys.connection_avatar(connection_id))

    def put_for_user(self, sub: str, avatar: Avatar, *, audit: AuditEvent) -> None:
        """Replace the user's picture, or note that the provider has none."""
        put = self._table.to_put(avatar_item(keys.user_avatar(sub), avatar))
        try:
            self._table.transact([put, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            raise StoreUnavailable("The picture could not be stored.") from None

    def _read(self, key: keys.Key) -> Avatar | None:
        item = self._table.get(key)
        return None if item is None else from_item(Avatar, item)


def avatar_item(key: keys.Key, avatar: Avatar) -> Item:
    """The item of a picture; at most 64 KiB of image, far below what an item holds."""
    return key_item(key) | to_item(avatar)
