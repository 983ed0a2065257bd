"""Passphrases and keys as an operator gives them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.archive.age import Identity, Recipient
from cli.archive.keys import KmsRecipient, Passphrase, PrivateKey, PublicKey
from cli.stack import Stack
from grantkeeper.kms import KmsKey

SHORTEST = 12  # characters of a passphrase; the file may be tried for ever by whoever has it
MAX_KEY_FILE = 64 * 1024


def new_passphrase(*, from_stdin: bool) -> Passphrase:
    """
    Ask for a passphrase twice, or read a line.

    Raises:
        click.ClickException: It is too short.
    """
    text = _line() if from_stdin else click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    if len(text) < SHORTEST:
        raise click.ClickException(f"A passphrase has {SHORTEST} characters at least.")
    return Passphrase(text)


def public_key(text: str) -> Recipient:
    """An age recipient. Raises ArchiveUnreadable for what is none."""
    return PublicKey.parse(text)


def kms_recipient(stack: Stack, arn: str) -> KmsRecipient:
    """A KMS key, called with the operator's own rights."""
    return KmsRecipient(KmsKey(stack.wiring.aws.kms, arn), arn)


def identities(stack: Stack, *, key_file: Path | None, kms_key: str | None, passphrase_stdin: bool) -> list[Identity]:
    """
    What an archive may be opened with: the keys that were named, or else a passphrase.

    Raises:
        click.ClickException: The file holds no key.
        ArchiveUnreadable: A key in it is none.
    """
    found: list[Identity] = [] if key_file is None else list(_keys(key_file))
    if kms_key is not None:
        found.append(kms_recipient(stack, kms_key))
    if found:
        return found
    return [Passphrase(_line() if passphrase_stdin else click.prompt("Passphrase", hide_input=True, err=True))]


def _keys(key_file: Path) -> list[PrivateKey]:
    """The keys of a file as `age-keygen` writes it, comments and all."""
    with key_file.open(encoding="ascii", errors="replace") as file:
        lines = file.read(MAX_KEY_FILE).splitlines()
    found = [PrivateKey.parse(line) for line in lines if line.strip() and not line.startswith("#")]
    if not found:
        raise click.ClickException(f"{key_file} holds no key.")
    return found


def _line() -> str:
    return sys.stdin.readline().rstrip("\r\n")
