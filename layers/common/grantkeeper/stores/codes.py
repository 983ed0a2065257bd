"""Authorization codes of ours: 60 seconds, one use, and a memory of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.model import AuthorizationCode
from grantkeeper.stores import keys
from grantkeeper.stores.items import from_item, to_item
from grantkeeper.stores.one_time import SPEND, UNSPENT, put_once, ttl
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoCodes:
    """`ports.Codes` in the table Requests."""

    def __init__(self, client: DynamoDBClient, requests_table: str) -> None:
        self._table = Table(client, requests_table)

    def put(self, code: AuthorizationCode) -> None:
        """Store a code under its hash."""
        put_once(self._table, key_item(keys.code(code.code_hash)) | to_item(code) | ttl(code.expires_at))

    def redeem(self, code_hash: str, *, now: int) -> tuple[AuthorizationCode | None, bool]:
        """
        Spend a code in one conditional write (RFC 6749 section 4.1.2).

        A spent code is kept until it expires: whoever brings it again learns its family, which is then to be revoked.
        """
        write_id = new_write_id()
        try:
            item = self._table.update(
                keys.code(code_hash), SPEND, condition=UNSPENT, values={":write_id": write_id, ":now": now}
            )
        except ConditionFailed as failure:
            if failure.item is None:
                return None, False
            code = from_item(AuthorizationCode, failure.item)
            if is_own(failure.item, write_id, "spent_by"):
                return code, True
            return (code if code.expires_at > now else None), False
        return from_item(AuthorizationCode, item), True
