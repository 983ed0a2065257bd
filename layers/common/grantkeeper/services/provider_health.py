"""
How a provider does, told to the breaker that all functions share; and its turns, told to whoever watches.

A turn is told once, by the call that made it: as a metric, a log line and an entry of the trail that becomes an event.
"""

from __future__ import annotations

import contextlib

from grantkeeper import ids
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services.refresh_run import RefreshPorts, Run


def note_failure(provider: str, *, ports: RefreshPorts, run: Run, retry_after: int | None = None) -> None:
    """
    Count a call that failed. Never raises for a store that is down.

    Args:
        provider: Who failed.
        retry_after: Seconds it asked the whole application to stay away.
    """
    now = run.clock()
    with contextlib.suppress(StoreUnavailable):
        if ports.breakers.record_failure(provider, now=now, retry_after=retry_after):
            _tell("provider.degraded", provider, now=now, ports=ports, run=run)


def note_success(provider: str, *, ports: RefreshPorts, run: Run) -> None:
    """Close the breaker if it is open. Never raises for a store that is down."""
    with contextlib.suppress(StoreUnavailable):
        if ports.breakers.record_success(provider):
            _tell("provider.recovered", provider, now=run.clock(), ports=ports, run=run)


def _tell(action: str, provider: str, *, now: int, ports: RefreshPorts, run: Run) -> None:
    run.report(action.replace(".", "_"), {"provider": provider})
    event = AuditEvent(
        id=f"evt_{ids.digest(f'{action} {provider} {now}')}",
        time=now,
        action=action,
        actor="system:refresh",
        provider=provider,
    )
    ports.audit.record(event)
