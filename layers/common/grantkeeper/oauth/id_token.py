"""
ID token validation, OpenID Connect Core section 3.1.3.7, all of it, every time.

The algorithm is the record's, the key is one of the provider's published keys found by its `kid`, and nothing the token
says about itself is believed before its signature is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from grantkeeper import ids
from grantkeeper.errors import IdTokenRejected
from grantkeeper.oauth.answers import strict_object
from grantkeeper.oauth.issuers import is_issuer_of
from grantkeeper.oauth.jwk import choose_key
from grantkeeper.providers.record import Provider

MAX_TOKEN = 64 * 1024
MAX_HEADER = 8 * 1024
SKEW = 60  # seconds a provider's clock may be ahead of ours
MAX_AGE = 600  # an ID token of a code exchange was made just now
MAX_LIFETIME = 400 * 86_400
_HASHES = {"EdDSA": hashlib.sha512}  # Ed25519 is defined over SHA-512; the other algorithms we take end in 256


def validate_id_token(
    token: str,
    *,
    provider: Provider,
    client_id: str,
    nonce: str | None,
    keys: Sequence[Mapping[str, Any]],
    now: int,
    max_age: int | None = None,
    access_token: str | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    """
    Validate an ID token of a code exchange and return its claims.

    Args:
        token: The compact JWS, as the token endpoint answered it.
        provider: Its record pins the algorithm and the closed list of issuers.
        client_id: Ours; the only audience accepted.
        nonce: The one of the trip; None only where the record says that the provider takes none.
        keys: The provider's published keys (`services.provider_keys`), possibly after a refetch for `key_id_of(token)`.
        now: Epoch seconds.
        max_age: Seconds since the user's authentication, when the trip asked for it: `auth_time` is then required.
        access_token: Of the same answer; compared with `at_hash` when the token has one.
        code: The authorization code; compared with `c_hash` when the token has one.

    Returns:
        The claims, of which only the checked ones mean what they say.

    Raises:
        IdTokenRejected: `reason` says at which step: `malformed`, `too_large`, `algorithm`, `header`, `key_unknown`,
            `key_ambiguous`, `signature`, `issuer`, `audience`, `authorized_party`, `expired`, `issued_at`,
            `not_yet_valid`, `nonce`, `subject`, `at_hash`, `c_hash` or `auth_time`.
        ValueError: There is no nonce where the provider takes one: a bug of the caller.
    """
    if nonce is None and provider.nonce:
        raise ValueError("an ID token is validated against the nonce of its trip")
    header = _header(token, algorithm=provider.id_token_signed_response_alg)
    key = choose_key(keys, kid=header.get("kid"), algorithm=provider.id_token_signed_response_alg)
    claims = _verified_claims(token, key, algorithm=provider.id_token_signed_response_alg)

    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not is_issuer_of(provider, issuer, claims):
        _reject("issuer", "The ID token is another issuer's.")
    if claims.get("aud") not in (client_id, [client_id]):  # a second audience could replay it (C-72)
        _reject("audience", "The ID token is not for us alone.")
    if "azp" in claims and claims["azp"] != client_id:
        _reject("authorized_party", "The ID token was issued to another client.")
    _check_times(claims, now=now)
    if nonce is not None and not _same(claims.get("nonce"), nonce):
        _reject("nonce", "The ID token belongs to another trip.")
    _check_subject(claims.get("sub"))
    _check_hash(claims, "at_hash", access_token, algorithm=provider.id_token_signed_response_alg)
    _check_hash(claims, "c_hash", code, algorithm=provider.id_token_signed_response_alg)
    _check_auth_time(claims, max_age=max_age, now=now)
    return claims


def key_id_of(token: str) -> str | None:
    """The `kid` an ID token names, unverified, to know whether the provider's keys must be read again; total."""
    try:
        kid = (strict_object(ids.b64url_decode(token[:MAX_HEADER].split(".", 1)[0])) or {}).get("kid")
    except ValueError:
        return None
    return kid if isinstance(kid, str) and kid else None


def _header(token: str, *, algorithm: str) -> dict[str, Any]:
    """Check what the signature does not cover or what decides how it is read."""
    if len(token) > MAX_TOKEN:
        _reject("too_large", "The ID token is over 64 KiB.")
    segments = token.split(".", 5)
    if len(segments) != 3 or not all(segments):  # five would be an encrypted one
        _reject("malformed", "The ID token is no signed token.")
    if len(segments[0]) > MAX_HEADER:
        _reject("too_large", "The header of the ID token is over 8 KiB.")
    header = _object(segments[0])
    if header.get("alg") != algorithm:  # the record's, whatever the header says (C-59 to C-61)
        _reject("algorithm", "The ID token is signed with another algorithm than the registered one.")
    if not {"crit", "b64", "zip"}.isdisjoint(header):  # extensions we do not understand change what is signed (C-64)
        _reject("header", "The ID token uses an extension.")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in ("jwt", "id_token+jwt"):  # RFC 8725 section 3.11
        _reject("header", "This is another kind of token.")
    kid = header.get("kid", "-")
    if not isinstance(kid, str) or not kid:
        _reject("header", "The key id of the ID token is none.")
    return header


def _verified_claims(token: str, key: Mapping[str, Any], *, algorithm: str) -> dict[str, Any]:
    from joserfc import jws  # noqa: PLC0415 - 60 ms that only a callback pays
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import import_key  # noqa: PLC0415

    # Only what verifies is handed on; the header's own jwk, jku, x5c and x5u are never looked at (C-63).
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_payload_length = MAX_TOKEN
    registry.max_header_length = MAX_HEADER
    try:
        jws.deserialize_compact(token, import_key(dict(key)), registry=registry)
    except (JoseError, ValueError, TypeError):
        _reject("signature", "The signature of the ID token does not verify.")
    return _object(token.split(".")[1])


def _object(segment: str) -> dict[str, Any]:
    try:
        value = strict_object(ids.b64url_decode(segment))
    except ValueError:
        value = None
    if value is None:
        _reject("malformed", "The ID token does not hold a JSON object.")
    return value


def _check_times(claims: Mapping[str, Any], *, now: int) -> None:
    expires_at, issued_at = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires_at is None or not now < expires_at <= now + MAX_LIFETIME:
        _reject("expired", "The ID token has expired.")
    if issued_at is None or not now - MAX_AGE <= issued_at <= now + SKEW:
        _reject("issued_at", "The ID token was not made for this answer.")
    if "nbf" in claims:
        not_before = _number(claims["nbf"])
        if not_before is None or not_before > now + SKEW:
            _reject("not_yet_valid", "The ID token is not valid yet.")


def _check_subject(subject: Any) -> None:
    """A number would make two subjects of one; a control character would make one of two."""
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        _reject("subject", "The ID token names no subject.")


def _check_hash(claims: Mapping[str, Any], claim: str, value: str | None, *, algorithm: str) -> None:
    """The left half of the hash of a token that came beside it (OpenID Connect Core section 3.1.3.6)."""
    if claim not in claims or value is None:
        return
    hashed = _HASHES.get(algorithm, hashlib.sha256)(value.encode()).digest()
    if not _same(claims[claim], ids.b64url(hashed[: len(hashed) // 2])):
        _reject(claim, "The ID token was issued beside another token.")


def _check_auth_time(claims: Mapping[str, Any], *, max_age: int | None, now: int) -> None:
    if "auth_time" not in claims and max_age is None:
        return
    auth_time = _number(claims.get("auth_time"))
    if auth_time is None or auth_time > now + SKEW or (max_age is not None and now - auth_time > max_age + SKEW):
        _reject("auth_time", "The user did not authenticate recently enough.")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _same(presented: Any, expected: str) -> bool:
    return isinstance(presented, str) and ids.same(presented, expected)


def _reject(reason: str, detail: str) -> NoReturn:
    raise IdTokenRejected(detail, reason=reason)
