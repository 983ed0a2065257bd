"""How far the recount is, and what the last one found: one item, beside the counters."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from grantkeeper.recount_ports import Progress, Reconciled, State
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import from_value, to_value
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table, key_item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_dynamodb import DynamoDBClient

    from grantkeeper.model import AuditEvent


class DynamoNotes:
    """`recount_ports.Notes` in the table Grants."""

    def __init__(self, client: DynamoDBClient, grants_table: str, audit_table: str) -> None:
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)

    def load(self) -> State:
        """The state, consistent; an empty one before the first run."""
        item = self._table.get(keys.reconciliation())
        if item is None:
            return State()
        progress, last = _read(item, "progress"), _read(item, "last")
        return State(
            version=from_value(item["version"]),
            progress=None if progress is None else Progress(**{**progress, "units": tuple(progress["units"])}),
            last=None if last is None else Reconciled(**last),
        )

    def save(self, state: State, *, audit: AuditEvent | None = None) -> State | None:
        """
        Keep a state under the next version, and its entry of the trail with it.

        Args:
            state: As it was loaded or last saved, with what has changed.
            audit: What is to be told of it.

        Returns:
            It, with its new version; None when somebody else saved one since.
        """
        saved = replace(state, version=state.version + 1)
        item = key_item(keys.reconciliation()) | {"version": to_value(saved.version)}
        item |= {
            name: to_value(json.dumps(asdict(part)))
            for name, part in (("progress", saved.progress), ("last", saved.last))
            if part is not None
        }
        put = self._table.to_put(
            item,
            condition="attribute_not_exists(#pk) OR #version = :seen",
            values={":seen": state.version},
        )
        try:
            self._table.transact([put, *([] if audit is None else audit_writes(self._audit, audit))])
        except TransactionFailed:
            return None
        return saved


def _read(item: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    return json.loads(from_value(item[name])) if name in item else None
