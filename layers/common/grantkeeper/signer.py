"""
Our tokens: signing them (the session function alone) and the keys we publish.

The private halves are KMS data key pairs, opened here by Decrypt with the
purpose `signing` and kept in memory for minutes: a signature costs a tenth of
a millisecond, not a call. Verification needs the public halves only and never
calls KMS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from grantkeeper.errors import GrantUnreadable, StoreUnavailable
from grantkeeper.jws import (
    ACCESS_TOKEN_ALGORITHMS,
    ACCESS_TOKEN_TYPE,
    PrivateKey,
    check_claims,
    public_jwk,
    sign_jws,
    thumbprint,
    verify_jws,
)
from grantkeeper.key_cache import KeyCache
from grantkeeper.kms import KmsKey, signing_context
from grantkeeper.model import SigningKey, SigningKeyRing
from grantkeeper.ports import SigningKeys

__all__ = [
    "ACCESS_TOKEN_ALGORITHMS",
    "ACCESS_TOKEN_TYPE",
    "KmsSigner",
    "PublishedKeySet",
    "check_claims",
    "verify_jws",
]

RING_AGE = 60  # seconds; a revoked key signs no longer than this
PUBLISHED_AGE = 300
REFETCH_AGE = 30


class KmsSigner:
    """`ports.Signer`. Thread-safe."""

    def __init__(
        self,
        kms: Any,
        key_arn: str,
        signing_keys: SigningKeys,
        *,
        clock: Callable[[], float] = time.time,
        on_refusal: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            kms: A botocore KMS client.
            key_arn: The VaultKey.
            signing_keys: Where the keys stand.
            clock: Epoch seconds.
            on_refusal: As of `KmsKey`.
        """
        self._kms = KmsKey(kms, key_arn, on_refusal=on_refusal)
        self._signing_keys = signing_keys
        self._clock = clock
        self._opened = KeyCache(clock=clock)
        self._ring = SigningKeyRing()
        self._read_at = float("-inf")
        self._lock = Lock()

    def sign(self, claims: Mapping[str, Any], *, alg: Literal["ES256", "RS256"], typ: str) -> str:
        """
        Sign with the active key: the one of this algorithm that became active last.

        Raises:
            StoreUnavailable: There is no key yet, or it cannot be opened. Nothing is ever issued unsigned.
        """
        now = self._clock()
        ring = self._current_ring(now)
        key = ring.active(alg, now=now)
        if key is None or key.kid not in ring.wrapped:
            raise StoreUnavailable("There is no signing key yet.", retry_after=RING_AGE)
        return sign_jws(claims, key=self._private(key, ring.wrapped[key.kid]), kid=key.kid, typ=typ)

    def _current_ring(self, now: float) -> SigningKeyRing:
        with self._lock:
            if not 0 <= now - self._read_at < RING_AGE or not self._ring.keys:
                self._ring = self._signing_keys.load()
                self._read_at = now
            return self._ring

    def _private(self, key: SigningKey, wrapped: bytes) -> PrivateKey:
        try:
            der = self._opened.get(key.kid, lambda: self._kms.unwrap(wrapped, signing_context(key.alg)))
            # KMS authenticates what it wrapped, so the 35 ms in which OpenSSL would test the primes are saved.
            private = load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        except (GrantUnreadable, ValueError):
            raise StoreUnavailable("The signing key does not open.", retry_after=RING_AGE) from None
        if not isinstance(private, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise StoreUnavailable("The signing key does not open.", retry_after=RING_AGE)
        if thumbprint(public_jwk(private.public_key())) != key.kid:
            raise StoreUnavailable("The signing key is not the published one.", retry_after=RING_AGE)
        return private


class PublishedKeySet:
    """
    `ports.KeySet`: read once per 5 minutes, and for an unknown kid at most every 30 seconds.

    So a token with an invented kid costs no read, and a key that was revoked
    or has retired verifies nothing 5 minutes later at the latest. Thread-safe.
    """

    def __init__(self, signing_keys: SigningKeys, *, clock: Callable[[], float] = time.time) -> None:
        """Args: clock: epoch seconds."""
        self._signing_keys = signing_keys
        self._clock = clock
        self._keys: Sequence[SigningKey] = ()
        self._read_at = float("-inf")
        self._lock = Lock()

    def jwks(self) -> Mapping[str, Any]:
        """
        Return the JWK Set (RFC 7517): keys in use, those to come and those whose tokens still live.

        Raises:
            StoreUnavailable: The keys cannot be read.
        """
        now = self._clock()
        return {"keys": [_published(key) for key in self._fresh(now, max_age=PUBLISHED_AGE) if key.is_live(now)]}

    def find(self, kid: str) -> Mapping[str, Any] | None:
        """
        Return a published JWK by its kid.

        Raises:
            StoreUnavailable: The keys cannot be read.
        """
        now = self._clock()
        found = _live_key(self._fresh(now, max_age=PUBLISHED_AGE), kid, now)
        if found is None:
            found = _live_key(self._fresh(now, max_age=REFETCH_AGE), kid, now)
        return None if found is None else _published(found)

    def _fresh(self, now: float, *, max_age: float) -> Sequence[SigningKey]:
        with self._lock:
            if not 0 <= now - self._read_at < max_age:
                self._keys = self._signing_keys.public()
                self._read_at = now
            return self._keys


def _live_key(keys: Sequence[SigningKey], kid: str, now: float) -> SigningKey | None:
    return next((key for key in keys if key.kid == kid and key.is_live(now)), None)


def _published(key: SigningKey) -> dict[str, str]:
    return {**key.public_jwk, "kid": key.kid, "use": "sig", "alg": key.alg}
