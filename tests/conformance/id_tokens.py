"""ID tokens, signed with a key made for the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.conformance.grants import Person

if TYPE_CHECKING:
    from tests.conformance.vendor import Vendor

_KEY = RSAKey.generate_key(2048, parameters={"kid": "vendor-key", "use": "sig", "alg": "RS256"})
JWKS = {"keys": [_KEY.as_dict(private=False)]}


def id_token(vendor: Vendor, person: Person, *, nonce: str | None) -> str:
    """An ID token for our client (OpenID Connect Core section 2)."""
    now = vendor.clock()
    claims: dict[str, Any] = {
        "iss": vendor.token_issuer(),
        "aud": vendor.client_id,
        "iat": now,
        "exp": now + 3600,
        **{name: value for name, value in vendor.claims(person).items() if value is not None},
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return jwt.encode({"alg": "RS256", "kid": "vendor-key"}, claims, _KEY, algorithms=["RS256"])
