"""
Pages of the index `list`, with filters that the index knows nothing of.

A filter is applied after items were read, so a page could read the whole index to find one entry. It reads a bounded
number of items and says where it stopped: a page may hold fewer entries than were asked for and still not be the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grantkeeper.stores.items import Item, to_value
from grantkeeper.stores.retrying import call
from grantkeeper.stores.table import Table

READ_AT_ONCE = 500  # items of one Query
QUERIES = 4  # of one page


@dataclass(frozen=True, slots=True)
class ListPage:
    """Items in the order of their keys; `stopped_at` is the key of the last one looked at, None at the end."""

    items: Sequence[Item]
    stopped_at: Item | None


def list_page(
    table: Table,
    kind: str,
    *,
    prefix: str = "",
    where: Mapping[str, Any] | None = None,
    after: Item | None = None,
    limit: int,
) -> ListPage:
    """
    A page of the items of a kind; possibly a moment late, as the index is.

    Args:
        kind: `list_pk`.
        prefix: Only keys that begin with it.
        where: Attributes and the values they must have.
        after: `stopped_at` of the page before.
        limit: Entries at most, from 1.

    Raises:
        StoreUnavailable: It cannot be read now.
    """
    request = _request(table, kind, prefix=prefix, where=where or {})
    request["Limit"] = READ_AT_ONCE if where else limit + 1
    found: list[Item] = []
    for _ in range(QUERIES):
        start: dict[str, Any] = {"ExclusiveStartKey": after} if after else {}
        answer = call(table.client.query, **request, **start)
        found += answer["Items"]
        if len(found) > limit:
            return ListPage(found[:limit], _key(found[limit - 1]))
        after = answer.get("LastEvaluatedKey")
        if after is None or len(found) == limit:
            break
    return ListPage(found, after)


def _request(table: Table, kind: str, *, prefix: str, where: Mapping[str, Any]) -> dict[str, Any]:
    condition = "#list_pk = :kind" + (" AND begins_with(#list_sk, :prefix)" if prefix else "")
    filters = " AND ".join(f"#{name} = :{name}" for name in sorted(where))
    values = {":kind": kind, **({":prefix": prefix} if prefix else {}), **{f":{n}": v for n, v in where.items()}}
    request = table.request(condition=None, values=values, expressions=(condition, filters))
    request |= {"IndexName": "list", "KeyConditionExpression": condition}
    return request | ({"FilterExpression": filters} if filters else {})


def _key(item: Item) -> Item:
    return {name: item[name] for name in ("pk", "sk", "list_pk", "list_sk")}


def key_at(kind: str, place: Sequence[str]) -> Item:
    """A key of the index, from its words: pk, sk and list_sk."""
    pk, sk, list_sk = place
    return {"pk": to_value(pk), "sk": to_value(sk), "list_pk": to_value(kind), "list_sk": to_value(list_sk)}
