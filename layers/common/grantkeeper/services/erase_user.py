"""
Erasing a user: every trace of him goes, and what audit must keep names nobody.

    profile      a tombstone takes its place: sub, times, `erased`; every token, key and sign-in is refused from then on
    sessions, keys, identities, consents, pictures      deleted
    connections      disconnected, so that the provider is told by its own rule; stripped of all that names a person at
                     once; deleted when the provider was told, and nothing under way can bring anything back

A call does a bounded part and says what is left: call again until it says `erased`. A call that dies half-way leaves
less to do for the next one. The end comes 15 minutes after the beginning at the earliest: whatever had begun before the
tombstone stood has ended by then, and the last call looks at everything once more (T-13).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import BadRequest, StoreUnavailable
from grantkeeper.model import AuditEvent, Erased, Remains, Trace
from grantkeeper.services.change_user import By, known_user
from grantkeeper.services.disconnect import disconnect_seen
from grantkeeper.services.erasure_ports import Erasure, ErasurePorts

SETTLES = 15 * 60  # seconds: longer than a request, a code, a connect session and what they leave unconfirmed
LOOK_AGAIN = 60  # seconds between two looks at a connection that waits for its provider
ROOM = 50  # connections that one call ends, and looks at: seconds, also on a slow day
PLAIN_ROOM = 800  # other traces that one call deletes
BATCH = 40  # traces of one transaction, which holds a hundred writes
ROUNDS = 4
IN_FLIGHT = 30  # seconds: a request that began before the tombstone stood has ended by then
ONE_TIME = 3 * 86_400  # seconds: what expired is deleted by TTL within days
PAGES, PAGE = 20, 100  # of the trail, for what stands in no list of a user's


@dataclass(frozen=True, slots=True)
class _Run:
    """One call."""

    sub: str
    by: By
    now: int
    request_id: str
    ports: ErasurePorts

    def event(self, action: str, **details: str) -> AuditEvent:
        return AuditEvent(
            id=ids.new_id("evt"),
            time=self.now,
            action=action,
            actor=self.by.actor,
            sub=self.sub,
            request_id=self.request_id,
            details=details,
        )


def require_confirmed(sub: str, body: Mapping[str, Any]) -> None:
    """
    Read the body of a request to erase.

    Raises:
        BadRequest: It does not name the user once more.
    """
    if set(body) != {"confirm"} or body["confirm"] != sub:
        raise BadRequest("The body holds confirm: the id of the user once more.", parameter="confirm")


def erase_user(sub: str, *, by: By, ports: ErasurePorts, now: int, request_id: str = "") -> Erasure:
    """
    Do the next part of erasing a user, from the beginning or from where the last call stopped.

    Call it again, at `again_at` at the earliest, until `state` is `erased`. One call ends fifty connections and deletes
    eight hundred other things at most. Afterwards a sign-in with the same identity makes a new user.

        done = erase_user(sub, by=By("operator:alice", root=True), ports=wiring, now=now)
        while done.state != "erased": wait until done.again_at; call again

    Args:
        sub: Whose; one who is erased is looked at once more.
        by: On whose word: `By.principal(caller)`, or `By(actor, root=True)` for the operator's command.
        ports: The wiring.
        now: Epoch seconds.

    Raises:
        NotFound: There is no such user, and never was.
        Forbidden: It is oneself, or the caller is no admin any more.
        StoreUnavailable: A part may have been done; it may be called again.
    """
    run = _Run(sub, by, now, request_id, ports)
    erased = _begun(run)
    removed: Counter[str] = Counter()
    traces = ports.erasure.traces(sub)
    # First who may still call, then what reaches providers, then what names him here.
    _remove(run, [t for t in traces if t.kind in ("sessions", "api_keys")], removed)
    _remove(run, _one_time(_lately(sub, erased.erased_at, ports=ports), ports=ports), removed)
    _disconnect(run, [t for t in traces if t.kind == "connections"][:ROOM], removed)
    rest = ("identities", "consents", "pictures", "other")
    _remove(run, [t for t in traces if t.kind in rest], removed)
    _look_at_past(run, erased, removed)
    return _outcome(run, erased, removed)


def erasure_state(sub: str, *, ports: ErasurePorts, now: int) -> Erasure:
    """
    List what stands of a user, by kind, and change nothing: the proof that nothing does.

    Raises:
        NotFound: There is no such user, and never was.
        StoreUnavailable: It cannot be read.
    """
    known_user(sub, users=ports.users)
    erased = ports.erasure.erased(sub)
    left = _left(sub, erased, ports=ports)
    if erased is None:
        return Erasure(sub, "active", None, {}, left, None, None)
    return _told(erased, {}, left, now=now)


def _begun(run: _Run) -> Erased:
    """The user's tombstone; it is set now if it was not."""
    for _ in range(ROUNDS):
        user = known_user(run.sub, users=run.ports.users)
        erased = run.ports.erasure.erased(run.sub)
        if erased is not None:
            return erased
        run.by.require_may_change(user)
        event = run.event("user.erasure_started")
        if run.ports.erasure.begin(user, now=run.now, admin=run.by.sub, audit=event):
            return Erased(run.sub, run.now, finished=False)
    raise StoreUnavailable("The user's record keeps changing.", retry_after=1)


def _remove(run: _Run, traces: Sequence[Trace], removed: Counter[str]) -> None:
    for batch in _batches(traces[: max(0, PLAIN_ROOM - sum(removed.values()))]):
        event = run.event("user.traces_erased", kind=batch[0].kind, count=str(len(batch)))
        run.ports.erasure.remove(run.sub, batch, audit=event)
        removed[batch[0].kind] += len(batch)


def _batches(traces: Sequence[Trace]) -> Iterator[list[Trace]]:
    """Of one kind each, so that the trail says what it was."""
    for kind in dict.fromkeys(trace.kind for trace in traces):
        own = [trace for trace in traces if trace.kind == kind]
        yield from (own[at : at + BATCH] for at in range(0, len(own), BATCH))


def _disconnect(run: _Run, traces: Sequence[Trace], removed: Counter[str]) -> None:
    """As an operator does: the provider is told by the worker, by the same radius rule."""
    for trace in traces:
        seen = run.ports.seen_connections.get(trace.name)
        if seen is None or seen.status == "revoked":  # an entry that leads nowhere
            entry = Trace("other", trace.beside)
            run.ports.erasure.remove(run.sub, [entry], audit=run.event("user.traces_erased", kind="other", count="1"))
            continue
        disconnect_seen(
            seen,
            actor=run.by.actor,
            connections=run.ports.seen_connections,
            work_queue=run.ports.work_queue,
            catalog=run.ports.catalog,
            now=run.now,
            request_id=run.request_id,
        )
        removed["connections"] += 1


def _look_at_past(run: _Run, erased: Erased, removed: Counter[str]) -> None:
    """Those that nobody looked at longest, first: one that waits for its provider holds up no other."""
    past = [trace for trace in run.ports.erasure.past(run.sub) if trace.looked_at <= run.now - LOOK_AGAIN]
    settled = run.now >= erased.erased_at + SETTLES
    for trace in sorted(past, key=lambda each: (each.looked_at, each.name))[:ROOM]:
        remains = run.ports.erasure.remains(trace.name)
        if settled and not remains.waits:
            run.ports.erasure.purge(run.sub, remains, audit=_about(remains, run, "connection.removed"))
            removed["past_connections"] += 1
        else:
            event = _about(remains, run, "connection.stripped")
            run.ports.erasure.strip(run.sub, remains, now=run.now, audit=event)


def _about(remains: Remains, run: _Run, action: str) -> AuditEvent:
    of = remains.connection
    if of is None:
        return run.event("user.traces_erased", kind="past_connections", count="1")
    return replace(run.event(action), connection_id=of.id, provider=of.provider, service=of.service)


def _outcome(run: _Run, erased: Erased, removed: Counter[str]) -> Erasure:
    left = _left(run.sub, erased, ports=run.ports)
    if not left and not erased.finished and run.now >= erased.erased_at + SETTLES:
        run.ports.erasure.finish(run.sub, audit=run.event("user.erased"))
        erased = Erased(run.sub, erased.erased_at, finished=True)
    return _told(erased, removed, left, now=run.now)


def _told(erased: Erased, removed: Mapping[str, int], left: Mapping[str, int], *, now: int) -> Erasure:
    settled_at = erased.erased_at + SETTLES
    done = erased.finished and not left
    again: int | None = now  # there was more than one call does
    if done:
        again = None
    elif not set(left) - {"past_connections", "unconfirmed"}:
        again = max(settled_at, now + (LOOK_AGAIN if left else 0))
    return Erasure(
        erased.sub, "erased" if done else "erasing", erased.erased_at, dict(removed), left, again, settled_at
    )


def _left(sub: str, erased: Erased | None, *, ports: ErasurePorts) -> dict[str, int]:
    traces = ports.erasure.traces(sub)
    left = Counter(str(trace.kind) for trace in traces)
    if erased is not None and not erased.finished:
        lately = _lately(sub, erased.erased_at, ports=ports)
        unlisted = lately.connections - {trace.name for trace in traces}
        left["unconfirmed"] = sum(ports.erasure.remains(each).waits for each in sorted(unlisted))
        left["one_time"] = len(_one_time(lately, ports=ports))
    return {kind: count for kind, count in sorted(left.items()) if count}


@dataclass(slots=True)
class _Lately:
    """Ids of what the trail says came into being shortly before, and no list of a user's holds."""

    connections: set[str] = field(default_factory=set)
    connect_sessions: set[str] = field(default_factory=set)
    errands: set[str] = field(default_factory=set)


def _one_time(lately: _Lately, *, ports: ErasurePorts) -> Sequence[Trace]:
    errands, sessions = sorted(lately.errands), sorted(lately.connect_sessions)
    return ports.erasure.one_time(errands=errands, connect_sessions=sessions)


def _lately(sub: str, erased_at: int, *, ports: ErasurePorts) -> _Lately:
    """
    What the trail knows of the days before the tombstone.

    Connections that came back and nobody confirmed end by themselves, ten minutes after they came, and the worker tells
    their provider; errands that link an identity hold what its provider says of it.
    """
    found, before = _Lately(), f"{erased_at + IN_FLIGHT:010d}"
    for _ in range(PAGES):
        events, position = ports.audit.for_user(sub, limit=PAGE, before=before)
        for event in events:
            if event.time < erased_at - ONE_TIME:
                return found
            if event.action == "connection.pending" and event.connection_id is not None:
                found.connections.add(event.connection_id)
            for name in ("connect_session", "connect_session_id"):
                found.connect_sessions.update(_id(event, name))
            for name in ("errand", "errand_id"):
                found.errands.update(_id(event, name))
        if position is None:
            break
        before = position
    return found


def _id(event: AuditEvent, name: str) -> set[str]:
    value = event.details.get(name, "")
    return {value} if ids.is_id(value) else set()
