"""The keys that sign our tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair of ours as it is published; the private half is kept apart, wrapped by KMS."""

    kid: str  # RFC 7638 thumbprint
    alg: Literal["ES256", "RS256"]
    public_jwk: Mapping[str, str]  # the members of RFC 7638 and no other
    created_at: int
    active_from: int  # signs from then on, published all the while
    retire_at: int | None = None  # its last token has expired: it leaves the JWK Set; None for the newest
    state: Literal["live", "revoked"] = "live"

    def is_live(self, now: float) -> bool:
        """True while tokens of this key are to be believed."""
        return self.state == "live" and (self.retire_at is None or self.retire_at > now)


@dataclass(frozen=True, slots=True)
class SigningKeyRing:
    """The item SIGNER: all signing keys and their wrapped private halves. Version 0: before the first write."""

    version: int = 0
    keys: tuple[SigningKey, ...] = ()
    wrapped: Mapping[str, bytes] = field(default_factory=dict)  # kid → private half; none for a revoked key

    def live(self, alg: str, *, now: float) -> Sequence[SigningKey]:
        """Keys of an algorithm that are to be believed, in the order in which they become active."""
        keys = [key for key in self.keys if key.alg == alg and key.is_live(now)]
        return sorted(keys, key=lambda key: (key.active_from, key.created_at, key.kid))

    def active(self, alg: str, *, now: float) -> SigningKey | None:
        """The key that signs at `now`: the last to have become active."""
        return next((key for key in reversed(self.live(alg, now=now)) if key.active_from <= now), None)
