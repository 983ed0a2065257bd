"""`grantkeeper export` and `grantkeeper thaw`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from cli import operator
from cli.archive.age import Recipient, Writer
from cli.archive.crowd import together
from cli.archive.exporter import Exporter, Options
from cli.archive.frozen import Freezer
from cli.archive.ledger import Ledger
from cli.archive.lines import LineWriter
from cli.archive.prompts import kms_recipient, new_passphrase, public_key
from cli.archive.tables import Tables
from cli.output import json_option, progress, show
from cli.stack import Stack
from grantkeeper import ids
from grantkeeper.errors import GrantkeeperError

PART = ".part"  # what is not whole yet
COUNTED = ("active", "needs_reauth")


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--recipient", "recipients", multiple=True, help="An age public key (age1…) that opens it. Repeatable.")
@click.option("--kms-key", "kms_keys", multiple=True, help="ARN of a KMS key that opens it. Repeatable.")
@click.option("--passphrase-stdin", is_flag=True, help="Read the passphrase from standard input instead of asking.")
@click.option("--freeze", is_flag=True, help="Stop refreshing here what goes into the archive: it moves.")
@click.option("--with-provider-secrets", is_flag=True, help="Put the secrets of our registrations in as well.")
@json_option
@click.pass_obj
def export_archive(
    stack: Stack,
    *,
    file: Path,
    recipients: tuple[str, ...],
    kms_keys: tuple[str, ...],
    passphrase_stdin: bool,
    freeze: bool,
    with_provider_secrets: bool,
    as_json: bool,
) -> None:
    r"""
    Write users, connections with their tokens, consents, clients, API keys and provider records into FILE, encrypted.

    Without a recipient or KMS key it is for a passphrase. You need kms:Decrypt on the VaultKey (purpose=grant and
    purpose=branch). Without --freeze the stack goes on as before: of providers that replace the refresh token at every
    use, the archive then holds what may be spent by the time it is imported, so their connections are imported parked.
    With --freeze they are stopped here, and active where the archive is imported; `grantkeeper thaw` undoes that. An
    export that was killed leaves FILE.part, which the next one replaces; with --freeze that one takes what it had
    frozen. What an archive that is whole has frozen goes active into no other.

    \b
    Examples:
      grantkeeper export copy.age
      grantkeeper export move.age --freeze --recipient age1… --with-provider-secrets
    """
    if file.exists():
        raise click.ClickException(f"{file} exists already.")
    chosen = _recipients(stack, recipients, kms_keys, passphrase_stdin=passphrase_stdin)
    archive_id = ids.new_id("arc")
    exporter = Exporter(stack.wiring, archive_id, Options(freeze=freeze, provider_secrets=with_provider_secrets))
    if freeze:
        click.echo(f"What is frozen from now on bears the mark {archive_id}.", err=True)
    try:
        counts = _written(stack, file, exporter, chosen, quiet=as_json)
    except (GrantkeeperError, OSError, KeyboardInterrupt):
        if exporter.frozen:
            click.echo(
                f"{exporter.frozen} connections are frozen, and the archive has not come to its end: export once more"
                f" with --freeze, which takes them as well, or `grantkeeper thaw {archive_id}`.",
                err=True,
            )
        raise
    summary = {"archive": archive_id, "file": str(file), **counts, "frozen": exporter.frozen}
    show({**summary, "left_out": exporter.left_out} if as_json else summary, as_json=as_json)
    for each in () if as_json else exporter.left_out:
        click.echo(f"left out: {each['connection']}: {each['reason']}", err=True)


def _written(
    stack: Stack, file: Path, exporter: Exporter, recipients: Sequence[Recipient], *, quiet: bool
) -> dict[str, int]:
    """Write beside the file, whole, then give it its name."""
    part = file.with_name(file.name + PART)
    part.unlink(missing_ok=True)
    head = {
        "id": exporter.archive_id,
        "created_at": operator.now(),
        "source": {"issuer": stack.wiring.issuer, "stack": stack.name},
        "frozen": exporter.options.freeze,
    }
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        lines = LineWriter(Writer(out, recipients), head)
        with progress("Exporting", total=_expected(stack), quiet=quiet) as advance:
            for line in exporter.lines():
                lines.write(line)
                if line["type"] in ("user", "connection"):
                    advance()
        lines.close()
        out.flush()
        os.fsync(out.fileno())
    exporter.complete()
    part.rename(file)
    return dict(lines.counts)


def _expected(stack: Stack) -> int | None:
    """Users and connections as the counters have them: near enough for a bar."""
    totals = stack.wiring.counters.totals()
    live = sum(
        n for name, n in totals.items() if name.startswith("connections/") and name.rpartition("/")[2] in COUNTED
    )
    return totals.get("users", 0) + live or None


def _recipients(
    stack: Stack, public_keys: tuple[str, ...], kms_keys: tuple[str, ...], *, passphrase_stdin: bool
) -> Sequence[Recipient]:
    chosen = [*map(public_key, public_keys), *(kms_recipient(stack, arn) for arn in kms_keys)]
    if chosen and passphrase_stdin:
        raise click.ClickException("An archive is for a passphrase or for keys, not for both.")
    return chosen or [new_passphrase(from_stdin=passphrase_stdin)]


@click.command("thaw")
@click.argument("archive_id")
@click.confirmation_option(prompt="Is the archive imported nowhere, and never will be?")
@json_option
@click.pass_obj
def thaw(stack: Stack, *, archive_id: str, as_json: bool) -> None:
    r"""
    Put back what `export --freeze` froze for ARCHIVE_ID: refreshed again here, and active.

    Only if the archive was not imported: a refresh token that two stacks spend is dead for both.

    \b
    Examples:
      grantkeeper thaw arc_…
    """
    tables = Tables.of(stack.wiring)
    freezer = Freezer(tables, stack.wiring, archive_id)
    Ledger(tables).give_up(archive_id)  # one that is being written comes to no end
    thawed = 0

    def one(connection_id: str) -> bool:
        connection = stack.wiring.connections.get(connection_id)
        return connection is not None and freezer.thaw(connection)

    with progress("Thawing", total=None, quiet=as_json) as advance:
        for _, done in together(_connections(tables), one, size=64):
            advance()
            thawed += done
    answer: dict[str, Any] = {"archive": archive_id, "thawed": thawed}
    show(answer, as_json=as_json)


def _connections(tables: Tables) -> Iterator[str]:
    """Ids of all that are not disconnected, user by user."""
    for user in tables.listed("USER"):
        for entry in tables.grants.query(user["pk"]["S"], prefix="CONN#"):
            yield entry["connection_id"]["S"]
