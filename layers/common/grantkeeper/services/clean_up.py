"""
Clean-up: what is dead goes after a while, looked at first and taken away in steps that can stop anywhere.

A tombstone protects. A refresh that was under way may bring tokens after the disconnect, from the rescue queue up to 14
days later and as long again when an operator redrives it; they are kept on the tombstone until they are revoked
upstream. So none goes before it is 35 days old, which is also how far a restore by point in time reaches: whatever such
a restore brings back ended after everything that was removed. docs/admin-api.md says what accumulates and stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from grantkeeper.admin_ports import DeadConnection, DeadKey, DeadRows
from grantkeeper.errors import BadRequest
from grantkeeper.services.acting import Acting

Kind = Literal["revoked_connections", "api_keys"]
KINDS: tuple[Kind, ...] = get_args(Kind)

DAY = 86_400
LEAST_DAYS, DEFAULT_DAYS, MOST_DAYS = 35, 90, 3650
AT_ONCE = 100  # rows of one read
MAX_LOOKED_AT = 2000  # rows of one call
DEFAULT_LIMIT, MAX_LIMIT = 50, 100  # removals of one call
MEMBERS = frozenset({"kinds", "limit", "older_than_days"})


@dataclass(frozen=True, slots=True)
class CleanUp:
    """What is to be removed: kinds, how many at most, and of what age."""

    kinds: tuple[Kind, ...] = KINDS
    limit: int = DEFAULT_LIMIT
    days: int = DEFAULT_DAYS

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> CleanUp:
        """
        Read the JSON body; `kinds` is never implied.

        Raises:
            BadRequest: A member is missing, unknown, of the wrong type or out of bounds.
        """
        if set(body) - MEMBERS:  # not named: it is the sender's text
            raise BadRequest("The body has a member that is not known here.")
        kinds, limit = body.get("kinds"), body.get("limit", DEFAULT_LIMIT)
        if not isinstance(kinds, list) or not kinds or not all(kind in KINDS for kind in kinds):
            raise BadRequest(f"kinds are some of {', '.join(KINDS)}.", parameter="kinds")
        if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
            raise BadRequest(f"limit is 1 to {MAX_LIMIT}.", parameter="limit")
        days = body.get("older_than_days", DEFAULT_DAYS)
        if type(days) is not int:
            raise BadRequest("older_than_days is a number.", parameter="older_than_days")
        return cls(tuple(kind for kind in KINDS if kind in kinds), limit, checked_days(days))


@dataclass(frozen=True, slots=True)
class Cleaned:
    """
    What one call saw or did, by kind, and where the next goes on; None at the end.

    `young`: dead, and not for long enough. `kept`: dead for long enough, and something about it is not settled.
    """

    removable: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, int] = field(default_factory=dict)
    young: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    looked_at: int = 0
    position: str | None = None


def checked_days(days: int) -> int:
    """
    An age in days that is safe, and not absurd.

    Raises:
        BadRequest: Under 35 or over 3,650.
    """
    if not LEAST_DAYS <= days <= MOST_DAYS:
        raise BadRequest(f"older_than_days is {LEAST_DAYS} to {MOST_DAYS}.", parameter="older_than_days")
    return days


def dry_run(*, rows: DeadRows, providers: Sequence[str], days: int, now: int, position: str | None = None) -> Cleaned:
    """
    Count what would go, of every kind; nothing is changed, and what is found is looked at no closer.

    Args:
        providers: All there are, or were.
        days: The age from which dead rows go, see `checked_days`.
        now: Epoch seconds.
        position: What the call before returned; the figures of all calls add up.
    """
    before, walk = now - days * DAY, _Walk(rows, providers, KINDS, position)
    removable: Counter[str] = Counter()
    young: Counter[str] = Counter()
    for kind, dead in walk:
        if dead.ended_at < before:
            removable[kind] += 1
        elif dead.ended_at <= now:
            young[kind] += 1
    return Cleaned(removable=removable, young=young, looked_at=walk.looked_at, position=walk.position)


def clean_up(
    wanted: CleanUp, *, rows: DeadRows, providers: Sequence[str], by: Acting, position: str | None = None
) -> Cleaned:
    """
    Remove some, each in a transaction of its own with its audit entry. What was removed before a failure stays so.

    Args:
        providers: All there are, or were.
        position: What the call before returned. Without one the walk begins anew, which does no harm.

    Raises:
        StoreUnavailable: The table does not answer; called again, it goes on.
    """
    before, walk = by.now - wanted.days * DAY, _Walk(rows, providers, wanted.kinds, position)
    removed: Counter[str] = Counter()
    young: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for kind, dead in walk:
        if dead.ended_at >= before:
            young[kind] += dead.ended_at <= by.now
        elif _remove(dead, rows=rows, before=before, by=by):
            removed[kind] += 1
        else:
            kept[kind] += 1
        if removed.total() >= wanted.limit:
            walk.stop()
    return Cleaned(removed=removed, young=+young, kept=kept, looked_at=walk.looked_at, position=walk.position)


def _remove(dead: DeadConnection | DeadKey, *, rows: DeadRows, before: int, by: Acting) -> bool:
    if isinstance(dead, DeadKey):
        event = by.event("api_key.removed", sub=dead.sub, client_id=dead.client_id, details={"key_id": dead.id})
        return rows.remove_key(dead, ended_before=before, audit=event)
    event = by.event(
        "connection.removed", sub=dead.sub, connection_id=dead.id, provider=dead.provider, service=dead.service
    )
    return rows.remove_connection(dead, ended_before=before, audit=event)


class _Walk:
    """
    Everything that may be dead, place after place, until the bound or a stop; `position` says where it stopped.

    A place is a kind and, of connections, a provider; a position is `kind|provider|where in there`.
    """

    def __init__(self, rows: DeadRows, providers: Sequence[str], kinds: Sequence[Kind], position: str | None) -> None:
        every = {"revoked_connections": sorted(set(providers)), "api_keys": [""]}
        self._places = [(kind, provider) for kind in KINDS if kind in kinds for provider in every[kind]]
        self._rows = rows
        self._after: str | None = None
        self._stopped = False
        self.looked_at = 0
        self.position: str | None = None
        if position is not None:
            kind, provider, after = position.split("|", 2)
            at = (cast("Kind", kind), provider)
            self._places = [place for place in self._places if self._order(place) >= self._order(at)]
            if self._places and self._places[0] == at:
                self._after = after or None

    def stop(self) -> None:
        """Go no further than the row that was just told."""
        self._stopped = True

    def __iter__(self) -> Iterator[tuple[Kind, DeadConnection | DeadKey]]:
        after = self._after
        for number, (kind, provider) in enumerate(self._places):
            while True:
                room = min(AT_ONCE, MAX_LOOKED_AT - self.looked_at)
                if room <= 0:
                    self.position = f"{kind}|{provider}|{after or ''}"
                    return
                found, onward = self._read(kind, provider)(after=after, limit=room)
                for dead in found:
                    self.looked_at += 1
                    yield kind, dead
                    if self._stopped:
                        self.position = f"{kind}|{provider}|{_order_of(dead)}"
                        return
                after = onward
                if after is None:
                    break
            if number + 1 == len(self._places):
                return

    def _read(self, kind: Kind, provider: str) -> Callable[..., tuple[Sequence[DeadConnection | DeadKey], str | None]]:
        if kind == "api_keys":
            return self._rows.api_keys
        return lambda **where: self._rows.connections(provider, **where)

    @staticmethod
    def _order(place: tuple[Kind, str]) -> tuple[int, str]:
        kind, provider = place
        return KINDS.index(kind), provider


def _order_of(dead: DeadConnection | DeadKey) -> str:
    """Its key in the index."""
    if isinstance(dead, DeadKey):
        return f"{dead.client_id or ''}#{dead.id}"
    return f"revoked#{dead.service}#{dead.id}"
