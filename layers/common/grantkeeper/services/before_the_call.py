"""What must hold before a provider is called: time left, a closed breaker, a token that is not outlived."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from grantkeeper.errors import ProviderUnavailable, RefreshPending, TooManyRequests
from grantkeeper.services.dead_answer import declare, usable
from grantkeeper.services.lease_policy import START_NEEDS, until_next_strike
from grantkeeper.services.open_grant import report_tampering
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import Grant

SOON = 2  # seconds, for callers told to come back
HOUR = 3600
HOURLY_CAP = 30  # refreshes of one connection that callers force or cause by reports


def refuse_early(grant: Grant, *, ports: RefreshPorts, run: Run) -> None:
    """
    Do not begin what cannot be finished, is not due, or would meet a provider that is down.

    Raises:
        RefreshPending: No time is left in this invocation, or a first refusal is too recent.
        ProviderUnavailable: The breaker is open.
    """
    now = run.clock()
    wait = until_next_strike(grant, now=now)
    if wait:
        raise RefreshPending("The provider refused this grant once and is asked again shortly.", retry_after=wait)
    open_until = ports.breakers.open_until(grant.provider)
    if open_until > now:
        raise ProviderUnavailable("The provider is not answering.", retry_after=open_until - now)
    if run.remaining < START_NEEDS:  # last, since the breaker may have been slow to read
        raise RefreshPending("There is no time left for a refresh in this call.", retry_after=SOON)


def count_caller(grant: Grant, *, cause: Cause, ports: RefreshPorts, run: Run) -> None:
    """
    Cap what callers can cause: reports and forced refreshes. The schedule needs no cap.

    Raises:
        TooManyRequests: Over the hour's cap; `retry_after`.
    """
    reported = cause.caused_by == "read" and grant.rejected_generation == grant.generation
    if cause.caused_by != "force" and not reported:
        return
    wait = ports.rate_limits.hit(f"refresh#{grant.connection_id}", limit=HOURLY_CAP, window=HOUR, now=run.clock())
    if wait:
        raise TooManyRequests("This connection was refreshed too often in this hour.", retry_after=wait)


def refuse_outlived(grant: Grant, *, cause: Cause, ports: RefreshPorts, run: Run) -> None:
    """
    Find a whole old row that was put back: it opens, and the trail knows its successor.

    Its refresh token is spent. Where spending it again costs the family, it is not: the row is read once more, in
    case the successor was saved just now, and then the user is asked to connect again.
    """
    if not ports.audit.generation_recorded(grant.connection_id, grant.name, grant.generation + 1):
        return
    current = usable(ports.grants.get(grant.connection_id, grant.name))
    if current.generation != grant.generation:
        raise RefreshPending("This connection was refreshed just now.", retry_after=1)
    outlived(current, cause=cause, ports=ports, run=run)


def outlived(current: Grant, *, cause: Cause, ports: RefreshPorts, run: Run) -> NoReturn:
    """
    End a row that was put back: alarmed as tampering, and nothing of it is spent.

    Raises:
        ReauthorizationRequired: Reason `spent_elsewhere`.
        RefreshPending: It was refreshed this very moment.
    """
    report_tampering(current, reason="generation_outlived", ports=ports, run=run)
    declare(current, reason="spent_elsewhere", cause=cause, ports=ports, run=run)
    raise RefreshPending("This connection was refreshed just now.", retry_after=1)
