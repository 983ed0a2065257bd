"""
The nightly recount: do the counters say what the trail and the tables say?

    the day that ended: its audit entries, counted by the same rules    ⇄  the counters of the day
    what there is now: users and connections in the index `list`        ⇄  the counters of all time

It goes page by page and notes how far it is, so a run may end at any page and the next one goes on. What differs is
looked at a second time, from the start, before it is reported: a stream that was late has arrived by then. Nothing is
corrected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from grantkeeper import ids
from grantkeeper.counter_names import REFRESH_FAILURE_REASONS, REFRESH_FAILURES
from grantkeeper.model import AuditEvent
from grantkeeper.ports import Counters
from grantkeeper.recount_ports import Notes, Progress, Reconciled, Records, State
from grantkeeper.services.what_counts import CONNECTIONS, counted

DAY = 86_400
SETTLE = 3600  # seconds after midnight: what a stream was late with has arrived
STATUSES = ("active", "needs_reauth", "revoked")
MOVES = ("connected", "disconnected", "needs_reauth")  # how often connections changed their status
USERS = "users"
LOOKS = 2
ENDS_BEFORE = 15.0  # seconds: a page with all its attempts, and the note of how far we are
NOTE_EVERY = 50  # pages
MOST_PAGES = 20_000
MOST_TOLD = 20  # counters named in the entry of the trail
DAY_PREFIX = "day/"

Outcome = Literal["done already", "goes on", "looks again", "agrees", "differs", "overtaken"]


def reconcile(
    *, counters: Counters, records: Records, notes: Notes, now: int, remaining: Callable[[], float]
) -> tuple[Outcome, Reconciled | None]:
    """
    Go on with the recount of the last day that ended, or begin it.

    Args:
        counters: What is judged.
        records: What it is judged by.
        notes: Where the last run noted how far it was.
        now: Epoch seconds.
        remaining: Seconds until the invocation is killed.

    Returns:
        How it went; and what was found, when it was found in this run.

    Raises:
        StoreUnavailable: The next run goes on from the last note.
    """
    state = notes.load()
    day = datetime.fromtimestamp(now - SETTLE - DAY, UTC).strftime("%Y-%m-%d")
    progress = state.progress
    if progress is None:
        if state.last is not None and state.last.day >= day:
            return "done already", None
        progress = Progress(day)
    pages = 0
    while (following := _next(progress, counters=counters, records=records)) is not None:
        progress, pages = following, pages + 1
        ends = remaining() < ENDS_BEFORE or pages >= MOST_PAGES
        if ends or pages % NOTE_EVERY == 0:
            noted = notes.save(replace(state, progress=progress))
            if noted is None or ends:
                return ("overtaken" if noted is None else "goes on"), None
            state = noted
    return _end(progress, state, counters=counters, notes=notes, now=now)


def _next(progress: Progress, *, counters: Counters, records: Records) -> Progress | None:
    """One page further; None at the end."""
    if progress.shard < records.shards:
        page = records.entries(progress.day, progress.shard, position=progress.position, count=_changes)
        shard = progress.shard + (page.position is None)
        recounted = _sum(progress.recounted, page.counted)
        return replace(progress, shard=shard, position=page.position, recounted=recounted)
    if progress.before is None:
        totals = counters.totals()
        return replace(progress, before=totals, units=_units(totals))
    if not progress.units:
        return None
    unit = progress.units[0]
    provider, _, status = unit.removeprefix(CONNECTIONS).rpartition("/")
    kind, prefix = ("USER", "") if unit == USERS else (f"CONN#{provider}", f"{status}#")
    page = records.listed(kind, prefix=prefix, position=progress.position)
    found = _sum(progress.found, {unit: page.counted["n"]})
    units = progress.units if page.position is not None else progress.units[1:]
    return replace(progress, units=units, position=page.position, found=found)


def _changes(event: AuditEvent) -> Mapping[str, int]:
    """What an entry added; one that cannot be counted was parked and added nothing."""
    sound = counted(event)
    return {} if sound is None else sound.changes


def _units(totals: Mapping[str, int]) -> tuple[str, ...]:
    """What there is to look up: users, and every status at every provider that any counter knows."""
    providers = {name.removeprefix(CONNECTIONS).rpartition("/")[0] for name in totals if name.startswith(CONNECTIONS)}
    return (USERS, *(f"{CONNECTIONS}{provider}/{status}" for provider in sorted(providers) for status in STATUSES))


def _end(
    progress: Progress, state: State, *, counters: Counters, notes: Notes, now: int
) -> tuple[Outcome, Reconciled | None]:
    drift = _of_day(progress.recounted, counters.of_day(progress.day))
    drift |= _of_all_time(progress.found, before=progress.before or {}, after=counters.totals())
    if drift and progress.look < LOOKS:
        again = Progress(progress.day, look=progress.look + 1)
        return ("overtaken" if notes.save(replace(state, progress=again)) is None else "looks again"), None
    found = Reconciled(now, progress.day, drift)
    audit = _event(found) if drift else None
    if notes.save(replace(state, progress=None, last=found), audit=audit) is None:
        return "overtaken", None
    return ("differs" if drift else "agrees"), found


def _of_day(recounted: Mapping[str, int], counted: Mapping[str, int]) -> dict[str, int]:
    """What the counters of the day lack; what the trail does not tell is not among them."""
    names = {name for name in recounted.keys() | counted.keys() if not _untold(name)}
    differences = {name: recounted.get(name, 0) - counted.get(name, 0) for name in names}
    return {f"{DAY_PREFIX}{name}": by for name, by in sorted(differences.items()) if by}


def _untold(name: str) -> bool:
    """Failed refreshes have no entry in the trail."""
    return name.partition("/")[0] == REFRESH_FAILURES or name.startswith(REFRESH_FAILURE_REASONS)


def _of_all_time(found: Mapping[str, int], *, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What the counters of all time lack, beyond what may have moved while the list was read."""
    moves = sum(after.get(name, 0) - before.get(name, 0) for name in MOVES)
    differences = {}
    for name, number in found.items():
        counted = sorted((before.get(name, 0), after.get(name, 0)))
        slack = 0 if name == USERS else moves
        nearest = min(max(number, counted[0] - slack), counted[1] + slack)
        differences[name] = number - nearest
    return {name: by for name, by in differences.items() if by}


def _event(found: Reconciled) -> AuditEvent:
    most = sorted(found.drift.items(), key=lambda item: -abs(item[1]))[:MOST_TOLD]
    return AuditEvent(
        id=f"evt_{ids.digest(f'counters.drifted {found.day}')}",
        time=found.at,
        action="counters.drifted",
        actor="system:reconcile",
        details={"day": found.day, "counters": str(len(found.drift)), **{name: str(by) for name, by in most}},
    )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    total = Counter(one)
    total.update(other)
    return dict(total)
