"""Everybody, as the index `list` has them: by e-mail address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.model import User
from grantkeeper.stores import keys
from grantkeeper.stores.items import from_item
from grantkeeper.stores.list_pages import key_at, list_page
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient


class DynamoPeople:
    """`services.admin_users.People` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def page(
        self, *, email: str, where: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[Sequence[User], str | None]:
        """
        Users whose address begins so, by address; possibly a moment late, and possibly fewer than there are.

        Args:
            email: In lower case; empty, all.
            where: Fields of a user and the values they must have.
            after: What the page before returned.
            limit: Users at most.

        Returns:
            Users, and what to pass as `after` for the next page; None at the end.
        """
        start = None if after is None else key_at("USER", (*keys.user(after.rpartition("#")[2]), after))
        page = list_page(self._table, "USER", prefix=email, where=where, after=start, limit=limit)
        stopped_at = None if page.stopped_at is None else page.stopped_at["list_sk"]["S"]
        return [from_item(User, item) for item in page.items], stopped_at
