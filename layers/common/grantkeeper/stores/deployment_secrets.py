"""
Random keys of the deployment, made at first use.

They stand in the table Requests, which is not backed up: a cursor that outlives
a restore is refused, and the list is read again from its beginning.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from grantkeeper.stores.items import Item
from grantkeeper.stores.keys import Key
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KEY_BYTES = 32


class DynamoDeploymentSecrets:
    """The `DeploymentSecrets` port. What these keys protect is worth a MAC and no more: never a grant."""

    def __init__(self, client: DynamoDBClient, requests: str) -> None:
        self._table = Table(client, requests)
        self._known: dict[str, bytes] = {}

    def key(self, name: str) -> bytes:
        """Read it, or make it: of any number of racing first callers one writes, and all get what it wrote."""
        if name not in self._known:
            item = self._table.get(_key(name)) or self._make(name)
            self._known[name] = bytes(item["secret"]["B"])
        return self._known[name]

    def _make(self, name: str) -> Item:
        item: Item = {**key_item(_key(name)), "secret": {"B": secrets.token_bytes(KEY_BYTES)}}
        try:
            self._table.put(item, condition="attribute_not_exists(#pk)")
        except ConditionFailed as failed:  # another was first, or we were and did not hear of it
            return failed.item or item
        return item


def _key(name: str) -> Key:
    return f"DEPLOYMENT#{name}", "SECRET"
