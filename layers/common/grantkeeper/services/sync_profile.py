"""Reading an account's profile at its provider again: a new name or picture, never another account."""

from __future__ import annotations

from dataclasses import replace

from grantkeeper import ids
from grantkeeper.errors import AccountMismatch, Conflict, ConnectionRevoked, TokenResponseRejected, TooManyRequests
from grantkeeper.model import AuditEvent, Avatar, Connection, Grant, Principal, Profile
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.providers.record import Provider
from grantkeeper.services.dead_answer import usable
from grantkeeper.services.fetch_avatar import fetch_avatar, same_picture
from grantkeeper.services.fetch_profile import Sign, fetch_profile_again
from grantkeeper.services.open_grant import open_grant
from grantkeeper.services.read_token import TokenWanted, current_grant
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.refresh_run import Cause, RefreshPorts, Run, provider_of
from grantkeeper.services.sign_profile import needs_registration, signer_for
from grantkeeper.services.successor import read_tokens
from grantkeeper.services.visibility import visible_connection

HOURLY_CAP = 10
HOUR = 3600
AVATAR_RESERVE = 3.0  # seconds of the invocation that are left to write down what was found
_TOLD = ("email", "email_verified", "name", "avatar_url", "locale")


def sync_profile(
    connection_id: str, *, principal: Principal, ports: RefreshPorts, run: Run, request_id: str
) -> Connection:
    """
    Fetch the profile with the connection's own token and store it beside the connection.

    The audit entry says which fields changed, never what they say. A picture that only the token opens is kept too.

    Raises:
        NotFound: Unknown, or not the caller's.
        Conflict: A connection by API key has no profile to read; or the provider does not say whose the token is.
        AccountMismatch: The provider names another account; nothing is stored, and the trail says so (C-57).
        ConnectionRevoked, ReauthorizationRequired: There is no token.
        TooManyRequests: Ten times an hour are enough.
        ProviderUnavailable, RefreshPending, StoreUnavailable: Later.
    """
    connection = visible_connection(connection_id, principal=principal, connections=ports.connections)
    if connection.kind == "api_key":
        raise Conflict("This connection has no profile to read.")
    wait = ports.rate_limits.hit(f"sync#{connection_id}", limit=HOURLY_CAP, window=HOUR, now=run.clock())
    if wait:
        raise TooManyRequests("The profile was read often enough in this hour.", retry_after=wait)

    cause = Cause("read", principal.actor, request_id)
    try:
        profile, avatar = _fetch(connection, cause=cause, ports=ports, run=run)
    except AccountMismatch:
        refused = _event(connection, "connection.profile_refused", principal, request_id, now=run.clock())
        ports.audit.record(replace(refused, reason="account_mismatch"))
        raise
    now = run.clock()
    audit = _event(connection, "connection.profile_synced", principal, request_id, now=now)
    changed = _changed(connection.profile, profile) + (() if avatar is None else ("avatar",))
    audit = replace(audit, details={"changed": " ".join(changed)} if changed else {})
    if not ports.connections.update_profile(connection_id, profile, avatar=avatar, now=now, audit=audit):
        raise ConnectionRevoked("The connection was disconnected.")
    return replace(connection, profile=profile, updated_at=now)


def _fetch(connection: Connection, *, cause: Cause, ports: RefreshPorts, run: Run) -> tuple[Profile, Avatar | None]:
    """What the provider says now; the picture only if it is another one than we have."""
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
    provider = resolve(provider_of(grant, ports=ports), grant.variables)
    kept = read_tokens(plaintext, grant=grant, provider=provider)
    # the answer to the code is old by now: what it said of the person must not outlive a change
    tokens = ProviderTokens(b"{}", {name: kept}, id_claims=None)
    try:
        profile = fetch_profile_again(
            connection.profile or Profile(connection.account_id),
            provider=provider,
            tokens=tokens,
            provider_http=ports.provider_http,
            sign=_signer(grant, tokens, provider=provider, ports=ports, now=run.clock()),
        )
    except TokenResponseRejected as error:
        if error.extensions.get("reason") != "account_unknown":
            raise
        raise Conflict("This provider does not say whose account it is.") from None
    avatar = fetch_avatar(
        provider=provider,
        tokens=tokens,
        provider_http=ports.provider_http,
        most=run.remaining - AVATAR_RESERVE,
        now=run.clock(),
    )
    if avatar is None or same_picture(avatar, ports.avatars.of_connection(connection.id)):
        return profile, None
    return profile, avatar


def _signer(grant: Grant, tokens: ProviderTokens, *, provider: Provider, ports: RefreshPorts, now: int) -> Sign | None:
    """For providers that want our registration beside the user's token."""
    if not needs_registration(provider):
        return None
    credentials = ports.credentials.by_client_id(provider.credentials_id, grant.credentials_id)
    return signer_for(provider, credentials, tokens, now=now)


def _changed(before: Profile | None, after: Profile) -> tuple[str, ...]:
    return tuple(name for name in _TOLD if getattr(before, name, None) != getattr(after, name))


def _event(connection: Connection, action: str, principal: Principal, request_id: str, *, now: int) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action=action,
        actor=principal.actor,
        sub=connection.sub,
        connection_id=connection.id,
        client_id=principal.client_id,
        provider=connection.provider,
        service=connection.service,
        request_id=request_id,
    )
