"""Who is meant: from a principal and the names in a request to one user of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantkeeper import ids, model
from grantkeeper.errors import BadRequest, Forbidden, NotFound
from grantkeeper.model import AuditEvent

if TYPE_CHECKING:
    from grantkeeper.model import Principal
    from grantkeeper.ports import Connections, Sessions, Users

MAX_USER_ID = 256


@dataclass(frozen=True, slots=True)
class Named:
    """The user a request names: by the client's own id, or by our `sub`; at most one of the two."""

    user_id: str | None = None
    user_sub: str | None = None

    def __post_init__(self) -> None:
        """Refuse both at once, and names that cannot be any user's."""
        if self.user_id is not None and self.user_sub is not None:
            raise BadRequest("Name the user by user_id or by user_sub, not both.", parameter="user_id")
        if self.user_id is not None and not _printable(self.user_id):
            raise BadRequest("user_id is 1 to 256 printable characters.", parameter="user_id")
        if self.user_sub is not None and not ids.is_id(self.user_sub):
            raise NotFound("No such user.")

    @property
    def empty(self) -> bool:
        """True when no user is named."""
        return self.user_id is None and self.user_sub is None


def client_issuer(client_id: str) -> str:
    """The issuer of a client's own user ids: they are identities like any provider's."""
    return f"client:{client_id}"


def client_of(principal: Principal) -> str:
    """
    The client the principal acts at.

    Raises:
        Forbidden: An operator's key, which belongs to no client and never sees connections.
    """
    if principal.client_id is None:
        raise Forbidden("An operator's key acts for no client.")
    return principal.client_id


def find_person(
    principal: Principal, named: Named, *, users: Users, sessions: Sessions, connections: Connections
) -> str | None:
    """
    Find the user that a principal means, without making one.

    A signed-in user means himself, whatever else he names is refused. A client's key means a user it knows: one it
    provisioned, one who has signed in at it, or one who let it use a connection. Of any other it is told what it would
    be told of a user who does not exist (T-02).

    Returns:
        The user's `sub`; None when the client's own id was never seen, so that nothing can exist for it.

    Raises:
        BadRequest: A client's key named nobody.
        NotFound: Unknown to this client.
        Forbidden: The key belongs to no client.
    """
    client_id = client_of(principal)
    if principal.kind == "user":
        return _himself(principal, named, client_id=client_id, users=users)
    if named.user_id is not None:
        identity = users.find(client_issuer(client_id), named.user_id)
        return None if identity is None else identity.sub
    if named.user_sub is None:
        raise BadRequest("Name the user by user_id or by user_sub.", parameter="user_id")
    if not _knows(client_id, named.user_sub, users=users, sessions=sessions, connections=connections):
        raise NotFound("No such user.")
    return named.user_sub


def find_or_provision(
    principal: Principal,
    named: Named,
    *,
    users: Users,
    sessions: Sessions,
    connections: Connections,
    now: int,
    request_id: str,
) -> str:
    """
    Find the user that a principal means; a client's own id seen for the first time makes one, audited.

    Returns:
        The `sub` of a user who may connect.

    Raises:
        BadRequest, NotFound, Forbidden: As in `find_person`.
        Forbidden: The user is suspended.
    """
    sub = find_person(principal, named, users=users, sessions=sessions, connections=connections)
    if sub is None and named.user_id is not None:
        return _provision(principal, named.user_id, users=users, now=now, request_id=request_id)

    user = None if sub is None else users.get(sub)
    if user is None:
        raise NotFound("No such user.")
    if user.status != "active":
        raise Forbidden("This user is suspended.")
    return user.sub


def _himself(principal: Principal, named: Named, *, client_id: str, users: Users) -> str:
    """Path and credential win over the body; what disagrees with them is refused (T-03)."""
    sub = principal.sub or ""
    if named.user_sub is not None and named.user_sub != sub:
        raise NotFound("No such user.")
    if named.user_id is not None:
        identity = users.find(client_issuer(client_id), named.user_id)
        if identity is None or identity.sub != sub:
            raise NotFound("No such user.")
    return sub


def _knows(client_id: str, sub: str, *, users: Users, sessions: Sessions, connections: Connections) -> bool:
    issuer = client_issuer(client_id)
    return (
        any(identity.issuer == issuer for identity in users.identities(sub))
        or any(session.client_id == client_id for session in sessions.list(sub))
        or bool(connections.consented(sub, client_id))
    )


def _provision(principal: Principal, user_id: str, *, users: Users, now: int, request_id: str) -> str:
    client_id = client_of(principal)
    user = model.User(sub=ids.new_id("usr"), created_at=now, updated_at=now)
    identity = model.Identity(
        issuer=client_issuer(client_id),
        subject=user_id,
        sub=user.sub,
        provider=client_issuer(client_id),
        linked_at=now,
    )
    audit = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="user.provisioned",
        actor=principal.actor,
        sub=user.sub,
        client_id=client_id,
        request_id=request_id,
    )
    return users.provision(user, identity, audit=audit).sub


def _printable(text: str) -> bool:
    return 0 < len(text) <= MAX_USER_ID and text.isprintable()
