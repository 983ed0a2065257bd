"""The tables of a stack as export and import go about them: whole partitions, and whole lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.audit_item import RETENTION_DAYS, AuditTableName
from grantkeeper.stores.items import Item
from grantkeeper.stores.retrying import call
from grantkeeper.stores.table import Table
from grantkeeper.wiring import Wiring

MAX_PAGES = 1_000_000  # of a list, 1 MB each


@dataclass(frozen=True, slots=True)
class Tables:
    """Grants and Audit, as the stores have them."""

    grants: Table
    audit: Table
    due_shards: int

    @classmethod
    def of(cls, wiring: Wiring) -> Tables:
        """Those of a stack."""
        days = int(wiring.env.get("AUDIT_RETENTION_DAYS") or RETENTION_DAYS)
        audit = AuditTableName(wiring.env["AUDIT_TABLE"], retention_days=days)
        client = wiring.aws.dynamodb
        return cls(Table(client, wiring.env["GRANTS_TABLE"]), Table(client, audit), wiring.due_shards)

    def listed(self, kind: str) -> Iterator[Item]:
        """
        Every item of a kind in the index `list`, a page at a time: however many there are, one page is in memory.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        condition = "#list_pk = :kind"
        request: dict[str, Any] = self.grants.request(condition=None, values={":kind": kind}, expressions=(condition,))
        request |= {"IndexName": "list", "KeyConditionExpression": condition}
        start = None
        for _ in range(MAX_PAGES):
            answer = call(
                self.grants.client.query, **request, **({} if start is None else {"ExclusiveStartKey": start})
            )
            yield from answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return
        raise StoreUnavailable("The list has too many pages.")
