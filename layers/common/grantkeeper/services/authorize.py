"""The authorization endpoint: a client asks us to sign a user in (RFC 6749 section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import BadRequest, OAuthError, ProviderDisabled, ProviderNotConfigured, UnknownProvider
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.client_redirect import error_redirect
from grantkeeper.services.redirect_uris import require_registered
from grantkeeper.services.signin_providers import require_signin_provider, signin_providers
from grantkeeper.services.signin_request import (
    PROMPTS,
    Parameters,
    SignInRequest,
    check_signin_request,
    client_state,
    only,
)
from grantkeeper.services.trips import new_trip

if TYPE_CHECKING:
    from grantkeeper.model import Client
    from grantkeeper.ports import AuthorizationRequests, Clients, Providers
    from grantkeeper.providers.record import Provider


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the browser on; `provider` when a trip was started, None when the client is told of an error."""

    location: str = field(repr=False)
    provider: Provider | None = None


@dataclass(frozen=True, slots=True)
class Chooser:
    """Ask the user how to sign in: the request is good, and names no provider."""

    client: Client
    providers: Sequence[Provider]


def authorize(
    parameters: Parameters,
    *,
    browser_hash: str,
    issuer: str,
    clients: Clients,
    authorization_requests: AuthorizationRequests,
    catalog: Catalog,
    provider_items: Providers,
    now: int,
) -> Redirect | Chooser:
    """
    Check a client's authorization request and start the trip to the provider.

    Until the client and its redirect_uri are known, nothing is redirected anywhere; from then on every fault travels
    to the client in a redirect with its `state` and our `iss`. The trip is stored before its URL is given out. Sign-in
    asks the provider for no offline access.

    Args:
        parameters: Every value of every parameter, decoded once.
        browser_hash: Hash of the browser's binding cookie.
        issuer: Our own, without a trailing slash.
        now: Epoch seconds.

    Raises:
        BadRequest: Client or redirect_uri are missing, repeated or not registered: answer a page.
        StoreUnavailable: Nothing was stored.
    """
    client = _client(parameters, clients)
    redirect_uri = require_registered(only(parameters, "redirect_uri"), client.redirect_uris)
    state = client_state(parameters)
    try:
        asked = check_signin_request(parameters, client=client, issuer=issuer)
        if asked.provider is None:
            return _chooser(asked, client=client, catalog=catalog, provider_items=provider_items)
        return _start(
            asked,
            client=client,
            redirect_uri=redirect_uri,
            state=state,
            browser_hash=browser_hash,
            issuer=issuer,
            authorization_requests=authorization_requests,
            catalog=catalog,
            provider_items=provider_items,
            now=now,
        )
    except OAuthError as error:
        return Redirect(
            error_redirect(redirect_uri, error=error.error, detail=error.detail, state=state, issuer=issuer)
        )


def _client(parameters: Parameters, clients: Clients) -> Client:
    client_id = only(parameters, "client_id")
    client = clients.get(client_id) if client_id is not None and ids.is_id(client_id) else None
    if client is None or client.status != "active":
        raise BadRequest("The client is not known here.", parameter="client_id")
    return client


def _chooser(asked: SignInRequest, *, client: Client, catalog: Catalog, provider_items: Providers) -> Chooser:
    if "none" in asked.prompts:
        raise OAuthError("login_required", "Without a provider the user must be asked.")
    providers = signin_providers(client, catalog=catalog, provider_items=provider_items)
    if not providers:
        raise OAuthError("temporarily_unavailable", "No provider signs users in here.")
    return Chooser(client, providers)


def _start(
    asked: SignInRequest,
    *,
    client: Client,
    redirect_uri: str,
    state: str | None,
    browser_hash: str,
    issuer: str,
    authorization_requests: AuthorizationRequests,
    catalog: Catalog,
    provider_items: Providers,
    now: int,
) -> Redirect:
    try:
        provider, credentials_id = require_signin_provider(
            asked.provider or "", client=client, catalog=catalog, provider_items=provider_items
        )
    except UnknownProvider:
        raise OAuthError("invalid_request", "The provider signs nobody in here.") from None
    except (ProviderDisabled, ProviderNotConfigured) as error:
        raise OAuthError("temporarily_unavailable", error.detail) from None

    trip = new_trip(
        provider=provider,
        credentials_id=credentials_id,
        browser_hash=browser_hash,
        scopes=provider.signin_scopes,
        purpose="signin",
        issuer=issuer,
        now=now,
        extra=_prompting(asked, provider),
        details={
            "client_id": client.client_id,
            "client_redirect_uri": redirect_uri,
            "client_state": state,
            "client_nonce": asked.nonce,
            "client_scopes": asked.scopes,
            "code_challenge": asked.code_challenge,
            "resource": asked.resource,
            "max_age": asked.max_age,
            "prompt": " ".join(sorted(asked.prompts)) or None,
        },
    )
    authorization_requests.put(trip.request)
    return Redirect(trip.url, provider)


def _prompting(asked: SignInRequest, provider: Provider) -> dict[str, str]:
    """
    Hand the client's wishes on to a provider that can honour them; answer `login_required` where none could be shown.

    A fresh login is proved by `auth_time` in the ID token, for which `max_age` must be sent along (OpenID Connect Core
    section 3.1.2.1). What the provider then really did is judged at the callback.
    """
    if asked.wants_fresh_login and provider.protocol != "oidc":
        raise OAuthError("login_required", "This provider cannot prove a fresh login.")
    if "none" in asked.prompts and "none" not in provider.prompt_values_supported:
        raise OAuthError("login_required", "This provider must ask the user.")

    extra = {}
    prompts = [prompt for prompt in PROMPTS if prompt in asked.prompts and prompt in provider.prompt_values_supported]
    if prompts:
        extra["prompt"] = " ".join(prompts)
    if asked.wants_fresh_login:
        extra["max_age"] = "0" if "login" in asked.prompts else str(asked.max_age)
    if asked.login_hint is not None and provider.protocol == "oidc":
        extra["login_hint"] = asked.login_hint
    return extra
