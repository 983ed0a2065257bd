"""What became of a disconnected connection at its provider: the trail knows, and is asked when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from grantkeeper.model import AuditEvent, Connection
from grantkeeper.ports import AuditTrail
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.disconnect import Disconnected, Ended, not_told, record_of

Word = Literal["revoked_upstream", "shared_grant_kept", "abandoned"]

PAGES, PAGE = 3, 100  # of the user's trail, newest first, at most
_WORDS: dict[str | None, Word] = {
    "revoked": "revoked_upstream",
    "gone": "revoked_upstream",  # it was not known there any more
    "shared_grant_kept": "shared_grant_kept",
    "abandoned": "abandoned",
}


def upstream_state(connection: Connection, *, connections: Ended, audit: AuditTrail, catalog: Catalog) -> Disconnected:
    """
    Say how far the revocation of a disconnected connection is.

    Args:
        connection: A revoked one.
        connections: Know its tombstones; while one is sealed, the worker is not done.
        audit: The user's trail has the entry of the worker.
        catalog: For where users withdraw access themselves.

    Returns:
        `revocation_queued`, then how it ended: see `Disconnected`. `done`, if that is not in the trail any more.
    """
    if connections.unerased(connection.id):
        return Disconnected(connection, "revocation_queued")
    for event in _trail(connection, audit):
        if event.connection_id == connection.id and event.action == "grant.erased":
            word = _WORDS.get(event.details.get("upstream"))
            return (
                not_told(connection, record_of(connection, catalog)) if word is None else Disconnected(connection, word)
            )
    return Disconnected(connection, "done")


def _trail(connection: Connection, audit: AuditTrail) -> Iterator[AuditEvent]:
    """The user's trail back to the disconnect, or as far as is reasonable to look."""
    before = None
    for _ in range(PAGES):
        events, before = audit.for_user(connection.sub, limit=PAGE, before=before)
        for event in events:
            if event.time < connection.updated_at:
                return
            yield event
        if before is None:
            return
