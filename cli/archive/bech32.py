"""Bech32 (BIP 173) without its limit on length: how age writes its keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
CHECKSUM = 6  # characters


def encode(prefix: str, data: bytes) -> str:
    """Write bytes behind a lower-case prefix."""
    words = _regrouped(data, 8, 5, pad=True)
    checksum = _polymod([*_expanded(prefix), *words, *[0] * CHECKSUM]) ^ 1
    tail = [(checksum >> 5 * (CHECKSUM - 1 - at)) & 31 for at in range(CHECKSUM)]
    return prefix + "1" + "".join(ALPHABET[word] for word in (*words, *tail))


def decode(text: str) -> tuple[str, bytes]:
    """
    Read a prefix, in lower case, and its bytes.

    Raises:
        ValueError: Mixed case, a character that is none of the alphabet, or a checksum that does not fit.
    """
    if text not in (text.lower(), text.upper()) or not text.isascii():
        raise ValueError("mixed case")
    prefix, separator, rest = text.lower().rpartition("1")
    if not separator or not prefix or len(rest) < CHECKSUM or set(rest) - set(ALPHABET):
        raise ValueError("not Bech32")
    words = [ALPHABET.index(character) for character in rest]
    if _polymod([*_expanded(prefix), *words]) != 1:
        raise ValueError("the checksum does not fit")
    return prefix, bytes(_regrouped(words[:-CHECKSUM], 5, 8, pad=False))


def _regrouped(values: Iterable[int], size: int, into: int, *, pad: bool) -> Sequence[int]:
    """Cut a row of bits anew; left-over bits are filled up with zeros when writing, and must be zeros when reading."""
    held, bits, groups = 0, 0, []
    for value in values:
        held, bits = (held << size | value) & 0xFFFF, bits + size
        while bits >= into:
            bits -= into
            groups.append(held >> bits & (1 << into) - 1)
    if pad and bits:
        groups.append(held << (into - bits) & (1 << into) - 1)
    if not pad and (bits >= size or held & (1 << bits) - 1):
        raise ValueError("bits are left over")
    return groups


def _expanded(prefix: str) -> list[int]:
    return [*(ord(character) >> 5 for character in prefix), 0, *(ord(character) & 31 for character in prefix)]


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(GENERATOR):
            checksum ^= generator if top >> at & 1 else 0
    return checksum
