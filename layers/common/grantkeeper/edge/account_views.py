"""A user's own account as the JSON of the API. Times are epoch seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from grantkeeper.model import AuditEvent

if TYPE_CHECKING:
    from grantkeeper.edge import schemas


def audit_view(event: AuditEvent, *, sub: str) -> schemas.AuditEntry:
    """
    An entry of a user's own trail.

    Who acted is told by kind only: a refused confirmation has another user's hand in it, and must not say whose.
    """
    return {
        "id": event.id,
        "time": event.time,
        "action": event.action,
        "by": _by(event.actor, sub),
        "connection_id": event.connection_id,
        "client_id": event.client_id,
        "provider": event.provider,
        "service": event.service,
        "reason": event.reason,
    }


def _by(actor: str, sub: str) -> Literal["you", "another_user", "client", "system"]:
    if actor == f"user:{sub}":
        return "you"
    match actor.partition(":")[0]:
        case "user":
            return "another_user"
        case "key":
            return "client"
        case _:
            return "system"
