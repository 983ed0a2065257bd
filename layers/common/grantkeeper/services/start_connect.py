"""Follow a connect link: send the user's browser to the provider's consent page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import ConnectSessionExpired, ProviderDisabled
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.trips import new_trip

if TYPE_CHECKING:
    from grantkeeper.ports import AuthorizationRequests, ConnectSessions, Credentials, Providers
    from grantkeeper.providers.record import Provider


@dataclass(frozen=True, slots=True)
class StartedConnect:
    """Where to send the browser; carries `state`, so its repr hides it."""

    location: str = field(repr=False)
    provider: str = ""


def start_connect(
    *,
    ticket: str,
    browser_secret: str,
    connect_sessions: ConnectSessions,
    authorization_requests: AuthorizationRequests,
    catalog: Catalog,
    credentials: Credentials,
    provider_items: Providers,
    issuer: str,
    now: int,
) -> StartedConnect:
    """
    Start a trip for a connect session; as often as it takes until one comes back.

    Every visit is a trip of its own with its own `state`, bound to the browser that made it, so that a second tab, a
    second try and a link preview do not disturb each other (C-04). Scopes were resolved when the session was opened,
    re-connects included: a ticket in a URL can widen nothing.

    Args:
        ticket: The secret in the connect URL.
        credentials: Our registrations; their secrets are not needed.
        provider_items: Which providers are switched off.
        browser_secret: Value of the browser's binding cookie.
        issuer: Our own, without a trailing slash.
        now: Epoch seconds.

    Raises:
        ConnectSessionExpired: Unknown, expired, or a trip came back already.
        ProviderDisabled, ProviderNotConfigured: Switched off, or its registration went away, meanwhile.
    """
    if not ids.is_id(ticket):
        raise ConnectSessionExpired("The connect link is unknown or expired.")
    session = connect_sessions.find_by_ticket(ids.digest(ticket), now=now)
    if session.status != "open":
        raise ConnectSessionExpired("The connect link was used already.")

    provider = catalog.get(session.provider)
    if provider.id in provider_items.disabled():
        raise ProviderDisabled("The provider of this service is switched off.", provider=provider.id)
    browser_hash = ids.digest(browser_secret)
    trip = new_trip(
        provider=provider,
        credentials_id=credentials.active(provider.credentials_id).client_id,
        browser_hash=browser_hash,
        scopes=session.scopes,
        purpose="connect",
        issuer=issuer,
        now=now,
        extra=_account_selection(provider),
        details={"connect_session_id": session.id},
    )
    authorization_requests.put(trip.request)
    connect_sessions.bind_browser(session.id, browser_hash, now=now)
    return StartedConnect(trip.url, provider.id)


def _account_selection(provider: Provider) -> Mapping[str, str]:
    """Ask which account is meant, unless the record already says how to prompt."""
    named = {name for name, _ in (*provider.authorization_params, *provider.connect_params)}
    if "prompt" in named or "select_account" not in provider.prompt_values_supported:
        return {}
    return {"prompt": "select_account"}
