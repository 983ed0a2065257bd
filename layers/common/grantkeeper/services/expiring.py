"""Telling that a connection will break: the event `Connection Expiring`, and `reconnect_by` where it can be seen."""

from __future__ import annotations

import contextlib
import time
from calendar import timegm
from dataclasses import replace
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import ProviderNotConfigured, StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services.forecast import DAY, earliest, warning_of
from grantkeeper.services.refresh_run import RefreshPorts, Run, provider_of

if TYPE_CHECKING:
    from grantkeeper.model import Grant

MOVED = DAY  # seconds; the connection is written again for nothing less


def warn(grant: Grant, *, before: int, ports: RefreshPorts, run: Run) -> Grant:
    """
    Tell the trail that a connection will end, once per forecast, when the time has come.

    A token that cannot be refreshed and ends when it is not used lives on with its use: its forecast is moved first.
    That it was told is kept with the next generation, so that no refresh until the end tells it again in vain.

    Args:
        grant: Active, as just read.
        before: Epoch second up to which warnings are due.

    Returns:
        The grant with its forecast as it is now, and `warned_of` if it was told.

    Raises:
        StoreUnavailable: Nothing was told; the grant is still due.
    """
    told = warning_of(grant)
    if told is None or told > before or grant.warned_of == grant.reconnect_by:
        return grant
    if not grant.refreshable and grant.expires_at is None:
        grant = _used_since(grant, ports=ports, run=run)
        told = warning_of(grant)
        if told is None or told > before:
            return grant
    event = AuditEvent(
        id=f"evt_{ids.digest(f'expiring {grant.connection_id} {grant.name} {grant.grant_id} {grant.reconnect_by}')}",
        time=told,  # of the forecast and not of its finding, so that it is one entry however often it is written
        action="connection.expiring",
        actor="system:worker",
        sub=grant.sub,
        connection_id=grant.connection_id,
        provider=grant.provider,
        service=grant.service,
        details={"token": grant.name, "reconnect_by": str(grant.reconnect_by)},
    )
    ports.audit.record(event)
    return replace(grant, warned_of=grant.reconnect_by)


def mirror_forecast(before: Grant, after: Grant, *, ports: RefreshPorts, run: Run) -> None:
    """
    Write the connection's `reconnect_by` when a saved refresh has moved it. Best effort: the grant has it too.

    A routine refresh moves nothing and writes nothing; the earliest end of all of a connection's tokens counts.

    Args:
        before: Generation g.
        after: Generation g + 1, saved.
    """
    old, new = before.reconnect_by, after.reconnect_by
    if old == new or (old is not None and new is not None and abs(new - old) < MOVED and new - run.clock() > MOVED):
        return
    with contextlib.suppress(StoreUnavailable):
        connection = ports.connections.get(after.connection_id)
        if connection is None:
            return
        others = [name for name in connection.token_names if name != after.name]
        ends = [each.reconnect_by for name in others if (each := ports.grants.get(after.connection_id, name))]
        _show(after, earliest(new, *ends), ports=ports, run=run)


def _used_since(grant: Grant, *, ports: RefreshPorts, run: Run) -> Grant:
    """The forecast of a token that lives as long as it is used, counted from the day we last handed it out."""
    try:
        days = provider_of(grant, ports=ports).refresh.inactivity_days
    except ProviderNotConfigured:  # its record was removed
        return grant
    connection = ports.connections.get(grant.connection_id)
    if connection is None or connection.used_day is None or days is None:
        return grant
    ends = timegm(time.strptime(connection.used_day, "%Y-%m-%d")) + days * DAY
    if grant.reconnect_by is None or ends <= grant.reconnect_by:
        return grant
    moved = replace(grant, reconnect_by=ends)
    if connection.reconnect_by != ends:
        _show(moved, ends, ports=ports, run=run)
    return moved


def _show(grant: Grant, reconnect_by: int | None, *, ports: RefreshPorts, run: Run) -> None:
    now = run.clock()
    entry = f"forecast {grant.connection_id} {grant.name} {grant.generation} {reconnect_by}"
    audit = AuditEvent(
        id=f"evt_{ids.digest(entry)}",
        time=now,
        action="connection.forecast_changed",
        actor="system:refresh",
        sub=grant.sub,
        connection_id=grant.connection_id,
        provider=grant.provider,
        service=grant.service,
        details={"token": grant.name, "reconnect_by": str(reconnect_by or "")},
    )
    ports.connections.update_forecast(grant.connection_id, reconnect_by, now=now, audit=audit)
