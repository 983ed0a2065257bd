"""Showing at the connection what a refresh has changed at the grant: its scopes (C-48)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services.refresh_run import RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import Grant


def mirror_scopes(before: Grant, after: Grant, *, ports: RefreshPorts, run: Run) -> None:
    """
    Write the connection's granted scopes when a saved refresh answered with others.

    Best effort: the grant is the authority and the token call answers from it. Scopes of the connection's other
    tokens stay.

    Args:
        before: Generation g.
        after: Generation g + 1, saved.
    """
    if before.scopes == after.scopes:
        return
    with contextlib.suppress(StoreUnavailable):
        connection = ports.connections.get(after.connection_id)
        if connection is None:
            return
        others = tuple(scope for scope in connection.scopes if scope not in before.scopes)
        scopes = tuple(dict.fromkeys((*after.scopes, *others)))
        now = run.clock()
        audit = AuditEvent(
            id=f"evt_{ids.digest(f'scopes {after.connection_id} {after.name} {after.generation}')}",
            time=now,
            action="connection.scopes_changed",
            actor=after.actor,
            sub=after.sub,
            connection_id=after.connection_id,
            provider=after.provider,
            service=after.service,
            request_id=after.request_id,
            details={"token": after.name, "generation": str(after.generation)},
        )
        ports.connections.update_scopes(after.connection_id, scopes, now=now, audit=audit)
