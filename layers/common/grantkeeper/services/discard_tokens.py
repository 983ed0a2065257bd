"""Unconfirmed tokens past their time: revoked upstream within the radius rule, then deleted."""

from __future__ import annotations

from grantkeeper import ids
from grantkeeper.errors import GrantUnreadable, ProviderUnavailable, TokenResponseRejected, UnknownProvider
from grantkeeper.model import AuditEvent, Grant, Pending
from grantkeeper.services.open_grant import open_grant
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run
from grantkeeper.services.revocation_radius import reaches_others, within_reach
from grantkeeper.services.revoke_upstream import LATER, RECORDS_KNOWN_AFTER, THE_END
from grantkeeper.services.successor import read_tokens
from grantkeeper.services.tell_provider import tell_provider


def discard_tokens(connection_id: str, *, cause: Cause, ports: RefreshPorts, run: Run) -> int:
    """
    Discard every unconfirmed half of a connection whose time has passed, and which nobody confirms any more whatever
    his clock says: a confirmation that succeeded must not find its tokens revoked.

    Whoever stands under the same provider account is spared, the connection that a re-connect would have replaced
    among them.

    Returns:
        How many were discarded.

    Raises:
        ProviderUnavailable, ProviderMisconfigured, ProviderNotConfigured, StoreUnavailable: To be tried again.
    """
    now = run.clock()
    over = [pending for pending in ports.connections.unconfirmed(connection_id) if pending.over_at <= now]
    for pending in over:
        upstream = "abandoned" if now >= pending.expires_at + THE_END else _revoke(pending, ports=ports, run=run)
        audit = AuditEvent(
            id=ids.new_id("evt"),
            time=now,
            action="connection.discarded",
            actor=cause.actor,
            sub=pending.connection.sub,
            connection_id=connection_id,
            client_id=pending.connection.client_id,
            provider=pending.connection.provider,
            service=pending.connection.service,
            request_id=cause.request_id,
            details={"upstream": upstream},
        )
        ports.connections.discard(connection_id, pending.session_id, audit=audit)
    return len(over)


def _revoke(pending: Pending, *, ports: RefreshPorts, run: Run) -> str:
    connection = pending.connection
    try:
        provider = ports.catalog.get(connection.provider)
    except UnknownProvider:
        if run.clock() < pending.over_at + RECORDS_KNOWN_AFTER:
            raise ProviderUnavailable("The provider's record is not known here yet.", retry_after=LATER) from None
        return "not_supported"
    reached = within_reach(
        connection, provider=provider, connections=ports.connections, credentials=ports.credentials, now=run.clock()
    )
    # what a re-connect would have replaced is spared as well
    if reaches_others(provider, [each for each in reached if pending.replaces or each != connection.id]):
        return "shared_grant_kept"
    told = {_tell(grant, ports=ports, run=run) for grant in pending.grants}
    return next((each for each in ("not_supported", "revoked", "gone") if each in told), "gone")


def _tell(grant: Grant, *, ports: RefreshPorts, run: Run) -> str:
    provider = ports.catalog.get(grant.provider)
    try:
        tokens = read_tokens(open_grant(grant, ports=ports, run=run), grant=grant, provider=provider)
    except (TokenResponseRejected, GrantUnreadable):
        return "not_supported"
    return tell_provider(grant, tokens, provider=provider, ports=ports, run=run)
