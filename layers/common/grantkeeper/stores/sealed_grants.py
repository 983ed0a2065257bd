"""Every sealed grant of the deployment, page by page: under which key it is, and nothing that is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from grantkeeper.errors import GrantUnreadable
from grantkeeper.key_rotation import SealedGrant
from grantkeeper.sealing import BranchWrapping, parse
from grantkeeper.stores.grant_item import read_grant
from grantkeeper.stores.items import Item
from grantkeeper.stores.retrying import call
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

FILTER = "begins_with(#sk, :grant) AND attribute_exists(#sealed)"
BUDGET = 10.0  # seconds for one page, throttled or not: nobody waits for it


class DynamoSealedGrants:
    """`key_rotation.SealedGrants`: a scan of the table Grants, by whoever may scan it."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def pages(self, *, consistent: bool) -> Iterator[Sequence[SealedGrant]]:
        """
        Every grant that holds a sealed set, tombstones among them; a page may be empty.

        Args:
            consistent: See every write that was acknowledged before the page was read; twice the price.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        request = self._table.request(condition=None, values={":grant": "GRANT#"}, expressions=(FILTER,))
        request |= {"FilterExpression": FILTER, "ConsistentRead": consistent}
        start = None
        while True:
            more: Item = {"ExclusiveStartKey": start} if start else {}
            answer = call(self._table.client.scan, budget=BUDGET, **request, **more)
            yield [_seen(item) for item in answer["Items"]]
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return


def _seen(item: Item) -> SealedGrant:
    grant = read_grant(item)
    try:
        wrapping = parse(grant.sealed).wrapping
    except GrantUnreadable:
        return SealedGrant(grant.connection_id, grant.generation, "unreadable")
    if isinstance(wrapping, BranchWrapping):
        return SealedGrant(grant.connection_id, grant.generation, "branch", wrapping.bucket, wrapping.version)
    return SealedGrant(grant.connection_id, grant.generation, "kms")
