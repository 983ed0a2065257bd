"""The trail: what was done, by whom, to whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One entry of the trail. `details` holds ids and enums, never a token, code or state."""

    id: str
    time: int
    action: str  # e.g. "connection.activated"
    actor: str
    sub: str | None = None
    connection_id: str | None = None
    client_id: str | None = None
    provider: str | None = None
    service: str | None = None
    reason: str | None = None
    request_id: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
