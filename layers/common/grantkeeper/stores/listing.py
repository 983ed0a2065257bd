"""The index `list`: all clients, all keys, all users, in an order worth paging through."""

from __future__ import annotations

from grantkeeper.stores.items import Item
from grantkeeper.stores.table import Table

MAX_LISTED = 10_000


def listing(kind: str, key: str) -> Item:
    """Index attributes of an item; the key is cut where DynamoDB would refuse it."""
    return {"list": {"S": kind}, "key": {"S": key.encode()[:1000].decode(errors="ignore")}}


def listed(table: Table, kind: str, *, limit: int = MAX_LISTED) -> list[Item]:
    """
    All items of a kind in the order of their keys.

    The index says which they are, possibly a moment late; their content is read from the table.
    """
    request = table.request(condition=None, values={":kind": kind}, expressions=("#list = :kind",))
    request |= {"IndexName": "list", "KeyConditionExpression": "#list = :kind"}
    order = [(row["pk"]["S"], row["sk"]["S"]) for row in table.pages(request, limit=limit)]
    found = {(item["pk"]["S"], item["sk"]["S"]): item for item in table.batch_get(order)}
    return [found[key] for key in order if key in found]
