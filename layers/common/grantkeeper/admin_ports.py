"""
What the administration needs from the world beside `ports`, as protocols; no hot function loads this module.

As there: every store raises `StoreUnavailable` when DynamoDB does not answer before the deadline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from grantkeeper.model import ApiKey, AuditEvent, Client


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of the trail: what matched in it, newest first, and where the next one begins; None at the end."""

    events: Sequence[AuditEvent]
    position: str | None


class Trail(Protocol):
    """
    The audit table, a bounded stretch at a time.

    `after` and `before` are sort keys (`time#id`), `before` left out. `where` names attributes and what they must be;
    a value that ends with a full stop, what they must begin with.
    """

    def of_user(self, sub: str, *, after: str, before: str, where: Mapping[str, str], limit: int) -> Slice:
        """Entries under a user."""

    def of_day(self, day: str, *, after: str, before: str, where: Mapping[str, str], limit: int) -> Slice:
        """Entries of a day (`yyyy-mm-dd`)."""

    def of_actor(self, actor: str, *, after: str, before: str, limit: int) -> Slice:
        """Entries by a user (`user:…`) or a key (`key:…`, `user_key:…`); others have no index. At most 100."""

    def of_connection(self, connection_id: str, *, before: str | None, limit: int) -> Slice:
        """Entries under a connection, its refreshes among them; `before` is what the stretch before returned."""


@dataclass(frozen=True, slots=True)
class VersionedClient:
    """A client and the version it was read at."""

    client: Client
    version: str


class ClientVersions(Protocol):
    """Clients as they are edited."""

    def versioned(self, client_id: str) -> VersionedClient | None:
        """Consistent."""

    def create(self, client: Client, *, audit: AuditEvent) -> None:
        """Store a new client."""

    def replace(self, client: Client, *, version: str, audit: AuditEvent) -> bool:
        """Put a client in place of the version that was read; False when it was changed since."""

    def page(self, *, limit: int, after: str | None) -> tuple[Sequence[Client], str | None]:
        """Clients by id, with the id to go on from."""


class ApiKeyPages(Protocol):
    """All API keys, page by page."""

    def page(
        self, *, client_id: str | None, where: Mapping[str, str], after: str | None, limit: int
    ) -> tuple[Sequence[ApiKey], str | None]:
        """Keys, of one client or all, whose attributes are those; and where to go on, None at the end."""


@dataclass(frozen=True, slots=True)
class BreakerFacts:
    """
    What the item of a breaker says; 0 or empty where it says nothing. Times are epoch seconds.

    `refused_at` and `error`: the provider refuses our registration, and by which registered code.
    """

    failures: int = 0
    failed_at: int = 0
    open_until: int = 0
    closed_at: int = 0
    refused_at: int = 0
    error: str = ""


class BreakersSeen(Protocol):
    """Breakers as an operator sees them."""

    def facts(self, providers: Sequence[str]) -> Mapping[str, BreakerFacts]:
        """What is known of each of these; of a provider without an item, nothing."""


class SweepMark(Protocol):
    """What the last sweep left behind."""

    def read(self) -> Mapping[str, int] | None:
        """`at`, `due`, `sent`, `held_back`, `left`, `oldest_due`, `shards`, `shards_unread`; None before the first."""


class Probes(Protocol):
    """What is looked at to tell how the deployment does. Each raises `StoreUnavailable` when nobody answers."""

    def read_tables(self) -> Mapping[str, str]:
        """Read from every table; which ones were."""

    def vault_key(self) -> str:
        """The state of the VaultKey, `Enabled` when it works."""

    def queues(self) -> Mapping[str, int]:
        """Messages in `work`, `dead_letters`, `rescue` and `rescue_dead_letters`."""

    def alarms(self) -> Mapping[str, str]:
        """The stack's alarms and their state: `OK`, `ALARM` or `INSUFFICIENT_DATA`."""


@dataclass(frozen=True, slots=True)
class DeadConnection:
    """A connection that was revoked; `ended_at` in epoch seconds."""

    id: str
    sub: str
    provider: str
    service: str
    ended_at: int


@dataclass(frozen=True, slots=True)
class DeadKey:
    """An API key, and when it ended or will: revoked or expired, whatever came first; epoch seconds."""

    id: str
    sub: str | None
    client_id: str | None
    ended_at: int


class DeadRows(Protocol):
    """What is dead and only takes up room. Removing is one transaction with its audit entry, each."""

    def connections(
        self, provider: str, *, after: str | None, limit: int
    ) -> tuple[Sequence[DeadConnection], str | None]:
        """Revoked connections of a provider, and where to go on; None at the end."""

    def remove_connection(self, dead: DeadConnection, *, ended_before: int, audit: AuditEvent) -> bool:
        """Take away what is left of one; False when it is not dead enough, or holds anything still."""

    def api_keys(self, *, after: str | None, limit: int) -> tuple[Sequence[DeadKey], str | None]:
        """All keys, the live ones too, and where to go on; None at the end."""

    def remove_key(self, dead: DeadKey, *, ended_before: int, audit: AuditEvent) -> bool:
        """Take away one that ended before; False when it did not."""
