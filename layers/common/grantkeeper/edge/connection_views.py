"""Connections and their lists as the JSON of the API. Times are epoch seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from grantkeeper.model import Connection
from grantkeeper.services.disconnect import Disconnected
from grantkeeper.services.list_connections import ServiceStatus
from grantkeeper.services.open_connect_session import OpenedConnectSession

if TYPE_CHECKING:
    from grantkeeper.edge import schemas


def connection_view(connection: Connection) -> schemas.Connection:
    """One connection, with what its provider said it is good for."""
    return cast("schemas.Connection", {**listed_view(connection), "metadata": dict(connection.metadata)})


def listed_view(connection: Connection) -> schemas.ListedConnection:
    """The public half of a connection, field by field: what is added to the record is not shown by itself."""
    profile = connection.profile
    return {
        "id": connection.id,
        "user_sub": connection.sub,
        "service": connection.service,
        "provider": connection.provider,
        "kind": connection.kind,
        "label": connection.label,
        "status": connection.status,
        "reason": connection.reason,
        "scopes": list(connection.scopes),
        "missing_scopes": list(connection.missing_scopes),
        "token_names": list(connection.token_names),
        "account": None
        if profile is None
        else {
            "id": profile.provider_user_id,
            "email": profile.email,
            "name": profile.name,
            "avatar_url": profile.avatar_url,
        },
        "created_at": connection.created_at,
        "updated_at": connection.updated_at,
        "reconnect_by": connection.reconnect_by,
    }


def revoked_view(disconnected: Disconnected) -> schemas.Connection:
    """One that was disconnected, with what became of it at its provider."""
    view = connection_view(disconnected.connection)
    view["upstream"] = disconnected.upstream
    if disconnected.manual_url is not None:
        view["manual_url"] = disconnected.manual_url
    return view


def opened_view(opened: OpenedConnectSession) -> schemas.ConnectSession:
    """A connect session as its client gets it, once."""
    return {"id": opened.id, "connect_url": opened.connect_url, "expires_at": opened.expires_at}


def disconnected_view(disconnected: Disconnected) -> schemas.Disconnected:
    """What was done, and what will be done at the provider."""
    view: schemas.Disconnected = {
        "id": disconnected.connection.id,
        "status": "revoked",
        "upstream": disconnected.upstream,
    }
    if disconnected.manual_url is not None:
        view["manual_url"] = disconnected.manual_url
    return view


def status_view(statuses: Iterable[ServiceStatus]) -> schemas.StatusList:
    """Every service, and where the user stands with it."""
    return {
        "services": [
            {
                "service": status.service,
                "provider": status.provider,
                "display_name": status.display_name,
                "status": status.status,
                "missing_scopes": list(status.missing_scopes),
                "connections": [
                    {
                        "id": c.id,
                        "label": c.label,
                        "status": c.status,
                        "reason": c.reason,
                        "reconnect_by": c.reconnect_by,
                    }
                    for c in status.connections
                ],
            }
            for status in statuses
        ]
    }
