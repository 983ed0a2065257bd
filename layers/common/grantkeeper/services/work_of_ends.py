"""The worker's share of ends: revocations upstream and tokens nobody confirmed, each put off by its own backoff."""

from __future__ import annotations

from grantkeeper.errors import GrantkeeperError, KeyServiceUnavailable, StoreUnavailable
from grantkeeper.model import Grant
from grantkeeper.services.discard_tokens import discard_tokens
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run
from grantkeeper.services.revoke_upstream import Outcome, revoke_upstream, sealed_grants

AGAIN = 45  # seconds until failed work is due again, at the least
JITTER = 30  # seconds more at first
LONGEST_PAUSE = 6 * 3600


def revoke(connection_id: str, *, cause: Cause, ports: RefreshPorts, run: Run) -> Outcome | None:
    """
    Revoke a disconnected connection upstream, or put it off by what stands in the way.

    Returns:
        None when it was put off.
    """
    try:
        outcome = revoke_upstream(connection_id, cause=cause, ports=ports, run=run)
    except GrantkeeperError as error:
        run.report("upstream_revocation", {"outcome": "postponed", "error": error_name(error)})
        _put_off(connection_id, error, ports=ports, run=run)
        return None
    run.report("upstream_revocation", {"outcome": outcome})
    return outcome


def error_name(error: GrantkeeperError) -> str:
    """The slug, told apart where the operator's alarms do."""
    return "key-service-unavailable" if isinstance(error, KeyServiceUnavailable) else error.slug


def _put_off(connection_id: str, error: GrantkeeperError, *, ports: RefreshPorts, run: Run) -> None:
    """Back off by the time that has passed since the disconnect: a minute at first, six hours in the end."""
    now = run.clock()
    connection = ports.connections.get(connection_id)
    wait = _pause(error, 0 if connection is None else now - connection.updated_at)
    for grant in sealed_grants(connection_id, ports=ports):
        postpone(grant, now + wait + int(run.jitter(JITTER)), ports=ports)


def _pause(error: GrantkeeperError, passed: int) -> int:
    """Seconds until a revocation is tried again, by those since it was first asked for."""
    return min(max(error.retry_after or 0, AGAIN, passed // 2), LONGEST_PAUSE)


def erase(connection_id: str, *, cause: Cause, ports: RefreshPorts, run: Run) -> None:
    """
    Discard unconfirmed tokens past their time; what failed is put off as an upstream revocation is.

    Raises:
        StoreUnavailable: They are due still.
    """
    try:
        discard_tokens(connection_id, cause=cause, ports=ports, run=run)
    except GrantkeeperError as error:
        run.report("discard_postponed", {"error": error_name(error)})
        if isinstance(error, StoreUnavailable):
            raise
        now = run.clock()
        for pending in ports.connections.unconfirmed(connection_id):
            if pending.over_at <= now:
                wait = _pause(error, now - pending.over_at)
                due_at = now + wait + int(run.jitter(JITTER))
                ports.connections.postpone_discard(connection_id, pending.session_id, due_at=due_at)
    if sealed_grants(connection_id, ports=ports):
        revoke(connection_id, cause=cause, ports=ports, run=run)


def postpone(grant: Grant, due_at: int | None, *, ports: RefreshPorts, failed: str | None = None) -> None:
    """
    Move the due time of a grant as it was read; None takes it off the index.

    Args:
        due_at: Epoch seconds.
        failed: Why an attempt to refresh it brought no tokens.

    Raises:
        StoreUnavailable: It is due as it was.
    """
    ports.grants.postpone(
        grant.connection_id,
        grant.name,
        generation=grant.generation,
        due_at=due_at,
        revoked=grant.status == "revoked",
        failed=failed,
    )
