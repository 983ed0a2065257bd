"""
What a fresh local stack starts with: a client and the console, two API keys, an admin and an auditor, its providers,
and keys made by the sweeper.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.console_client import ensure_console
from grantkeeper import ids, wiring
from grantkeeper.api_key_format import new_api_key
from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import ALL_SCOPES, ApiKey, AuditEvent, Client, Identity, Role, User
from grantkeeper.providers.catalog import Catalog
from local.children import LocalRunError
from local.providers import Registration

CLIENT_ID = "demo"
ACTOR = "operator:local"
YEAR = 365 * 24 * 3600
ROLES: dict[str, Role] = {"ada": "admin", "grace": "auditor"}  # at the demo provider
CLIENT_KEY_SCOPES = ("connections:read", "connections:token", "connections:write", "users:read", "users:write")
OPERATOR_KEY_SCOPES = ("admin:read", "admin:write", "audit:read", "metrics:read", "users:read", "users:write")


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was made; the keys are shown once, as in production."""

    client_id: str
    client_api_key: str = field(repr=False)
    admin_api_key: str = field(repr=False)


def seed(
    environment: Mapping[str, str], *, redirect_uris: tuple[str, ...], origin: str, providers: Iterable[Registration]
) -> Seeded:
    """
    Write the seed through the product's own stores.

    Args:
        environment: The deployed functions' variables, plus how to reach the emulator.
        redirect_uris: Where the demo application takes users back.
        origin: The demo application's origin, for CORS.
        providers: Which providers to register, with their credentials.
    """
    now = int(time.time())
    parts = wiring.from_environment(environment)
    for registration in providers:
        _register(parts, registration, prefix=environment["PARAMETER_PREFIX"], now=now)
    client = Client(
        client_id=CLIENT_ID,
        client_name="Demo application",
        redirect_uris=redirect_uris,
        post_logout_redirect_uris=(f"{origin}/",),
        origins=(origin,),
        scopes=tuple(scope for scope in ALL_SCOPES if not scope.startswith(("admin:", "audit:", "metrics:"))),
        created_at=now,
    )
    parts.clients.put(client, audit=_event("client.created", now=now, client_id=CLIENT_ID))
    ensure_console(parts, now=now, event=lambda action, **fields: _event(action, now=now, **fields))
    for subject, role in ROLES.items():
        _know(parts, subject, role=role, now=now)
    return Seeded(
        client_id=CLIENT_ID,
        client_api_key=_make_key(parts, CLIENT_KEY_SCOPES, client_id=CLIENT_ID, name="demo application", now=now),
        admin_api_key=_make_key(parts, OPERATOR_KEY_SCOPES, client_id=None, name="local operator", now=now),
    )


def make_keys(lambda_client: Any, sweeper: str) -> None:
    """
    Run the sweeper once: it makes the signing and branch keys, as it does every minute.

    Raises:
        LocalRunError: It failed.
    """
    response = lambda_client.invoke(FunctionName=sweeper, Payload=json.dumps({}))
    payload = response["Payload"].read().decode(errors="replace")
    if response.get("FunctionError"):
        raise LocalRunError(f"The sweeper failed, so there are no signing keys:\n{payload[:2000]}")


def _register(parts: wiring.Wiring, registration: Registration, *, prefix: str, now: int) -> None:
    try:
        record = _completed(parts, registration.record)
        catalog = Catalog({registration.provider_id: record} if record else {}, allow_private_addresses=True)
        credentials_id = catalog.get(registration.provider_id).credentials_id  # another's, where they are shared
    except GrantkeeperError as error:
        raise LocalRunError(f"The provider {registration.provider_id} cannot be registered: {error.detail}") from None
    entry: dict[str, Any] = {"client_id": registration.client_id, "state": "active"}
    if registration.client_secret is not None:
        parameter = f"{prefix.rstrip('/')}/providers/{credentials_id}/{ids.digest(registration.client_id)[:16]}"
        parts.secrets.put(parameter, registration.client_secret)
        entry["secret_parameter"] = parameter
    for provider_id in dict.fromkeys((credentials_id, registration.provider_id)):
        parts.provider_items.put(
            provider_id,
            record=(record or None) if provider_id == registration.provider_id else None,
            registrations=[entry] if provider_id == credentials_id else None,
            disabled=False,
            audit=_event("provider.registered", now=now, provider=provider_id),
        )


def _completed(parts: wiring.Wiring, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """An issuer without endpoints completes itself from its discovery document; what the file says wins."""
    if "issuer" not in record or "token_endpoint" in record:
        return record
    from grantkeeper.services.complete_record import discover

    return discover(record["issuer"], parts.provider_http) | dict(record)


def _make_key(parts: wiring.Wiring, scopes: tuple[str, ...], *, client_id: str | None, name: str, now: int) -> str:
    text = new_api_key()
    key = ApiKey(
        key_id=text.key_id,
        secret_hash=text.secret_hash,
        scopes=scopes,
        created_at=now,
        expires_at=now + YEAR,
        client_id=client_id,
        name=name,
    )
    parts.api_keys.put(key, audit=_event("api_key.created", now=now, client_id=client_id))
    return text.text


def _know(parts: wiring.Wiring, subject: str, *, role: Role, now: int) -> None:
    """Somebody of the demo provider is known before he signs in, and has a role; what he is called comes with him."""
    issuer = parts.catalog.get("demo").issuer or ""
    if parts.users.find(issuer, subject) is None:
        user = User(sub=ids.new_id("usr"), created_at=now, updated_at=now, role=role)
        identity = Identity(issuer=issuer, subject=subject, sub=user.sub, provider="demo", linked_at=now)
        parts.users.provision(user, identity, audit=_event("user.provisioned", now=now, sub=user.sub, provider="demo"))


def _event(action: str, *, now: int, **fields: Any) -> AuditEvent:
    return AuditEvent(id=ids.new_id("evt"), time=now, action=action, actor=ACTOR, **fields)
