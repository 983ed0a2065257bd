"""What a deployment and a connection begin with, written through the product's own stores, in a worker's process."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey, AuditEvent, Binding, Client, Connection, Grant
from grantkeeper.oauth.token_response import sealable, token_set
from grantkeeper.services.schedule import due_at

CLIENT = "backend"
CLIENT_ID, CLIENT_SECRET = "grantkeeper", "rotating-secret"  # our registration at every provider
SCOPES = ("offline_access", "openid")
YEAR = 365 * 86_400


def seed(parts: Any, *, now: int, records: Mapping[str, Mapping[str, Any]]) -> str:
    """Register the client and the providers. Returns an API key that may read tokens and disconnect."""
    for provider, record in records.items():
        parts.secrets.put(_parameter(provider), CLIENT_SECRET)
        register(parts, provider, now=now, record=record)
    parts.clients.put(Client(CLIENT, "Backend", (), now), audit=_event("client.changed", now))
    text = new_api_key()
    scopes = ("connections:read", "connections:token", "connections:write")
    key = ApiKey(
        text.key_id,
        secret_hash=text.secret_hash,
        scopes=scopes,
        created_at=now,
        expires_at=now + YEAR,
        client_id=CLIENT,
        name="chaos",
    )
    parts.api_keys.put(key, audit=_event("api_key.created", now))
    return text.text


def register(
    parts: Any, provider: str, *, now: int, registered: bool = True, record: Mapping[str, Any] | None = None
) -> None:
    """Register our client at a provider, or take it away; what is not given stays as it is."""
    registration = {"client_id": CLIENT_ID, "secret_parameter": _parameter(provider), "state": "active"}
    parts.provider_items.put(
        provider,
        record=record,
        registrations=[registration] if registered else [],
        disabled=None if record is None else False,
        audit=_event("provider.changed", now),
    )


def connect(parts: Any, *, now: int, provider: str, account: str, answer: Mapping[str, Any]) -> str:
    """Store a connection as a confirmed one is, its first generation sealed as the callback does. Returns its id."""
    connection = Connection(
        id=ids.new_id("con"),
        sub=ids.new_id("usr"),
        client_id=CLIENT,
        provider=provider,
        account_id=account,
        service=f"{provider}-files",
        credentials_id=CLIENT_ID,
        scopes=SCOPES,
        requested_scopes=SCOPES,
        status="active",
        created_at=now,
        updated_at=now,
    )
    record = parts.catalog.get(provider)
    plaintext = sealable(json.dumps(answer).encode(), provider=record, name="main", previous=None, received_at=now)
    expires_at = token_set(plaintext, provider=record, name="main").expires_at
    unsealed = Grant(
        connection_id=connection.id,
        name="main",
        sub=connection.sub,
        provider=provider,
        service=connection.service,
        credentials_id=CLIENT_ID,
        grant_id=ids.new_id("grant"),
        n=1,
        generation=1,
        status="active",
        sealed=b"",
        scopes=SCOPES,
        refreshed_at=now,
        write_id=ids.new_id("w"),
        expires_at=expires_at,
        refreshable=True,
        due_at=due_at(expires_at=expires_at, received_at=now, refreshable=True, rng=random.Random(1)),
    )
    grant = replace(unsealed, sealed=parts.sealer.seal(plaintext, binding=Binding.of(unsealed)))
    audit = replace(_event("connection.activated", now), connection_id=connection.id, sub=connection.sub)
    parts.connections.add_api_key(connection, grant, consent_client_id=CLIENT, audit=audit)
    return connection.id


def _parameter(provider: str) -> str:
    return f"/grantkeeper/chaos/{provider}"


def _event(action: str, now: int) -> AuditEvent:
    return AuditEvent(ids.new_id("evt"), now, action, "operator:chaos")
