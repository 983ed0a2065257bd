"""Userinfo (OpenID Connect Core section 5.3): what a client may know of the user, by scope, as it is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grantkeeper.errors import OAuthError, Unauthenticated
from grantkeeper.model import User
from grantkeeper.ports import Clients, KeySet, Sessions, Users
from grantkeeper.services.verify_token import live_session, verify_access_token

_CHALLENGE = 'Bearer realm="grantkeeper", error="invalid_token"'


def userinfo(
    token: str, *, sessions: Sessions, users: Users, clients: Clients, key_set: KeySet, issuer: str, now: int
) -> Mapping[str, Any]:
    """
    The claims about the bearer of an access token, also of one for an API of the team.

    This endpoint is the OpenID provider's: it takes the token that an authentication request got (OpenID Connect Core
    section 5.3.1), and where that request named a `resource`, the token's audience is that alone (RFC 9068 section 3).
    So the audience must be the one of the very session the token belongs to; what is told is bounded by its scope.

    Raises:
        OAuthError: `invalid_token` (401): the token, its session, its user or its client is not good any more;
            `insufficient_scope` (403) without `openid`.
    """
    try:
        claims = verify_access_token(token, issuer=issuer, key_set=key_set, now=now, any_resource=True)
    except Unauthenticated:
        raise _invalid() from None
    scopes = str(claims.get("scope", "")).split()
    if "openid" not in scopes:
        challenge = 'Bearer realm="grantkeeper", error="insufficient_scope", scope="openid"'
        raise OAuthError("insufficient_scope", "The scope openid is missing.", status=403, challenge=challenge)
    user, session = users.get(str(claims["sub"])), live_session(claims, sessions=sessions, now=now)
    if user is None or user.status != "active" or session is None or claims["aud"] != (session.resource or issuer):
        raise _invalid()
    client = clients.get(session.client_id)
    if client is None or client.status != "active":
        raise _invalid()
    return user_claims(user, scopes)


def user_claims(user: User, scopes: list[str]) -> Mapping[str, Any]:
    """
    Standard claims (OpenID Connect Core section 5.4); what is not known is left out.

    Name, picture and locale as the user has set them, else as his provider says; an address and whether it is verified
    are never anybody's word but the provider's.
    """
    claims: dict[str, Any] = {"sub": user.sub}
    if "profile" in scopes:
        claims |= {
            "name": user.shown("name"),
            "picture": user.shown("avatar_url"),
            "locale": user.shown("locale"),
            "updated_at": user.updated_at,
        }
    if "email" in scopes and user.email is not None:
        claims |= {"email": user.email, "email_verified": user.email_verified}
    return {name: value for name, value in claims.items() if value is not None}


def _invalid() -> OAuthError:
    return OAuthError("invalid_token", "The access token is not valid.", status=401, challenge=_CHALLENGE)
