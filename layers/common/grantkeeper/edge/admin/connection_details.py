"""A connection as operators see it, as JSON. Times are epoch seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from grantkeeper.edge.connection_views import connection_view, revoked_view
from grantkeeper.model import AuditEvent
from grantkeeper.services.admin_connections import ConnectionDetail

if TYPE_CHECKING:
    from grantkeeper.edge import admin_schemas


def connection_detail_view(detail: ConnectionDetail) -> admin_schemas.AdminConnection:
    """One connection, how it ended, and the newest of its trail."""
    shown = connection_view(detail.connection) if detail.ended is None else revoked_view(detail.ended)
    more = {
        "client_id": detail.connection.client_id,
        "requested_scopes": list(detail.connection.requested_scopes),
        "used_day": detail.connection.used_day,
        "history": [history_view(event) for event in detail.history],
    }
    return cast("admin_schemas.AdminConnection", {**shown, **more})


def history_view(event: AuditEvent) -> admin_schemas.AdminHistoryEntry:
    """An entry of the trail: ids and enums, which is all that the trail holds."""
    return {
        "id": event.id,
        "time": event.time,
        "action": event.action,
        "actor": event.actor,
        "client_id": event.client_id,
        "reason": event.reason,
        "request_id": event.request_id,
        "details": dict(event.details),
    }
