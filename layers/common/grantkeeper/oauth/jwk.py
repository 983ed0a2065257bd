"""Which published key may verify an ID token (RFC 7517, security.md C-65 to C-67, C-84, C-90)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from grantkeeper import ids
from grantkeeper.errors import IdTokenRejected

MAX_KEYS = 100
PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KINDS = {"RS256": ("RSA", None), "PS256": ("RSA", None), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}


def verification_keys(jwks: Any) -> list[dict[str, Any]]:
    """
    The keys of a JWK Set that may verify anything at all; others are left out (RFC 7517 section 5).

    Left out are symmetric keys, keys that show private parts, keys for encryption, and keys too weak: RSA under 2048
    bits or with an exponent under 3, curves under P-256.

    Args:
        jwks: The decoded document, of any kind.

    Returns:
        At most 100 keys.
    """
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    return [key for key in (keys if isinstance(keys, list) else [])[:MAX_KEYS] if _usable(key)]


def choose_key(keys: Sequence[Mapping[str, Any]], *, kid: str | None, algorithm: str) -> Mapping[str, Any]:
    """
    Choose the one key for a signature: by exact `kid`, and by kind, use and algorithm.

    Args:
        keys: As published.
        kid: Of the header; None when it has none, which is enough while there is one key only.
        algorithm: The registered one.

    Raises:
        IdTokenRejected: `key_unknown` or `key_ambiguous`.
    """
    kind, curve = _KINDS[algorithm]
    fitting = [
        key
        for key in keys
        if _usable(key)
        and key["kty"] == kind
        and (curve is None or key.get("crv") == curve)
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if not fitting:
        _reject("key_unknown", "The ID token is signed with a key the provider does not publish.")
    if len(fitting) > 1:
        _reject("key_ambiguous", "The ID token does not say with which key it is signed.")
    return fitting[0]


def _usable(key: Any) -> bool:
    if not isinstance(key, dict) or not PRIVATE_PARTS.isdisjoint(key):
        return False
    if key.get("use", "sig") != "sig" or "verify" not in _operations(key):
        return False
    if key.get("kty") == "RSA":
        return _bits(key.get("n")) >= 2048 and _number(key.get("e")) >= 3
    return (key.get("kty"), key.get("crv")) in {
        ("EC", "P-256"),
        ("EC", "P-384"),
        ("EC", "P-521"),
        ("OKP", "Ed25519"),
    }


def _operations(key: Mapping[str, Any]) -> Any:
    operations = key.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def _bits(value: Any) -> int:
    return _number(value).bit_length()


def _number(value: Any) -> int:
    if not isinstance(value, str) or len(value) > 4096:
        return 0
    try:
        return int.from_bytes(ids.b64url_decode(value))
    except ValueError:
        return 0


def _reject(reason: str, detail: str) -> NoReturn:
    raise IdTokenRejected(detail, reason=reason)
