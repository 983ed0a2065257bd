"""Branch keys: every version of every bucket, wrapped by KMS, and which version is the newest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from grantkeeper.model import AuditEvent, BranchKey
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import from_item, to_item
from grantkeeper.stores.keys import Key
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item

FOUND_AGE = 300  # seconds the newest version is remembered
MISSING_AGE = 30  # and that there is none: the first one comes within a minute of the deployment


def version_key(bucket: int, version: int) -> Key:
    """One version of a bucket's branch key."""
    return f"BRANCH#{bucket}#{version}", "BRANCH"


def newest_key(bucket: int) -> Key:
    """A copy of a bucket's newest version, so that it is found with one read."""
    return f"BRANCH#{bucket}#newest", "BRANCH"


class DynamoBranchKeys:
    """
    `ports.BranchKeys`: versions are added, and neither changed nor deleted here, since what they sealed must open.

    `stores/rotations.py` deletes one long after no grant was under it any more.
    """

    def __init__(
        self, dynamodb: Any, table: str, audit_table: str = "", *, clock: Callable[[], float] = time.time
    ) -> None:
        """Args: audit_table: needed by `add` alone; clock: epoch seconds, for what is remembered."""
        self._table = Table(dynamodb, table)
        self._audit = Table(dynamodb, audit_table)
        self._clock = clock
        self._remembered: dict[int, tuple[float, BranchKey | None]] = {}

    def newest(self, bucket: int) -> BranchKey | None:
        """
        Return the newest version, remembered for 5 minutes; None while there is none.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        now = self._clock()
        read_at, key = self._remembered.get(bucket, (float("-inf"), None))
        if 0 <= now - read_at < (MISSING_AGE if key is None else FOUND_AGE):
            return key
        key = self._read(newest_key(bucket))
        self._remembered[bucket] = (now, key)
        return key

    def get(self, bucket: int, version: int) -> BranchKey | None:
        """
        Return one version; consistent.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        return self._read(version_key(bucket, version))

    def add(self, key: BranchKey, *, audit: AuditEvent) -> bool:
        """
        Add version newest + 1 and its audit entry, in one transaction.

        Returns:
            False when somebody else added it first; nothing was written then.

        Raises:
            StoreUnavailable: DynamoDB does not answer.
        """
        self._remembered.pop(key.bucket, None)
        item = to_item(key)
        version, newest = version_key(key.bucket, key.version), newest_key(key.bucket)
        # The version's own condition holds even when the pointer was lost: what a version sealed must open.
        condition, values = "#version = :previous", {":previous": key.version - 1}
        if key.version == 1:
            condition, values = "attribute_not_exists(#pk)", {}
        writes = [
            self._table.to_put(key_item(version) | item, condition="attribute_not_exists(#pk)"),
            self._table.to_put(key_item(newest) | item, condition=condition, values=values),
        ]
        try:
            self._table.transact([*writes, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            return False
        return True

    def _read(self, key: Key) -> BranchKey | None:
        item = self._table.get(key)
        return None if item is None else from_item(BranchKey, item)
