"""Whom an archive is for: a passphrase, an X25519 key as age makes them, or a key of KMS."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from cli.archive import bech32
from cli.archive.age import ArchiveUnreadable, Stanza, from_unpadded, unpadded
from grantkeeper.errors import GrantUnreadable
from grantkeeper.kms import KmsKey

PUBLIC, PRIVATE = "age", "age-secret-key-"  # prefixes in Bech32
WRAPPED = 32  # bytes: a file key and its tag
ONCE = bytes(12)  # the nonce of a key that seals once
WORK_FACTOR = 18  # 2^18 · 1 KiB = 256 MiB and about a second
MOST_WORK = 20
KMS = "grantkeeper.dev/kms"
KMS_CONTEXT = {"purpose": "archive"}


@dataclass(frozen=True, slots=True)
class Passphrase:
    """A passphrase, stretched by scrypt (RFC 7914): both the recipient and the identity."""

    text: str = field(repr=False)
    work_factor: int = WORK_FACTOR  # binary logarithm of scrypt's N
    alone: bool = True

    def wrap(self, file_key: bytes) -> Stanza:
        """Wrap under a salt of its own."""
        salt = secrets.token_bytes(16)
        body = ChaCha20Poly1305(self._key(salt, self.work_factor)).encrypt(ONCE, file_key, None)
        return Stanza("scrypt", (unpadded(salt), str(self.work_factor)), body)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """Raises ArchiveUnreadable for another passphrase, or one that asks for more work than is reasonable."""
        if stanza.kind != "scrypt":
            return None
        salt, work = _two(stanza)
        if len(salt) != 16 or not work.isdecimal() or work.startswith("0") or int(work) > MOST_WORK:
            raise ArchiveUnreadable("Its header is damaged, or asks for too much work.")
        file_key = _unsealed(self._key(salt, int(work)), stanza.body)
        if file_key is None:
            raise ArchiveUnreadable("The passphrase is another one.")
        return file_key

    def _key(self, salt: bytes, work_factor: int) -> bytes:
        kdf = Scrypt(salt=b"age-encryption.org/v1/scrypt" + salt, length=32, n=2**work_factor, r=8, p=1)
        return kdf.derive(self.text.encode())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`age1…`: whoever has the private half can open the archive, and the machine that writes it cannot."""

    key: bytes
    alone: bool = False

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Raises ArchiveUnreadable for what is no X25519 recipient of age."""
        return cls(_parsed(text, PUBLIC))

    def wrap(self, file_key: bytes) -> Stanza:
        """Wrap for a secret that is thrown away."""
        once = X25519PrivateKey.generate()
        share = once.public_key().public_bytes_raw()
        shared = once.exchange(X25519PublicKey.from_public_bytes(self.key))
        body = ChaCha20Poly1305(_x25519_key(shared, share, self.key)).encrypt(ONCE, file_key, None)
        return Stanza("X25519", (unpadded(share),), body)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """`AGE-SECRET-KEY-1…`, as `age-keygen` makes them."""

    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> PrivateKey:
        """Raises ArchiveUnreadable for what is no X25519 identity of age."""
        return cls(_parsed(text, PRIVATE))

    @property
    def public(self) -> str:
        """The recipient, as it is written."""
        return bech32.encode(PUBLIC, self._private().public_key().public_bytes_raw())

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """None also for a stanza of another key: who it is for is not written there."""
        if stanza.kind != "X25519":
            return None
        share = from_unpadded(stanza.arguments[0]) if len(stanza.arguments) == 1 else b""
        if len(share) != 32:
            raise ArchiveUnreadable("Its header is damaged.")
        private = self._private()
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:  # a share of low order: the shared secret would be all zeros
            raise ArchiveUnreadable("Its header is damaged.") from None
        return _unsealed(_x25519_key(shared, share, private.public_key().public_bytes_raw()), stanza.body)

    def _private(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.key)


@dataclass(frozen=True, slots=True)
class KmsRecipient:
    """A symmetric KMS key: recipient and identity. Who may call it is IAM's to say; the context is purpose=archive."""

    key: KmsKey
    arn: str
    alone: bool = False

    def wrap(self, file_key: bytes) -> Stanza:
        """Under a data key of its own. Raises StoreUnavailable when KMS refuses."""
        data_key, wrapped = self.key.data_key(KMS_CONTEXT)
        sealed = ChaCha20Poly1305(data_key).encrypt(ONCE, file_key, None)
        return Stanza(KMS, (self.arn, unpadded(wrapped)), sealed)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """None for a stanza of another KMS key. Raises StoreUnavailable when KMS refuses."""
        if stanza.kind != KMS or stanza.arguments[:1] != (self.arn,):
            return None
        if len(stanza.arguments) != 2:
            raise ArchiveUnreadable("Its header is damaged.")
        try:
            data_key = self.key.unwrap(from_unpadded(stanza.arguments[1]), KMS_CONTEXT)
        except GrantUnreadable:
            raise ArchiveUnreadable("Its header was edited.") from None
        return _unsealed(data_key, stanza.body)


def _x25519_key(shared: bytes, share: bytes, recipient: bytes) -> bytes:
    info = b"age-encryption.org/v1/X25519"
    return HKDF(algorithm=SHA256(), length=32, salt=share + recipient, info=info).derive(shared)


def _unsealed(key: bytes, body: bytes) -> bytes | None:
    if len(body) != WRAPPED:
        raise ArchiveUnreadable("Its header is damaged.")
    try:
        return ChaCha20Poly1305(key).decrypt(ONCE, body, None)
    except InvalidTag:
        return None


def _two(stanza: Stanza) -> tuple[bytes, str]:
    if len(stanza.arguments) != 2:
        raise ArchiveUnreadable("Its header is damaged.")
    return from_unpadded(stanza.arguments[0]), stanza.arguments[1]


def _parsed(text: str, wanted: str) -> bytes:
    try:
        prefix, key = bech32.decode(text.strip())
    except ValueError:
        prefix, key = "", b""
    if prefix != wanted or len(key) != 32:
        raise ArchiveUnreadable(f"That is no X25519 key of age ({wanted}1…).")
    return key
