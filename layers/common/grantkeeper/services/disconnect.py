"""Disconnect: revoked here at once, revoked at the provider by its own rule."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal

from grantkeeper import ids
from grantkeeper.errors import NotFound, StoreUnavailable, UnknownProvider
from grantkeeper.model import AuditEvent, Connection, Principal, Work
from grantkeeper.ports import Connections, Grants, WorkQueue
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
    grants: Grants,
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
    seen = visible_connection(connection_id, principal=principal, connections=connections)
    event = _event(seen, "connection.revoked", actor=principal.actor, now=now, request_id=request_id)
    connection = connections.disconnect(connection_id, now=now, audit=event)
    if connection is None:
        raise NotFound("No such connection.")
    return revoke_upstream_later(
        connection,
        actor=principal.actor,
        connections=connections,
        grants=grants,
        work_queue=work_queue,
        catalog=catalog,
        now=now,
        request_id=request_id,
    )


def revoke_upstream_later(
    connection: Connection,
    *,
    actor: str,
    connections: Connections,
    grants: Grants,
    work_queue: WorkQueue,
    catalog: Catalog,
    now: int,
    request_id: str,
) -> Disconnected:
    """
    Say what happens at the provider to a revoked connection, and see to it.

    What cannot be revoked upstream is erased here and now. Everything else goes to the worker, which opens the sealed
    set, looks at the radius again when it runs, and erases. The tombstone is due by itself, so a queue that refuses
    only makes it later.
    """
    names = grants.names(connection.id)
    kept = [grant for name in names if (grant := grants.get(connection.id, name)) is not None and grant.sealed]
    provider = record_of(connection, catalog)
    if not kept:
        return Disconnected(connection, "done")
    if connection.kind == "api_key" or provider is None or provider.revocation.kind == "none":
        event = _event(connection, "grant.erased", actor=actor, now=now, request_id=request_id)
        connections.erase(connection.id, audit=event)
        return not_told(connection, provider)

    generation = max(grant.generation for grant in kept)
    with contextlib.suppress(StoreUnavailable):
        work_queue.send([Work("revoke", provider.id, ((connection.id, generation),), request_id=request_id)])
    shared = reaches_others(provider, others_sharing(connection, connections=connections, now=now))
    return Disconnected(connection, "shared_grant_kept" if shared else "revocation_queued")


def record_of(connection: Connection, catalog: Catalog) -> Provider | None:
    """Find the record; None when the operator removed it: there is nobody left to tell."""
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
