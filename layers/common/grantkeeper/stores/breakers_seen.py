"""Breakers as an operator sees them: all of them in one read, with what stands in the items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grantkeeper.admin_ports import BreakerFacts
from grantkeeper.stores import keys
from grantkeeper.stores.items import Item, from_value
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoBreakersSeen:
    """`admin_ports.BreakersSeen` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def facts(self, providers: Sequence[str]) -> Mapping[str, BreakerFacts]:
        """What is known of each; nothing is remembered between two calls."""
        items = self._table.batch_get([keys.breaker(provider) for provider in providers], consistent=False)
        return {item["pk"]["S"].partition("#")[2]: _facts(item) for item in items}


def _facts(item: Item) -> BreakerFacts:
    def read(name: str, default: Any) -> Any:
        return from_value(item[name]) if name in item else default

    return BreakerFacts(
        failures=int(read("failures", 0)),
        failed_at=int(read("failed_at", 0)),
        open_until=int(read("open_until", 0)),
        closed_at=int(read("closed_at", 0)),
        refused_at=int(read("misconfigured_at", 0)),
        error=str(read("misconfigured_error", "")),
    )
