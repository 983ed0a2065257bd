"""Proof Key for Code Exchange (RFC 7636), S256 only: `plain` is never sent (RFC 9700 section 2.1.1)."""

from __future__ import annotations

import hashlib
import re

from grantkeeper.ids import b64url

VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}\Z", re.ASCII)


def code_challenge(verifier: str) -> str:
    """
    Derive the S256 challenge of a verifier (RFC 7636 section 4.2).

    Args:
        verifier: 43 to 128 unreserved characters; `ids.new_secret()` makes one with 256 bits.

    Raises:
        ValueError: Not a verifier by RFC 7636 section 4.1.
    """
    if VERIFIER.match(verifier) is None:
        raise ValueError("a code verifier has 43 to 128 unreserved characters")
    return b64url(hashlib.sha256(verifier.encode("ascii")).digest())
