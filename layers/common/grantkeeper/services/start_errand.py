"""
Follow an errand's link: the browser goes to a provider where its user proves who he is.

For a link that is the provider his session was opened at; for a consent he chooses. Nothing of the errand is told
before he has proved himself: whoever holds the link only learns which application sent it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from grantkeeper import ids
from grantkeeper.errors import ErrandExpired, ProviderNotConfigured
from grantkeeper.model import Client, Errand
from grantkeeper.ports import AuthorizationRequests, Clients, Errands, Providers
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import Provider
from grantkeeper.services.errands import errand_of, returnable
from grantkeeper.services.signin_providers import require_signin_provider, signin_providers
from grantkeeper.services.trips import Trip, new_trip

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and every provider that it will be at: some answer by form post."""

    location: str = field(repr=False)
    providers: tuple[Provider, ...] = ()


@dataclass(frozen=True, slots=True)
class WhoAreYou:
    """Ask the user at which provider he signs in."""

    client: Client
    providers: Sequence[Provider]


def start_errand(
    ticket: str,
    *,
    kind: Literal["link", "consent"],
    provider_id: str | None,
    browser_hash: str,
    errands: Errands,
    clients: Clients,
    authorization_requests: AuthorizationRequests,
    catalog: Catalog,
    provider_items: Providers,
    issuer: str,
    now: int,
) -> Departure | WhoAreYou:
    """
    Start the trip on which the user proves who he is; as often as it takes until one comes back.

    Args:
        ticket: The secret in the URL.
        kind: What the URL is for.
        provider_id: What the user chose, for a consent.
        browser_hash: Hash of the browser's binding cookie.
        issuer: Our own, without a trailing slash.
        now: Epoch seconds.

    Raises:
        ErrandExpired: Unknown, expired, used already, of another kind, or its client went away.
        UnknownProvider, ProviderDisabled, ProviderNotConfigured: Nobody signs in there now.
    """
    errand = errand_of(ids.digest(ticket) if ids.is_id(ticket) else "", errands=errands, now=now)
    if errand.kind != kind or errand.status != "open":
        raise ErrandExpired("This link was used already or has expired.")
    client = returnable(errand, clients)
    first = errand.proven_at if kind == "link" else provider_id
    if first is None:
        choices = signin_providers(None, catalog=catalog, provider_items=provider_items)
        if not choices:
            raise ProviderNotConfigured("No provider signs users in here.")
        return WhoAreYou(client, choices)
    provider, credentials_id = require_signin_provider(
        first, client=None, catalog=catalog, provider_items=provider_items
    )
    trip = errand_trip(
        errand,
        provider=provider,
        credentials_id=credentials_id,
        purpose="prove",
        browser_hash=browser_hash,
        issuer=issuer,
        now=now,
    )
    authorization_requests.put(trip.request)
    second = () if errand.provider is None else (catalog.get(errand.provider),)
    return Departure(trip.url, (provider, *second))


def errand_trip(
    errand: Errand,
    *,
    provider: Provider,
    credentials_id: str,
    purpose: Literal["prove", "link"],
    browser_hash: str,
    issuer: str,
    now: int,
) -> Trip:
    """
    One of an errand's trips: a sign-in of which only the identity is wanted.

    Which account is meant is asked where the provider can ask: a link is of another than the one he is at.
    """
    asks = purpose == "link" and "select_account" in provider.prompt_values_supported
    return new_trip(
        provider=provider,
        credentials_id=credentials_id,
        browser_hash=browser_hash,
        scopes=provider.signin_scopes,
        purpose=purpose,
        issuer=issuer,
        now=now,
        extra={"prompt": "select_account"} if asks else _NOTHING,
        details={"errand_id": errand.id},
    )
