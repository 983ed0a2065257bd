"""Token introspection (RFC 7662): for a confidential client, about its own tokens and those for its own APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import OAuthError, Unauthenticated
from grantkeeper.jws import ACCESS_TOKEN_ALGORITHMS, ACCESS_TOKEN_TYPE, check_claims, verify_jws
from grantkeeper.model import Client
from grantkeeper.ports import Clients, KeySet, Sessions, Users
from grantkeeper.services.issue_tokens import parse_refresh_token
from grantkeeper.services.verify_token import live_session

_INACTIVE: Mapping[str, Any] = {"active": False}
_SHOWN = ("iss", "sub", "aud", "client_id", "scope", "sid", "jti", "iat", "exp", "auth_time", "role")


def introspect(
    form: Mapping[str, str],
    *,
    client: Client,
    sessions: Sessions,
    users: Users,
    clients: Clients,
    key_set: KeySet,
    issuer: str,
    now: int,
) -> Mapping[str, Any]:
    """
    Tell whether a token is good now.

    Session, user and the client it was issued to are looked up, so that a sign-out shows at once. Whatever is wrong
    with a token, or whosever it is, the answer is the same `{"active": false}`.

    Raises:
        OAuthError: `invalid_client` (401) for a public client, `invalid_request` without a token.
    """
    if not client.confidential:
        raise OAuthError("invalid_client", "Introspection needs a confidential client.", status=401)
    token = form.get("token")
    if not token:
        raise OAuthError("invalid_request", "The parameter token is missing.")
    if parse_refresh_token(token) is not None:
        answer = _refresh_token(token, client=client, sessions=sessions, issuer=issuer, now=now)
    else:
        answer = _access_token(token, client=client, sessions=sessions, key_set=key_set, issuer=issuer, now=now)
    if not answer["active"]:
        return _INACTIVE
    user = users.get(answer["sub"])
    if user is None or user.status != "active":
        return _INACTIVE
    holder = client if answer["client_id"] == client.client_id else clients.get(answer["client_id"])
    return answer if holder is not None and holder.status == "active" else _INACTIVE


def _access_token(
    token: str, *, client: Client, sessions: Sessions, key_set: KeySet, issuer: str, now: int
) -> Mapping[str, Any]:
    try:
        _, claims = verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ=ACCESS_TOKEN_TYPE)
        audience = claims.get("aud")
        if claims.get("client_id") != client.client_id and audience not in client.resources:
            return _INACTIVE
        check_claims(claims, issuer=issuer, audience=str(audience), now=now)
    except Unauthenticated:
        return _INACTIVE
    if live_session(claims, sessions=sessions, now=now) is None:
        return _INACTIVE
    return {"active": True, "token_type": "Bearer", **{name: claims[name] for name in _SHOWN if name in claims}}


def _refresh_token(text: str, *, client: Client, sessions: Sessions, issuer: str, now: int) -> Mapping[str, Any]:
    token = parse_refresh_token(text)
    session = None if token is None else sessions.get(token.family)
    if token is None or session is None or session.client_id != client.client_id or session.status != "active":
        return _INACTIVE
    expires_at = min(session.expires_at, session.idle_expires_at)
    if now >= expires_at or not ids.same(token.secret_hash, session.current_hash):
        return _INACTIVE
    return {
        "active": True,
        "iss": issuer,
        "sub": session.sub,
        "client_id": session.client_id,
        "scope": " ".join(session.scopes),
        "sid": session.sid,
        "exp": expires_at,
    }
