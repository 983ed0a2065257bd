"""
Which archives with frozen connections are whole, kept in the table they were written from.

A connection that is frozen lives in the archive that froze it, and may be active wherever that one is imported. So it
must go into no second one. Only what an export froze that never came to its end is free for another: `EXPORT#<archive>`
says of each, once and for ever, whether it is whole or given up.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from cli import operator
from cli.archive.tables import Tables
from grantkeeper.errors import Conflict
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import to_value
from grantkeeper.stores.keys import Key
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import key_item

WHOLE, GIVEN_UP = "whole", "given_up"


@dataclass(slots=True)
class Ledger:
    """Of one stack."""

    tables: Tables
    _known: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def complete(self, archive_id: str, *, reason: str | None = None) -> None:
        """
        Say that an archive is whole, before anybody can have it; once more changes nothing.

        Raises:
            Conflict: Another export, or a thaw, has taken what this one froze.
        """
        if self._settled(archive_id, WHOLE, reason=reason) != WHOLE:
            raise Conflict("What this export froze was taken by another one, or thawed: its archive must not be used.")

    def knows(self, archive_id: str) -> bool:
        """Tell whether it is settled."""
        return self.tables.grants.get(_key(archive_id)) is not None

    def give_up(self, archive_id: str) -> bool:
        """See to it that an archive never becomes whole; False when it is."""
        with self._lock:
            if archive_id not in self._known:
                self._known[archive_id] = self._settled(archive_id, GIVEN_UP)
            return self._known[archive_id] == GIVEN_UP

    def _settled(self, archive_id: str, state: str, *, reason: str | None = None) -> str:
        """What stands of it, which is `state` unless something stood before."""
        put = self.tables.grants.to_put(key_item(_key(archive_id)) | {"state": to_value(state)}, condition=NEW)
        action = "archive.frozen" if state == WHOLE else "archive.given_up"
        audit = operator.event(action, reason=reason, details={"archive": archive_id})
        try:
            self.tables.grants.transact([put, *audit_writes(self.tables.audit, audit)])
        except TransactionFailed as failure:
            found = failure.item(0)
            if found is None:
                raise
            stood: str = found["state"]["S"]
            return stood
        return state


def _key(archive_id: str) -> Key:
    return f"EXPORT#{archive_id}", "EXPORT"
