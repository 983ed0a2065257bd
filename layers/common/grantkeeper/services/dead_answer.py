"""What follows from an error that the provider's record lists as dead: two of them, well apart, and nothing less."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from grantkeeper import ids
from grantkeeper.errors import ConnectionRevoked, GrantkeeperError, ReauthorizationRequired, RefreshPending
from grantkeeper.model import AuditEvent
from grantkeeper.services.lease_policy import CLOCK_SKEW, STRIKE_SPACING, has_strike, until_next_strike
from grantkeeper.services.open_grant import report_tampering
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import Grant, Lease, Reason

STILL_UNDECIDED = "The provider refused this grant once; it is asked again before anything is decided."


def dead_answer(grant: Grant, *, lease: Lease, reason: Reason, cause: Cause, ports: RefreshPorts, run: Run) -> Grant:
    """
    Judge a dead answer to `grant`, whose lease we hold.

    The first one is stored as a strike. A second one, 30 s later or more, for the generation that is still current,
    under a lease that is still ours, makes the connection `needs_reauth`. A generation that moved on meanwhile makes
    it a lost race.

    Returns:
        The current grant when its generation has moved on.

    Raises:
        RefreshPending: Strike one; look again in `retry_after` seconds.
        ReauthorizationRequired: Strike two: the user must connect again.
        ConnectionRevoked: Disconnected meanwhile.
        StoreUnavailable: Nothing was decided.
    """
    current = usable(ports.grants.get(grant.connection_id, grant.name))
    if current.generation != grant.generation:
        return current

    now = run.clock()
    if not has_strike(current):
        struck = ports.grants.strike(current, now=now)
        if struck is not None:
            raise _undecided(STRIKE_SPACING + 2 * CLOCK_SKEW)
        return usable(ports.grants.get(grant.connection_id, grant.name))
    wait = until_next_strike(current, now=now)
    if wait > 0 or now >= lease.until:  # a lease that ran out proves nothing: another holder may be saving
        raise _undecided(max(wait, 1))
    return declare(current, reason=reason, cause=cause, ports=ports, run=run)


def suspect_answer(made: Grant, *, saved: bool, cause: Cause, ports: RefreshPorts, run: Run) -> NoReturn:
    """
    Judge an answer that came as somebody else's tokens (C-81), after it was put in safety.

    It is audited and alarmed as tampering and served to nobody. What it holds is spent once more, 30 s later or more;
    if that answer is somebody else's too, the connection becomes `needs_reauth`, reason `identity_changed`.

    Args:
        made: The generation it became.
        saved: It is stored, and not on its way through the rescue queue.

    Raises:
        RefreshPending: After the first; look again in `retry_after` seconds.
        ReauthorizationRequired: After the second.
        ConnectionRevoked: Disconnected meanwhile.
    """
    report_tampering(made, reason="identity_changed", ports=ports, run=run)
    if saved and made.strikes > 1:
        declare(made, reason="identity_changed", cause=cause, ports=ports, run=run)
    raise _undecided(STRIKE_SPACING + 2 * CLOCK_SKEW)


def declare(grant: Grant, *, reason: Reason, cause: Cause, ports: RefreshPorts, run: Run) -> Grant:
    """
    Make the connection `needs_reauth`, if the generation is still the grant's.

    Returns:
        The current grant when its generation has moved on.

    Raises:
        ReauthorizationRequired: Done: the user must connect again.
        ConnectionRevoked: Disconnected meanwhile.
    """
    now = run.clock()
    audit = AuditEvent(
        id=f"evt_{ids.digest(f'needs_reauth {grant.connection_id} {grant.name} {grant.generation}')}",
        time=now,
        action="connection.needs_reauth",
        actor=cause.actor,
        sub=grant.sub,
        connection_id=grant.connection_id,
        provider=grant.provider,
        service=grant.service,
        reason=reason,
        request_id=cause.request_id,
        details={"token": grant.name, "generation": str(grant.generation), "caused_by": cause.caused_by},
    )
    if ports.grants.mark_needs_reauth(grant, reason, now=now, audit=audit):
        run.report("needs_reauth", {"connection_id": grant.connection_id, "reason": reason})
        reconnect(reason)
    return usable(ports.grants.get(grant.connection_id, grant.name))


def usable(grant: Grant | None) -> Grant:
    """
    Return the grant if it is active.

    Raises:
        ConnectionRevoked: There is none, or it is a tombstone.
        ReauthorizationRequired: It is dead, with its reason.
    """
    if grant is None or grant.status == "revoked":
        raise ConnectionRevoked("The connection was disconnected.")
    if grant.status == "needs_reauth":
        reconnect(grant.reason or "revoked_by_user")
    return grant


def reconnect(reason: Reason) -> NoReturn:
    """Raise ReauthorizationRequired with its typed reason."""
    raise ReauthorizationRequired("The user must connect this account again.", reason=reason)


def _undecided(seconds: int) -> GrantkeeperError:
    return RefreshPending(STILL_UNDECIDED, retry_after=seconds)
