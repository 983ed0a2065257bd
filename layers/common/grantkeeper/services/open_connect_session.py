"""Open a connect session: permission for one user to connect one service, for ten minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    ProviderDisabled,
    ProviderNotConfigured,
    ScopeNotAllowed,
)
from grantkeeper.model import AuditEvent, Client, Connection, ConnectSession, Principal
from grantkeeper.ports import Clients, Connections, ConnectSessions, Providers, Sessions, Users
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider, Service
from grantkeeper.services.people import Named, client_of, find_or_provision, find_person
from grantkeeper.services.redirect_uris import require_registered

LIFETIME = 10 * 60
MAX_STATE = 1024
MEMBERS = frozenset({"service", "access", "scopes", "redirect_uri", "state", "connection_id", "user_id", "user_sub"})


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """What a client asks for, checked for form only."""

    service: str
    redirect_uri: str
    named: Named
    access: str | None = None
    scopes: tuple[str, ...] | None = None
    state: str | None = None
    connection_id: str | None = None

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> ConnectRequest:
        """
        Read the JSON body.

        Raises:
            BadRequest: A member is missing, of the wrong type, unknown (T-06), or contradicts another.
        """
        if set(body) - MEMBERS:  # not named: it is the sender's text
            raise BadRequest("The body has a member that is not known here.")
        access, scopes = _text(body, "access"), _scopes(body)
        if access is not None and scopes is not None:
            raise BadRequest("Ask for an access level or for scopes, not both.", parameter="scopes")
        state = _text(body, "state")
        if state is not None and len(state) > MAX_STATE:
            raise BadRequest("The state is over 1024 characters.", parameter="state")

        return cls(
            service=_required(body, "service"),
            redirect_uri=_required(body, "redirect_uri"),
            named=Named(user_id=_text(body, "user_id"), user_sub=_text(body, "user_sub")),
            access=access,
            scopes=scopes,
            state=state,
            connection_id=_text(body, "connection_id"),
        )


@dataclass(frozen=True, slots=True)
class OpenedConnectSession:
    """What the client gets: an id to confirm with, and a URL for the user's browser."""

    id: str
    connect_url: str
    expires_at: int


def open_connect_session(
    request: ConnectRequest,
    *,
    principal: Principal,
    clients: Clients,
    users: Users,
    sessions: Sessions,
    connections: Connections,
    connect_sessions: ConnectSessions,
    provider_items: Providers,
    catalog: Catalog,
    issuer: str,
    now: int,
    request_id: str,
) -> OpenedConnectSession:
    """
    Let one user connect one service.

    Everything is checked before anything is written, and nothing is sent to the provider. The ticket in `connect_url`
    is stored as a hash only.

    Raises:
        BadRequest: The redirect_uri is not registered.
        ScopeNotAllowed: The client may not connect this service, or the service does not declare a scope (C-09).
        UnknownService: No such service.
        ProviderDisabled, ProviderNotConfigured: The service cannot be connected here now.
        NotFound: No such user for this client, or no such connection of his.
        Conflict: The connection is of another service, or cannot be connected again.
        Forbidden: The client or the user may not act.
    """
    client = require_client(principal, clients)
    redirect_uri = require_registered(request.redirect_uri, client.redirect_uris)
    provider, service = require_service(request.service, client=client, catalog=catalog, provider_items=provider_items)
    if provider.protocol == "api_key":
        raise Conflict("This service is connected by a key its user brings.")
    scopes = resolve_scopes(service, access=request.access, scopes=request.scopes)

    if request.connection_id is not None:  # a user who is new has no connection: none is made for this
        known = find_person(principal, request.named, users=users, sessions=sessions, connections=connections)
        if known is None:
            raise NotFound("No such connection.")
    sub = find_or_provision(
        principal,
        request.named,
        users=users,
        sessions=sessions,
        connections=connections,
        now=now,
        request_id=request_id,
    )
    if request.connection_id is not None:
        connection = _own(request.connection_id, sub=sub, client=client, connections=connections)
        scopes = _union_for_reconnect(connection, service=service, scopes=scopes)

    ticket = ids.new_secret()
    session = ConnectSession(
        id=ids.new_id("cs"),
        client_id=client.client_id,
        sub=sub,
        service=service.id,
        provider=provider.id,
        scopes=scopes,
        redirect_uri=redirect_uri,
        ticket_hash=ids.digest(ticket),
        created_at=now,
        expires_at=now + LIFETIME,
        state=request.state,
        connection_id=request.connection_id,
        opened_by=principal.actor,
    )
    audit = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="connect_session.opened",
        actor=principal.actor,
        sub=sub,
        connection_id=request.connection_id,
        client_id=client.client_id,
        provider=provider.id,
        service=service.id,
        request_id=request_id,
        details={"connect_session": session.id},
    )
    connect_sessions.put(session, audit=audit)
    return OpenedConnectSession(session.id, f"{issuer}/connect/{ticket}", session.expires_at)


def require_client(principal: Principal, clients: Clients) -> Client:
    """
    The principal's client, which must still be active.

    Raises:
        Forbidden: An operator's key, or a client that is gone or disabled.
    """
    client = clients.get(client_of(principal))
    if client is None or client.status != "active":
        raise Forbidden("This client is not active.")
    return client


def require_service(
    service_id: str, *, client: Client, catalog: Catalog, provider_items: Providers
) -> tuple[Provider, Service]:
    """
    A service that this client may connect here and now.

    Raises:
        UnknownService: No such service.
        ScopeNotAllowed: Not one of the client's.
        ProviderDisabled, ProviderNotConfigured: The operator's doing, or not yet his doing.
    """
    provider, service = catalog.service(service_id)
    if "*" not in client.services and service.id not in client.services:
        raise ScopeNotAllowed("This client may not connect this service.", service=service.id)
    if provider.id in provider_items.disabled():
        raise ProviderDisabled("The provider of this service is switched off.", provider=provider.id)
    if provider.protocol != "api_key" and not provider_items.registrations().get(provider.credentials_id):
        raise ProviderNotConfigured("This service is not configured here.", provider=provider.id)
    return provider, service


def resolve_scopes(service: Service, *, access: str | None, scopes: tuple[str, ...] | None) -> tuple[str, ...]:
    """
    The provider's scopes for an access level, or for the scopes named.

    Raises:
        ScopeNotAllowed: The level or a scope is not one the service declares.
    """
    if scopes is None:
        level = access or service.default_access
        if level not in service.access:
            raise ScopeNotAllowed("The service has no such access level.", access=sorted(service.access))
        scopes = service.access[level]
    allowed = declared_scopes(service)
    for scope in scopes:
        if scope not in allowed:
            raise ScopeNotAllowed("The service does not declare one of these scopes.")
    return tuple(dict.fromkeys((*service.base_scopes, *scopes, *service.offline_scopes)))


def declared_scopes(service: Service) -> frozenset[str]:
    """Every scope of the service, whatever the access level."""
    levels = (scope for scopes in service.access.values() for scope in scopes)
    return frozenset((*service.base_scopes, *levels, *service.offline_scopes))


def _own(connection_id: str, *, sub: str, client: Client, connections: Connections) -> Connection:
    """The user's own connection; a client other than the one that opened it needs his consent."""
    connection = connections.get(connection_id) if ids.is_id(connection_id) else None
    if connection is None or connection.sub != sub:
        raise NotFound("No such connection.")
    if connection.client_id != client.client_id and not connections.has_consent(sub, client.client_id, connection.id):
        raise NotFound("No such connection.")
    return connection


def _union_for_reconnect(connection: Connection, *, service: Service, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """A re-connect asks for what was asked before as well: a new consent replaces the old one's scopes."""
    if connection.service != service.id:
        raise Conflict("The connection is of another service.")
    if connection.status == "revoked":
        raise Conflict("The connection was disconnected. Connect the service anew.")
    allowed = declared_scopes(service)
    before = (scope for scope in connection.requested_scopes if scope in allowed)
    return tuple(dict.fromkeys((*scopes, *before)))


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise BadRequest(f"{name} is a string.", parameter=name)
    return value


def _required(body: Mapping[str, Any], name: str) -> str:
    value = _text(body, name)
    if value is None:
        raise BadRequest(f"{name} is missing.", parameter=name)
    return value


def _scopes(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    value = body.get("scopes")
    if value is None:
        return None
    if not isinstance(value, list) or not 0 < len(value) <= 64 or not all(isinstance(s, str) and s for s in value):
        raise BadRequest("scopes is a list of 1 to 64 strings.", parameter="scopes")
    return tuple(value)
