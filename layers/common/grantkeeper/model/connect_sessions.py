"""Permission to connect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ConnectSession:
    """Permission for one user to connect one service, 10 minutes."""

    id: str
    client_id: str
    sub: str
    service: str
    provider: str
    scopes: tuple[str, ...]  # provider scopes, resolved
    redirect_uri: str
    ticket_hash: str
    created_at: int
    expires_at: int
    state: str | None = None  # the client's own
    connection_id: str | None = None  # set for a re-connect
    opened_by: str = ""  # actor
    # open → authorized (tokens are pending) → confirmed; or ended
    status: Literal["open", "authorized", "confirmed", "ended"] = "open"
    confirmation_hash: str | None = None
    pending_connection_id: str | None = None
    browser_hash: str | None = None
