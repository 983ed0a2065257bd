"""
How an API of the team believes an access token of Grantkeeper's (RFC 9068 section 4), with nothing but its public keys.

The token is looked at here, without a call: one that was revoked is good for the rest of its 15 minutes. An API that
needs to know sooner asks `/oauth2/introspect`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwk, jwt
from joserfc.errors import JoseError

KEYS_LIVE = 300  # seconds, as our JWKS says in its cache-control: a key that was withdrawn is believed no longer
LEEWAY = 10  # seconds that the issuer's clock and ours may differ
KEYS_REST = 10  # seconds between two looks at the keys, however many tokens name one we do not have


class InvalidToken(Exception):
    """Not a token for this API. What is wrong with it is for our log, not for who sent it."""


class InsufficientScope(Exception):
    """A good token that may not do this; the message is the scope it lacks."""


class AccessTokens:
    """Verifies the access tokens that callers send."""

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        fetch_keys: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Say whose tokens are good here.

        Args:
            issuer: Grantkeeper's, compared exactly.
            audience: This API's own name, as registered with its clients (`resource`, RFC 8707).
            fetch_keys: Reads the issuer's JWK set; may raise OSError.
            clock: Epoch seconds.
        """
        self._fetch_keys = fetch_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._keys = jwk.KeySet([])
        self._read_at = self._tried_at = float("-inf")
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
            client_id={"essential": True},
        )

    def verify(self, token: str, *, scope: str) -> Mapping[str, Any]:
        """
        The claims of a token for this API that holds `scope`.

        Raises:
            InvalidToken: It is anything else, whatever is wrong with it.
            InsufficientScope: It lacks the scope.
            OSError: The keys cannot be read, so nothing can be said of it.
        """
        try:
            decoded = jwt.decode(token, self._key, algorithms=["ES256"])  # never what the token itself asks for
            self._claims.validate(decoded.claims)
        except (JoseError, ValueError, KeyError) as error:
            raise InvalidToken(type(error).__name__) from None
        if decoded.header.get("typ") != "at+jwt":  # an ID token is for the client, and proves nothing to us
            raise InvalidToken("typ")
        if scope not in str(decoded.claims.get("scope", "")).split():
            raise InsufficientScope(scope)
        return decoded.claims

    def _key(self, signature: Any) -> Any:
        """The issuer's key that the token names."""
        header = signature.headers()
        with self._lock:
            now, known = self._clock(), any(key.kid == header.get("kid") for key in self._keys.keys)
            if now - self._read_at >= KEYS_LIVE or (not known and now - self._tried_at >= KEYS_REST):
                self._tried_at = now
                self._keys = jwk.KeySet.import_key_set(dict(self._fetch_keys()))  # type: ignore[arg-type]
                self._read_at = now
            return self._keys.get_by_kid(header.get("kid") or "", {"alg": "ES256", "use": "sig"})
