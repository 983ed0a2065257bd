"""Audit entries as auditors see them: as JSON, as lines of it, as CSV. Times are epoch seconds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from grantkeeper.model import AuditEvent

if TYPE_CHECKING:
    from grantkeeper.edge import admin_schemas

NDJSON_TYPE, CSV_TYPE = "application/x-ndjson", "text/csv"
HEADS = (
    "time", "id", "action", "actor", "sub", "connection_id", "client_id", "provider", "service", "reason", "request_id",
    "details",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a cell begins that a spreadsheet would execute


def entry_view(event: AuditEvent) -> admin_schemas.AdminAuditEntry:
    """A whole entry."""
    return {
        "id": event.id,
        "time": event.time,
        "action": event.action,
        "actor": event.actor,
        "sub": event.sub,
        "connection_id": event.connection_id,
        "client_id": event.client_id,
        "provider": event.provider,
        "service": event.service,
        "reason": event.reason,
        "request_id": event.request_id,
        "details": dict(event.details),
    }


def as_ndjson(events: Sequence[AuditEvent]) -> str:
    """An entry a line."""
    return "".join(json.dumps(entry_view(event), separators=(",", ":")) + "\n" for event in events)


def as_csv(events: Sequence[AuditEvent], *, head: bool) -> str:
    """
    RFC 4180, times as ISO 8601, details as JSON.

    Args:
        events: Entries.
        head: Begin with the names of the columns.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    if head:
        lines.writerow(HEADS)
    for event in events:
        view = entry_view(event)
        told = {**view, "time": datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
        told["details"] = json.dumps(view["details"], separators=(",", ":")) if view["details"] else ""
        lines.writerow([_cell(told[name]) for name in HEADS])
    return text.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
