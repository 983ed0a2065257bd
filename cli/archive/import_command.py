"""`grantkeeper import`: an archive into this stack, or connections from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from cli.archive.age import Identity, read
from cli.archive.crowd import together
from cli.archive.importer import Importer
from cli.archive.journal import EVERY, Journal
from cli.archive.lines import Line, lines_of, verified
from cli.archive.outcomes import Done
from cli.archive.prompts import identities
from cli.archive.tables import Tables
from cli.output import Progress, json_option, progress, show
from cli.stack import Stack
from grantkeeper.errors import GrantkeeperError

NAMES = {"client": "client_id", "api_key": "key_id", "provider": "id", "user": "sub", "connection": "id"}

# from so many records that are done: kind and name of each further one, and what became of it
Take = Callable[[int], Iterable[tuple[str, str, Done]]]


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--from", "source", type=click.Choice(["archive", "nango", "csv"]), default="archive", show_default=True,
              help="What FILE is.")  # fmt: skip
@click.option("--identity", "key_file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="File with the age private key that opens the archive.")  # fmt: skip
@click.option("--kms-key", default=None, help="ARN of the KMS key that opens the archive.")
@click.option("--passphrase-stdin", is_flag=True, help="Read the passphrase from standard input instead of asking.")
@click.option("--source-is-gone", is_flag=True,
              help="Nobody refreshes at the source any more: import all connections active.")  # fmt: skip
@click.option("--client", "client_id", default=None, help="nango, csv: whose user ids they are.")
@click.option("--mapping", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="nango, csv: JSON, their name of a service to ours.")  # fmt: skip
@click.option("--connection-id-is-user", is_flag=True, help="nango: the connection_id names the user.")
@click.option("--no-probe", is_flag=True, help="nango, csv: ask no provider whose a token is.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@click.pass_obj
def import_archive(
    stack: Stack,
    *,
    file: Path,
    source: str,
    key_file: Path | None,
    kms_key: str | None,
    passphrase_stdin: bool,
    source_is_gone: bool,
    client_id: str | None,
    mapping: Path | None,
    connection_id_is_user: bool,
    no_probe: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    r"""
    Read FILE into this stack. What is there already is left alone.

    An archive is checked whole before its first record is believed. Every record is written once, with its audit entry;
    an import that was killed goes on where it was when it is started again. Connections of providers that replace the
    refresh token at every use are active only if the archive was written with --freeze, or with --source-is-gone;
    otherwise they are parked and their users connect again. Import only archives whose origin you know: whoever has
    your public key can write one.

    From Nango, or from a CSV (columns user_id, service, access_token and, where known, refresh_token, expires_at,
    scopes, account_id, label, oauth_client_id), connections become active for --client under its own user ids. Stop
    the refreshes there first, and say so with --source-is-gone. Without account_id the provider is asked whose the
    token is. Every row that cannot be imported is told by its line and the reason, and the others are imported.

    \b
    Examples:
      grantkeeper import move.age --identity key.txt --dry-run
      grantkeeper import connections.csv --from csv --client backend --source-is-gone
    """
    if source == "archive":
        keys = identities(stack, key_file=key_file, kms_key=kms_key, passphrase_stdin=passphrase_stdin)
        head, counts = _checked(file, keys, quiet=as_json)
        importer = Importer(stack.wiring, Tables.of(stack.wiring), head["id"], source_is_gone, dry_run)
        name = f"{head['id']}#active" if source_is_gone else head["id"]  # what was parked is looked at again
        total, origin = sum(counts.values()), head.get("source", {}).get("issuer")
        work = _records(file, keys, importer)
    else:
        from cli.archive.foreign_import import foreign

        rows = foreign(stack, file, source, client_id=client_id, mapping=mapping, gone=source_is_gone,
                       connection_id_is_user=connection_id_is_user, probe=not no_probe, dry_run=dry_run)  # fmt: skip
        name, total, origin, work = rows.name, None, source, rows.take
    tables = Tables.of(stack.wiring)
    journal = Journal(tables.grants, name, dry=True) if dry_run else Journal.open(tables.grants, name)
    resumed = journal.done
    if not journal.finished:
        _run(work, journal, total=total, quiet=as_json)
    _tell(journal, {"import": name, "from": origin, "records": journal.done, "resumed_at": resumed},
          dry_run=dry_run, as_json=as_json)  # fmt: skip


def _checked(file: Path, keys: Sequence[Identity], *, quiet: bool) -> tuple[Line, Counter[str]]:
    """Read it once to the end, before the first record is believed."""
    with file.open("rb") as source, progress("Checking", total=None, quiet=quiet) as advance:
        return verified(lines_of(_told(read(source, keys), advance)))


def _told(chunks: Iterable[bytes], advance: Progress) -> Iterator[bytes]:
    for chunk in chunks:
        advance()
        yield chunk


def _records(file: Path, keys: Sequence[Identity], importer: Importer) -> Take:
    def take(done: int) -> Iterator[tuple[str, str, Done]]:
        with file.open("rb") as source:
            records = (line for line in lines_of(read(source, keys)) if line["type"] in NAMES)
            left = islice(records, done, None)
            for line, result in together(left, importer.take, size=EVERY, first=_is_no_connection):
                yield line["type"], str(line[NAMES[line["type"]]]), result

    return take


def _is_no_connection(line: Line) -> bool:
    """Users come before what is theirs."""
    kind: str = line["type"]
    return kind != "connection"


def _run(take: Take, journal: Journal, *, total: int | None, quiet: bool) -> None:
    """Take what is not done yet, and note how far it came also when it stops."""
    with progress("Importing", total=total, quiet=quiet) as advance:
        advance(journal.done)
        try:
            for kind, name, done in take(journal.done):
                journal.count(kind, name, done)
                advance()
        except (GrantkeeperError, KeyboardInterrupt):
            journal.note()
            click.echo(f"Stopped after {journal.done} records. Start it again: it goes on there.", err=True)
            raise
        journal.finish()


def _tell(journal: Journal, summary: dict[str, Any], *, dry_run: bool, as_json: bool) -> None:
    summary |= {name: journal.outcomes[name] for name in sorted(journal.outcomes)}
    show({**summary, "dry_run": dry_run, "notes": journal.problems} if as_json else summary, as_json=as_json)
    if as_json:
        return
    for each in journal.problems:
        click.echo(f"{each['outcome']}: {each['what']} {each['id']}: {each['note']}", err=True)
    if dry_run:
        click.echo("Nothing was changed.", err=True)
