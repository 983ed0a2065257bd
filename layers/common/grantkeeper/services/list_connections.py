"""What a user has connected, as lists, counts and a status per service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from grantkeeper.errors import BadRequest
from grantkeeper.model import Connection, ConnectionStatus, Principal
from grantkeeper.ports import Connections
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.visibility import visible_connections

DEFAULT_LIMIT = 25
MAX_LIMIT = 100

ServiceState = Literal["connected", "needs_reauth", "scopes_missing", "not_connected"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of connections; `next_position` is where the following one starts, None on the last."""

    connections: tuple[Connection, ...]
    next_position: str | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """Where a user stands with one service."""

    service: str
    provider: str
    display_name: str
    status: ServiceState
    connections: tuple[Connection, ...]
    missing_scopes: tuple[str, ...]


def list_connections(
    sub: str | None,
    *,
    principal: Principal,
    connections: Connections,
    service: str | None = None,
    status: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> Page:
    """
    List a user's connections as far as the principal may see them, oldest first. Disconnected ones are on no list.

    Args:
        sub: Whose; None when the client's own id was never seen, which is an empty list.
        principal: Who asks.
        connections: The store.
        service: Only of this service.
        status: Only with this status.
        limit: Page size, 1 to 100.
        after: Position the last page ended at, from its `next_position`.

    Raises:
        BadRequest: The status or the limit is out of range.
    """
    if status is not None and status not in get_args(ConnectionStatus):
        raise BadRequest("There is no such status.", parameter="status")
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest("limit is 1 to 100.", parameter="limit")
    if sub is None:
        return Page((), None)

    matching = [
        c
        for c in visible_connections(sub, principal=principal, connections=connections)
        if (service is None or c.service == service)
        and (status is None or c.status == status)
        and (after is None or _position(c) > after)
    ]
    page = tuple(matching[:limit])
    return Page(page, _position(page[-1]) if len(matching) > limit else None)


def connection_stats(
    sub: str | None, *, principal: Principal, connections: Connections
) -> Mapping[str, Mapping[str, int]]:
    """Count a user's connections by status, by service and by provider."""
    found = () if sub is None else visible_connections(sub, principal=principal, connections=connections)
    return {
        "by_status": {name: sum(c.status == name for c in found) for name in ("active", "needs_reauth")},
        "by_service": dict(sorted(Counter(c.service for c in found).items())),
        "by_provider": dict(sorted(Counter(c.provider for c in found).items())),
    }


def service_statuses(
    sub: str | None, *, principal: Principal, connections: Connections, catalog: Catalog
) -> tuple[ServiceStatus, ...]:
    """
    Say for every service where the user stands with it.

    A service counts as connected when one of his accounts there is active with all the scopes that were asked for.
    """
    found = () if sub is None else visible_connections(sub, principal=principal, connections=connections)
    statuses = []
    for provider in catalog.all():
        for service in provider.services:
            own = tuple(c for c in found if c.service == service.id and c.status in ("active", "needs_reauth"))
            state, missing = _state(own)
            statuses.append(ServiceStatus(service.id, provider.id, service.display_name, state, own, missing))
    return tuple(statuses)


def _state(own: Sequence[Connection]) -> tuple[ServiceState, tuple[str, ...]]:
    active = [c for c in own if c.status == "active"]
    if any(not c.missing_scopes for c in active):
        return "connected", ()
    if active:
        return "scopes_missing", min((c.missing_scopes for c in active), key=len)
    return ("needs_reauth" if own else "not_connected"), ()


def _position(connection: Connection) -> str:
    """Sorts as (created_at, id) does; ten digits last until the year 2286."""
    return f"{connection.created_at:010d}.{connection.id}"
