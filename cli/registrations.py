"""What changing a provider's record or registration takes beside writing it down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli import operator
from cli.stack import Stack
from grantkeeper.errors import UnknownProvider
from grantkeeper.ids import new_secret
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from grantkeeper.services.complete_record import ENDPOINTS, moved_endpoints


def with_registration(stack: Stack, *, credentials_id: str, client_id: str, secret: str) -> list[dict[str, Any]]:
    """
    Store a secret, and put its registration before those there are.

    They stay live, so that a secret rotates without an outage: the newest makes new trips, each grant is refreshed with
    the registration it was made with, and of several secrets of one client_id the newest counts.
    """
    prefix = stack.environment()["PARAMETER_PREFIX"].rstrip("/")
    parameter = f"{prefix}/providers/{credentials_id}/{operator.now()}-{new_secret()[:8]}"
    if secret:
        stack.wiring.secrets.put(parameter, secret)
    entry = {"client_id": client_id, "secret_parameter": parameter if secret else None, "state": "active"}
    before = stack.wiring.provider_items.registrations().get(credentials_id, ())
    return [entry, *(dict(old) | {"state": "retiring"} for old in before)]


def moved_to(stack: Stack, provider: Provider) -> Mapping[str, tuple[str, str]]:
    """
    Endpoints that a new record takes to another host than the one it replaces: their name, old and new address.

    Raises:
        InvalidProviderRecord: The record to be replaced is not sound.
    """
    overrides = stack.wiring.provider_items.overrides()
    if provider.id not in overrides:
        return {}  # a built-in one is changed by hand or not at all
    try:
        before = Catalog(overrides, allow_private_addresses=stack.wiring.local).get(provider.id)
    except UnknownProvider:
        return {}
    after = {name: getattr(provider, name) for name in ENDPOINTS}
    return {name: (getattr(before, name), after[name]) for name in moved_endpoints(before, after)}


def changed(stack: Stack, provider: Provider) -> None:
    """Forget what was held against the providers that this registration serves: it belongs to the one before."""
    catalog = Catalog(stack.wiring.provider_items.overrides(), allow_private_addresses=stack.wiring.local)
    sharing = {each.id for each in catalog.all() if each.credentials_id == provider.credentials_id}
    for name in {provider.id, *sharing}:
        stack.wiring.breakers.forget(name)
