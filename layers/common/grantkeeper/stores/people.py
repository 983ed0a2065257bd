"""Everybody, as the index `list` has them: by e-mail address; and changes that others make of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.errors import Forbidden
from grantkeeper.model import User
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.identity_item import replacing_user
from grantkeeper.stores.items import Item, from_item
from grantkeeper.stores.list_pages import key_at, list_page
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import AuditEvent

UNFINISHED = "ERASING"  # `list_pk` of the users whose erasure is not finished; in no list, once it is


class DynamoPeople:
    """`services.admin_users.People` and `services.change_user.Changing` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def page(
        self, *, email: str, where: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[Sequence[User], str | None]:
        """
        Users whose address begins so, by address; possibly a moment late, and possibly fewer than there are.

        Args:
            email: In lower case; empty, all.
            where: Fields of a user and the values they must have. Of those who are `erased`, whom no address names any
                more, the ones are listed whose erasure is not finished.
            after: What the page before returned.
            limit: Users at most.

        Returns:
            Users, and what to pass as `after` for the next page; None at the end.
        """
        kind = UNFINISHED if where.get("status") == "erased" else "USER"
        start = None if after is None else key_at(kind, (*keys.user(after.rpartition("#")[2]), after))
        page = list_page(self._table, kind, prefix=email, where=where, after=start, limit=limit)
        stopped_at = None if page.stopped_at is None else page.stopped_at["list_sk"]["S"]
        return [from_item(User, item) for item in page.items], stopped_at

    def replace(self, user: User, *, expected_version: int, admin: str | None, audit: AuditEvent) -> bool:
        """
        Replace a user's record if its version is the expected one and `admin` is an admin still, in one transaction.

        Of two admins who take each other's role at once one is refused: each write stands on the other's record.

        Raises:
            Forbidden: `admin` is none any more.
        """
        write_id = new_write_id()
        put = replacing_user(self._table, user, write_id, expected_version=expected_version)
        beside = audit_writes(self._audit, audit)
        return put_while_admin(self._table, put, write_id=write_id, admin=admin, beside=beside)


def put_while_admin(table: Table, put: Item, *, write_id: str, admin: str | None, beside: Sequence[Item]) -> bool:
    """
    Write in one transaction that fails unless `admin`, if any, is an admin still.

    Args:
        table: Grants.
        put: The write, with a condition of its own.
        write_id: What it bears, by which a lost acknowledgement recognises itself.
        admin: On whose word; None for the operator.
        beside: Its audit entry.

    Returns:
        False when the condition does not hold.

    Raises:
        Forbidden: `admin` is none any more.
    """
    guard = [] if admin is None else [_still_admin(table, admin)]
    try:
        table.transact([put, *guard, *beside])
    except TransactionFailed as failure:
        if is_own(failure.item(0), write_id):
            return True
        if guard and failure.failed(1):
            raise Forbidden("The caller is no admin any more.") from None
        return False
    return True


def _still_admin(table: Table, sub: str) -> Item:
    """The part of a transaction that fails unless this user is an admin, and active."""
    condition = "#role = :admin AND #status = :active"
    checked = table.request(condition=condition, values={":admin": "admin", ":active": "active"})
    return {"ConditionCheck": {"Key": key_item(keys.user(sub)), **checked}}
