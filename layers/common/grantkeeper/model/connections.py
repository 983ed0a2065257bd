"""The public halves of connections, confirmed or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from grantkeeper.model.grants import Grant, Reason

ConnectionStatus = Literal["pending", "active", "needs_reauth", "revoked"]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a provider says of an account, normalised. `provider_user_id` is its stable id, never an e-mail."""

    provider_user_id: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """A user's account at a service; holds no secret."""

    id: str
    sub: str
    client_id: str  # who opened it
    provider: str
    service: str
    account_id: str  # provider_user_id
    credentials_id: str
    scopes: tuple[str, ...]  # granted, normalised
    requested_scopes: tuple[str, ...]
    status: ConnectionStatus
    created_at: int
    updated_at: int
    kind: Literal["oauth2", "oauth1", "api_key"] = "oauth2"
    label: str | None = None
    reason: Reason | None = None
    used_day: str | None = None
    token_names: tuple[str, ...] = ("main",)
    reconnect_by: int | None = None
    profile: Profile | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)  # answers of the record's `post_connect`, by their name

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """Requested and not granted, in the order they were asked."""
        return tuple(s for s in self.requested_scopes if s not in self.scopes)


CONFIRM_SLACK = 60  # seconds: a confirmation in flight (30) and what two clocks may differ (10), twice over


@dataclass(frozen=True, slots=True)
class Pending:
    """
    An unconfirmed connection: erased after 10 minutes unless its session's user confirms.

    Nothing is revoked upstream before `over_at`: until then somebody whose clock is behind may still confirm.
    """

    session_id: str
    connection: Connection
    grants: tuple[Grant, ...]  # sealed for connection.id, with their new grant_id
    expires_at: int
    replaces: bool = False  # a re-connect: the connection exists already

    @property
    def over_at(self) -> int:
        """Epoch second from which nobody confirms it any more, whatever his clock says."""
        return self.expires_at + CONFIRM_SLACK
