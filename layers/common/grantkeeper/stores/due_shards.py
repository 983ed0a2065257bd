"""How many shards of the due index may hold rows: one small item, written by the sweeper alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper.model import ShardMark
from grantkeeper.stores import keys
from grantkeeper.stores.items import from_item, to_item
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table, is_own, key_item, new_write_id

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class DynamoDueShards:
    """`ports.DueShards` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str) -> None:
        self._table = Table(client, grants_table)

    def mark(self) -> ShardMark:
        """The mark as stored, consistent; a mark of 0 before there is any."""
        item = self._table.get(keys.due_shards())
        return ShardMark() if item is None else from_item(ShardMark, item)

    def replace(self, mark: ShardMark, *, expected: ShardMark) -> ShardMark | None:
        """Put a mark in place of the expected one; None when somebody else was faster."""
        written = replace(mark, write_id=new_write_id())
        stands = {"condition": "#write_id = :expected", "values": {":expected": expected.write_id}}
        try:
            self._table.put(
                key_item(keys.due_shards()) | to_item(written),
                **(stands if expected.write_id else {"condition": NEW}),
            )
        except ConditionFailed as failure:
            return written if is_own(failure.item, written.write_id) else None
        return written
