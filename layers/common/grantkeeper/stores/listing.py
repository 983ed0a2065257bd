"""The index `list`: all clients, all keys, all users, in an order worth paging through."""

from __future__ import annotations

from grantkeeper.stores.items import Item
from grantkeeper.stores.table import Table

MAX_LISTED = 10_000


def listing(kind: str, key: str) -> Item:
    """Index attributes of an item; the key is cut where DynamoDB would refuse it."""
    return {"list_pk": {"S": kind}, "list_sk": {"S": key.encode()[:1000].decode(errors="ignore")}}


def listed(table: Table, kind: str, *, limit: int = MAX_LISTED) -> list[Item]:
    """All items of a kind in the order of their keys, as the index has them: possibly a moment late."""
    condition = "#list_pk = :kind"
    request = table.request(condition=None, values={":kind": kind}, expressions=(condition,))
    request |= {"IndexName": "list", "KeyConditionExpression": condition}
    return list(table.pages(request, limit=limit))
