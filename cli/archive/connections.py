"""
A connection that comes from elsewhere: sealed anew, and active only where that can kill no grant.

A refresh token that is replaced when it is used may be in use where it comes from: of two stacks that spend it, one is
taken for a thief, and the provider ends the grant for both. So it is active here only if the other stack has frozen it,
or is gone. Otherwise the connection is parked: everything stands, and its user connects once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cli import operator
from cli.archive.due import due_again
from cli.archive.frozen import REASON
from cli.archive.lines import Line, record_of
from cli.archive.outcomes import Done, imported_by, is_imported_by, refused
from cli.archive.tables import Tables
from grantkeeper import ids
from grantkeeper.errors import UnknownProvider
from grantkeeper.model import AuditEvent, Avatar, Binding, Connection, Consent, Grant, Profile
from grantkeeper.services.lease_policy import is_strict
from grantkeeper.stores import keys
from grantkeeper.stores.audit_item import audit_writes
from grantkeeper.stores.avatars import avatar_item
from grantkeeper.stores.confirmation import uniqueness
from grantkeeper.stores.connection_item import connection_item
from grantkeeper.stores.consents import consent_put
from grantkeeper.stores.grant_item import grant_item
from grantkeeper.stores.items import Item, to_item
from grantkeeper.stores.one_time import NEW
from grantkeeper.stores.retrying import TransactionFailed
from grantkeeper.stores.shared_accounts import confirmed
from grantkeeper.stores.table import key_item, new_write_id
from grantkeeper.wiring import Wiring

MOST_TOGETHER = 60  # consents in one transaction, which holds a hundred writes


@dataclass(frozen=True, slots=True)
class Arrival:
    """A connection on its way in: records, and its token sets in clear by name."""

    connection: Connection
    grants: Sequence[Grant]
    tokens: dict[str, bytes]
    consents: Sequence[Consent]
    avatar: Avatar | None
    frozen: bool
    origin: str  # the archive's id, or that of an import from elsewhere

    def __repr__(self) -> str:
        """Show no token."""
        return f"Arrival({self.connection.id})"

    @classmethod
    def read(cls, line: Line, archive_id: str) -> Arrival:
        """
        Read a line.

        Raises:
            ArchiveUnreadable: It is no connection.
        """
        profile = record_of(Profile, line["profile"]) if "profile" in line else None
        plain = {name: value for name, value in line.items() if name != "profile"}
        connection = record_of(Connection, plain, profile=profile)
        told: Sequence[dict[str, Any]] = line.get("grants", ())
        known = {"connection_id": connection.id, "sealed": b"", "write_id": ""}
        whose = {"sub": connection.sub, "connection_id": connection.id}
        return cls(
            connection=connection,
            grants=[record_of(Grant, each, **known) for each in told],
            tokens={each["name"]: each["tokens"].encode() for each in told if "tokens" in each},
            consents=[record_of(Consent, each, **whose) for each in line.get("consents", ())],
            avatar=record_of(Avatar, line["avatar"]) if "avatar" in line else None,
            frozen=line.get("frozen") is True,
            origin=archive_id,
        )


def put_connection(
    arrival: Arrival, *, wiring: Wiring, tables: Tables, source_is_gone: bool, dry_run: bool = False
) -> Done:
    """
    Write a connection with its grants, consents and entries in one transaction; once, however often it is tried.

    Returns:
        `imported`, `parked`, `there`, or `refused` with the reason.

    Raises:
        StoreUnavailable: DynamoDB or KMS does not answer; nothing was written.
    """
    why = _no_user(arrival.connection.sub, wiring=wiring, dry_run=dry_run)
    if why is not None:
        return refused(why)
    parked = _parks(arrival, wiring=wiring, source_is_gone=source_is_gone)
    connection, grants = _as_it_will_be(arrival, parked=parked, wiring=wiring)
    done = Done("parked", "its user connects again") if parked else Done("imported")
    if dry_run:
        return _foreseen(connection, done, wiring=wiring, tables=tables)
    meta = connection_item(connection, write_id=new_write_id()) | imported_by(arrival.origin) | _mark(parked=parked)
    items = [_grant_item(tables, arrival, grant, wiring=wiring) | _mark(parked=parked) for grant in grants]
    writes = [
        uniqueness(tables.grants, connection),
        tables.grants.to_put(meta, condition=NEW),
        *(tables.grants.to_put(item, condition=NEW) for item in items),
        *(_consent_write(tables, consent) for consent in arrival.consents[:MOST_TOGETHER]),
    ]
    if connection.kind != "api_key":
        writes.append(confirmed(tables.grants, connection))
    if arrival.avatar is not None:
        picture = avatar_item(keys.connection_avatar(connection.id), arrival.avatar)
        writes.append(tables.grants.to_put(picture))
    for consent in arrival.consents[MOST_TOGETHER:]:
        tables.grants.put(_consent_write(tables, consent)["Put"]["Item"])
    try:
        tables.grants.transact([*writes, *audit_writes(tables.audit, _entry(connection, arrival.origin))])
    except TransactionFailed as failure:
        if not failure.failed(1):
            return refused("the user has a connection for this account here")
        stored = failure.item(1)
        if connection.status == "active" and _is_parked(stored):
            return _unparked(tables, connection, [meta, *items], arrival.origin)
        same = stored is not None and stored["status"] == {"S": connection.status}
        ours = same and is_imported_by(stored, arrival.origin)
        return done if ours else Done("there")
    return done


def _no_user(sub: str, *, wiring: Wiring, dry_run: bool) -> str | None:
    """Why nothing can be his here; None when he is here, or would be."""
    user = wiring.users.get(sub)
    if user is None:
        return None if dry_run else "its user is not here"
    return "its user is erased here" if user.status == "erased" else None


def _unparked(tables: Tables, connection: Connection, items: Sequence[Item], origin: str) -> Done:
    """What an import parked becomes active by one that may; unless its user has connected again meanwhile."""
    still = "#parked = :parked AND #status = :status"
    values = {":parked": True, ":status": "needs_reauth"}
    writes = [tables.grants.to_put(item, condition=still, values=values) for item in items]
    try:
        tables.grants.transact(
            [*writes, *audit_writes(tables.audit, _entry(connection, origin, before="needs_reauth"))]
        )
    except TransactionFailed:
        return Done("there")
    return Done("imported")


def _mark(*, parked: bool) -> Item:
    """On META and grants that an import parked; whatever replaces them has it no more."""
    return {"parked": {"BOOL": True}} if parked else {}


def _is_parked(item: Item | None) -> bool:
    return item is not None and item.get("parked") == {"BOOL": True} and item["status"] == {"S": "needs_reauth"}


def _foreseen(connection: Connection, done: Done, *, wiring: Wiring, tables: Tables) -> Done:
    stored = tables.grants.get(keys.connection(connection.id))
    if stored is not None:
        return done if done.outcome == "imported" and _is_parked(stored) else Done("there")
    other = wiring.connections.find_account(connection.sub, connection.service, connection.account_id)
    return done if other in (None, connection.id) else refused("the user has a connection for this account here")


def _parks(arrival: Arrival, *, wiring: Wiring, source_is_gone: bool) -> bool:
    if arrival.frozen or source_is_gone:
        return False  # else also where one token of several is dead: the others are spent at the source
    return any(_dies_when_spent_twice(grant, wiring) for grant in arrival.grants)


def _dies_when_spent_twice(grant: Grant, wiring: Wiring) -> bool:
    if grant.kind != "oauth2" or not grant.refreshable or grant.status != "active":
        return False
    try:
        return is_strict(wiring.catalog.get(grant.provider).refresh)
    except UnknownProvider:
        return True


def _as_it_will_be(arrival: Arrival, *, parked: bool, wiring: Wiring) -> tuple[Connection, Sequence[Grant]]:
    """Statuses and due times; a `grant_id` of this stack's own, so that no row of the other opens here."""
    now = operator.now()
    connection = replace(arrival.connection, updated_at=now)
    grants = [replace(g, grant_id=ids.new_id("grant"), n=1, write_id=new_write_id()) for g in arrival.grants]
    if parked:
        connection = replace(connection, status="needs_reauth", reason=REASON)
        return connection, [replace(grant, status="needs_reauth", reason=REASON, due_at=None) for grant in grants]
    catalog = wiring.catalog
    return connection, [
        replace(g, due_at=due_again(g, catalog=catalog, now=now) if g.status == "active" else None) for g in grants
    ]


def _grant_item(tables: Tables, arrival: Arrival, grant: Grant, *, wiring: Wiring) -> Item:
    tokens = arrival.tokens.get(grant.name)
    sealed = b"" if tokens is None else wiring.sealer.seal(tokens, binding=Binding.of(grant))
    return grant_item(replace(grant, sealed=sealed), due_shards=tables.due_shards)


def _consent_write(tables: Tables, consent: Consent) -> Item:
    if consent.withdrawn_at is None:
        return consent_put(tables.grants, consent)
    key = keys.withdrawn_consent(consent.sub, consent.client_id, consent.connection_id, consent.withdrawn_at)
    return tables.grants.to_put(key_item(key) | to_item(consent, without=("sub",)))


def _entry(connection: Connection, origin: str, *, before: str = "none") -> AuditEvent:
    active = connection.status == "active"
    return operator.event(
        "connection.activated" if active else "connection.needs_reauth",
        sub=connection.sub,
        connection_id=connection.id,
        client_id=connection.client_id,
        provider=connection.provider,
        service=connection.service,
        reason=None if active else connection.reason,
        details={"from": before, "archive": origin},
    )
