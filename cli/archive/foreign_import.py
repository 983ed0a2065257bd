"""The part of `grantkeeper import` that reads connections from elsewhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.archive.crowd import together
from cli.archive.foreign import BadRow, Numbered, Row, csv_rows, marked, nango_rows
from cli.archive.journal import EVERY
from cli.archive.outcomes import Done, refused
from cli.archive.rows import Rows
from cli.archive.tables import Tables
from cli.stack import Stack

if TYPE_CHECKING:
    from cli.archive.import_command import Take

MAX_MAPPING = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Foreign:
    """A file from elsewhere, ready to be imported; `name` is that of its journal."""

    name: str
    take: Take


def foreign(
    stack: Stack,
    file: Path,
    source: str,
    *,
    client_id: str | None,
    mapping: Path | None,
    gone: bool,
    connection_id_is_user: bool,
    probe: bool,
    dry_run: bool,
) -> Foreign:
    """
    Check what can be checked before the first row.

    Raises:
        click.ClickException: No client, no such client, a mapping that is none, or a source that may refresh still.
    """
    if client_id is None or stack.wiring.clients.get(client_id) is None:
        raise click.ClickException("Name the client whose user ids they are: --client, as `grantkeeper clients list`.")
    if not gone and not dry_run:
        raise click.ClickException(
            "What refreshes these tokens now must stop first: two that spend one refresh token end the grant for both."
            " Stop it, then say --source-is-gone."
        )
    with file.open("rb") as content:
        name = f"imp_{hashlib.file_digest(content, 'sha256').hexdigest()[:32]}"
    rows = Rows(stack.wiring, Tables.of(stack.wiring), client_id, _services(mapping), name, probe, dry_run)

    def one(numbered: tuple[int, Row | BadRow]) -> Done:
        row = numbered[1]
        return refused(str(row)) if isinstance(row, BadRow) else rows.take(row)

    def take(done: int) -> Iterator[tuple[str, str, Done]]:
        with ExitStack() as files:
            left = islice(marked(_numbered(file, source, files, user=connection_id_is_user)), done, None)
            for (line, _), result in together(left, one, size=EVERY):
                yield "row", str(line), result

    return Foreign(f"{name}#{client_id}", take)


def _numbered(file: Path, source: str, files: ExitStack, *, user: bool) -> Numbered:
    if source == "nango":
        return nango_rows(file, connection_id_is_user=user)
    return csv_rows(files.enter_context(file.open(encoding="utf-8-sig", newline="")))


def _services(mapping: Path | None) -> Mapping[str, str]:
    if mapping is None:
        return {}
    try:
        with mapping.open("rb") as file:
            told = json.loads(file.read(MAX_MAPPING))
    except ValueError:
        told = None
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise click.ClickException("The mapping is a JSON object: their name of a service to ours.")
    return told
