"""
The token endpoint, `grant_type=refresh_token`: rotation, idempotent replay, reuse (RFC 6749 section 6, RFC 9700 4.14).

    presented            within                       answer
    current              30 days, 7 idle              the next token; this one becomes the predecessor
    the predecessor      30 s, successor unused       the same successor again: the first answer was lost
    anything else        a live family                reuse: the family is revoked and audited

Order is by the family's counter, never by time: two rotations in one second leave one predecessor, not two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from grantkeeper import ids, sealing
from grantkeeper.errors import GrantUnreadable, OAuthError, StoreUnavailable
from grantkeeper.model import AuditEvent, Client, Session
from grantkeeper.ports import Sessions, Signer, Users
from grantkeeper.services.issue_tokens import (
    SESSION_IDLE_LIFETIME,
    RefreshToken,
    parse_refresh_token,
    sign_tokens,
)

GRACE = 30  # seconds in which a lost answer may be asked for again
_ROUNDS = 4  # a lost race makes us the predecessor's bearer; more rounds mean more rotations than one


def refresh_session(
    form: Mapping[str, str],
    *,
    client: Client,
    sessions: Sessions,
    users: Users,
    signer: Signer,
    issuer: str,
    now: int,
    request_id: str,
) -> Mapping[str, Any]:
    """
    Answer a refresh token with new tokens.

    Tokens are signed before the family moves on, so that trouble with a key costs no rotation; they are given out only
    if the family was still live at the moment it moved (S-17). Of any number of racing callers one rotates, and all get
    the same successor.

    Returns:
        The token response.

    Raises:
        OAuthError: `invalid_grant`, `invalid_scope`, `invalid_target` or `invalid_request`.
        StoreUnavailable: Nothing was rotated, or nobody can know: the same token may be sent again.
    """
    token = _presented(form)
    for _ in range(_ROUNDS):
        session = _live(token, client=client, sessions=sessions, now=now, request_id=request_id)
        response = _sign(session, form, client=client, users=users, signer=signer, issuer=issuer, now=now)
        if not ids.same(token.secret_hash, session.current_hash):
            return {**response, "refresh_token": _same_successor(token, session).text}
        successor = RefreshToken(token.family, ids.new_secret())
        if sessions.rotate(_rotated(session, token, successor, now=now), expected_counter=session.counter):
            return {**response, "refresh_token": successor.text}
    raise StoreUnavailable("The session is busy.", retry_after=1)


def _presented(form: Mapping[str, str]) -> RefreshToken:
    text = form.get("refresh_token")
    if not text:
        raise OAuthError("invalid_request", "The parameter refresh_token is missing.")
    token = parse_refresh_token(text)
    if token is None:
        raise _invalid()
    return token


def _live(token: RefreshToken, *, client: Client, sessions: Sessions, now: int, request_id: str) -> Session:
    """The family this token may still move; every other bearer ends it."""
    session = sessions.get(token.family)
    if session is None or session.status != "active" or now >= min(session.expires_at, session.idle_expires_at):
        raise _invalid()
    if session.client_id != client.client_id:
        _revoke(session, reason="used_by_another_client", sessions=sessions, now=now, request_id=request_id)
        raise _invalid()
    if ids.same(token.secret_hash, session.current_hash) or _is_replay(token, session, now=now):
        return session
    _revoke(session, reason="refresh_token_reused", sessions=sessions, now=now, request_id=request_id)
    raise _invalid()


def _is_replay(token: RefreshToken, session: Session, *, now: int) -> bool:
    """
    Tell whether a lost answer is asked for again: only by the immediate predecessor, while its successor is unused.

    Had the successor been used, it would be the predecessor now and this token none.
    """
    if session.previous_hash is None or not session.sealed_successor:
        return False
    return ids.same(token.secret_hash, session.previous_hash) and now - session.rotated_at <= GRACE


def _sign(
    session: Session,
    form: Mapping[str, str],
    *,
    client: Client,
    users: Users,
    signer: Signer,
    issuer: str,
    now: int,
) -> Mapping[str, Any]:
    user = users.get(session.sub)
    if user is None or user.status != "active":
        raise _invalid()
    resource = form.get("resource")
    if resource is not None and resource != (session.resource or issuer):
        raise OAuthError("invalid_target", "The resource is not the one of the authorization request.")
    requested = _narrowed(form.get("scope"), session)
    return sign_tokens(session, user=user, client=client, requested=requested, issuer=issuer, signer=signer, now=now)


def _narrowed(asked: str | None, session: Session) -> Iterable[str]:
    """Fewer scopes may be asked for, none that was not granted (RFC 6749 section 6); the session keeps its own."""
    if not asked:
        return session.scopes
    scopes = asked.split(" ")
    if not set(scopes) <= set(session.scopes):
        raise OAuthError("invalid_scope", "The scope exceeds what was granted.")
    return scopes


def _rotated(session: Session, token: RefreshToken, successor: RefreshToken, *, now: int) -> Session:
    """The successor is kept sealed under its predecessor, of which we store a hash only."""
    return replace(
        session,
        current_hash=successor.secret_hash,
        previous_hash=token.secret_hash,
        sealed_successor=sealing.seal_under(
            token.secret, successor.secret.encode(), context=_context(session.family, session.counter + 1)
        ),
        rotated_at=now,
        counter=session.counter + 1,
        idle_expires_at=min(now + SESSION_IDLE_LIFETIME, session.expires_at),
    )


def _same_successor(token: RefreshToken, session: Session) -> RefreshToken:
    try:
        secret = sealing.open_under(
            token.secret, session.sealed_successor, context=_context(session.family, session.counter)
        )
    except GrantUnreadable:
        raise _invalid() from None
    return RefreshToken(session.family, secret.decode())


def _context(family: str, counter: int) -> str:
    return f"refresh token {counter} of {family}"


def _revoke(session: Session, *, reason: str, sessions: Sessions, now: int, request_id: str) -> None:
    event = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="session.reuse_detected",
        actor=f"client:{session.client_id}",
        sub=session.sub,
        client_id=session.client_id,
        provider=session.provider,
        reason=reason,
        request_id=request_id,
        details={"sid": session.sid},
    )
    sessions.revoke(session.family, audit=event)


def _invalid() -> OAuthError:
    """One answer for unknown, expired, revoked and reused."""
    return OAuthError("invalid_grant", "The refresh token is not valid.")
