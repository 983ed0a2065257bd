"""What all one-time things share: put once, spend once, TTL as a broom and never as a clock."""

from __future__ import annotations

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.items import Item
from grantkeeper.stores.retrying import ConditionFailed
from grantkeeper.stores.table import Table, is_own, new_write_id

NEW = "attribute_not_exists(#pk)"
SPEND = "SET #spent_by = :write_id"
UNSPENT = "attribute_exists(#pk) AND attribute_not_exists(#spent_by) AND #expires_at > :now"
KEPT_AFTER_EXPIRY = 3600  # seconds; a late reader is told "expired" by the time, not by an absence


def ttl(expires_at: int) -> Item:
    """The attribute DynamoDB sweeps by."""
    return {"ttl": {"N": str(expires_at + KEPT_AFTER_EXPIRY)}}


def put_once(table: Table, item: Item) -> None:
    """
    Put an item under a key of 256 random bits; a retried put finds itself.

    Raises:
        StoreUnavailable: Something else stands there, which no honest randomness brings about.
    """
    write_id = new_write_id()
    try:
        table.put(item | {"write_id": {"S": write_id}}, condition=NEW)
    except ConditionFailed as failure:
        if not is_own(failure.item, write_id):
            raise StoreUnavailable("The key is taken.") from None
