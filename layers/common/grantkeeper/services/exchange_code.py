"""The token endpoint, `grant_type=authorization_code` (RFC 6749 section 4.1.3, RFC 7636 section 4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import OAuthError
from grantkeeper.model import AuditEvent, AuthorizationCode, Client, Session, User
from grantkeeper.oauth.pkce import VERIFIER, code_challenge
from grantkeeper.ports import Codes, Sessions, Signer, Users
from grantkeeper.services.issue_tokens import SESSION_IDLE_LIFETIME, SESSION_LIFETIME, RefreshToken, sign_tokens

MAX_CODE = 128


def exchange_code(
    form: Mapping[str, str],
    *,
    client: Client,
    codes: Codes,
    sessions: Sessions,
    users: Users,
    signer: Signer,
    issuer: str,
    now: int,
    request_id: str,
) -> Mapping[str, Any]:
    """
    Exchange a code for tokens and open the session.

    A code is good once, for 60 seconds, for the client, redirect_uri and PKCE challenge it was issued to. A request
    that lacks a parameter costs nothing; one that presents the code with a wrong one has spent it. Its second use
    revokes the session the first one opened, also when both arrive at once.

    Returns:
        The token response.

    Raises:
        OAuthError: `invalid_request`, `invalid_grant` or `invalid_target`.
        StoreUnavailable: Nothing was issued.
    """
    presented = {name: _required(form, name) for name in ("code", "redirect_uri", "code_verifier")}
    if VERIFIER.match(presented["code_verifier"]) is None:
        raise OAuthError("invalid_request", "The code_verifier is malformed.")
    code = _redeem(presented["code"], codes=codes, sessions=sessions, now=now, request_id=request_id)
    _check_binding(code, presented, client=client, resource=form.get("resource"), issuer=issuer)

    user = users.get(code.sub)
    if user is None or user.status != "active":
        raise OAuthError("invalid_grant", "The user may not sign in.")
    refresh_token = RefreshToken(code.family, ids.new_secret())
    session = _session(code, refresh_token=refresh_token, now=now)
    response = sign_tokens(
        session,
        user=user,
        client=client,
        requested=code.scopes,
        issuer=issuer,
        signer=signer,
        now=now,
        nonce=code.nonce,
    )
    if not sessions.create(session, audit=_signed_in(session, user=user, now=now, request_id=request_id)):
        raise _used_twice()
    return {**response, "refresh_token": refresh_token.text}


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return value


def _redeem(presented: str, *, codes: Codes, sessions: Sessions, now: int, request_id: str) -> AuthorizationCode:
    if len(presented) > MAX_CODE:
        raise OAuthError("invalid_grant", "The code is unknown or expired.")
    code, first = codes.redeem(ids.digest(presented), now=now)
    if code is None:
        raise OAuthError("invalid_grant", "The code is unknown or expired.")
    if not first:
        _revoke_first_use(code, sessions=sessions, now=now, request_id=request_id)
        raise _used_twice()
    return code


def _revoke_first_use(code: AuthorizationCode, *, sessions: Sessions, now: int, request_id: str) -> None:
    """
    Revoke what the first use got (RFC 6749 section 4.1.2).

    The first use may be between redeeming and storing its session. So where there is none yet, a revoked one is put in
    its place; whoever of the two comes second sees the other.
    """
    event = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="session.revoked",
        actor=f"client:{code.client_id}",
        sub=code.sub,
        client_id=code.client_id,
        provider=code.provider,
        reason="code_used_twice",
        request_id=request_id,
    )
    if sessions.revoke(code.family, audit=event):
        return
    grave = _session(code, refresh_token=RefreshToken(code.family, ids.new_secret()), now=now)
    if not sessions.create(replace(grave, status="revoked"), audit=event):
        sessions.revoke(code.family, audit=event)


def _check_binding(
    code: AuthorizationCode, presented: Mapping[str, str], *, client: Client, resource: str | None, issuer: str
) -> None:
    if code.client_id != client.client_id:
        raise OAuthError("invalid_grant", "The code was issued to another client.")
    if code.redirect_uri != presented["redirect_uri"]:
        raise OAuthError("invalid_grant", "The redirect_uri is not the one of the authorization request.")
    if not ids.same(code_challenge(presented["code_verifier"]), code.code_challenge):
        raise OAuthError("invalid_grant", "The code_verifier does not match.")
    if resource is not None and resource != (code.resource or issuer):
        raise OAuthError("invalid_target", "The resource is not the one of the authorization request.")


def _session(code: AuthorizationCode, *, refresh_token: RefreshToken, now: int) -> Session:
    return Session(
        family=code.family,
        sid=ids.new_id("sid"),  # new at every sign-in, so no session can be fixed (S-22)
        sub=code.sub,
        client_id=code.client_id,
        scopes=code.scopes,
        provider=code.provider,
        created_at=now,
        expires_at=now + SESSION_LIFETIME,
        idle_expires_at=now + SESSION_IDLE_LIFETIME,
        current_hash=refresh_token.secret_hash,
        rotated_at=now,
        auth_time=code.auth_time,
        resource=code.resource,
    )


def _signed_in(session: Session, *, user: User, now: int, request_id: str) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="user.signed_in",
        actor=f"user:{user.sub}",
        sub=user.sub,
        client_id=session.client_id,
        provider=session.provider,
        request_id=request_id,
        details={"sid": session.sid},
    )


def _used_twice() -> OAuthError:
    return OAuthError("invalid_grant", "The code was used already.")
