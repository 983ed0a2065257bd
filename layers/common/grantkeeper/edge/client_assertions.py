"""
`private_key_jwt`: a client proves itself by a signature (RFC 7523 section 3, OpenID Connect Core section 9).

Its public keys are part of its registration; no key is ever fetched from
where an assertion points. An assertion is good once, for a minute or so, and
for us alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, TypeGuard

from grantkeeper import ids
from grantkeeper.edge.decode import strict_json_object
from grantkeeper.errors import BadRequest, IdTokenRejected, OAuthError
from grantkeeper.model import Client
from grantkeeper.oauth.jwk import choose_key
from grantkeeper.ports import RateLimits

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "RS256", "PS256")
MAX_ASSERTION = 8192
MAX_LIFETIME = 300  # seconds
SKEW = 10  # seconds a client's clock may be ahead of ours
_WINDOW = 3600


def claimed_client_id(assertion: str) -> str:
    """
    Who an assertion says it is from, unverified: only to know whose keys must verify it.

    Raises:
        OAuthError: `invalid_client`: it is no assertion.
    """
    claims = _claims(assertion)
    client_id = claims.get("sub")
    if not isinstance(client_id, str) or claims.get("iss") != client_id:
        _refuse()
    return client_id


def verify_assertion(assertion: str, *, client: Client, audiences: tuple[str, ...], used: RateLimits, now: int) -> None:
    """
    Verify a client's assertion and spend it.

    Args:
        assertion: Compact JWS.
        client: Whose `jwks` must verify it.
        audiences: Our issuer, and our token endpoint for older clients.
        used: Remembers `jti` until the assertion has expired.
        now: Epoch seconds.

    Raises:
        OAuthError: `invalid_client` (401), whatever is wrong with it.
        StoreUnavailable: It cannot be known whether it was used before.
    """
    _verify_signature(assertion, client)
    claims = _claims(assertion)
    expires_at, issued_at, jti = claims.get("exp"), claims.get("iat", now), claims.get("jti")
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        _refuse()
    if claims.get("aud") not in (*audiences, *([audience] for audience in audiences)):
        _refuse()
    if not _is_time(expires_at) or not _is_time(issued_at) or not isinstance(jti, str) or not 0 < len(jti) <= 256:
        _refuse()
    if not now < expires_at <= now + MAX_LIFETIME or issued_at > now + SKEW:
        _refuse()
    # The window follows from the assertion's own `exp`, so that every replay falls into the same one.
    if used.hit(f"jti#{client.client_id}#{jti}", limit=1, window=_WINDOW, now=expires_at):
        _refuse()


def _verify_signature(assertion: str, client: Client) -> None:
    from joserfc import jws  # noqa: PLC0415 - only clients that sign pay for it
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import import_key  # noqa: PLC0415

    header = _part(assertion, 0)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or not isinstance(kid, str | None) or not {"crit", "b64"}.isdisjoint(header):
        _refuse()
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_payload_length = MAX_ASSERTION
    try:
        key = choose_key(client.jwks, kid=kid, algorithm=algorithm)
        jws.deserialize_compact(assertion, import_key(dict(key)), registry=registry)
    except (IdTokenRejected, JoseError, ValueError, TypeError):
        _refuse()


def _claims(assertion: str) -> Mapping[str, Any]:
    return _part(assertion, 1)


def _part(assertion: str, index: int) -> Mapping[str, Any]:
    segments = assertion.split(".", 3) if len(assertion) <= MAX_ASSERTION else []
    if len(segments) != 3:
        _refuse()
    try:
        return strict_json_object(ids.b64url_decode(segments[index]).decode("utf-8"))
    except (ValueError, BadRequest):
        _refuse()


def _is_time(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse() -> NoReturn:
    raise OAuthError("invalid_client", "Client authentication failed.", status=401)
