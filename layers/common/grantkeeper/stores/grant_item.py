"""A grant and its lease as items; the keys of the due index."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import DueGrant, Grant, Lease
from grantkeeper.stores import keys
from grantkeeper.stores.items import Item, from_item, from_value, to_item
from grantkeeper.stores.table import key_item

IN_KEY = ("connection_id", "name")
REVOKED = {"S": "revoked"}


def grant_item(grant: Grant, *, due_shards: int) -> Item:
    """A grant, on the due index exactly when it has a `due_at`."""
    item = key_item(keys.grant(grant.connection_id, grant.name)) | to_item(grant, without=IN_KEY)
    if grant.due_at is not None:
        item["due_shard"] = {"S": due_shard(grant.connection_id, due_shards)}
    return item


def read_grant(item: Item) -> Grant:
    """A grant as stored; an erased one has an empty sealed set."""
    return from_item(Grant, item, connection_id=connection_of(item), name=_name_of(item), sealed=b"")


def lease_item(lease: Lease) -> Item:
    """A lease: one small write, never on an index."""
    return key_item(keys.lease(lease.connection_id, lease.name)) | to_item(lease, without=IN_KEY)


def read_lease(item: Item) -> Lease:
    """A lease as stored; without `intent` its outcome is known."""
    return from_item(Lease, item, connection_id=connection_of(item), name=_name_of(item), intent=None)


def read_due(item: Item) -> DueGrant:
    """A row of the due index. Unconfirmed tokens have generation 0, and their session's id for a name."""
    return DueGrant(
        connection_id=connection_of(item),
        name=_name_of(item),
        provider=from_value(item["provider"]),
        generation=from_value(item["generation"]),
        due_at=from_value(item["due_at"]),
    )


def due_shard(connection_id: str, shards: int) -> str:
    """The partition of the due index for a connection: all its tokens stand together."""
    return f"{keys.shard_of(connection_id, shards)}"


def connection_of(item: Item) -> str:
    """The connection id in a partition key."""
    return _after_first_hash(item["pk"])


def _name_of(item: Item) -> str:
    return _after_first_hash(item["sk"])


def _after_first_hash(value: Any) -> str:
    text: str = value["S"]
    return text.partition("#")[2]
