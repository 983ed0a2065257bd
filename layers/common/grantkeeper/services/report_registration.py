"""A provider that refuses our own registration: an operator must act, no connection is touched (C-53)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import ProviderMisconfigured, StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services.provider_health import note_failure
from grantkeeper.services.refresh_run import RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import AuthorizationRequest, Grant
    from grantkeeper.services.callback_ports import CallbackPorts

DAY = 86_400


def report_registration(grant: Grant, *, error: str | None, ports: RefreshPorts, run: Run) -> None:
    """
    Count it, audit it once a day per registration, mark the provider degraded, and let the breaker spare the other
    connections the same refusal.

    Args:
        grant: One of those it was met with.
        error: The registered code, e.g. `invalid_client`.
    """
    now = run.clock()
    run.report("provider_misconfigured", {"provider": grant.provider, "error": error or ""})
    note_failure(grant.provider, ports=ports, run=run)
    with contextlib.suppress(StoreUnavailable):
        ports.breakers.record_refusal(grant.provider, error=error, now=now)
    with contextlib.suppress(StoreUnavailable):
        ports.audit.record(_refused(grant.provider, grant.credentials_id, error, actor="system:refresh", now=now))


def report_refused_trip(
    trip: AuthorizationRequest, error: ProviderMisconfigured, *, ports: CallbackPorts, now: int
) -> None:
    """
    Say the same of a code exchange that the token endpoint refused because of us.

    The breaker is left alone: what a browser brought may have had a part in it, and must not stop anybody's refresh.

    Args:
        trip: Redeemed, in vain.
        error: Its extension `error` is the registered code.
        now: Epoch seconds.
    """
    code = error.extensions.get("error")
    told = code if isinstance(code, str) else None
    ports.count_misconfigured()
    with contextlib.suppress(StoreUnavailable):
        ports.breakers.record_refusal(trip.provider, error=told, now=now)
    with contextlib.suppress(StoreUnavailable):
        ports.audit.record(_refused(trip.provider, trip.credentials_id, told, actor="system:callback", now=now))


def _refused(provider: str, credentials_id: str, error: str | None, *, actor: str, now: int) -> AuditEvent:
    """One entry a day for the same refusal of the same registration, whoever meets it."""
    day = now - now % DAY
    return AuditEvent(
        id=f"evt_{ids.digest(f'misconfigured {provider} {credentials_id} {error} {day}')}",
        time=day,
        action="provider.misconfigured",
        actor=actor,
        provider=provider,
        reason=error,
        details={"credentials": credentials_id, "detected_at": str(now)},
    )
