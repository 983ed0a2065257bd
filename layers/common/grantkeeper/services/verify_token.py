"""Access tokens of ours, believed: signature, claims and, where asked, that the session behind one still lives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grantkeeper.model import Session
    from grantkeeper.ports import KeySet, Sessions


def verify_access_token(
    token: str, *, issuer: str, key_set: KeySet, now: int, any_resource: bool = False
) -> Mapping[str, Any]:
    """
    Verify an access token for our own API; one for another resource is refused.

    Args:
        any_resource: Leave the audience to the caller, who compares it with the session's own.

    Raises:
        Unauthenticated: Not one of ours, or not for us.
        StoreUnavailable: The published keys cannot be read.
    """
    # Loaded by the first caller who brings a token; the token call's callers bring API keys.
    from grantkeeper.jws import (  # noqa: PLC0415
        ACCESS_TOKEN_ALGORITHMS,
        ACCESS_TOKEN_TYPE,
        check_claims,
        verify_jws,
    )

    _, claims = verify_jws(token, key_set=key_set, algorithms=ACCESS_TOKEN_ALGORITHMS, typ=ACCESS_TOKEN_TYPE)
    check_claims(claims, issuer=issuer, audience=str(claims.get("aud")) if any_resource else issuer, now=now)
    return claims


def live_session(claims: Mapping[str, Any], *, sessions: Sessions, now: int) -> Session | None:
    """The session a token belongs to, if it was neither revoked nor outlived; consistent."""
    session = sessions.find(str(claims["sub"]), str(claims.get("sid")))
    if session is None or session.client_id != claims.get("client_id") or session.status != "active":
        return None
    return session if now < min(session.expires_at, session.idle_expires_at) else None
