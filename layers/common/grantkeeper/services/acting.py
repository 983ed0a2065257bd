"""Who is answerable for what the administration does, by the API or by the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from grantkeeper import ids
from grantkeeper.model import AuditEvent, Principal


@dataclass(frozen=True, slots=True)
class Acting:
    """
    Somebody who acts, when, and by which request: what every audit entry of his names.

    Args:
        actor: His name in the trail.
        now: Epoch seconds.
        request_id: None on the command line.
        client_id: The client he is signed in at, if he is a person at one.
    """

    actor: str
    now: int
    request_id: str | None = None
    client_id: str | None = None

    @classmethod
    def of(cls, principal: Principal, *, now: int, request_id: str) -> Self:
        """A caller of the API."""
        return cls(principal.actor, now, request_id, principal.client_id)

    def event(self, action: str, **fields: Any) -> AuditEvent:
        """An audit entry of his."""
        return AuditEvent(
            id=ids.new_id("evt"), time=self.now, action=action, actor=self.actor, request_id=self.request_id, **fields
        )
