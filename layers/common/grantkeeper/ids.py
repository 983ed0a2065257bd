"""Identifiers, one-time secrets and their digests."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from base64 import b32encode, urlsafe_b64decode, urlsafe_b64encode

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)


def new_id(prefix: str) -> str:
    """Return `<prefix>_` and 128 random bits in lower-case base32, e.g. `con_…`; fit for URLs and file names."""
    return f"{prefix}_{b32encode(secrets.token_bytes(16)).decode().rstrip('=').lower()}"


def new_secret() -> str:
    """Return 256 random bits in base64url (43 characters): `state`, codes, tickets, verifiers, refresh tokens."""
    return secrets.token_urlsafe(32)


def digest(value: str) -> str:
    """Return the unpadded base64url SHA-256 of `value`: what we store in place of it."""
    return b64url(hashlib.sha256(value.encode()).digest())


def pair_digest(first: str, second: str) -> str:
    """One digest per pair; JSON keeps the two apart, whatever they contain."""
    return digest(json.dumps([first, second]))


def same(presented: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(presented.encode(), expected.encode())


def is_id(value: str) -> bool:
    """Tell whether `value` can be one of our ids (`[A-Za-z0-9_-]{1,64}`); anything else is refused unread."""
    return ID_PATTERN.match(value) is not None


def b64url(data: bytes) -> str:
    """Encode as unpadded base64url (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def b64url_decode(text: str) -> bytes:
    """
    Decode unpadded base64url.

    Raises:
        ValueError: A character outside the alphabet, or padding.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII) is None:
        raise ValueError("not base64url")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
