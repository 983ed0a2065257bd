"""What clients send users' browsers to us for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from grantkeeper.model.people import Identity


@dataclass(frozen=True, slots=True)
class Errand:
    """
    What a client sends one user's browser to us for, 10 minutes: to link an identity, or to allow it a connection.

    `id` is the hash of the ticket in its URL. Who follows the URL proves first that he is the user.
    """

    id: str
    kind: Literal["link", "consent"]
    client_id: str
    sub: str
    redirect_uri: str
    created_at: int
    expires_at: int
    opened_by: str  # actor
    state: str | None = None  # the client's own
    # open → proven (who came back is the user) → done; or ended
    status: Literal["open", "proven", "done", "ended"] = "open"
    browser_hash: str | None = None  # of the browser in which it was proven
    # kind == "link"
    provider: str | None = None  # to be linked
    proven_at: str | None = None  # the provider at which he proves first who he is
    identity: Identity | None = None  # the proven one, not linked yet
    confirmation_hash: str | None = None
    # kind == "consent": one of the two, as the client sent it, unjudged
    service: str | None = None
    connection_id: str | None = None
