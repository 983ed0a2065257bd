"""
Who stands under one registration and one provider account: one item each, from the callback to the disconnect.

    callback: `until` ──▶ confirmation: `confirmed` ──▶ disconnect: deleted
          └──▶ its time passes, or it is thrown away

One item and not one for each state, so that whoever reads the partition while a connection is confirmed sees it as the
one or as the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.stores import keys
from grantkeeper.stores.items import Item, from_value
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from grantkeeper.model import Connection, Pending


def counts(item: Item, *, now: int) -> bool:
    """Tell whether an entry is of a connection that is live, or may still be confirmed by somebody's clock."""
    return "confirmed" in item or "until" not in item or from_value(item["until"]) > now


def confirmed(table: Table, connection: Connection) -> Item:
    """The write that makes the entry stay until the disconnect."""
    entry = key_item(_key(connection)) | {"provider": {"S": connection.provider}, "confirmed": {"BOOL": True}}
    return table.to_put(entry)


def expected(table: Table, pending: Pending) -> Item:
    """The write that lets unconfirmed tokens count until nobody can confirm them; a confirmed entry stays one."""
    return table.to_update(
        _key(pending.connection),
        "SET #provider = :provider, #until = :until",
        values={":provider": pending.connection.provider, ":until": pending.over_at},
    )


def expected_no_more(table: Table, pending: Pending) -> Item:
    """The write that lets thrown-away tokens count no longer."""
    return table.to_update(
        _key(pending.connection),
        "SET #until = :over",
        condition="#until > :over",
        values={":over": pending.over_at},
    )


def expected_never(table: Table, pending: Pending) -> Item:
    """The write that takes away what discarded tokens left behind, unless the connection was confirmed, or may be."""
    return table.to_delete(
        _key(pending.connection),
        condition="attribute_not_exists(#confirmed) AND #until <= :over",
        values={":over": pending.over_at},
    )


def _key(connection: Connection) -> keys.Key:
    return keys.shared_account(connection.credentials_id, connection.account_id, connection.id)
