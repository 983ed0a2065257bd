"""
The tokens a session gets: access token, ID token, refresh token.

Access tokens are RFC 9068 JWTs and say nothing about a person but his `sub`;
profile and e-mail are read at userinfo, where their scope is checked anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from grantkeeper import ids
from grantkeeper.model import Client, Session, User
from grantkeeper.ports import Signer
from grantkeeper.services.scopes import effective_scopes

ACCESS_TOKEN_LIFETIME = 15 * 60  # seconds
ID_TOKEN_LIFETIME = 15 * 60
SESSION_LIFETIME = 30 * 86400
SESSION_IDLE_LIFETIME = 7 * 86400
ACCESS_TOKEN_TYPE = "at+jwt"

_REFRESH_TOKEN = re.compile(r"gkr_([A-Za-z0-9_]{1,40})_([A-Za-z0-9_-]{43})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`gkr_<family>_<secret>`: the family finds the session, the secret proves the place in it."""

    family: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """What the client holds."""
        return f"gkr_{self.family}_{self.secret}"

    @property
    def secret_hash(self) -> str:
        """What the session keeps of it."""
        return ids.digest(self.secret)


def parse_refresh_token(text: str) -> RefreshToken | None:
    """Read a presented refresh token; None when it cannot be one of ours."""
    match = _REFRESH_TOKEN.match(text) if len(text) <= 128 else None
    return None if match is None else RefreshToken(*match.groups())


def sign_tokens(
    session: Session,
    *,
    user: User,
    client: Client,
    requested: Iterable[str],
    issuer: str,
    signer: Signer,
    now: int,
    nonce: str | None = None,
) -> Mapping[str, Any]:
    """
    Make a token response (RFC 6749 section 5.1) without its refresh token.

    Scopes are worked out anew every time, so that what a client or a role loses is gone with the next access token.
    An ID token comes along while `openid` is among them.

    Args:
        requested: Scopes to grant at most.
        nonce: The client's, for the first ID token only (OpenID Connect Core section 12.2).

    Raises:
        StoreUnavailable: No signing key can be had: nothing is issued (S-28).
    """
    scopes = effective_scopes(requested, client=client, role=user.role)
    lifetime = min(ACCESS_TOKEN_LIFETIME, session.expires_at - now)
    access_claims = _access_claims(session, user=user, scopes=scopes, issuer=issuer, now=now, exp=now + lifetime)
    access_token = signer.sign(access_claims, alg="ES256", typ=ACCESS_TOKEN_TYPE)
    response: dict[str, Any] = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": lifetime,
        "scope": " ".join(scopes),
    }
    if "openid" in scopes:
        claims = _id_claims(session, access_token=access_token, issuer=issuer, now=now, nonce=nonce)
        response["id_token"] = signer.sign(claims, alg=client.id_token_signed_response_alg, typ="JWT")
    return response


def _access_claims(
    session: Session, *, user: User, scopes: tuple[str, ...], issuer: str, now: int, exp: int
) -> Mapping[str, Any]:
    """RFC 9068 section 2.2; `sid` names the session, which is not the refresh-token family."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": session.sub,
        "aud": session.resource or issuer,
        "client_id": session.client_id,
        "scope": " ".join(scopes),
        "sid": session.sid,
        "jti": ids.new_id("jti"),
        "iat": now,
        "exp": exp,
    }
    if session.auth_time is not None:
        claims["auth_time"] = session.auth_time
    if user.role != "user":
        claims["role"] = user.role
    return claims


def _id_claims(session: Session, *, access_token: str, issuer: str, now: int, nonce: str | None) -> Mapping[str, Any]:
    """OpenID Connect Core section 2; `auth_time` is the provider's word or absent."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": session.sub,
        "aud": session.client_id,
        "azp": session.client_id,
        "sid": session.sid,
        "iat": now,
        "exp": now + ID_TOKEN_LIFETIME,
        "at_hash": ids.b64url(hashlib.sha256(access_token.encode("ascii")).digest()[:16]),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if session.auth_time is not None:
        claims["auth_time"] = session.auth_time
    return claims
