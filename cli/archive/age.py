"""
The age file format, version 1 (https://c2sp.org/age): what an archive is written in.

    age-encryption.org/v1
    -> X25519 …        who can open it: the file key, wrapped once per recipient
    --- MAC            over all of the above
    nonce, then chunks of 64 KiB, each sealed under (counter, last?) with ChaCha20-Poly1305

So a chunk that was edited, moved, left out or cut off does not open, and a file that ends before its last chunk is
refused. Any age tool opens an archive made for a passphrase or an X25519 key.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from grantkeeper.errors import GrantkeeperError

VERSION = b"age-encryption.org/v1\n"
CHUNK = 64 * 1024
TAG, NONCE, FILE_KEY = 16, 16, 16
COLUMNS = 64
MAX_HEADER = 64 * 1024
MAX_LINE = 16 * 1024
ARGUMENT = re.compile(r"[\x21-\x7e]+\Z")


class ArchiveUnreadable(GrantkeeperError):
    """No archive, not for this key, edited, or cut off: which of them is told as far as it can be known."""

    slug, title, status = "archive-unreadable", "The archive cannot be read", 400


@dataclass(frozen=True, slots=True)
class Stanza:
    """The file key as wrapped for one recipient."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes


class Recipient(Protocol):
    """Whom an archive is for."""

    @property
    def alone(self) -> bool:
        """True when its stanza stands with no other: a passphrase says who wrote the file."""

    def wrap(self, file_key: bytes) -> Stanza:
        """Wrap the key of one file."""


class Identity(Protocol):
    """Who opens an archive."""

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key; None when the stanza is for somebody else. Raises ArchiveUnreadable for a damaged one."""


class Writer:
    """Encrypts what is written, chunk by chunk; only `close` makes the file whole."""

    def __init__(self, out: BinaryIO, recipients: Sequence[Recipient]) -> None:
        """
        Write the header.

        Raises:
            ValueError: There is no recipient, or one that must be alone is not.
        """
        if not recipients or (len(recipients) > 1 and any(recipient.alone for recipient in recipients)):
            raise ValueError("a passphrase stands alone; otherwise there is at least one recipient")
        file_key, nonce = secrets.token_bytes(FILE_KEY), secrets.token_bytes(NONCE)
        header = VERSION + b"".join(_written(recipient.wrap(file_key)) for recipient in recipients) + b"---"
        out.write(header + b" " + unpadded(_mac(file_key, header)).encode() + b"\n" + nonce)
        self._out, self._waiting, self._counter = out, bytearray(), 0
        self._key = ChaCha20Poly1305(_derived(file_key, salt=nonce, info=b"payload"))

    def write(self, data: bytes) -> None:
        """Take more plaintext; it is held back until a chunk is full and is known not to be the last."""
        self._waiting += data
        while len(self._waiting) > CHUNK:
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]

    def close(self) -> None:
        """Seal the last chunk. Does not close the file below."""
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._out.write(self._key.encrypt(_chunk_nonce(self._counter, last=last), chunk, None))
        self._counter += 1


def read(source: BinaryIO, identities: Sequence[Identity]) -> Iterator[bytes]:
    """
    Decrypt a file, one authenticated chunk after the other, in constant memory.

    Raises:
        ArchiveUnreadable: Not an age file, for nobody among the identities, edited, reordered or cut off. What came
            before the damage has been given out: read to the end before anything is believed that depends on the whole.
    """
    header, stanzas, mac = _header(source)
    file_key = _file_key(stanzas, identities)
    if not hmac.compare_digest(mac, _mac(file_key, header)):
        raise ArchiveUnreadable("Its header was edited.")
    nonce = source.read(NONCE)
    if len(nonce) < NONCE:
        raise ArchiveUnreadable("It is cut off.")
    key = ChaCha20Poly1305(_derived(file_key, salt=nonce, info=b"payload"))
    counter, sealed = 0, source.read(CHUNK + TAG)
    while True:
        following = source.read(CHUNK + TAG)
        yield _opened(key, sealed, counter=counter, last=not following)
        if not following:
            return
        counter, sealed = counter + 1, following


def _opened(key: ChaCha20Poly1305, sealed: bytes, *, counter: int, last: bool) -> bytes:
    try:
        chunk = key.decrypt(_chunk_nonce(counter, last=last), sealed, None)
    except InvalidTag:
        raise ArchiveUnreadable("It was edited, or is cut off.") from None
    if last and not chunk and counter:
        raise ArchiveUnreadable("It ends in an empty chunk.")
    return chunk


def _file_key(stanzas: Sequence[Stanza], identities: Sequence[Identity]) -> bytes:
    if len(stanzas) > 1 and any(stanza.kind == "scrypt" for stanza in stanzas):
        raise ArchiveUnreadable("A passphrase stands beside other recipients.")
    for identity in identities:
        for stanza in stanzas:
            file_key = identity.unwrap(stanza)
            if file_key is not None:
                return file_key
    kinds = ", ".join(sorted({stanza.kind for stanza in stanzas}))
    raise ArchiveUnreadable(f"It is for another key or passphrase (recipients: {kinds}).")


def _header(source: BinaryIO) -> tuple[bytes, list[Stanza], bytes]:
    """The bytes under the MAC, the stanzas and the MAC."""
    if source.readline(len(VERSION)) != VERSION:
        raise ArchiveUnreadable("It is no age file, or of another version.")
    header, stanzas = bytearray(VERSION), list[Stanza]()
    while len(header) < MAX_HEADER:
        line = _line(source)
        if line.startswith("--- ") and stanzas:
            return bytes(header) + b"---", stanzas, from_unpadded(line[4:])
        kind, *arguments = line.removeprefix("-> ").split(" ")
        if not line.startswith("-> ") or not all(map(ARGUMENT.match, (kind, *arguments))):
            raise ArchiveUnreadable("Its header is damaged.")
        lines = [line]
        while len(lines) == 1 or len(lines[-1]) == COLUMNS:
            lines.append(_line(source))
        stanzas.append(Stanza(kind, tuple(arguments), from_unpadded("".join(lines[1:]))))
        header += "".join(f"{each}\n" for each in lines).encode()
    raise ArchiveUnreadable("Its header is too long.")


def _line(source: BinaryIO) -> str:
    line = source.readline(MAX_LINE)
    if not line.endswith(b"\n") or not line.isascii():
        raise ArchiveUnreadable("Its header is damaged.")
    return line[:-1].decode("ascii")


def _written(stanza: Stanza) -> bytes:
    body = unpadded(stanza.body)
    lines = [body[at : at + COLUMNS] for at in range(0, len(body) + 1, COLUMNS)]  # the last one is short, or empty
    return "".join(f"{line}\n" for line in (" ".join(("->", stanza.kind, *stanza.arguments)), *lines)).encode()


def _chunk_nonce(counter: int, *, last: bool) -> bytes:
    return counter.to_bytes(11) + bytes((last,))


def _mac(file_key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(file_key, salt=b"", info=b"header"), header, "sha256")


def _derived(key: bytes, *, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def unpadded(data: bytes) -> str:
    """Base64 without padding, as age writes it."""
    return b64encode(data).decode("ascii").rstrip("=")


def from_unpadded(text: str) -> bytes:
    """
    Read unpadded canonical base64.

    Raises:
        ArchiveUnreadable: Padding, a foreign character, or bits that say nothing.
    """
    try:
        data = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        data = b""
    if unpadded(data) != text:
        raise ArchiveUnreadable("Its header is damaged.")
    return data
