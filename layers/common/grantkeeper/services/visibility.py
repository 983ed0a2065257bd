"""Who may see a connection: its user, and the clients he lets use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import NotFound
from grantkeeper.services.people import client_of

if TYPE_CHECKING:
    from grantkeeper.model import Connection, Principal
    from grantkeeper.ports import Connections

NOBODY = "nobody"


def visible_connection(connection_id: str, *, principal: Principal, connections: Connections) -> Connection:
    """
    Read a connection that the principal may know of.

    A user sees his own, whichever client opened it. A client's key sees those its users let it use. To everybody else
    the connection does not exist: same error, and the same number of reads, as for an id never given out (T-02).

    Raises:
        NotFound: Unknown, or not the caller's.
        Forbidden: An operator's key.
    """
    client_id = client_of(principal)
    connection = connections.get(connection_id) if ids.is_id(connection_id) else None
    if principal.kind == "user":
        allowed = connection is not None and connection.sub == principal.sub
    else:
        owner = NOBODY if connection is None else connection.sub
        allowed = connections.has_consent(owner, client_id, connection_id) and connection is not None
    if connection is None or not allowed:
        raise NotFound("No such connection.")
    return connection


def visible_connections(sub: str, *, principal: Principal, connections: Connections) -> tuple[Connection, ...]:
    """A user's connections as far as the principal may know of them, oldest first."""
    owned = sorted(connections.list_for_user(sub), key=lambda c: (c.created_at, c.id))
    if principal.kind == "user":
        return tuple(c for c in owned if c.sub == principal.sub)
    consented = connections.consented(sub, client_of(principal))
    return tuple(c for c in owned if c.id in consented)
