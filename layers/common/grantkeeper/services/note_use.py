"""Noting that a connection is used: what is used is refreshed ahead of time, what is not costs nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.forecast import earliest, warning_of
from grantkeeper.services.refresh_run import RefreshPorts, Run
from grantkeeper.services.schedule import due_at

if TYPE_CHECKING:
    from grantkeeper.model import Connection, Grant

DAY = 86_400


def note_use(grant: Grant, *, first_use: Callable[[str, str], bool], ports: RefreshPorts, run: Run) -> None:
    """
    Write the day of use, at most once a day, and bring an idle grant back to the schedule. Best effort: fails no
    request.

    Args:
        first_use: Whether this container has not noted (connection id, day) yet.
    """
    now = run.clock()
    if not first_use(grant.connection_id, day_of(now)):
        return
    with contextlib.suppress(StoreUnavailable):
        ports.connections.touch(grant.connection_id, day=day_of(now))
        if grant.refreshable and grant.expires_at is not None and _off_schedule(grant):
            due = due_at(expires_at=grant.expires_at, received_at=grant.refreshed_at, refreshable=True, rng=run.rng)
            told = warning_of(grant)
            due = earliest(due, told if told is not None and told > now else None)
            ports.grants.postpone(grant.connection_id, grant.name, generation=grant.generation, due_at=due)


def is_idle(connection: Connection, *, now: int) -> bool:
    """Tell whether nobody has used a connection today or yesterday, nor made it."""
    if now - connection.created_at < DAY:
        return False
    return connection.used_day is None or connection.used_day < day_of(now - DAY)


def day_of(now: int) -> str:
    """The UTC day of an epoch second, `yyyy-mm-dd`."""
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def _off_schedule(grant: Grant) -> bool:
    return grant.due_at is None or (grant.expires_at is not None and grant.due_at > grant.expires_at)
