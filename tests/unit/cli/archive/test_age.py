"""The file an archive is: age version 1, which opens whole and in order or not at all."""

from __future__ import annotations

import io
import secrets
from base64 import b64decode

import pytest

from cli.archive import bech32
from cli.archive.age import CHUNK, TAG, ArchiveUnreadable, Writer, read
from cli.archive.keys import KmsRecipient, Passphrase, PrivateKey, PublicKey
from grantkeeper.errors import StoreUnavailable
from grantkeeper.kms import KmsKey
from tests.doubles.kms import VAULT_KEY_ARN, InMemoryKms

# Made by pyrage 1.4.0 (rage, in Rust), with a stanza of grease beside ours; what we write was opened by it as well.
IDENTITY = "AGE-SECRET-KEY-1HHGUS9EZK3TWJV2SX8DQLRNLZVQXMJYHFRXLQXND2DS2VWGA8MRSJD2F2P"
RECIPIENT = "age1g860u587gecefh5vccstvvpwlnulu820dtrhez9k386z5v5g7d7sv2906l"
BY_RAGE = b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBHRWlwbnoxcUFFcTVOVGp6NEZLbTZZTDJBSmdNTjE1c2h4YXBnNGlBMEJvCm0vdTJLS3kv"
    "SXJ4WUl2WUFqQUhQanNjcEhRbEZyVjFJSnV1Q1l2UXlWK1EKLT4gLXc5Ky4jLWdyZWFzZSBMalldLXlYQiArYS1+Qj5pJQp3cVpuOGpzNzB5clho"
    "QjlJaWpZdkZJMEhoVDBDcFhac002Qk5TcXJDSGwyS3A5aUlrcXFiVVBUZHNRSjRWeWlnCmV5NjErMFdEM0xkM3pPYVNTL3daMDZhTi9QU2JNNkQr"
    "OTF2YUhJdUdwck0KLS0tIGUyTDMzejFLYUV1dDdIc1R6NlVaRnlOQ1E4azc5M1EvZHEvODdxaFljdWsKNGZQ3F17iBRQ/URLbki8YBWgeKfnWH4U"
    "XAN1KuPcfJjdnQbHFn2v3Xyq86QvaQ=="
)
OURS = PrivateKey.parse(IDENTITY)
THEIRS = Passphrase("correct horse battery", work_factor=10)
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5)


def written(data, *recipients, step=10_000):
    out = io.BytesIO()
    writer = Writer(out, recipients or (PublicKey.parse(RECIPIENT),))
    for at in range(0, len(data), step):
        writer.write(data[at : at + step])
    writer.close()
    return out.getvalue()


def opened(file, *identities):
    return b"".join(read(io.BytesIO(file), identities or (OURS,)))


def kms(arn=VAULT_KEY_ARN, client=None):
    return KmsRecipient(KmsKey(client or InMemoryKms(), arn), arn)


def test_another_implementation_is_understood():
    """A file of rage's opens, its recipient is the identity's, and what it added for others is passed over."""
    assert OURS.public == RECIPIENT
    assert opened(BY_RAGE) == b"hello, archive"


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read(size):
    """At every size around the ends of chunks, and at no size with an empty chunk at the end."""
    data = secrets.token_bytes(size)
    file = written(data)

    assert opened(file) == data
    assert len(list(read(io.BytesIO(file), (OURS,)))) == max(1, -(-size // CHUNK))


def test_each_kind_of_recipient_opens_what_is_for_it():
    """A passphrase alone; a public key and a KMS key side by side."""
    key = kms()

    assert opened(written(b"secret", THEIRS), THEIRS) == b"secret"
    both = written(b"secret", PublicKey.parse(RECIPIENT), key)
    assert opened(both, OURS) == opened(both, key) == b"secret"
    assert key.key._client.contexts() == [{"purpose": "archive"}] * 2


def test_nobody_else_opens_it():
    """Another key, another passphrase, another KMS key, a KMS key that is denied."""
    other = PrivateKey(secrets.token_bytes(32))
    with pytest.raises(ArchiveUnreadable, match="another key"):
        opened(written(b"x"), other)
    with pytest.raises(ArchiveUnreadable, match="passphrase is another"):
        opened(written(b"x", THEIRS), Passphrase("wrong", work_factor=10))
    with pytest.raises(ArchiveUnreadable, match="another key"):
        opened(written(b"x", kms()), kms("arn:aws:kms:eu-west-1:111122223333:key/other"))
    client = InMemoryKms()
    file = written(b"x", kms(client=client))
    client.disable()
    with pytest.raises(StoreUnavailable):
        opened(file, kms(client=client))


def test_a_passphrase_stands_alone():
    """Beside another recipient it would no longer say who wrote the file; nor is anything written for nobody."""
    for recipients in ((THEIRS, PublicKey.parse(RECIPIENT)), ()):
        with pytest.raises(ValueError, match="passphrase"):
            Writer(io.BytesIO(), recipients)


def test_every_byte_counts():
    """One bit anywhere in a file of two chunks, and it is refused."""
    file = written(secrets.token_bytes(CHUNK + 40))
    places = [*range(260), *range(260, len(file), 997), *range(len(file) - 80, len(file))]

    for at in places:
        damaged = bytearray(file)
        damaged[at] ^= 1
        with pytest.raises(ArchiveUnreadable):
            opened(bytes(damaged))


def test_a_file_that_is_cut_off_is_refused_wherever_it_ends():
    """Also between two chunks, where every chunk that is left is sound."""
    file = written(secrets.token_bytes(2 * CHUNK + 100))
    body = len(file) - (2 * CHUNK + 100 + 3 * TAG)

    for end in (0, 10, body - 20, body, body + CHUNK + TAG, body + 2 * (CHUNK + TAG), len(file) - 1):
        with pytest.raises(ArchiveUnreadable):
            opened(file[:end])


def test_chunks_have_their_place():
    """Exchanged, doubled, left out, or taken from another file for the same key."""
    data = secrets.token_bytes(3 * CHUNK)
    file = written(data)
    body = len(file) - 3 * (CHUNK + TAG)
    head, chunks = file[:body], [file[at : at + CHUNK + TAG] for at in range(body, len(file), CHUNK + TAG)]
    foreign = written(data)[-(CHUNK + TAG) :]
    first, second, last = chunks

    orders = ((second, first, last), (first, first, second, last), (first, last), (first, second, foreign))
    for order in (*orders, (first, second, last, last), (first, second)):
        with pytest.raises(ArchiveUnreadable):
            opened(head + b"".join(order))


def test_work_that_a_stranger_asks_for_has_a_bound():
    """A header may not make us fill the memory."""
    greedy = written(b"x", THEIRS).replace(b" 10\n", b" 40\n", 1)

    with pytest.raises(ArchiveUnreadable, match="too much work"):
        opened(greedy, THEIRS)


@pytest.mark.parametrize(
    "file",
    [b"", b"age-encryption.org/v2\n", b"age-encryption.org/v1\n--- \n", b"age-encryption.org/v1\n" + b"x" * 9000,
     b"age-encryption.org/v1\n-> X25519\n\n--- AAAA\n", b"age-encryption.org/v1\n" + b"-> a\n\n" * 20_000],
)  # fmt: skip
def test_what_is_no_archive_is_refused(file):
    """With one error, and without a look at the rest."""
    with pytest.raises(ArchiveUnreadable):
        opened(file)


def test_keys_are_shown_nowhere():
    """Neither a passphrase nor a private key stands in its repr."""
    assert THEIRS.text not in repr(THEIRS)
    assert OURS.key.hex() not in repr(OURS)
    assert repr(OURS.key) not in repr(OURS)


@pytest.mark.parametrize(
    "text",
    ["", "age1", RECIPIENT[:-1] + "q", RECIPIENT.replace("g", "G", 1), IDENTITY, "age1qqqqqq",
     bech32.encode("age", b"x"), RECIPIENT.replace("8", "b", 1)],
)  # fmt: skip
def test_a_recipient_is_checked(text):
    """A typing error is found by its checksum, and a private key is no recipient."""
    with pytest.raises(ArchiveUnreadable):
        PublicKey.parse(text)
