"""The secret halves of connections: what is stored of them, their leases, and what opens them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

GrantStatus = Literal["active", "needs_reauth", "revoked"]
Reason = Literal[
    "revoked_by_user",
    "expired_unused",
    "expired_no_refresh_token",
    "spent_elsewhere",
    "rotation_outcome_unknown",
    "credentials_rejected",
    "scopes_missing",
    "identity_changed",
]


@dataclass(frozen=True, slots=True)
class Grant:
    """
    The secret half of a connection, one per named token; its item is written by connect, refresh and disconnect only.

    `status` is the authority; a connection's is its mirror. `sealed` is empty on a tombstone.
    """

    connection_id: str
    name: str
    sub: str
    provider: str
    service: str
    credentials_id: str
    grant_id: str  # new per consent
    n: int  # counts within grant_id; in the AAD
    generation: int  # public, never falls; outside the AAD
    status: GrantStatus
    sealed: bytes
    scopes: tuple[str, ...]
    refreshed_at: int
    write_id: str
    variables: tuple[tuple[str, str], ...] = ()
    kind: Literal["oauth2", "oauth1", "api_key"] = "oauth2"
    reason: Reason | None = None  # of an active one: what its last answer is suspected of
    expires_at: int | None = None  # None: not told, or never
    refreshable: bool = True
    due_at: int | None = None
    consented_at: int = 0  # 0: before it was kept
    refresh_token_expires_at: int | None = None  # None: not told
    reconnect_by: int | None = None  # when its user has to connect again however well it is kept
    warned_of: int | None = None  # the forecast that was told: `Connection Expiring` came for it
    previous_refresh_token_hash: str | None = None
    rejected_generation: int = 0  # reported as answered 401; never served again
    strikes: int = 0
    strike_generation: int = 0
    strike_at: int = 0
    caused_by: str = "connect"  # connect | read | sweep | force | rescue: cause of the last save, for the audit entry
    actor: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """
    The right to refresh one grant at one generation.

    `intent` is the hash of the refresh token about to be spent; None once the outcome is known. A lease past
    `until` whose intent still stands is an orphan: somebody died between the provider and the save.
    """

    connection_id: str
    name: str
    generation: int
    owner: str
    until: int
    intent: str | None
    attempt: int
    write_id: str
    taken_at: int
    seen_at: int = 0  # when it was first found orphaned, 0 until then


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What we keep of a token response: `expires_at`, not `expires_in`. Its repr shows no token."""

    access_token: str = field(repr=False)
    token_type: str = "Bearer"
    expires_at: int | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_token_expires_at: int | None = None
    scopes: tuple[str, ...] | None = None  # None: the answer did not say
    id_token: str | None = field(default=None, repr=False)
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)  # holds the token secret of OAuth 1.0a
    subject: str | None = None  # hash of the account's subject, from the first answer that told it
    suspect: str | None = None  # the member by which the answer belongs to somebody else: never to be served


@dataclass(frozen=True, slots=True)
class Binding:
    """What a sealed set is bound to: the AAD of every grant. A row moved, swapped or edited fails to open."""

    connection_id: str
    sub: str
    provider: str
    credentials_id: str
    variables: tuple[tuple[str, str], ...]
    name: str
    grant_id: str
    n: int
    table: str = "grants"

    @classmethod
    def of(cls, grant: Grant) -> Binding:
        """The binding of a stored grant."""
        return cls(
            connection_id=grant.connection_id,
            sub=grant.sub,
            provider=grant.provider,
            credentials_id=grant.credentials_id,
            variables=grant.variables,
            name=grant.name,
            grant_id=grant.grant_id,
            n=grant.n,
        )


@dataclass(frozen=True, slots=True)
class Saved:
    """How `Grants.save` went: `saved`, `moved` (the generation went on without us) or `revoked`."""

    outcome: Literal["saved", "moved", "revoked"]
    current: Grant | None = None


@dataclass(frozen=True, slots=True)
class LeaseHeld:
    """The lease could not be had: this one stands in the way."""

    lease: Lease
