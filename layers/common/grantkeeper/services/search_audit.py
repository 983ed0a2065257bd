"""
Finding entries of the audit trail, by whom, by what, by when.

One page looks at a bounded stretch of the trail. It may therefore hold fewer entries than were asked for, none even,
and still not be the last: the position says where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from grantkeeper import ids
from grantkeeper.admin_ports import Slice, Trail
from grantkeeper.errors import BadRequest
from grantkeeper.model import AuditEvent

DAY = 86_400
SLACK = 60  # seconds that the clock of whoever wrote an entry may be ahead of ours
MAX_DAYS = 60  # looked through by one page; four reads a day
MAX_SLICES = 16  # of one partition in one page, beyond one for each day
MAX_CHUNK = 100  # entries read at once where few of them may fit
MAX_TIME = 9_999_999_999  # ten digits, as in the keys
INDEXED = ("user:", "user_key:", "key:")  # actors that have an index; the rest is the system's own work, by day
MAX_EXPORTED = 1000
EXPORT_SLICES = 24


@dataclass(frozen=True, slots=True)
class AuditQuestion:
    """What is looked for; all of it must hold. Times are epoch seconds, both ends among what is found."""

    user: str | None = None
    actor: str | None = None
    connection: str | None = None
    action: str | None = None
    begin: int = 0
    end: int = MAX_TIME

    @classmethod
    def parse(cls, ask: Callable[[str], str | None]) -> AuditQuestion:
        """
        Read the parameters `user`, `actor`, `connection`, `action`, `from` and `to`.

        Raises:
            BadRequest: One is malformed, or the time ends before it begins.
        """
        question = cls(
            user=_id(ask, "user"),
            actor=_word(ask, "actor"),
            connection=_id(ask, "connection"),
            action=_word(ask, "action"),
            begin=_time(ask, "from", 0),
            end=_time(ask, "to", MAX_TIME),
        )
        if question.begin > question.end:
            raise BadRequest("The time ends before it begins.", parameter="to")
        return question

    def fits(self, event: AuditEvent) -> bool:
        """Tell whether an entry is one of those looked for."""
        return (
            self.begin <= event.time <= self.end
            and self.user in (None, event.sub)
            and self.actor in (None, event.actor)
            and self.connection in (None, event.connection_id)
            and (self.action is None or _is_action(event.action, self.action))
        )

    @property
    def where(self) -> Mapping[str, str]:
        """What the table can be asked to leave out."""
        named = {"action": self.action, "actor": self.actor, "connection_id": self.connection}
        return {name: value for name, value in named.items() if value is not None}


def search_audit(
    question: AuditQuestion, *, trail: Trail, now: int, retention_days: int, limit: int, position: str | None = None
) -> Slice:
    """
    One page of what is found, newest first.

    A connection's own trail holds its refreshes, a user's does not. Of actors, users and keys have an index; the work
    of the system and of the CLI is found by day.

    Args:
        trail: The audit table.
        now: Epoch seconds.
        retention_days: Older entries are gone, so nothing older is looked for.
        limit: Entries at most.
        position: What the page before returned.

    Raises:
        BadRequest: The position is none.
        StoreUnavailable: The table does not answer.
    """
    if question.connection is not None:
        return _of_connection(question, question.connection, trail=trail, limit=limit, position=position)
    if question.user is not None:
        sub = question.user
        return _down(
            question,
            lambda before, rest: trail.of_user(
                sub, after=_key(question.begin), before=before, where=question.where, limit=rest
            ),
            limit=limit,
            position=position,
        )
    if question.actor is not None and question.actor.startswith(INDEXED):
        actor = question.actor
        return _down(
            question,
            lambda before, rest: trail.of_actor(actor, after=_key(question.begin), before=before, limit=rest),
            limit=limit,
            position=position,
        )
    return _by_day(question, trail=trail, now=now, retention_days=retention_days, limit=limit, position=position)


def export_day(day: str, *, trail: Trail, position: str | None = None) -> Slice:
    """
    A page of a whole day, at most 1,000 entries, newest first.

    Args:
        day: `yyyy-mm-dd`, UTC.
        trail: The audit table.
        position: What the page before returned.

    Raises:
        BadRequest: No day.
        StoreUnavailable: The table does not answer.
    """
    start = _start(day)
    before = position or _key(start + DAY)
    events: list[AuditEvent] = []
    for _ in range(EXPORT_SLICES):
        part = trail.of_day(day, after=_key(start), before=before, where={}, limit=MAX_EXPORTED - len(events))
        events += part.events
        if part.position is None or len(events) >= MAX_EXPORTED:
            return Slice(events, part.position)
        before = part.position
    return Slice(events, before)


def _of_connection(
    question: AuditQuestion, connection_id: str, *, trail: Trail, limit: int, position: str | None
) -> Slice:
    """Its streams are merged by time, so below the first entry that is too old there is nothing more."""
    found: list[AuditEvent] = []
    for _ in range(MAX_SLICES):
        part = trail.of_connection(connection_id, before=position, limit=limit - len(found))
        found += [event for event in part.events if question.fits(event)]
        position = part.position
        if part.events and part.events[-1].time < question.begin:
            return Slice(found, None)
        if position is None or len(found) >= limit:
            break
    return Slice(found, position)


def _down(question: AuditQuestion, read: Callable[[str, int], Slice], *, limit: int, position: str | None) -> Slice:
    """One partition in the order of time, from the end of the question down."""
    before = position or _key(min(question.end + 1, MAX_TIME))
    chunk = limit if question.action is None else max(limit, MAX_CHUNK)
    found: list[AuditEvent] = []
    for _ in range(MAX_SLICES):
        part = read(before, chunk)
        found += [event for event in part.events if question.fits(event)]
        if len(found) > limit:
            last = found[limit - 1]
            return Slice(found[:limit], f"{_key(last.time)}#{last.id}")
        if part.position is None or len(found) == limit:
            return Slice(found, part.position)
        before = part.position
    return Slice(found, before)


def _by_day(
    question: AuditQuestion, *, trail: Trail, now: int, retention_days: int, limit: int, position: str | None
) -> Slice:
    """Day after day back into the past; a position is `day|sort key`."""
    first = max(question.begin, now - (retention_days + 1) * DAY)
    last = min(question.end, now + SLACK)
    if position is None:
        at, before = last // DAY * DAY, _key(last + 1)
    else:
        day, _, before = position.partition("|")
        at = _start(day)
    found: list[AuditEvent] = []
    for _ in range(MAX_DAYS + MAX_SLICES):
        if at + DAY <= first:
            return Slice(found, None)
        part = trail.of_day(_day(at), after=_key(first), before=before, where=question.where, limit=limit - len(found))
        found += part.events
        if part.position is not None:
            before = part.position
        else:
            at, before = at - DAY, _key(at)
        if len(found) >= limit:
            break
    return Slice(found, None if at + DAY <= first else f"{_day(at)}|{before}")


def _is_action(action: str, wanted: str) -> bool:
    return action.startswith(wanted) if wanted.endswith(".") else action == wanted


def _key(time: int) -> str:
    """The sort key that everything of this second comes behind."""
    return f"{time:010d}"


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _start(day: str) -> int:
    try:
        start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest("day is a day, such as 2026-11-21.", parameter="day") from None
    if day != start.strftime("%Y-%m-%d") or not 1970 <= start.year < 2286:  # the last one with ten digits
        raise BadRequest("day is a day, such as 2026-11-21.", parameter="day")
    return int(start.timestamp())


def _id(ask: Callable[[str], str | None], name: str) -> str | None:
    value = ask(name)
    if value is not None and not ids.is_id(value):
        raise BadRequest(f"{name} is an id.", parameter=name)
    return value


def _word(ask: Callable[[str], str | None], name: str) -> str | None:
    value = ask(name)
    if value is not None and not (0 < len(value) <= 100 and value.isascii() and value.isprintable()):
        raise BadRequest(f"{name} is 1 to 100 printable ASCII characters.", parameter=name)
    return value


def _time(ask: Callable[[str], str | None], name: str, default: int) -> int:
    value = ask(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise BadRequest(f"{name} is a time in epoch seconds.", parameter=name)
    return int(value)
