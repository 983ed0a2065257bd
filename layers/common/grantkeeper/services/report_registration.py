"""A provider that refuses our own registration: an operator must act, no connection is touched (C-53)."""

from __future__ import annotations

import contextlib

from grantkeeper import ids
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, Grant
from grantkeeper.services.refresh_run import RefreshPorts, Run

DAY = 86_400


def report_registration(grant: Grant, *, error: str | None, ports: RefreshPorts, run: Run) -> None:
    """
    Count it, audit it once a day per registration, and let the breaker spare the other connections the same refusal.

    Args:
        grant: One of those it was met with.
        error: The registered code, e.g. `invalid_client`.
    """
    now = run.clock()
    day = now - now % DAY
    event = AuditEvent(
        id=f"evt_{ids.digest(f'misconfigured {grant.provider} {grant.credentials_id} {error} {day}')}",
        time=day,
        action="provider.misconfigured",
        actor="system:refresh",
        provider=grant.provider,
        reason=error,
        details={"credentials": grant.credentials_id, "detected_at": str(now)},
    )
    run.report("provider_misconfigured", {"provider": grant.provider, "error": error or ""})
    with contextlib.suppress(StoreUnavailable):
        ports.breakers.record_failure(grant.provider, now=now)
    with contextlib.suppress(StoreUnavailable):
        ports.audit.record(event)
