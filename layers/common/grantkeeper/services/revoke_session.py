"""Token revocation (RFC 7009): either token of a session ends the session."""

from __future__ import annotations

from collections.abc import Mapping

from grantkeeper import ids
from grantkeeper.errors import OAuthError, Unauthenticated
from grantkeeper.jws import ACCESS_TOKEN_ALGORITHMS, ACCESS_TOKEN_TYPE, verify_jws
from grantkeeper.model import AuditEvent, Client, Session
from grantkeeper.ports import KeySet, Sessions
from grantkeeper.services.issue_tokens import parse_refresh_token
from grantkeeper.services.verify_token import live_session


def revoke_token(
    form: Mapping[str, str],
    *,
    client: Client,
    sessions: Sessions,
    key_set: KeySet,
    issuer: str,
    now: int,
    request_id: str,
) -> None:
    """
    Revoke the session a token belongs to; a token nobody knows is as good as revoked (RFC 7009 section 2.2).

    Once this returns the refresh token is dead. Access tokens of the session are refused at once where sessions are
    looked up (userinfo, introspection) and run out after at most 15 minutes elsewhere.

    Args:
        form: `token`, and `token_type_hint`, which is not needed: the two kinds look different.

    Raises:
        OAuthError: `invalid_request` without a token; `invalid_grant` for another client's token.
    """
    token = form.get("token")
    if not token:
        raise OAuthError("invalid_request", "The parameter token is missing.")
    session = _of_refresh_token(token, sessions) or _of_access_token(
        token, sessions=sessions, key_set=key_set, issuer=issuer, now=now
    )
    if session is None:
        return
    if session.client_id != client.client_id:
        raise OAuthError("invalid_grant", "The token was issued to another client.")
    end_session_of(
        session, actor=f"client:{client.client_id}", reason="revoked", sessions=sessions, now=now, request_id=request_id
    )


def end_session_of(session: Session, *, actor: str, reason: str, sessions: Sessions, now: int, request_id: str) -> bool:
    """
    End one session, audited.

    Returns:
        False when it was over already.
    """
    event = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="session.revoked",
        actor=actor,
        sub=session.sub,
        client_id=session.client_id,
        provider=session.provider,
        reason=reason,
        request_id=request_id,
        details={"sid": session.sid},
    )
    return sessions.revoke(session.family, audit=event)


def _of_refresh_token(text: str, sessions: Sessions) -> Session | None:
    """By its current or previous secret: a client that missed the last answer may still sign out."""
    token = parse_refresh_token(text)
    session = None if token is None else sessions.get(token.family)
    if token is None or session is None:
        return None
    current = ids.same(token.secret_hash, session.current_hash)
    previous = ids.same(token.secret_hash, session.previous_hash or session.current_hash)
    return session if current or previous else None


def _of_access_token(token: str, *, sessions: Sessions, key_set: KeySet, issuer: str, now: int) -> Session | None:
    """Also one for another resource, or one that has just expired: the signature is what counts here."""
    try:
        _, claims = verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ=ACCESS_TOKEN_TYPE)
    except Unauthenticated:
        return None
    if claims.get("iss") != issuer or not isinstance(claims.get("sub"), str):
        return None
    return live_session(claims, sessions=sessions, now=now)
