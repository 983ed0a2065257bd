"""`grantkeeper after-restore`: what was revoked since the moment a table was restored to is revoked again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import click

from cli import operator
from cli.archive.ledger import Ledger
from cli.archive.tables import Tables
from cli.last_words import NOT_FROZEN, STATES, last_words, said_again
from cli.output import json_option, show_list
from cli.stack import Stack
from grantkeeper.model import AuditEvent

DAY = 86_400
LAG = 60  # seconds before the moment: an entry bears the time at which its change began, and no function lives longer
PAGE = 200
AGAIN = ("connection.revoked", "consent.withdrawn", "identity.unlinked", "api_key.revoked", "api_key.rotated",
         "archive.frozen")  # fmt: skip


@click.command("after-restore")
@click.option("--since", required=True, type=click.DateTime(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]),
              help="The moment the table was restored to, in UTC.")  # fmt: skip
@click.option("--apply", is_flag=True, help="Do it; without it, only tell what would be done.")
@json_option
@click.pass_obj
def after_restore(stack: Stack, *, since: datetime, apply: bool, as_json: bool) -> None:
    """
    Revoke again what the audit trail says was revoked since a table was restored to an earlier moment.

    So are consents that were withdrawn and identities that were unlinked. A key that was rotated since is revoked as
    well: its new secret is lost, and the old one is good once more. What was frozen by an export is frozen again,
    before anything is disconnected; where that cannot be yet, nothing else is done. Users are suspended and lose
    roles, and clients are disabled, where that was the last word. The trail is not restored with the table. Doing it
    twice changes nothing. The rows must take no traffic yet.
    """
    begin = int(since.replace(tzinfo=UTC).timestamp())
    if begin > operator.now():
        raise click.ClickException("That moment is still to come.")
    begin -= LAG
    rows: list[dict[str, str]] = []
    states = last_words(since_then(stack, begin, frozenset(STATES)))
    for event in (*states, *since_then(stack, begin, frozenset(AGAIN))):
        again = said_again if event.action in STATES else _again
        if event.action != "connection.frozen" and any(row["done"] == NOT_FROZEN for row in rows):
            break  # a disconnect of what lives in another stack would revoke it at the provider for both
        done = again(stack, event, apply=apply)
        if done is not None:
            rows.append({"what": event.action, "id": _id(event), "done": done})
    show_list(rows, as_json=as_json, empty="Nothing revoked since then is alive.")
    if rows and not apply:
        click.echo("Nothing was changed: add --apply.", err=True)


def since_then(stack: Stack, begin: int, actions: Collection[str]) -> Iterator[AuditEvent]:
    """Entries of the trail with these actions, from `begin` (epoch seconds) to now."""
    for day in range(begin // DAY, operator.now() // DAY + 1):
        name = datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")
        before: str | None = None
        while True:
            events, before = stack.wiring.audit.day(name, limit=PAGE, before=before)
            yield from (event for event in events if event.action in actions and event.time >= begin)
            if before is None:
                break


def _again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    """Revoke one again; None when it is revoked as it should be."""
    if event.action.startswith("api_key."):
        return _key_again(stack, event, apply=apply)
    if (other := OTHERS.get(event.action)) is not None:
        return other(stack, event, apply=apply)
    connection_id = event.connection_id or ""
    connection = stack.wiring.connections.get(connection_id)
    if connection is None or connection.status == "revoked":
        return None
    if not apply:
        return "would be disconnected"
    audit = operator.event(
        "connection.revoked", sub=connection.sub, connection_id=connection_id, client_id=connection.client_id,
        provider=connection.provider, service=connection.service, reason="restored",
    )  # fmt: skip
    stack.wiring.connections.disconnect(connection_id, now=operator.now(), audit=audit)
    return "disconnected"


def _archive_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    """It is whole: what it froze goes into no other one."""
    ledger = Ledger(Tables.of(stack.wiring))
    if ledger.knows(archive := event.details["archive"]):
        return None
    if apply:
        ledger.complete(archive, reason="restored")
    return "is whole again" if apply else "would be whole again"


def _consent_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    sub, named = event.sub or "", (event.client_id, event.connection_id)
    counts = [c for c in stack.wiring.consents.list(sub) if c.withdrawn_at is None and c.created_at <= event.time]
    if named not in {(c.client_id, c.connection_id) for c in counts}:
        return None
    if not apply:
        return "would be withdrawn"
    client_id, connection_id = event.client_id or "", event.connection_id or ""
    audit = operator.event(
        "consent.withdrawn", sub=sub, client_id=client_id, connection_id=connection_id, reason="restored"
    )
    stack.wiring.consents.withdraw(sub, client_id, connection_id, now=operator.now(), audit=audit)
    return "withdrawn"


def _identity_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    sub = event.sub or ""
    linked = stack.wiring.users.identities(sub)
    identity = next((i for i in linked if i.id == event.details.get("identity") and i.linked_at <= event.time), None)
    if identity is None:
        return None
    kept = next((i for i in linked if i.id != identity.id and not i.issuer.startswith("client:")), None)
    if kept is None:  # the one he kept was linked after that moment, and is gone with it
        return "is the only one left: suspend the user, or leave it"
    if not apply:
        return "would be unlinked"
    audit = operator.event(
        "identity.unlinked", sub=sub, provider=identity.provider, reason="restored", details={"identity": identity.id}
    )
    return (
        "unlinked" if stack.wiring.users.unlink(identity, kept=kept, user=None, audit=audit) else "was changed: again"
    )


def _key_again(stack: Stack, event: AuditEvent, *, apply: bool) -> str | None:
    key = stack.wiring.api_keys.get(_id(event))
    if key is None or key.status == "revoked":
        return None
    if event.action == "api_key.rotated" and key.rotated_at >= event.time:  # this rotation is in the table
        return None
    if not apply:
        return "would be revoked"
    audit = operator.event(
        "api_key.revoked", sub=key.sub, client_id=key.client_id, reason="restored", details={"key_id": key.key_id}
    )
    stack.wiring.api_keys.revoke(key, audit=audit)
    return "revoked"


OTHERS = {
    "consent.withdrawn": _consent_again,
    "identity.unlinked": _identity_again,
    "archive.frozen": _archive_again,
}


def _id(event: AuditEvent) -> str:
    return (
        event.connection_id
        or event.details.get("key_id")
        or event.details.get("identity")
        or event.details.get("archive")
        or (event.client_id if event.action.startswith("client.") else event.sub)
        or ""
    )
