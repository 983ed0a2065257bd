"""What the nightly recount works with, beside `ports`; no hot function loads this module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from grantkeeper.model import AuditEvent


class Page(NamedTuple):
    """A page of the trail or of the list, and where the next one begins; None at the end."""

    counted: Mapping[str, int]
    position: str | None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a recount found: `at`, epoch seconds, for the UTC day `day`; `drift`: counter → what it lacks."""

    at: int
    day: str
    drift: Mapping[str, int]

    @property
    def all_drift(self) -> int:
        """By how much the counters differ in all."""
        return sum(abs(by) for by in self.drift.values())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recount is."""

    day: str
    look: int = 1
    shard: int = 0
    position: str | None = None  # in the shard, then in the unit
    recounted: Mapping[str, int] = field(default_factory=dict)
    units: tuple[str, ...] = ()  # what is left to be looked up in the list; empty before that begins
    found: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, int] | None = None  # the counters of all time when that began


@dataclass(frozen=True, slots=True)
class State:
    """What is kept between runs."""

    version: int = 0
    progress: Progress | None = None
    last: Reconciled | None = None


class Records(Protocol):
    """The trail by day and the list by kind, a page at a time."""

    @property
    def shards(self) -> int:
        """How many partitions a day has."""

    def entries(
        self, day: str, shard: int, *, position: str | None, count: Callable[[AuditEvent], Mapping[str, int]]
    ) -> Page:
        """A page of a day's entries, each counted by `count`; `day` is `yyyy-mm-dd`."""

    def listed(self, kind: str, *, prefix: str, position: str | None) -> Page:
        """How many there are on a page of the list, under the name `n`."""


class Notes(Protocol):
    """Where the state is kept."""

    def load(self) -> State:
        """Consistent."""

    def save(self, state: State, *, audit: AuditEvent | None = None) -> State | None:
        """Keep it, under the next version; None when another run was faster."""
