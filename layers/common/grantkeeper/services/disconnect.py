"""Disconnect: revoked here at once, revoked at the provider by its own rule."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from grantkeeper import ids
from grantkeeper.errors import NotFound, StoreUnavailable, UnknownProvider
from grantkeeper.model import AuditEvent, Connection, Principal, Work
from grantkeeper.ports import Connections, WorkQueue
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from grantkeeper.services.revocation_radius import others_sharing, reaches_others
from grantkeeper.services.visibility import visible_connection

Upstream = Literal[
    "revocation_queued",
    "revoked_upstream",
    "shared_grant_kept",
    "manual_url",
    "not_supported",
    "not_applicable",
    "abandoned",
    "done",
]


class Ended(Protocol):
    """What it takes to end a connection; of a grant it sees that it is still sealed, never what is."""

    def disconnect(self, connection_id: str, *, now: int, audit: AuditEvent) -> Connection | None:
        """Revoke connection and grants at once; None when unknown; idempotent."""

    def erase(self, connection_id: str, *, audit: AuditEvent, write_ids: Collection[str] | None = None) -> None:
        """Empty the sealed sets of a revoked connection."""

    def unerased(self, connection_id: str) -> Sequence[int]:
        """Generations of the sealed sets of a revoked connection that are not erased yet; consistent."""

    def sharing(self, credentials_id: str, account_id: str, *, now: int) -> Sequence[str]:
        """Ids of the connections under the same credentials and account."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """
    What was done, and what will be done at the provider, as known at the time of the answer.

    `revocation_queued`: the provider is told within minutes, and told again until it answers. `revoked_upstream`: it
    was told, and obeyed. `abandoned`: it did not answer for a week, and our copy is erased. `shared_grant_kept`:
    revoking would cut off another live connection, so our copy is erased and the provider is not told. `manual_url`:
    the provider can be told by the user alone, there. `not_supported`: it cannot be told at all. `not_applicable`: the
    user's own API key, which was never ours to revoke. `done`: nothing is left to do, and how it ended is not known.
    """

    connection: Connection
    upstream: Upstream
    manual_url: str | None = None


def disconnect(
    connection_id: str,
    *,
    principal: Principal,
    connections: Connections,
    work_queue: WorkQueue,
    catalog: Catalog,
    now: int,
    request_id: str,
) -> Disconnected:
    """
    Revoke a connection: from this moment nobody gets a token of it, and nothing revives it.

    Idempotent: asked again, it queues again what is not erased yet.

    Raises:
        NotFound: Unknown, or not the caller's.
        StoreUnavailable: It cannot be told whether it is revoked; asking again is safe.
    """
    return disconnect_seen(
        visible_connection(connection_id, principal=principal, connections=connections),
        actor=principal.actor,
        connections=connections,
        work_queue=work_queue,
        catalog=catalog,
        now=now,
        request_id=request_id,
    )


def disconnect_seen(
    seen: Connection,
    *,
    actor: str,
    connections: Ended,
    work_queue: WorkQueue,
    catalog: Catalog,
    now: int,
    request_id: str,
) -> Disconnected:
    """
    Revoke a connection that the actor may see and end, as `disconnect`.

    Raises:
        NotFound: It is gone.
        StoreUnavailable: It cannot be told whether it is revoked; asking again is safe.
    """
    event = _event(seen, "connection.revoked", actor=actor, now=now, request_id=request_id)
    connection = connections.disconnect(seen.id, now=now, audit=event)
    if connection is None:
        raise NotFound("No such connection.")
    return revoke_upstream_later(
        connection,
        actor=actor,
        connections=connections,
        work_queue=work_queue,
        catalog=catalog,
        now=now,
        request_id=request_id,
    )


def revoke_upstream_later(
    connection: Connection,
    *,
    actor: str,
    connections: Ended,
    work_queue: WorkQueue,
    catalog: Catalog,
    now: int,
    request_id: str,
) -> Disconnected:
    """
    Say what happens at the provider to a revoked connection, and see to it.

    What cannot be revoked upstream is erased here and now. Everything else goes to the worker, which opens the sealed
    set, looks at the radius again when it runs, and erases. The tombstone is due by itself, so a queue that refuses
    only makes it later. A provider without a record is the worker's as well: an environment looks at the records once a
    minute, so it may be new, and the worker knows when to take it for removed.
    """
    kept = connections.unerased(connection.id)
    provider = record_of(connection, catalog)
    if not kept:
        return Disconnected(connection, "done")
    if connection.kind == "api_key" or (provider is not None and provider.revocation.kind == "none"):
        event = _event(connection, "grant.erased", actor=actor, now=now, request_id=request_id)
        connections.erase(connection.id, audit=event)
        return not_told(connection, provider)

    with contextlib.suppress(StoreUnavailable):
        work_queue.send([Work("revoke", connection.provider, ((connection.id, max(kept)),), request_id=request_id)])
    if provider is None:
        return Disconnected(connection, "revocation_queued")
    shared = reaches_others(provider, others_sharing(connection, connections=connections, now=now))
    return Disconnected(connection, "shared_grant_kept" if shared else "revocation_queued")


def record_of(connection: Connection, catalog: Catalog) -> Provider | None:
    """Find the record; None when there is none: the operator removed it, or it is not known here yet."""
    try:
        return catalog.get(connection.provider)
    except UnknownProvider:
        return None


def not_told(connection: Connection, provider: Provider | None) -> Disconnected:
    """Say why the provider is not told, and where the user can do it himself."""
    if connection.kind == "api_key":
        return Disconnected(connection, "not_applicable")
    url = None if provider is None else provider.revocation.manual_url
    return Disconnected(connection, "not_supported" if url is None else "manual_url", url)


def _event(connection: Connection, action: str, *, actor: str, now: int, request_id: str) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action=action,
        actor=actor,
        sub=connection.sub,
        connection_id=connection.id,
        client_id=connection.client_id,
        provider=connection.provider,
        service=connection.service,
        request_id=request_id,
    )
