"""Who is answerable for what is done by the administration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grantkeeper import ids
from grantkeeper.model import AuditEvent, Principal


@dataclass(frozen=True, slots=True)
class Acting:
    """
    A caller with the time and the request: what every audit entry of his names.

    Args:
        principal: Who acts.
        now: Epoch seconds.
        request_id: Of the request by which he does.
    """

    principal: Principal
    now: int
    request_id: str

    def event(self, action: str, **fields: Any) -> AuditEvent:
        """An audit entry of his."""
        return AuditEvent(
            id=ids.new_id("evt"),
            time=self.now,
            action=action,
            actor=self.principal.actor,
            request_id=self.request_id,
            **fields,
        )
