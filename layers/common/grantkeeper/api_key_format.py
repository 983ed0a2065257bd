"""
The text of an API key: `gk_<key id>_<secret><checksum>`.

The prefix lets secret scanners find a leaked key; the checksum lets us drop a
mistyped one without asking the database.
"""

from __future__ import annotations

import re
import secrets
import string
import zlib
from base64 import b32encode
from dataclasses import dataclass, field

from grantkeeper import ids

PREFIX = "gk_"
MAX_LENGTH = 96
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 40  # 238 bits
_CHECKSUM_LENGTH = 6  # 62^6 > 2^32
_SHAPE = re.compile(r"gk_([a-z2-7]{16})_([0-9A-Za-z]{40})([0-9A-Za-z]{6})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKeyText:
    """A key as its holder has it; stored are only `key_id` and `secret_hash`."""

    key_id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """What the holder sends. Show it once and forget it."""
        body = f"{PREFIX}{self.key_id}_{self.secret}"
        return body + _checksum(body)

    @property
    def secret_hash(self) -> str:
        """What we store: 238 random bits need no slow hash."""
        return ids.digest(self.secret)


def new_api_key() -> ApiKeyText:
    """Make a key nobody has seen."""
    return new_secret_of(b32encode(secrets.token_bytes(10)).decode().lower())


def new_secret_of(key_id: str) -> ApiKeyText:
    """Make the next secret of a key."""
    secret = "".join(secrets.choice(_BASE62) for _ in range(_SECRET_LENGTH))
    return ApiKeyText(key_id, secret)


def parse_api_key(text: str) -> ApiKeyText | None:
    """Read a presented key; None when it cannot be one of ours, judged by shape and checksum alone."""
    if len(text) > MAX_LENGTH:
        return None
    match = _SHAPE.match(text)
    if match is None:
        return None
    key_id, secret, checksum = match.groups()
    if checksum != _checksum(f"{PREFIX}{key_id}_{secret}"):
        return None
    return ApiKeyText(key_id, secret)


def _checksum(body: str) -> str:
    """CRC-32 in six base62 digits: against typos, not against people."""
    value = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
