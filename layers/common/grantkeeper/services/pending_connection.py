"""What came back from a provider, made into a connection that waits for its confirmation."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from grantkeeper import ids
from grantkeeper.errors import TokenTooLarge
from grantkeeper.model import (
    AuthorizationRequest,
    Binding,
    Connection,
    ConnectSession,
    Grant,
    Pending,
    Profile,
    ProviderCredentials,
    TokenSet,
)
from grantkeeper.oauth.token_response import normalise_scopes, sealable
from grantkeeper.ports import Sealer
from grantkeeper.providers.record import Provider
from grantkeeper.services.forecast import Plan, earliest, plan
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.schedule import refreshable

CONFIRM_WITHIN = 10 * 60
MAX_TOKEN_SET = 16 * 1024


@dataclass(frozen=True, slots=True)
class Arrival:
    """One trip that came back with tokens: everything a connection is made of."""

    request: AuthorizationRequest
    session: ConnectSession
    provider: Provider
    credentials: ProviderCredentials
    tokens: ProviderTokens
    profile: Profile
    now: int
    request_id: str
    metadata: Mapping[str, Any] = field(default_factory=dict)  # answers of the record's `post_connect`


def pending_connection(arrival: Arrival, *, existing: Connection | None, sealer: Sealer) -> Pending:
    """
    Seal what arrived, for a new connection or for one the user has already.

    A connection of the same account keeps its id; its sealed sets get a `grant_id` of their own, so that neither can be
    put in the other's place. Nothing is stored here.

    Args:
        arrival: What came back.
        existing: The live connection of this account, None when it is new.
        sealer: Seals and cannot open.

    Raises:
        TokenTooLarge: A token set is over 16 KiB.
        StoreUnavailable: KMS does not answer.
    """
    connection = _connection(arrival, existing)
    grants = tuple(
        _grant(arrival, connection, name=name, token_set=token_set, sealer=sealer)
        for name, token_set in arrival.tokens.sets.items()
    )
    return Pending(
        session_id=arrival.session.id,
        connection=connection,
        grants=grants,
        expires_at=arrival.now + CONFIRM_WITHIN,
        replaces=existing is not None,
    )


def _connection(arrival: Arrival, existing: Connection | None) -> Connection:
    session, now = arrival.session, arrival.now
    sets = arrival.tokens.sets.values()
    fresh = Connection(
        id=ids.new_id("con"),
        sub=session.sub,
        client_id=session.client_id,
        provider=session.provider,
        service=session.service,
        account_id=arrival.profile.provider_user_id,
        credentials_id=arrival.credentials.client_id,
        scopes=_union(_granted(arrival, token_set) for token_set in sets),
        requested_scopes=arrival.request.scopes,
        status="pending",
        created_at=now,
        updated_at=now,
        label=arrival.profile.email or arrival.profile.name,
        token_names=tuple(arrival.tokens.sets),
        reconnect_by=earliest(*(_planned(arrival, token_set).reconnect_by for token_set in sets)),
        profile=arrival.profile,
        kind=_kind(arrival.provider),
        metadata=arrival.metadata,
    )
    if existing is None:
        return fresh
    return replace(
        fresh,
        id=existing.id,
        client_id=existing.client_id,
        created_at=existing.created_at,
        label=existing.label or fresh.label,
        used_day=existing.used_day,
        metadata={**existing.metadata, **arrival.metadata},  # what could not be asked again is as it was
    )


def _grant(arrival: Arrival, connection: Connection, *, name: str, token_set: TokenSet, sealer: Sealer) -> Grant:
    now, provider = arrival.now, arrival.provider
    planned = _planned(arrival, token_set)
    unsealed = Grant(
        connection_id=connection.id,
        name=name,
        sub=connection.sub,
        provider=connection.provider,
        service=connection.service,
        credentials_id=connection.credentials_id,
        grant_id=ids.new_id("grant"),
        n=1,
        generation=0,  # of none yet: its confirmation gives it the next one
        status="active",
        sealed=b"",
        scopes=_granted(arrival, token_set),
        refreshed_at=now,
        write_id=ids.new_id("w"),
        variables=arrival.request.variables,
        kind=_kind(provider),
        expires_at=token_set.expires_at,
        refreshable=refreshable(token_set, rule=provider.refresh),
        due_at=planned.due_at,
        consented_at=now,
        refresh_token_expires_at=planned.refresh_token_expires_at,
        reconnect_by=planned.reconnect_by,
        caused_by="connect",
        actor=arrival.session.opened_by,
        request_id=arrival.request_id,
    )
    plaintext = sealable(
        arrival.tokens.body,
        provider=provider,
        name=name,
        previous=None,
        received_at=now,
        id_claims=arrival.tokens.id_claims,
    )
    if len(plaintext) > MAX_TOKEN_SET:
        raise TokenTooLarge("The provider's token set is over 16 KiB.", provider=provider.id)
    return replace(unsealed, sealed=sealer.seal(plaintext, binding=Binding.of(unsealed)))


def _planned(arrival: Arrival, token_set: TokenSet) -> Plan:
    rule = arrival.provider.refresh
    return plan(
        token_set,
        rule=rule,
        refreshable=refreshable(token_set, rule=rule),
        consented_at=arrival.now,
        received_at=arrival.now,
        rng=secrets.SystemRandom(),
    )


def _kind(provider: Provider) -> Literal["oauth2", "oauth1"]:
    return "oauth1" if provider.protocol == "oauth1" else "oauth2"


def _granted(arrival: Arrival, token_set: TokenSet) -> tuple[str, ...]:
    """What the user granted, in the names that were asked for; he may have unticked some."""
    return normalise_scopes(arrival.provider, token_set.scopes, arrival.request.scopes)


def _union(scopes: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scope for some in scopes for scope in some))
