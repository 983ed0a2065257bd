"""Reading an account's profile at its provider again: a new name or picture, never another account."""

from __future__ import annotations

from dataclasses import replace

from grantkeeper import ids
from grantkeeper.errors import AccountMismatch, Conflict, ConnectionRevoked, TokenResponseRejected, TooManyRequests
from grantkeeper.model import AuditEvent, Connection, Principal, Profile
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.oauth.token_response import sealed_answer
from grantkeeper.services.dead_answer import usable
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.open_grant import open_grant
from grantkeeper.services.read_token import TokenWanted, current_grant
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run, provider_of
from grantkeeper.services.successor import read_tokens
from grantkeeper.services.visibility import visible_connection

HOURLY_CAP = 10
HOUR = 3600


def sync_profile(
    connection_id: str, *, principal: Principal, ports: RefreshPorts, run: Run, request_id: str
) -> Connection:
    """
    Fetch the profile with the connection's own token and store it beside the connection.

    Raises:
        NotFound: Unknown, or not the caller's.
        Conflict: A connection by API key or OAuth 1.0a has no profile to read.
        AccountMismatch: The provider names another account; nothing is stored (C-57).
        ConnectionRevoked, ReauthorizationRequired: There is no token.
        TooManyRequests: Ten times an hour are enough.
        ProviderUnavailable, RefreshPending, StoreUnavailable: Later.
    """
    connection = visible_connection(connection_id, principal=principal, connections=ports.connections)
    if connection.kind != "oauth2":
        raise Conflict("This connection has no profile to read.")
    wait = ports.rate_limits.hit(f"sync#{connection_id}", limit=HOURLY_CAP, window=HOUR, now=run.clock())
    if wait:
        raise TooManyRequests("The profile was read often enough in this hour.", retry_after=wait)

    profile = _fetch(connection, cause=Cause("read", principal.actor, request_id), ports=ports, run=run)
    if profile.provider_user_id != connection.account_id:
        raise AccountMismatch("The provider names another account.")
    now = run.clock()
    audit = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="connection.profile_synced",
        actor=principal.actor,
        sub=connection.sub,
        connection_id=connection_id,
        client_id=principal.client_id,
        provider=connection.provider,
        service=connection.service,
        request_id=request_id,
    )
    if not ports.connections.update_profile(connection_id, profile, now=now, audit=audit):
        raise ConnectionRevoked("The connection was disconnected.")
    return replace(connection, profile=profile, updated_at=now)


def _fetch(connection: Connection, *, cause: Cause, ports: RefreshPorts, run: Run) -> Profile:
    name = connection.token_names[0]
    grant, plaintext = current_grant(
        usable(ports.grants.get(connection.id, name)),
        TokenWanted(connection.id, name=name),
        cause=cause,
        ports=ports,
        run=run,
    )
    if plaintext is None:
        plaintext = open_grant(grant, ports=ports, run=run)
    provider = provider_of(grant, ports=ports)
    tokens = read_tokens(plaintext, grant=grant, provider=provider)
    found = ProviderTokens(sealed_answer(plaintext, provider=provider), {name: tokens}, id_claims=None)
    try:
        return fetch_profile(
            provider=resolve(provider, grant.variables), tokens=found, provider_http=ports.provider_http
        )
    except TokenResponseRejected as error:
        if error.extensions.get("reason") != "account_unknown":
            raise
        raise Conflict("This provider says whose account it is only while it is being connected.") from None
