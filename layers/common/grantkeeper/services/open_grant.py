"""Opening a stored grant, and telling the operator when one does not open."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import GrantUnreadable, StoreUnavailable
from grantkeeper.model import AuditEvent, Binding
from grantkeeper.services.refresh_run import RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import Grant

DAY = 86_400


def open_grant(grant: Grant, *, ports: RefreshPorts, run: Run) -> bytes:
    """
    Open the sealed set for its own record.

    Raises:
        GrantUnreadable: Moved, swapped or edited; audited as tampering, once a day per stored set.
        StoreUnavailable: KMS does not answer.
    """
    try:
        return ports.vault.open(grant.sealed, binding=Binding.of(grant))
    except GrantUnreadable:
        report_tampering(grant, reason="grant_unreadable", ports=ports, run=run)
        raise


def report_tampering(grant: Grant, *, reason: str, ports: RefreshPorts, run: Run) -> None:
    """
    Audit that a stored grant is not what was written, and raise the operator's alarm.

    The event's id follows from the stored set and its time is the day's, so that however many callers meet it, the
    trail has one entry a day. A trail that is down keeps nobody from failing closed.
    """
    now = run.clock()
    today = now - now % DAY
    event = AuditEvent(
        id=f"evt_{ids.digest(f'tampering {reason} {grant.connection_id} {grant.name} {grant.write_id}')}",
        time=today,
        action="grant.tampering_detected",
        actor="system:refresh",
        sub=grant.sub,
        connection_id=grant.connection_id,
        provider=grant.provider,
        service=grant.service,
        reason=reason,
        details={"token": grant.name, "generation": str(grant.generation), "detected_at": str(now)},
    )
    run.report("tampering_detected", {"connection_id": grant.connection_id, "token": grant.name, "reason": reason})
    with contextlib.suppress(StoreUnavailable):
        ports.audit.record(event)


def reseal_if_old(grant: Grant, plaintext: bytes, *, ports: RefreshPorts) -> bool:
    """
    Bring a set that is sealed under an old key, or one of KMS's, under the newest branch key: warm reads call no KMS.

    Best effort: a grant that moved on, or a store that is down, changes nothing.

    Returns:
        True when it was re-sealed.
    """
    binding = Binding.of(grant)
    with contextlib.suppress(StoreUnavailable, GrantUnreadable):
        if ports.vault.is_current(grant.sealed, binding=binding):
            return False
        sealed = ports.vault.prepare(binding, sealed=grant.sealed).seal(plaintext, binding=binding)
        return ports.grants.reseal(grant, sealed=sealed)
    return False
