"""
The one sealed format: bytes in, bytes out, no AWS.

    format  1 byte    1
    wrap    1 byte    1 kms · 2 branch · 3 secret
      kms       wrapped key: 2 bytes of length, then the key as KMS returned it
      branch    bucket: 2 bytes, version: 4 bytes, salt: 32 bytes
      secret    salt: 32 bytes
    nonce   12 bytes
    rest    AES-256-GCM ciphertext and its 16-byte tag

Numbers are big-endian. Everything before the nonce is the *header*; it is in
the AAD together with the binding, each part behind its length, so that no two
bindings share an AAD. Any damage is one and the same `GrantUnreadable`: an
attacker who edits rows learns nothing from which check refused them.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from grantkeeper.errors import GrantUnreadable

if TYPE_CHECKING:
    from grantkeeper.model import Binding

FORMAT = 1
KMS, BRANCH, SECRET = 1, 2, 3
BUCKETS = 16  # raising it is safe: the bucket is read from the header, computed only when sealing
MAX_SEALED = 384 * 1024  # over what the HTTP client lets in, under what an item holds
MAX_WRAPPED_KEY = 1024  # KMS makes some 180 bytes of a 256-bit data key

_NONCE = 12
_TAG = 16
_SALT = 32


@dataclass(frozen=True, slots=True)
class KmsWrapping:
    """The data key, encrypted by KMS; its encryption context is not stored, it follows from the binding."""

    wrapped_key: bytes

    @property
    def header(self) -> bytes:
        """The bytes before the nonce."""
        return bytes((FORMAT, KMS)) + len(self.wrapped_key).to_bytes(2) + self.wrapped_key


@dataclass(frozen=True, slots=True)
class BranchWrapping:
    """The data key is derived, with this salt, from a version of the branch key of a bucket of users."""

    bucket: int
    version: int
    salt: bytes

    @property
    def header(self) -> bytes:
        """The bytes before the nonce."""
        return bytes((FORMAT, BRANCH)) + self.bucket.to_bytes(2) + self.version.to_bytes(4) + self.salt


Wrapping = KmsWrapping | BranchWrapping


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed grant taken apart; nothing in it is trusted before `unseal` returns."""

    wrapping: Wrapping
    nonce: bytes
    ciphertext: bytes


def unreadable() -> GrantUnreadable:
    """Return the one error for every kind of damage: same words, same class."""
    return GrantUnreadable("The stored grant does not open.")


def bucket_of(sub: str, *, buckets: int = BUCKETS) -> int:
    """Return the bucket (0 … buckets - 1) of a user; the same for ever while `buckets` stays."""
    return int.from_bytes(hashlib.sha256(b"grantkeeper bucket\0" + sub.encode()).digest()[:8]) % buckets


def new_branch_wrapping(*, bucket: int, version: int) -> BranchWrapping:
    """Return a wrapping with a fresh random salt: every seal has a key of its own."""
    return BranchWrapping(bucket, version, secrets.token_bytes(_SALT))


def branch_data_key(branch_key: bytes, *, wrapping: BranchWrapping) -> bytes:
    """Derive the data key of one seal (HKDF-SHA256, RFC 5869); the whole header is in `info`."""
    return _derive(branch_key, salt=wrapping.salt, info=b"grantkeeper branch\0" + wrapping.header)


def aad(binding: Binding, *, header: bytes) -> bytes:
    """
    Return what a sealed set is bound to, in one unambiguous byte string.

    Every part stands behind its length and lists behind their count; the
    endpoint variables are sorted, since a store may give them back in another
    order. The public `generation` is no part of it: a confirmed re-connect
    moves the bytes as they are.
    """
    parts = [
        b"grantkeeper grant",
        header,
        binding.table.encode(),
        binding.connection_id.encode(),
        binding.sub.encode(),
        binding.provider.encode(),
        binding.credentials_id.encode(),
        binding.name.encode(),
        binding.grant_id.encode(),
        str(binding.n).encode(),
        str(len(binding.variables)).encode(),
    ]
    for name, value in sorted(binding.variables):
        parts += [name.encode(), value.encode()]
    return _framed(parts)


def seal(plaintext: bytes, *, key: bytes, wrapping: Wrapping, binding: Binding) -> bytes:
    """Seal under a 256-bit data key and a fresh random nonce."""
    header = wrapping.header
    nonce = secrets.token_bytes(_NONCE)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, aad(binding, header=header))


def unseal(sealed: Sealed, *, key: bytes, binding: Binding) -> bytes:
    """
    Open with a 256-bit data key.

    Raises:
        GrantUnreadable: Another key, another binding, or edited bytes.
    """
    try:
        return AESGCM(key).decrypt(sealed.nonce, sealed.ciphertext, aad(binding, header=sealed.wrapping.header))
    except (InvalidTag, ValueError):
        raise unreadable() from None


def parse(data: bytes) -> Sealed:
    """
    Take a sealed grant apart, within bounds.

    Raises:
        GrantUnreadable: Another format version (there is no way back to an older one), an unknown wrapping,
            too short or too long.
    """
    if len(data) > MAX_SEALED or data[:1] != bytes((FORMAT,)):
        raise unreadable()
    kind, rest = data[1:2], data[2:]
    wrapping: Wrapping
    if kind == bytes((KMS,)):
        size = int.from_bytes(rest[:2])
        wrapping = KmsWrapping(rest[2 : 2 + size])
        if not 0 < size <= MAX_WRAPPED_KEY:
            raise unreadable()
    elif kind == bytes((BRANCH,)):
        wrapping = BranchWrapping(int.from_bytes(rest[:2]), int.from_bytes(rest[2:6]), rest[6 : 6 + _SALT])
    else:
        raise unreadable()
    body = data[len(wrapping.header) :]
    if not data.startswith(wrapping.header) or len(body) < _NONCE + _TAG:
        raise unreadable()
    return Sealed(wrapping, body[:_NONCE], body[_NONCE:])


def seal_under(secret: str, plaintext: bytes, *, context: str) -> bytes:
    """
    Seal something short-lived under a secret that only its bearer knows.

    The PKCE verifier and the nonce under `state`, a successor refresh token
    under its predecessor: we store the hash of the secret alone, so what is
    stored opens nothing.

    Args:
        secret: At least 128 random bits; this is no password hash.
        plaintext: What to seal.
        context: What it is for and whose it is; the same words open it.
    """
    header = bytes((FORMAT, SECRET)) + secrets.token_bytes(_SALT)
    nonce = secrets.token_bytes(_NONCE)
    key = _secret_key(secret, header=header)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, _secret_aad(context, header=header))


def open_under(secret: str, sealed: bytes, *, context: str) -> bytes:
    """
    Open what `seal_under` made.

    Raises:
        GrantUnreadable: Another secret or context, or edited bytes.
    """
    size = 2 + _SALT
    header, nonce, ciphertext = sealed[:size], sealed[size : size + _NONCE], sealed[size + _NONCE :]
    if len(sealed) > MAX_SEALED or header[:2] != bytes((FORMAT, SECRET)) or len(ciphertext) < _TAG:
        raise unreadable()
    try:
        return AESGCM(_secret_key(secret, header=header)).decrypt(
            nonce, ciphertext, _secret_aad(context, header=header)
        )
    except InvalidTag:
        raise unreadable() from None


def _secret_key(secret: str, *, header: bytes) -> bytes:
    return _derive(secret.encode(), salt=header[2:], info=b"grantkeeper secret\0" + header[:2])


def _secret_aad(context: str, *, header: bytes) -> bytes:
    return _framed([b"grantkeeper secret", header, context.encode()])


def _derive(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(key)


def _framed(parts: list[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(4) + part for part in parts)
