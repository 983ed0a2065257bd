"""`grantkeeper import`: an archive into this stack, or connections from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import click

from cli.archive.age import Identity, read
from cli.archive.importer import Importer
from cli.archive.journal import Journal
from cli.archive.lines import Line, lines_of, verified
from cli.archive.progress import Advance, progress
from cli.archive.prompts import identities
from cli.archive.tables import Tables
from cli.output import show
from cli.stack import Stack
from grantkeeper.errors import GrantkeeperError

NAMES = {"client": "client_id", "api_key": "key_id", "provider": "id", "user": "sub", "connection": "id"}


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--identity", "key_file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="File with the age private key that opens it.")  # fmt: skip
@click.option("--kms-key", default=None, help="ARN of the KMS key that opens it.")
@click.option("--passphrase-stdin", is_flag=True, help="Read the passphrase from standard input instead of asking.")
@click.option("--source-is-gone", is_flag=True,
              help="Nobody refreshes at the source any more: import all connections active.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def import_archive(
    stack: Stack,
    *,
    file: Path,
    key_file: Path | None,
    kms_key: str | None,
    passphrase_stdin: bool,
    source_is_gone: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """
    Read FILE into this stack. What is there already is left alone.

    The whole archive is checked first: one that was edited or cut off changes nothing. Every record is written once,
    with its audit entry; an import that was killed goes on where it was when it is started again. Connections of
    providers that replace the refresh token at every use are active only if the archive was written with --freeze, or
    with --source-is-gone; otherwise they are parked and their users connect again. Import only archives whose origin
    you know: whoever has your public key can write one.
    """
    keys = identities(stack, key_file=key_file, kms_key=kms_key, passphrase_stdin=passphrase_stdin)
    head, counts = _checked(file, keys, shown=not as_json)
    tables = Tables.of(stack.wiring)
    importer = Importer(stack.wiring, tables, head["id"], source_is_gone=source_is_gone, dry_run=dry_run)
    journal = Journal(tables.grants, head["id"], dry=True) if dry_run else Journal.open(tables.grants, head["id"])
    resumed = journal.done
    if not journal.finished:
        _run(file, keys, importer, journal, total=sum(counts.values()), shown=not as_json)
    summary = {
        "archive": head["id"],
        "from": head.get("source", {}).get("issuer"),
        "records": sum(counts.values()),
        "resumed_at": resumed,
        **{name: journal.outcomes[name] for name in sorted(journal.outcomes)},
    }
    show({**summary, "dry_run": dry_run, "notes": journal.problems} if as_json else summary, as_json=as_json)
    if not as_json:
        _tell(journal.problems, dry_run=dry_run)


def _checked(file: Path, keys: Sequence[Identity], *, shown: bool) -> tuple[Line, Counter[str]]:
    """Read it once to the end, before the first record is believed."""
    with file.open("rb") as source, progress("Checking", total=None, shown=shown) as advance:
        return verified(lines_of(_told(read(source, keys), advance)))


def _told(chunks: Iterable[bytes], advance: Advance) -> Iterator[bytes]:
    for chunk in chunks:
        advance()
        yield chunk


def _run(
    file: Path, keys: Sequence[Identity], importer: Importer, journal: Journal, *, total: int, shown: bool
) -> None:
    """Take what is not done yet, and note how far it came also when it stops."""
    with file.open("rb") as source, progress("Importing", total=total, shown=shown) as advance:
        records = (line for line in lines_of(read(source, keys)) if line["type"] in NAMES)
        advance(journal.done)
        try:
            for line in islice(records, journal.done, None):
                done = importer.take(line)
                kind = line["type"]
                journal.count(kind, str(line[NAMES[kind]]), done)
                advance()
        except (GrantkeeperError, KeyboardInterrupt):
            journal.note()
            click.echo(f"Stopped after {journal.done} of {total} records. Start it again: it goes on there.", err=True)
            raise
        journal.finish()


def _tell(problems: Sequence[dict[str, str]], *, dry_run: bool) -> None:
    for each in problems:
        click.echo(f"{each['outcome']}: {each['what']} {each['id']}: {each['note']}", err=True)
    if dry_run:
        click.echo("Nothing was changed.", err=True)
