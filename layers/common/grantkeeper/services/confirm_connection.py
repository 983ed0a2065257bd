"""Confirm a connection: the client says which of its users came back, and it must be the one the session is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from grantkeeper import ids
from grantkeeper.errors import BadRequest, ConfirmationRefused, Conflict, ConnectSessionExpired
from grantkeeper.model import AuditEvent, Connection, ConnectSession, Principal
from grantkeeper.ports import AuditTrail, Connections, ConnectSessions, Users, WorkQueue
from grantkeeper.services.abandon_tokens import abandon_tokens
from grantkeeper.services.people import Named, client_issuer, client_of

Mismatch = Literal["other_client", "other_user", "wrong_confirmation", "suspended_user"]


MEMBERS = ("confirmation", "user_id", "user_sub")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a client presents: the value from the redirect, and the user signed in at it in that browser."""

    value: str = field(repr=False)
    named: Named

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Confirmation:
        """
        Read the JSON body.

        Raises:
            BadRequest: A member is missing, unknown or no string. Nothing is consumed.
        """
        for name, value in body.items():
            if name not in MEMBERS:  # not named: it is the sender's text
                raise BadRequest("The body holds confirmation, and user_id or user_sub.")
            if not isinstance(value, str) or not value:
                raise BadRequest(f"{name} is a string.", parameter=name)
        if "confirmation" not in body:
            raise BadRequest("confirmation is missing.", parameter="confirmation")
        return cls(body["confirmation"], Named(body.get("user_id"), body.get("user_sub")))


def confirm_connection(
    session_id: str,
    confirmation: Confirmation,
    *,
    principal: Principal,
    users: Users,
    connect_sessions: ConnectSessions,
    connections: Connections,
    audit: AuditTrail,
    work_queue: WorkQueue,
    now: int,
    request_id: str,
) -> Connection:
    """
    Activate what a user connected, if the one who came back is the one it was opened for (C-32).

    The confirmation reached only the browser that went to the provider; the name comes from the client's own session in
    that browser. So neither a forwarded link nor a fixed session attaches a stranger's account: whoever followed it is
    not the session's user, or is not the client's word for him. A mismatch ends the session for good, its tokens are
    thrown away, and the answer is the same whatever was wrong.

    Args:
        session_id: Id of the connect session.
        confirmation: What the redirect brought, and the user's name; a Bearer token names him by itself.

    Returns:
        The active connection; the same again for the same values.

    Raises:
        BadRequest: A client's key named nobody; nothing is consumed.
        ConfirmationRefused: Not the session's user, client or confirmation. The session is over.
        ConnectSessionExpired: Unknown, expired, or over already.
        Conflict: A racing session connected the same account first.
    """
    client_of(principal)
    if principal.kind == "api_key" and confirmation.named.empty:
        raise BadRequest("Name the user who is signed in, by user_id or by user_sub.", parameter="user_id")
    session = connect_sessions.get(_id(session_id), now=now)
    mismatch = _mismatch(session, confirmation, principal=principal, users=users)
    event = _event(session, principal=principal, now=now, request_id=request_id)

    if mismatch is not None:
        refused = _refused(event, session, mismatch)
        if not connect_sessions.end(session.id, now=now, audit=refused):
            audit.record(refused)
        _abandon(session, connections=connections, work_queue=work_queue, now=now, request_id=request_id)
        raise ConfirmationRefused("The connection was not confirmed. The session is over.")

    connection_id = session.pending_connection_id or ""
    if session.status == "confirmed":
        return _confirmed(connection_id, connections)
    pending = connections.pending(connection_id, session.id, now=now) if session.status == "authorized" else None
    if pending is None:  # over, or confirmed by another request since the session was read
        if connect_sessions.get(session.id, now=now).status == "confirmed":
            return _confirmed(connection_id, connections)
        raise ConnectSessionExpired("The connect session is over.")
    try:
        return connections.confirm(pending, consent_client_id=session.client_id, now=now, audit=event)
    except Conflict:
        _abandon(session, connections=connections, work_queue=work_queue, now=now, request_id=request_id)
        raise


def _mismatch(
    session: ConnectSession, confirmation: Confirmation, *, principal: Principal, users: Users
) -> Mismatch | None:
    """Name what is wrong, for the audit trail only."""
    if session.client_id != principal.client_id:
        return "other_client"
    if _named_sub(confirmation.named, principal=principal, users=users) != session.sub:
        return "other_user"
    expected = session.confirmation_hash
    if expected is None or not ids.same(ids.digest(confirmation.value), expected):
        return "wrong_confirmation"
    user = users.get(session.sub)
    return None if user is not None and user.status == "active" else "suspended_user"


def _named_sub(named: Named, *, principal: Principal, users: Users) -> str | None:
    """The user somebody names; None when the names contradict each other or mean nobody."""
    sub = named.user_sub
    if named.user_id is not None:
        identity = users.find(client_issuer(client_of(principal)), named.user_id)
        sub = None if identity is None else identity.sub
    if principal.kind == "api_key":
        return sub
    return principal.sub if named.empty or sub == principal.sub else None


def _abandon(
    session: ConnectSession, *, connections: Connections, work_queue: WorkQueue, now: int, request_id: str
) -> None:
    if session.pending_connection_id is not None and session.status != "confirmed":
        abandon_tokens(
            session.pending_connection_id,
            session.id,
            provider=session.provider,
            connections=connections,
            work_queue=work_queue,
            now=now,
            request_id=request_id,
        )


def _confirmed(connection_id: str, connections: Connections) -> Connection:
    connection = connections.get(connection_id)
    if connection is None:
        raise ConnectSessionExpired("The connect session is over.")
    return connection


def _event(session: ConnectSession, *, principal: Principal, now: int, request_id: str) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="connection.activated",
        actor=principal.actor,
        sub=session.sub,
        connection_id=session.pending_connection_id,
        client_id=session.client_id,
        provider=session.provider,
        service=session.service,
        request_id=request_id,
        details={"connect_session": session.id},
    )


def _refused(event: AuditEvent, session: ConnectSession, mismatch: Mismatch) -> AuditEvent:
    return AuditEvent(
        id=event.id,
        time=event.time,
        action="connect_session.refused",
        actor=event.actor,
        sub=session.sub,
        client_id=session.client_id,
        provider=session.provider,
        service=session.service,
        reason=mismatch,
        request_id=event.request_id,
        details={"connect_session": session.id},
    )


def _id(session_id: str) -> str:
    if not ids.is_id(session_id):
        raise ConnectSessionExpired("The connect session is unknown or expired.")
    return session_id
