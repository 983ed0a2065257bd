"""
A table of DynamoDB, spoken to in the few forms the stores need.

Expressions are literals of this package. The names in them are placeholders
such as `#status`, each standing for the attribute of that very name, so no
text from outside ever becomes part of an expression.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.items import Item, to_value
from grantkeeper.stores.keys import Key
from grantkeeper.stores.retrying import BUDGET, call

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

MAX_PAGES = 200  # of a query; a partition of ours is far smaller
MAX_BATCH_ROUNDS = 8
MAX_KEY_BYTES = 1024  # of a sort key; nothing of ours is near it
PLACEHOLDER = re.compile(r"#\w+")


def new_write_id() -> str:
    """96 random bits: how a write knows itself again when its acknowledgement was lost."""
    return secrets.token_urlsafe(12)


def key_item(key: Key) -> Item:
    """The key attributes."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def unshown(write: Item) -> Item:
    """A part of a transaction that, refused, does not show what stood there: of a grant, sealed bytes (T-08)."""
    for kind in write.values():
        kind.pop("ReturnValuesOnConditionCheckFailure", None)
    return write


def is_own(item: Item | None, write_id: str, attribute: str = "write_id") -> bool:
    """True when the item that refused a write was written by that write itself."""
    return item is not None and item.get(attribute) == {"S": write_id}


@dataclass(frozen=True, slots=True)
class Table:
    """One table; every method raises `StoreUnavailable` when DynamoDB does not answer within the budget."""

    client: DynamoDBClient
    name: str

    # --- reads ---

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        """The item of a key, or None, also for a key no item can have."""
        if any(len(part.encode(errors="surrogatepass")) > MAX_KEY_BYTES for part in key):
            return None
        answer = call(self.client.get_item, TableName=self.name, Key=key_item(key), ConsistentRead=consistent)
        item: Item | None = answer.get("Item")
        return item

    def query(
        self, pk: str, *, prefix: str = "", where: str = "", values: Mapping[str, Any] | None = None, only: str = ""
    ) -> list[Item]:
        """
        All items of a partition, consistent, page by page to the end.

        Args:
            pk: The partition.
            prefix: Only sort keys that begin with it.
            where: A filter.
            values: What the filter compares with.
            only: Placeholders of the attributes to read, where a role may read no others.
        """
        condition = "#pk = :pk AND begins_with(#sk, :prefix)" if prefix else "#pk = :pk"
        bound: dict[str, Any] = {":pk": pk, **({":prefix": prefix} if prefix else {}), **(values or {})}
        request = self.request(condition=None, values=bound, expressions=(condition, where, only))
        request |= {"KeyConditionExpression": condition, "ConsistentRead": True}
        if where:
            request["FilterExpression"] = where
        if only:
            request |= {"ProjectionExpression": only, "Select": "SPECIFIC_ATTRIBUTES"}
        return list(self.pages(request, limit=None))

    def pages(self, request: Mapping[str, Any], *, limit: int | None) -> Iterable[Item]:
        """
        Items of a Query, until `limit` or the end; an empty page with a key to go on from is not the end.

        Raises:
            StoreUnavailable: The end was not reached within the bound on pages.
        """
        found, start = 0, None
        for _ in range(MAX_PAGES):
            answer = call(self.client.query, **request, **({"ExclusiveStartKey": start} if start else {}))
            for item in answer["Items"]:
                yield item
                found += 1
                if found == limit:
                    return
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return
        raise StoreUnavailable("The answer has too many pages.")

    def batch_get(
        self, keys: Sequence[Key], *, consistent: bool = True, only: Mapping[str, str] | None = None
    ) -> list[Item]:
        """
        Items of many keys, in no order; what DynamoDB leaves unprocessed is asked for again.

        Args:
            keys: Each once.
            consistent: As of now.
            only: Placeholder → attribute, where an item has many more than are wanted.

        Raises:
            StoreUnavailable: Some keys stayed unprocessed.
        """
        found: list[Item] = []
        for at in range(0, len(keys), 100):
            asked: Any = {"Keys": [key_item(k) for k in keys[at : at + 100]], "ConsistentRead": consistent}
            if only:
                asked |= {"ProjectionExpression": ", ".join(only), "ExpressionAttributeNames": dict(only)}
            wanted: Any = {self.name: asked}
            for _ in range(MAX_BATCH_ROUNDS):
                answer = call(self.client.batch_get_item, RequestItems=wanted)
                found += answer["Responses"].get(self.name, [])
                wanted = answer.get("UnprocessedKeys")
                if not wanted:
                    break
            else:
                raise StoreUnavailable("The store left keys unprocessed.", retry_after=1)
        return found

    # --- single writes ---

    def put(
        self,
        item: Item,
        *,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
        budget: float = BUDGET,
    ) -> Item | None:
        """
        Put an item and return the one it replaced, if any; None as well when a lost answer was asked for again.

        Raises:
            ConditionFailed: With what stood there.
        """
        request = self.request(condition=condition, values=values)
        answer = call(self.client.put_item, budget=budget, Item=item, ReturnValues="ALL_OLD", **request)
        replaced: Item | None = answer.get("Attributes")
        return replaced

    def update(
        self,
        key: Key,
        update: str,
        *,
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
        budget: float = BUDGET,
    ) -> Item:
        """Update an item and return it as it is afterwards. Raises `ConditionFailed` with what stood there."""
        request = self.request(condition=condition, values=values, expressions=(update,))
        answer = call(
            self.client.update_item,
            budget=budget,
            Key=key_item(key),
            UpdateExpression=update,
            ReturnValues="ALL_NEW",
            **request,
        )
        item: Item = answer["Attributes"]
        return item

    # --- parts of a transaction ---

    def to_put(self, item: Item, *, condition: str | None = None, values: Mapping[str, Any] | None = None) -> Item:
        """A Put for `transact`."""
        return {"Put": {"Item": item, **self.request(condition=condition, values=values)}}

    def to_update(
        self, key: Key, update: str, *, condition: str | None = None, values: Mapping[str, Any] | None = None
    ) -> Item:
        """An Update for `transact`."""
        request = self.request(condition=condition, values=values, expressions=(update,))
        return {"Update": {"Key": key_item(key), "UpdateExpression": update, **request}}

    def to_delete(self, key: Key, *, condition: str | None = None, values: Mapping[str, Any] | None = None) -> Item:
        """A Delete for `transact`."""
        return {"Delete": {"Key": key_item(key), **self.request(condition=condition, values=values)}}

    def transact(self, writes: Sequence[Item], *, budget: float = BUDGET) -> None:
        """
        All writes or none, in whichever tables they stand; repeated safely under one request token.

        Raises:
            TransactionFailed: Conditions did not hold; positions are those of `writes`.
        """
        token = secrets.token_hex(16)
        call(self.client.transact_write_items, budget=budget, TransactItems=list(writes), ClientRequestToken=token)

    def request(
        self, *, condition: str | None, values: Mapping[str, Any] | None, expressions: Sequence[str] = ()
    ) -> dict[str, Any]:
        """The shared arguments: names from the expressions themselves, values bound."""
        request: dict[str, Any] = {"TableName": self.name}
        if condition is not None:
            request |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        names = {name: name[1:] for text in (condition or "", *expressions) for name in PLACEHOLDER.findall(text)}
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = {name: to_value(value) for name, value in values.items()}
        return request
