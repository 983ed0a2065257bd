"""Keep a user's own API key for a service, sealed like any grant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import BadRequest, Conflict
from grantkeeper.model import AuditEvent, Binding, Connection, Grant, Principal
from grantkeeper.oauth.token_response import sealable
from grantkeeper.ports import Clients, Connections, Providers, Sealer, Sessions, Users
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.open_connect_session import require_client, require_service
from grantkeeper.services.people import Named, find_or_provision

MAX_SECRET = 4096
MAX_LABEL = 100
MEMBERS = frozenset({"service", "user_id", "user_sub", "label", "secret"})


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key to keep, checked for form only; its repr does not show it."""

    service: str
    label: str
    named: Named
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> NewApiKey:
        """
        Read the JSON body.

        Raises:
            BadRequest: A member is missing, unknown, of the wrong type or out of bounds.
        """
        if set(body) - MEMBERS:  # not named: it is the sender's text
            raise BadRequest("The body has a member that is not known here.")
        for name in ("service", "label", "secret"):
            if not isinstance(body.get(name), str) or not body[name]:
                raise BadRequest(f"{name} is missing.", parameter=name)
        for name in ("user_id", "user_sub"):
            if body.get(name) is not None and not isinstance(body[name], str):
                raise BadRequest(f"{name} is a string.", parameter=name)
        label, secret = body["label"], body["secret"]
        if len(label) > MAX_LABEL or not label.isprintable():
            raise BadRequest("label is 1 to 100 printable characters.", parameter="label")
        if len(secret) > MAX_SECRET or not secret.isascii() or not secret.isprintable() or secret != secret.strip():
            raise BadRequest("secret is 1 to 4096 printable ASCII characters.", parameter="secret")
        return cls(body["service"], label, Named(body.get("user_id"), body.get("user_sub")), secret)


def add_api_key(
    new: NewApiKey,
    *,
    principal: Principal,
    clients: Clients,
    users: Users,
    sessions: Sessions,
    connections: Connections,
    provider_items: Providers,
    catalog: Catalog,
    sealer: Sealer,
    now: int,
    request_id: str,
) -> Connection:
    """
    Connect a service by a key the user made there himself.

    There is no consent page, so nothing is pending: who presents the key may use it. The label is the account: one key
    per label, and a key is replaced by disconnecting it and adding the next.

    Raises:
        UnknownService, ScopeNotAllowed, ProviderDisabled: As for connecting.
        Conflict: The service is not connected by an API key, or the user has a key under this label.
        StoreUnavailable: Nothing was stored.
    """
    client = require_client(principal, clients)
    provider, service = require_service(new.service, client=client, catalog=catalog, provider_items=provider_items)
    if provider.protocol != "api_key":
        raise Conflict("This service is connected on its provider's consent page.")
    sub = find_or_provision(
        principal, new.named, users=users, sessions=sessions, connections=connections, now=now, request_id=request_id
    )
    if _taken(sub, service.id, new.label, connections):
        raise Conflict("There is a key under this label already. Disconnect it first.")

    connection = Connection(
        id=ids.new_id("con"),
        sub=sub,
        client_id=client.client_id,
        provider=provider.id,
        service=service.id,
        account_id=_account(new.label),
        credentials_id="",
        scopes=(),
        requested_scopes=(),
        status="active",
        created_at=now,
        updated_at=now,
        kind="api_key",
        label=new.label,
    )
    unsealed = Grant(
        connection_id=connection.id,
        name="main",
        sub=sub,
        provider=provider.id,
        service=service.id,
        credentials_id="",
        grant_id=ids.new_id("grant"),
        n=1,
        generation=1,
        status="active",
        sealed=b"",
        scopes=(),
        refreshed_at=now,
        write_id=ids.new_id("w"),
        kind="api_key",
        refreshable=False,
        actor=principal.actor,
        request_id=request_id,
    )
    answer = json.dumps({"access_token": new.secret, "token_type": "api_key"}).encode()
    plaintext = sealable(answer, provider=provider, previous=None, received_at=now)
    grant = replace(unsealed, sealed=sealer.seal(plaintext, binding=Binding.of(unsealed)))
    audit = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="connection.activated",
        actor=principal.actor,
        sub=sub,
        connection_id=connection.id,
        client_id=client.client_id,
        provider=provider.id,
        service=service.id,
        request_id=request_id,
        details={"kind": "api_key", "from": "none"},
    )
    connections.add_api_key(connection, grant, consent_client_id=client.client_id, audit=audit)
    return connection


def _taken(sub: str, service: str, label: str, connections: Connections) -> bool:
    found = connections.find_account(sub, service, _account(label))
    connection = None if found is None else connections.get(found)
    return connection is not None and connection.status != "revoked"


def _account(label: str) -> str:
    """The key's own account: its label, never anything derived from the secret."""
    return f"label:{label}"
