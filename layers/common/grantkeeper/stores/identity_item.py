"""Identities and their users as parts of transactions: written at a first sign-in, by a link, by an unlinking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.stores import keys
from grantkeeper.stores.items import Item, to_item
from grantkeeper.stores.listing import listing
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from grantkeeper.model import Identity, User


def link_writes(table: Table, identity: Identity) -> list[Item]:
    """The item by which the identity is found, first, and its entry in the user's own list; neither may exist."""
    body = to_item(identity)
    return [
        table.to_put(key_item(keys.identity(identity.issuer, identity.subject)) | body, condition=NEW),
        table.to_put(
            key_item(keys.user_identity(identity.sub, identity.issuer, identity.subject)) | body, condition=NEW
        ),
    ]


def user_item(user: User, write_id: str) -> Item:
    """A user's profile."""
    order = listing("USER", f"{(user.email or '').lower()}#{user.sub}")
    return key_item(keys.user(user.sub)) | to_item(user) | order | {"write_id": {"S": write_id}}


def replacing_user(table: Table, user: User, write_id: str, *, expected_version: int | None = None) -> Item:
    """The profile in place of the version it was read at, stored as the one after."""
    expected = user.version if expected_version is None else expected_version
    item = user_item(user, write_id) | {"version": {"N": str(expected + 1)}}
    return table.to_put(item, condition="#version = :expected", values={":expected": expected})
