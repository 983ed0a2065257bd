"""Users as an operator sees them: found by address or id, shown with everything that is theirs but no secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from grantkeeper import ids
from grantkeeper.errors import BadRequest, NotFound
from grantkeeper.model import ApiKey, Connection, Identity, Session, User
from grantkeeper.ports import ApiKeys, Clients, Consents, Sessions, Users
from grantkeeper.services.admin_connections import Seen
from grantkeeper.services.consents import ListedConsent, list_consents

ROLES = ("user", "auditor", "admin")
STATUSES = ("active", "suspended", "erased")
MAX_PREFIX = 254  # of an e-mail address (RFC 5321 section 4.5.3.1.3)
SHOWN = 25  # of each kind of thing on a user's page


class People(Protocol):
    """Everybody, by e-mail address."""

    def page(
        self, *, email: str, where: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[Sequence[User], str | None]:
        """Users whose address begins so, and where to go on; None at the end."""


class UserPorts(Protocol):
    """What a user's page is made from; `Wiring` is one."""

    @property
    def users(self) -> Users: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def seen_connections(self) -> Seen: ...
    @property
    def consents(self) -> Consents: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def clients(self) -> Clients: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which users are asked for."""

    text: str = ""
    role: str | None = None
    status: str | None = None

    def __post_init__(self) -> None:
        """Raises BadRequest for a filter that names nothing there is."""
        if len(self.text) > MAX_PREFIX or not (self.text == "" or self.text.isprintable()):
            raise BadRequest("q is the beginning of an e-mail address, or a user's id.", parameter="q")
        if self.role is not None and self.role not in ROLES:
            raise BadRequest(f"role is one of {', '.join(ROLES)}.", parameter="role")
        if self.status is not None and self.status not in STATUSES:
            raise BadRequest(f"status is one of {', '.join(STATUSES)}.", parameter="status")

    @property
    def where(self) -> dict[str, str]:
        """Fields and the values they must have."""
        return {name: value for name, value in (("role", self.role), ("status", self.status)) if value is not None}


@dataclass(frozen=True, slots=True)
class UserPage:
    """Some of them; `next_position` is where the following page starts, None on the last."""

    users: tuple[User, ...]
    next_position: str | None


@dataclass(frozen=True, slots=True)
class UserDetail:
    """A user and what is his; `counts` says how many there are of each kind, of which the first 25 are here."""

    user: User
    identities: Sequence[Identity]
    sessions: Sequence[Session]
    connections: Sequence[Connection]
    consents: Sequence[ListedConsent]
    api_keys: Sequence[ApiKey]
    counts: Mapping[str, int]


def list_users(wanted: Wanted, *, people: People, users: Users, limit: int, after: str | None = None) -> UserPage:
    """
    Find users by how their e-mail address begins, or one by his whole id.

    A page reads a bounded number of users, so one with filters may be short, or empty, and not the last.

    Args:
        limit: Page size, at least 1.
        after: Position the last page ended at, from its `next_position`.

    Raises:
        StoreUnavailable: They cannot be read.
    """
    if wanted.text.startswith("usr_") and ids.is_id(wanted.text):
        user = users.get(wanted.text)
        if user is not None:
            fits = all(getattr(user, name) == value for name, value in wanted.where.items())
            return UserPage((user,) if fits else (), None)
    found, position = people.page(email=wanted.text.lower(), where=wanted.where, after=after, limit=limit)
    return UserPage(tuple(found), position)


def user_detail(sub: str, *, ports: UserPorts, now: int) -> UserDetail:
    """
    Everything of a user's that an operator may see.

    Raises:
        NotFound: There is no such user.
        StoreUnavailable: It cannot be read.
    """
    user = ports.users.get(sub) if ids.is_id(sub) else None
    if user is None:
        raise NotFound("No such user.")
    live = [s for s in ports.sessions.list(sub) if s.status == "active" and now < min(s.expires_at, s.idle_expires_at)]
    sessions = sorted(live, key=lambda s: (s.created_at, s.sid), reverse=True)
    identities, connected = ports.users.identities(sub), ports.seen_connections.ids_of_user(sub)
    found = [ports.seen_connections.get(connection_id) for connection_id in connected[:SHOWN]]
    connections = [connection for connection in found if connection is not None]
    consents = list_consents(sub, consents=ports.consents, clients=ports.clients, limit=SHOWN, after=None).consents
    api_keys = ports.api_keys.of_user(sub)
    counts = {
        "identities": len(identities),
        "sessions": len(sessions),
        "connections": len(connected),
        "api_keys": len(api_keys),
    }
    return UserDetail(user, identities[:SHOWN], sessions[:SHOWN], connections, consents, api_keys[:SHOWN], counts)
