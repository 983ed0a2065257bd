"""Which providers may sign users in at a client, here and now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grantkeeper.errors import ProviderDisabled, ProviderNotConfigured, UnknownProvider
from grantkeeper.providers.catalog import Catalog

if TYPE_CHECKING:
    from grantkeeper.model import Client
    from grantkeeper.ports import Providers
    from grantkeeper.providers.record import Provider


def signin_providers(client: Client | None, *, catalog: Catalog, provider_items: Providers) -> Sequence[Provider]:
    """The providers a user may choose from, by name; without a client, to prove to us who he is."""
    disabled, registrations = provider_items.disabled(), provider_items.registrations()
    return sorted(
        (
            provider
            for provider in catalog.signin()
            if _allowed(provider, client) and provider.id not in disabled and registrations.get(provider.credentials_id)
        ),
        key=lambda provider: provider.display_name.casefold(),
    )


def require_signin_provider(
    provider_id: str, *, client: Client | None, catalog: Catalog, provider_items: Providers
) -> tuple[Provider, str]:
    """
    One provider that may sign users in at this client, and the `client_id` of our registration there.

    No secret is read: the function that sends browsers away may see none. Without a client it is any that a user may
    prove to us by who he is.

    Raises:
        UnknownProvider: No such provider, one that signs nobody in, or one the client may not use.
        ProviderDisabled: An admin switched it off.
        ProviderNotConfigured: We have no live registration there.
    """
    provider = catalog.get(provider_id)
    if not _allowed(provider, client):
        raise UnknownProvider("This provider signs nobody in here.")
    if provider.id in provider_items.disabled():
        raise ProviderDisabled("This provider is switched off.")
    return provider, active_client_id(provider, provider_items=provider_items)


def active_client_id(provider: Provider, *, provider_items: Providers) -> str:
    """
    The `client_id` of our newest live registration at a provider.

    Raises:
        ProviderNotConfigured: There is none.
    """
    for registration in provider_items.registrations().get(provider.credentials_id, ()):
        if registration.get("state", "active") == "active":
            return str(registration["client_id"])
    raise ProviderNotConfigured("This provider is not configured here.", provider=provider.id)


def _allowed(provider: Provider, client: Client | None) -> bool:
    if client is None:
        return bool(provider.signin_scopes)
    return bool(provider.signin_scopes) and ("*" in client.providers or provider.id in client.providers)
