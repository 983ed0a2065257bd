"""All API keys, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from grantkeeper.model import ApiKey
from grantkeeper.stores import keys
from grantkeeper.stores.items import from_item
from grantkeeper.stores.list_pages import key_at, list_page
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KIND = "APIKEY"


class DynamoApiKeyPages:
    """`admin_ports.ApiKeyPages` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def page(
        self, *, client_id: str | None, where: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[Sequence[ApiKey], str | None]:
        """The operator's keys first, then by client; a page reads a bounded number of them."""
        prefix = "" if client_id is None else f"{client_id}#"
        start = None if after is None else key_at(KIND, [*keys.api_key(after.rpartition("#")[2]), after])
        page = list_page(self._table, KIND, prefix=prefix, where=where, after=start, limit=limit)
        found = [from_item(ApiKey, item) for item in page.items]
        return found, None if page.stopped_at is None else page.stopped_at["list_sk"]["S"]
