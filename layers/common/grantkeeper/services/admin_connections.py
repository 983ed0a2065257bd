"""Connections as an operator sees them: whose they are, how they stand; never a token nor its sealed bytes (T-08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

from grantkeeper import ids
from grantkeeper.errors import BadRequest, NotFound
from grantkeeper.model import AuditEvent, Connection, ConnectionStatus
from grantkeeper.ports import AuditTrail
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.disconnect import Disconnected, Ended
from grantkeeper.services.upstream_state import upstream_state

HISTORY = 50  # entries of the trail that are shown with a connection
LOOKS = 40  # lists of a provider, or connections of a user, that one page may look at beyond its own length


class Seen(Ended, Protocol):
    """Connections without anything sealed."""

    def get(self, connection_id: str) -> Connection | None:
        """Consistent."""

    def page(
        self, provider: str, *, prefix: str, where: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[Sequence[Connection], str | None]:
        """Connections of a provider by status, service and id, and where to go on; None at the end."""

    def ids_of_user(self, sub: str) -> Sequence[str]:
        """What a user has connected now; consistent."""

    def past_ids_of_user(self, sub: str) -> Sequence[str]:
        """What a user has disconnected, as far as anything is left of it; consistent."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which connections are asked for."""

    provider: str | None = None
    service: str | None = None
    status: str | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        """Raises BadRequest for a filter that can name nothing."""
        if self.status is not None and self.status not in get_args(ConnectionStatus):
            raise BadRequest("There is no such status.", parameter="status")
        for name in ("provider", "service", "user"):
            value = getattr(self, name)
            if value is not None and not ids.is_id(value):
                raise BadRequest(f"{name} is not a name of ours.", parameter=name)

    @property
    def filters(self) -> tuple[str | None, ...]:
        """In a fixed order, for cursors."""
        return (self.provider, self.service, self.status, self.user)

    def fits(self, connection: Connection) -> bool:
        """Tell whether a connection is meant."""
        wanted = {"provider": self.provider, "service": self.service, "status": self.status, "sub": self.user}
        return all(value is None or getattr(connection, name) == value for name, value in wanted.items())

    @property
    def prefix(self) -> str:
        """How the keys begin of those who are meant, in the list of their provider."""
        if self.status is None:
            return ""
        return f"{self.status}#{self.service}#" if self.service is not None else f"{self.status}#"

    @property
    def where(self) -> dict[str, str]:
        """What the keys do not say."""
        return {"service": self.service} if self.service is not None and self.status is None else {}


@dataclass(frozen=True, slots=True)
class ConnectionPage:
    """Some of them; `next_position` is where the following page starts, None on the last."""

    connections: tuple[Connection, ...]
    next_position: str | None


@dataclass(frozen=True, slots=True)
class ConnectionDetail:
    """A connection, how it went at its provider if it is revoked, and the newest of its trail, newest first."""

    connection: Connection
    ended: Disconnected | None
    history: Sequence[AuditEvent]


def list_all_connections(
    wanted: Wanted, *, seen: Seen, catalog: Catalog, limit: int, after: str | None = None
) -> ConnectionPage:
    """
    List connections of everybody: of one provider, or of all in the catalog's order; or of one user.

    A provider's stand by status, then service; a user's, those he has before those he had. A page looks at a bounded
    number of things, so it may be short, or empty, and not the last. Without `provider` and `user` the connections of a
    provider that is no more in the catalog are not listed.

    Args:
        limit: Page size, at least 1.
        after: Position the last page ended at, from its `next_position`.

    Raises:
        StoreUnavailable: They cannot be read.
    """
    if wanted.user is not None:
        return _of_user(wanted, wanted.user, seen=seen, limit=limit, after=after)
    names = _providers(wanted, catalog)
    started_at, _, place = (after or "").partition("|")
    at = names.index(started_at) if started_at in names else 0
    if started_at not in names:
        place = ""  # its provider left the catalog between two pages: its place is none in the list of another
    found: list[Connection] = []
    for position, name in enumerate(names[at : at + LOOKS], start=at + 1):
        page, stopped_at = seen.page(
            name, prefix=wanted.prefix, where=wanted.where, after=place or None, limit=limit - len(found)
        )
        found, place = [*found, *page], ""
        if stopped_at is not None:
            return ConnectionPage(tuple(found), f"{name}|{stopped_at}")
        if len(found) == limit:
            return ConnectionPage(tuple(found), _start_of(names, position))
    return ConnectionPage(tuple(found), _start_of(names, at + LOOKS))


def connection_detail(connection_id: str, *, seen: Seen, audit: AuditTrail, catalog: Catalog) -> ConnectionDetail:
    """
    One connection with its reason and history.

    Raises:
        NotFound: There is none of this id.
        StoreUnavailable: It cannot be read.
    """
    connection = known_connection(connection_id, seen=seen)
    ended = None
    if connection.status == "revoked":
        ended = upstream_state(connection, connections=seen, audit=audit, catalog=catalog)
    history, _ = audit.for_connection(connection.id, limit=HISTORY)
    return ConnectionDetail(connection, ended, history)


def known_connection(connection_id: str, *, seen: Seen) -> Connection:
    """
    The connection that is meant.

    Raises:
        NotFound: There is none of this id.
    """
    connection = seen.get(connection_id) if ids.is_id(connection_id) else None
    if connection is None:
        raise NotFound("No such connection.")
    return connection


def _providers(wanted: Wanted, catalog: Catalog) -> list[str]:
    """Whose lists are looked at, in the catalog's order."""
    if wanted.provider is not None:
        return [wanted.provider]
    return [
        provider.id
        for provider in catalog.all()
        if wanted.service is None or any(service.id == wanted.service for service in provider.services)
    ]


def _start_of(names: Sequence[str], position: int) -> str | None:
    return f"{names[position]}|" if position < len(names) else None


def _of_user(wanted: Wanted, sub: str, *, seen: Seen, limit: int, after: str | None) -> ConnectionPage:
    """Those he has, by id, then those he had."""
    meant = [] if wanted.status == "revoked" else [("has", each) for each in seen.ids_of_user(sub)]
    if wanted.status in (None, "revoked"):
        meant += [("past", each) for each in seen.past_ids_of_user(sub)]
    start, _, begun = (after or "").partition("|")
    rest = [each for each in sorted(meant) if each > (start, begun)]
    found: list[Connection] = []
    for looks, (kind, connection_id) in enumerate(rest, start=1):
        connection = seen.get(connection_id)
        if connection is not None and wanted.fits(connection):
            found.append(connection)
        if looks < len(rest) and (len(found) == limit or looks == limit + LOOKS):
            return ConnectionPage(tuple(found), f"{kind}|{connection_id}")
    return ConnectionPage(tuple(found), None)
