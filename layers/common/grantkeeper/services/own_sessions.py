"""A user's own sessions: where he is signed in, and the end of one, of all, or of all the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grantkeeper import ids
from grantkeeper.errors import NotFound
from grantkeeper.model import Principal, Session
from grantkeeper.ports import Clients, Sessions
from grantkeeper.services.revoke_session import end_session_of

AT_ONCE = 100  # sessions that one call ends; each is a transaction of its own, with its entry in the trail
REASON = "revoked_by_user"


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A session as its user sees it; nothing in it names the family of its refresh tokens."""

    session: Session
    client_name: str
    current: bool


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page, newest first; `next_position` is where the following one starts, None on the last."""

    sessions: tuple[ListedSession, ...]
    next_position: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How many sessions were ended, and how many are left for another call."""

    revoked: int
    left: int


def list_sessions(
    principal: Principal, *, sessions: Sessions, clients: Clients, now: int, limit: int, after: str | None = None
) -> SessionPage:
    """
    List the sessions in which the caller is signed in now, at whichever client, newest first.

    Args:
        principal: A user.
        limit: Page size, at least 1.
        after: Position the last page ended at, from its `next_position`.

    Raises:
        StoreUnavailable: They cannot be read.
    """
    live = _live(principal.sub or "", sessions=sessions, now=now)
    rest = [s for s in live if after is None or _position(s) < after]
    page = rest[:limit]
    found = {client_id: clients.get(client_id) for client_id in {s.client_id for s in page}}
    names = {client_id: client_id if client is None else client.client_name for client_id, client in found.items()}
    listed = tuple(ListedSession(s, names[s.client_id], _is_current(s, principal)) for s in page)
    return SessionPage(listed, _position(page[-1]) if len(rest) > limit else None)


def end_one(principal: Principal, sid: str, *, sessions: Sessions, now: int, request_id: str) -> None:
    """
    End a session of the caller's, audited; one that has ended already is as good.

    Once this returns its refresh token is dead; its access tokens are refused everywhere within a minute (S-24).

    Raises:
        NotFound: No session of his.
        StoreUnavailable: It is not known whether it ended; it may be asked again.
    """
    session = sessions.find(principal.sub or "", sid) if ids.is_id(sid) else None
    if session is None:
        raise NotFound("No such session.")
    end_session_of(session, actor=principal.actor, reason=REASON, sessions=sessions, now=now, request_id=request_id)


def end_all(principal: Principal, *, keep_current: bool, sessions: Sessions, now: int, request_id: str) -> Ended:
    """
    End every session of the caller's, or all but the one he calls in; audited one by one.

    The current one goes last, so that a call which fails on the way can be repeated. A sign-in that comes meanwhile is
    none of those that were meant.

    Raises:
        StoreUnavailable: Some may have ended; it may be asked again.
    """
    live = _live(principal.sub or "", sessions=sessions, now=now)
    others = [s for s in live if not _is_current(s, principal)]
    meant = others if keep_current else [*others, *(s for s in live if _is_current(s, principal))]
    ended = [
        end_session_of(s, actor=principal.actor, reason=REASON, sessions=sessions, now=now, request_id=request_id)
        for s in meant[:AT_ONCE]
    ]
    return Ended(sum(ended), len(meant[AT_ONCE:]))


def _live(sub: str, *, sessions: Sessions, now: int) -> Sequence[Session]:
    """By our own clock: an item that has expired may still be stored."""
    live = [s for s in sessions.list(sub) if s.status == "active" and now < min(s.expires_at, s.idle_expires_at)]
    return sorted(live, key=_position, reverse=True)


def _is_current(session: Session, principal: Principal) -> bool:
    return session.sid == principal.sid and session.client_id == principal.client_id


def _position(session: Session) -> str:
    """Sorts as (created_at, sid) does; ten digits last until the year 2286."""
    return f"{session.created_at:010d}.{session.sid}"
