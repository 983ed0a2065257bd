"""What erasing a user takes, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from grantkeeper.model import AuditEvent, Erased, Remains, Trace, User
from grantkeeper.ports import AuditTrail, Users, WorkQueue
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.admin_connections import Seen

State = Literal["active", "erasing", "erased"]


class Erasing(Protocol):
    """What stands of a user, and its end."""

    def erased(self, sub: str) -> Erased | None:
        """The tombstone of a user; None when he is not erased, or unknown."""

    def begin(self, user: User, *, now: int, admin: str | None, audit: AuditEvent) -> bool:
        """Put a tombstone in a user's place; False when he was changed since he was read."""

    def finish(self, sub: str, *, audit: AuditEvent) -> None:
        """Note that nothing is left."""

    def traces(self, sub: str) -> Sequence[Trace]:
        """Everything that stands of a user but his profile, or tombstone."""

    def one_time(self, *, errands: Sequence[str], connect_sessions: Sequence[str]) -> Sequence[Trace]:
        """Of these, what stands still."""

    def past(self, sub: str) -> Sequence[Trace]:
        """What he has disconnected, as far as anything is left of it."""

    def remains(self, connection_id: str) -> Remains:
        """What is left of a connection."""

    def remove(self, sub: str, traces: Sequence[Trace], *, audit: AuditEvent) -> None:
        """Delete some traces with what stands beside them."""

    def strip(self, sub: str, remains: Remains, *, now: int, audit: AuditEvent) -> None:
        """Take from a past connection what names a person, and note that it was looked at."""

    def purge(self, sub: str, remains: Remains, *, audit: AuditEvent) -> None:
        """Delete all that is left of a past connection."""


class ErasurePorts(Protocol):
    """What erasing takes; `Wiring` is one."""

    @property
    def users(self) -> Users: ...
    @property
    def erasure(self) -> Erasing: ...
    @property
    def seen_connections(self) -> Seen: ...
    @property
    def audit(self) -> AuditTrail: ...
    @property
    def work_queue(self) -> WorkQueue: ...
    @property
    def catalog(self) -> Catalog: ...


@dataclass(frozen=True, slots=True)
class Erasure:
    """
    How far an erasure is.

    Args:
        sub: Whose.
        state: `active`: it was never begun. `erasing`: call again. `erased`: nothing is left.
        erased_at: When the tombstone was set, epoch seconds.
        removed: How many traces this call removed, by kind.
        left: How many stand still, by kind: the proof. A kind that is not named is gone.
        again_at: When another call can do more; None when there is nothing more to do.
        one_time_until: By when codes that were open then have expired by themselves. They hold the opaque sub, and
            only who holds the secret they stand under can find them.
    """

    sub: str
    state: State
    erased_at: int | None
    removed: Mapping[str, int]
    left: Mapping[str, int]
    again_at: int | None
    one_time_until: int | None
