"""
JSON Web Signatures of our own: how they are written and how they are believed.

Compact serialisation (RFC 7515), ES256 and RS256 (RFC 7518), keys named by
their RFC 7638 thumbprint. Access tokens follow RFC 9068. Nothing here calls
AWS. A token that is not exactly what we issue is refused with one and the
same error.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from grantkeeper.errors import Unauthenticated
from grantkeeper.ids import b64url, b64url_decode

if TYPE_CHECKING:
    from grantkeeper.ports import KeySet

Algorithm = Literal["ES256", "RS256"]
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ACCESS_TOKEN_TYPE = "at+jwt"  # RFC 9068 section 2.1
ACCESS_TOKEN_ALGORITHMS: tuple[Algorithm, ...] = ("ES256",)  # the only place that says so
MAX_TOKEN = 4096  # characters; ours are under 1 KB
MAX_LEEWAY = 30  # seconds

_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})  # we write these and believe no other: no jwk, jku, x5u, x5c, crit
_KID = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
_COORDINATE = 32  # bytes of r, s, x and y on P-256


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a public JWK that has its required members only (RFC 7638)."""
    canonical = json.dumps(dict(jwk), separators=(",", ":"), sort_keys=True)
    return b64url(hashlib.sha256(canonical.encode()).digest())


def public_jwk(key: PublicKey) -> dict[str, str]:
    """Return the required members of a key's JWK (RFC 7518 section 6) and nothing private."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _integer(numbers.n), "e": _integer(numbers.e)}
    point = key.public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64url(point.x.to_bytes(_COORDINATE)),
        "y": b64url(point.y.to_bytes(_COORDINATE)),
    }


def sign_jws(claims: Mapping[str, Any], *, key: PrivateKey, kid: str, typ: str) -> str:
    """Write a compact JWS; the algorithm follows from the key."""
    alg = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    header = {"alg": alg, "kid": kid, "typ": typ}
    signing_input = f"{_segment(header)}.{_segment(claims)}"
    return f"{signing_input}.{b64url(_sign(signing_input.encode(), key))}"


def verify_jws(
    token: str, *, key_set: KeySet, algorithms: Collection[Algorithm], typ: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """
    Verify a JWS that we issued ourselves.

    The header must be exactly ours: `alg` from the caller's list, this `typ`,
    and the `kid` of a key we publish for that algorithm. Its claims are not
    judged yet: `check_claims` does.

    Args:
        token: Compact serialisation.
        key_set: Our published keys.
        algorithms: What may have signed, e.g. `ACCESS_TOKEN_ALGORITHMS`.
        typ: `at+jwt` for access tokens; keeps tokens of other kinds out.

    Returns:
        (header, claims).

    Raises:
        Unauthenticated: Not one of ours, whatever is wrong with it.
        StoreUnavailable: The published keys cannot be read.
    """
    if len(token) > MAX_TOKEN:
        raise refused()
    try:
        encoded_header, encoded_claims, encoded_signature = token.split(".")
        header = _object(encoded_header)
        claims = _object(encoded_claims)
        signature = _bytes(encoded_signature)
    except (ValueError, TypeError, RecursionError):
        raise refused() from None

    if header.keys() != _HEADER_MEMBERS or not all(isinstance(value, str) for value in header.values()):
        raise refused()
    alg, kid = header["alg"], header["kid"]
    if alg not in algorithms or header["typ"] != typ or _KID.match(kid) is None:
        raise refused()
    jwk = key_set.find(kid)
    if jwk is None or jwk.get("alg") != alg:
        raise refused()
    if not _verifies(signature, f"{encoded_header}.{encoded_claims}".encode(), jwk):
        raise refused()
    return header, claims


def check_claims(
    claims: Mapping[str, Any],
    *,
    issuer: str,
    audience: str,
    now: int,
    leeway: int = MAX_LEEWAY,
    required: Collection[str] = ("sub", "client_id", "jti"),
) -> None:
    """
    Check who a verified token is from and for, and when (RFC 9068 section 4).

    Args:
        claims: As `verify_jws` returned them.
        issuer: Our issuer, compared exactly: a token of staging is none of production's.
        audience: Must be `aud` or one of its members.
        now: Epoch seconds.
        leeway: Seconds `iat` and `nbf` may lie ahead, for clocks that differ. There is none for `exp`.
        required: Further claims that must be there as non-empty strings.

    Raises:
        Unauthenticated: A claim is missing, of the wrong type, or says no.
        ValueError: `leeway` is over 30 s, which nobody should want.
    """
    if not 0 <= leeway <= MAX_LEEWAY:
        raise ValueError("leeway must be 0 to 30 seconds")
    aud = claims.get("aud")
    audiences = [aud] if isinstance(aud, str) else aud
    if claims.get("iss") != issuer or not isinstance(audiences, list) or audience not in audiences:
        raise refused()
    expires_at, issued_at, not_before = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not (_is_time(expires_at) and _is_time(issued_at) and _is_time(not_before)):
        raise refused()
    if expires_at <= now or issued_at > now + leeway or not_before > now + leeway:
        raise refused()
    if not all(isinstance(claims.get(name), str) and claims[name] for name in required):
        raise refused()


def refused() -> Unauthenticated:
    """Return the one answer to every token that is not ours; RFC 6750 section 3.1 names the error."""
    return Unauthenticated("The access token is not valid.", error="invalid_token")


# --- writing ---------------------------------------------------------------


def _segment(value: Mapping[str, Any]) -> str:
    return b64url(json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


def _sign(data: bytes, key: PrivateKey) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    # RFC 7518 section 3.4 wants r and s side by side, each 32 bytes, where the library makes DER.
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_COORDINATE) + s.to_bytes(_COORDINATE)


def _integer(value: int) -> str:
    return b64url(value.to_bytes((value.bit_length() + 7) // 8))


# --- believing -------------------------------------------------------------


def _bytes(segment: str) -> bytes:
    """Decode one spelling only: stray bits in the last character would let one signature have several texts."""
    data = b64url_decode(segment)
    if b64url(data) != segment:
        raise ValueError("not canonical")
    return data


def _object(segment: str) -> dict[str, Any]:
    value = json.loads(_bytes(segment).decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _is_time(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _verifies(signature: bytes, data: bytes, jwk: Mapping[str, Any]) -> bool:
    try:
        if jwk["kty"] == "RSA":
            rsa_key = _rsa_key(jwk["n"], jwk["e"])
            rsa_key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            return True
        if len(signature) != 2 * _COORDINATE:
            return False
        r, s = int.from_bytes(signature[:_COORDINATE]), int.from_bytes(signature[_COORDINATE:])
        ec_key = _ec_key(jwk["x"], jwk["y"])
        ec_key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=16)
def _ec_key(x: str, y: str) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicNumbers(_number(x), _number(y), ec.SECP256R1()).public_key()


@lru_cache(maxsize=16)
def _rsa_key(n: str, e: str) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(_number(e), _number(n)).public_key()


def _number(text: str) -> int:
    return int.from_bytes(b64url_decode(text))
