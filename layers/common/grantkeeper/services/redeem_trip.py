"""What a trip that came back is worth: tokens, by whichever protocol its provider speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.oauth.endpoints import resolve
from grantkeeper.services.callback_ports import CallbackPorts
from grantkeeper.services.redeem_provider_code import ProviderTokens, redeem_provider_code
from grantkeeper.services.signin_request import Parameters
from grantkeeper.services.trips import open_secrets

if TYPE_CHECKING:
    from grantkeeper.model import AuthorizationRequest
    from grantkeeper.providers.record import Provider


def verifier_of(parameters: Parameters, trip: AuthorizationRequest, *, state: str, provider: Provider) -> str | None:
    """
    Judge the redirect of a provider that speaks OAuth 1.0a.

    Returns:
        The verifier; None while there is no request token: this browser has followed its link and not been at the
        provider yet. What was sealed under `state` says so, no parameter does.

    Raises:
        AuthorizationRequestExpired: The item was edited.
        ProviderDeclined, AuthorizationResponseRejected: As `oauth.oauth1.check_callback`.
    """
    secrets = open_secrets(state, trip)
    if secrets.request_token is None:
        return None
    from grantkeeper.oauth.oauth1 import check_callback  # noqa: PLC0415 - OAuth 1.0a only

    return check_callback(parameters, provider=provider, request_token=secrets.request_token)


def begin_trip(trip: AuthorizationRequest, *, ports: CallbackPorts, now: int) -> str:
    """
    Start a flow that needs a call to the provider first; where to send the browser.

    Raises:
        ProviderUnavailable, ProviderMisconfigured, ProviderNotConfigured, TokenResponseRejected: As
            `oauth1_trip.begin_oauth1`.
    """
    from grantkeeper.services.oauth1_trip import begin_oauth1  # noqa: PLC0415 - OAuth 1.0a only

    provider = resolve(ports.catalog.get(trip.provider), trip.variables)
    return begin_oauth1(
        trip,
        provider=provider,
        credentials=ports.credentials.by_client_id(provider.credentials_id, trip.credentials_id),
        authorization_requests=ports.authorization_requests,
        http=ports.provider_http,
        now=now,
    )


def redeem_trip(code: str, trip: AuthorizationRequest, *, state: str, ports: CallbackPorts, now: int) -> ProviderTokens:
    """
    Redeem a trip's code or verifier at its provider, once.

    Args:
        code: As it was judged.
        trip: Redeemed.
        state: Opens what the trip kept.

    Raises:
        AuthorizationRequestExpired: The item was edited.
        ProviderUnavailable, ProviderMisconfigured, TokenResponseRejected, IdTokenRejected: No tokens.
    """
    secrets = open_secrets(state, trip)
    provider = ports.catalog.get(trip.provider)
    credentials = ports.credentials.by_client_id(provider.credentials_id, trip.credentials_id)
    if provider.protocol == "oauth1":
        from grantkeeper.services.oauth1_trip import redeem_verifier  # noqa: PLC0415 - OAuth 1.0a only

        return redeem_verifier(
            code,
            secrets,
            provider=resolve(provider, trip.variables),
            credentials=credentials,
            http=ports.provider_http,
            now=now,
        )
    return redeem_provider_code(
        provider=provider,
        credentials=credentials,
        code=code,
        code_verifier=secrets.code_verifier,
        nonce=secrets.nonce,
        redirect_uri=trip.redirect_uri,
        http=ports.provider_http,
        keys=ports.provider_keys,
        now=now,
        variables=trip.variables,
    )
