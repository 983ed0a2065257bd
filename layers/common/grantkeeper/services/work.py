"""
The worker: what the sweeper and the disconnects put into the queue.

The index is the backlog, never the queue. Work that was refused or failed is acknowledged once its `due_at` is moved,
what was not begun is due as it was, and the sweeper finds it again. Only a message that cannot be read fails, and one
whose upstream revocation could neither be done nor put off.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from grantkeeper.errors import GrantkeeperError, GrantUnreadable, RefreshPending, StoreUnavailable
from grantkeeper.model import Grant, Work
from grantkeeper.services.expiring import warn
from grantkeeper.services.forecast import earliest, warning_of
from grantkeeper.services.lease_policy import START_NEEDS, has_strike
from grantkeeper.services.note_use import is_idle
from grantkeeper.services.open_grant import open_grant, reseal_if_old
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run, provider_of
from grantkeeper.services.schedule import due_at, overdue
from grantkeeper.services.successor import keepalive_at
from grantkeeper.services.work_of_ends import AGAIN, JITTER, LONGEST_PAUSE, erase, error_name, postpone, revoke

MOST_THREADS = 25
AHEAD = 90  # seconds: what is due by the next sweep may be done now
READ_NEEDS = 6.5  # seconds: a read that hangs must not be cut off with what stands beside it
DAY = 86_400
HOUR = 3600
# seconds: failing work spreads over the time it has been failing, and waits for its next try no longer than a breaker
LONGEST_SPREAD = 600 - AGAIN

Task = Callable[[], None]
Parallel = Callable[[Sequence[Task]], None]


def in_threads(tasks: Sequence[Task]) -> None:
    """Run tasks side by side, at most 25 at once, and wait for all."""
    if not tasks:
        return
    with ThreadPoolExecutor(max_workers=min(MOST_THREADS, len(tasks))) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result()


def work_through(
    messages: Sequence[Work], *, ports: RefreshPorts, run: Run, parallel: Parallel = in_threads
) -> frozenset[int]:
    """
    Do the work of some messages.

    Args:
        messages: As parsed; each id is a task of its own, as many of a provider at once as its messages allow.
        parallel: Runs the tasks; a simulation brings its own.

    Returns:
        Positions of the messages that must be delivered again.
    """
    failed: set[int] = set()

    def task(position: int, work: Work, connection_id: str, generation: int) -> Task:
        def do() -> None:
            if run.remaining < READ_NEEDS:
                if work.kind != "refresh":
                    failed.add(position)  # what is to be refreshed is due still
                return
            try:
                _one(work, connection_id, generation, ports=ports, run=run)
            except StoreUnavailable:
                if work.kind != "refresh":
                    failed.add(position)  # a refresh that could not be moved is still due; the others may not be
            except Exception as error:  # noqa: BLE001 - one bad row must not take the others with it
                run.report(
                    "work_failed", {"kind": work.kind, "connection_id": connection_id, "error": type(error).__name__}
                )
                failed.add(position)

        return do

    tasks: dict[str, list[Task]] = {}
    for at, work in enumerate(messages):
        tasks.setdefault(work.provider, []).extend(task(at, work, *each) for each in dict.fromkeys(work.ids))
    width = {provider: min(w.lanes for w in messages if w.provider == provider) for provider in tasks}
    parallel([lane for provider, own in tasks.items() for lane in _lanes(own, width[provider])])
    return frozenset(failed)


def _lanes(tasks: Sequence[Task], width: int) -> Sequence[Task]:
    """The tasks of one provider, no more than `width` of them at once."""
    if len(tasks) <= width:
        return tasks
    waiting = deque(tasks)

    def lane() -> None:
        for _ in tasks:
            try:
                task = waiting.popleft()
            except IndexError:
                return
            task()

    return [lane] * width


def _one(work: Work, connection_id: str, generation: int, *, ports: RefreshPorts, run: Run) -> None:
    cause = Cause("sweep", "system:worker", work.request_id)
    if work.kind == "refresh":
        if ports.breakers.open_until(work.provider) <= run.clock():  # else due still, and the sweeper waits as well
            _refresh(connection_id, generation, cause=cause, ports=ports, run=run)
    elif work.kind == "revoke":
        revoke(connection_id, cause=cause, ports=ports, run=run)
    elif work.kind == "erase":
        erase(connection_id, cause=cause, ports=ports, run=run)
    else:
        _reseal(connection_id, ports=ports, run=run)


def _reseal(connection_id: str, *, ports: RefreshPorts, run: Run) -> None:
    """Bring every token of a connection under the newest key; one that does not open is told, and left as it is."""
    for grant in _grants(connection_id, ports=ports):
        if grant.sealed:
            with contextlib.suppress(GrantUnreadable):  # audited as tampering where it was found
                reseal_if_old(grant, open_grant(grant, ports=ports, run=run), ports=ports)


def _refresh(connection_id: str, generation: int, *, cause: Cause, ports: RefreshPorts, run: Run) -> None:
    """Refresh what is due at this generation; anything older in the message is dropped (F-26)."""
    now = run.clock()
    for grant in _due(connection_id, generation, before=now + AHEAD, ports=ports):
        if grant.status == "revoked":
            if revoke(connection_id, cause=cause, ports=ports, run=run) == "nothing":
                postpone(grant, now + LONGEST_PAUSE if grant.sealed else None, ports=ports)
            return
        _refresh_one(grant, cause=cause, ports=ports, run=run)


def _refresh_one(grant: Grant, *, cause: Cause, ports: RefreshPorts, run: Run) -> None:
    now = run.clock()
    if grant.status == "needs_reauth":
        postpone(grant, None, ports=ports)
        return
    if run.remaining < START_NEEDS:
        return  # due still, and the oldest then: moved, its age would be forgotten and nobody told of the delay
    warned = warn(grant, before=now + AHEAD, ports=ports, run=run)  # if it cannot be told, the row stays due
    try:
        if _warned_only(grant, warned, now=now, ports=ports, run=run) or _rests(grant, now=now, ports=ports):
            return
        cause = replace(cause, warned_of=warned.warned_of)
        done = refresh(grant, cause=cause, ports=ports, run=run, patience=0)
        if done.grant.generation == grant.generation:
            postpone(grant, _next_look(grant, now=now, run=run), ports=ports)
    except GrantkeeperError as error:
        _after(error, grant, ports=ports, run=run)
    except Exception:
        # a bug of ours: its message becomes a dead letter, and one row must not make one every minute
        postpone(grant, now + AGAIN + LONGEST_SPREAD, ports=ports)
        raise


def _warned_only(grant: Grant, warned: Grant, *, now: int, ports: RefreshPorts, run: Run) -> bool:
    """Put a row that was due for its warning where it would have been due without."""
    told = warning_of(grant)
    if told is None:
        return False
    if not grant.refreshable and grant.expires_at is None:
        if grant.rejected_generation == grant.generation:
            return False
        later = [time for time in (warning_of(warned), warned.reconnect_by) if time is not None and time > now + AHEAD]
        postpone(grant, earliest(*later), ports=ports)
        return True
    if grant.due_at != max(told, grant.refreshed_at):
        return False
    due = due_at(
        expires_at=grant.expires_at, received_at=grant.refreshed_at, refreshable=grant.refreshable, rng=run.rng
    )
    if grant.refreshable:
        due = earliest(due, keepalive_at(grant, provider=provider_of(grant, ports=ports)))
    if due is not None and due <= now + AHEAD:
        return False
    postpone(grant, due, ports=ports)
    return True


def _rests(grant: Grant, *, now: int, ports: RefreshPorts) -> bool:
    """Put an idle grant off until its keep-alive: a read refreshes it, and the bill follows use."""
    if not grant.refreshable or grant.expires_at is None:
        return False
    if has_strike(grant):
        return False  # what was refused once is decided, or its user is told nothing until somebody asks again
    connection = ports.connections.get(grant.connection_id)
    if connection is None or not is_idle(connection, now=now):
        return False
    rest, told = keepalive_at(grant, provider=provider_of(grant, ports=ports)), warning_of(grant)
    if rest is not None and rest <= now:
        return False
    postpone(grant, earliest(rest, told if told is not None and told > now + AHEAD else None), ports=ports)
    return True


def _next_look(grant: Grant, *, now: int, run: Run) -> int | None:
    """When to look again at a grant there was nothing to do for."""
    if not grant.refreshable:
        return None if grant.expires_at is None else max(grant.expires_at, now + AGAIN)
    return _soon(run, now)


def _after(error: GrantkeeperError, grant: Grant, *, ports: RefreshPorts, run: Run) -> None:
    """Move the due time by what the error says. A grant that is dead or gone for good is due no more."""
    if error.status == 409 and error.slug in ("reauthorization-required", "connection-revoked"):
        return  # its own transaction took care of the index
    run.report("refresh_postponed", {"provider": grant.provider, "error": error_name(error)})
    now = run.clock()
    wait = max(error.retry_after or 0, AGAIN)
    spread = JITTER  # an orphan, a first refusal and a store's trouble are no provider that a crowd waits for
    if not isinstance(error, RefreshPending | StoreUnavailable):
        spread = max(JITTER, min(overdue(grant, now=now), LONGEST_SPREAD))
    if grant.expires_at is not None and now - grant.expires_at > DAY:
        facts = {"connection_id": grant.connection_id, "provider": grant.provider, "error": error_name(error)}
        run.report("refresh_stuck", facts)
        wait, spread = max(wait, HOUR), JITTER  # no outage is that long; it is not forgotten either
    # who is not first, or has been refused once, has not failed; the strike itself is counted
    failed = None if isinstance(error, RefreshPending) else error_name(error)
    postpone(grant, now + wait + int(run.jitter(spread)), ports=ports, failed=failed)


def _due(connection_id: str, generation: int, *, before: int, ports: RefreshPorts) -> Iterable[Grant]:
    """The grants a message means: nearly always the one called main, and then one read tells."""

    def meant(grant: Grant | None) -> bool:
        return grant is not None and grant.generation == generation and (grant.due_at or before) < before

    main = ports.grants.get(connection_id, "main")
    if main is not None and meant(main):
        return [main]
    return [grant for grant in _grants(connection_id, ports=ports) if meant(grant)]


def _grants(connection_id: str, *, ports: RefreshPorts) -> Iterable[Grant]:
    for name in ports.grants.names(connection_id):
        grant = ports.grants.get(connection_id, name)
        if grant is not None:
            yield grant


def _soon(run: Run, now: int) -> int:
    return now + AGAIN + int(run.jitter(JITTER))
