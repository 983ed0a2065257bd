"""The deployment's provider records, registrations and switches: one small partition, read once a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.items import Item, from_value
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

CACHED = 60  # seconds
STALE = 3600  # seconds that what was read last may stand in when DynamoDB does not answer


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    overrides: Mapping[str, Mapping[str, Any]]
    registrations: Mapping[str, Sequence[Mapping[str, Any]]]
    disabled: frozenset[str]


class DynamoProviders:
    """`ports.Providers` in the table Grants."""

    def __init__(
        self, client: DynamoDBClient, grants_table: str, audit_table: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Args: clock: epoch seconds, for what is remembered."""
        self._table = Table(client, grants_table)
        self._audit = Table(client, audit_table)
        self._clock = clock
        self._remembered: _Read | None = None

    def overrides(self) -> Mapping[str, Mapping[str, Any]]:
        """Provider id → record fields added or overridden."""
        return self._current().overrides

    def registrations(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Provider id → live registrations, newest first, as they were put."""
        return self._current().registrations

    def disabled(self) -> frozenset[str]:
        """Providers an admin switched off."""
        return self._current().disabled

    def put(
        self,
        provider_id: str,
        *,
        record: Mapping[str, Any] | None,
        registrations: Sequence[Mapping[str, Any]] | None,
        disabled: bool | None,
        audit: AuditEvent,
    ) -> None:
        """Change one provider's part; None leaves that part as it is."""
        parts = {"record": record, "registrations": registrations, "disabled": disabled}
        given = {name: value for name, value in parts.items() if value is not None}
        if not given:
            return
        update = self._table.to_update(
            keys.provider(provider_id),
            "SET " + ", ".join(f"#{name} = :{name}" for name in given),
            values={f":{name}": value for name, value in given.items()},
        )
        try:
            self._table.transact([update, *audit_writes(self._audit, audit)])
        except TransactionFailed:
            raise StoreUnavailable("The change could not be written down.") from None
        self._remembered = None

    def _current(self) -> _Read:
        known, now = self._remembered, self._clock()
        if known is not None and 0 <= now - known.at < CACHED:
            return known
        try:
            items = self._table.query(keys.provider("")[0])
        except StoreUnavailable:
            if known is not None and 0 <= now - known.at < STALE:
                return known
            raise
        self._remembered = _parsed(items, now)
        return self._remembered


def _parsed(items: Sequence[Item], now: float) -> _Read:
    by_id = {item["sk"]["S"].removeprefix("PROVIDER#"): item for item in items}
    return _Read(
        at=now,
        overrides={name: from_value(item["record"]) for name, item in by_id.items() if "record" in item},
        registrations={
            name: from_value(item["registrations"]) for name, item in by_id.items() if "registrations" in item
        },
        disabled=frozenset(name for name, item in by_id.items() if item.get("disabled") == {"BOOL": True}),
    )
