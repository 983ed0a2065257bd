"""A connection's public half as an item, and the item of one that waits for its confirmation."""

from __future__ import annotations

from grantkeeper.model import Connection, Grant, Pending, Profile
from grantkeeper.stores import keys
from grantkeeper.stores.grant_item import IN_KEY, connection_of, due_shard
from grantkeeper.stores.items import Item, from_item, from_value, to_item
from grantkeeper.stores.listing import listing
from grantkeeper.stores.table import key_item

UNCONFIRMED = {"N": "0"}  # the generation of tokens that are of none yet


def connection_item(connection: Connection, *, write_id: str) -> Item:
    """META: everything about a connection that is no secret."""
    order = listing(f"CONN#{connection.provider}", list_key(connection.status, connection.service, connection.id))
    body = to_item(connection, without=("id",))
    return key_item(keys.connection(connection.id)) | body | order | {"write_id": {"S": write_id}}


def list_key(status: str, service: str, connection_id: str) -> str:
    """The order of connections of one provider in the list: by status, then service."""
    return f"{status}#{service}#{connection_id}"


def read_connection(item: Item) -> Connection:
    """A connection as stored."""
    return _connection(item, connection_of(item))


def pending_item(pending: Pending, *, due_shards: int, write_id: str) -> Item:
    """Unconfirmed tokens: one item of their own, in nobody's way, due for erasure when their time is over."""
    connection_id = pending.connection.id
    return key_item(keys.pending(connection_id, pending.session_id)) | {
        "connection": {"M": to_item(pending.connection, without=("id",))},
        "grants": {"M": {g.name: {"M": to_item(g, without=IN_KEY)} for g in pending.grants}},
        "expires_at": {"N": str(pending.expires_at)},
        "replaces": {"BOOL": pending.replaces},
        "provider": {"S": pending.connection.provider},
        "generation": UNCONFIRMED,
        "due_at": {"N": str(pending.over_at)},
        "due_shard": {"S": due_shard(connection_id, due_shards)},
        "write_id": {"S": write_id},
    }


def read_pending(item: Item) -> Pending:
    """Unconfirmed tokens as stored, whatever their age."""
    connection_id = connection_of(item)
    return Pending(
        session_id=item["sk"]["S"].partition("#")[2],
        connection=_connection(item["connection"]["M"], connection_id),
        grants=tuple(
            from_item(Grant, grant["M"], connection_id=connection_id, name=name)
            for name, grant in sorted(item["grants"]["M"].items())
        ),
        expires_at=from_value(item["expires_at"]),
        replaces=from_value(item["replaces"]),
    )


def _connection(item: Item, connection_id: str) -> Connection:
    profile = from_item(Profile, item["profile"]["M"]) if "profile" in item else None
    plain = {name: value for name, value in item.items() if name != "profile"}
    return from_item(Connection, plain, id=connection_id, profile=profile)
