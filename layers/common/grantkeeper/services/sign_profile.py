"""What completes a request of the profile for which an access token alone is not enough: our registration."""

from __future__ import annotations

from collections.abc import Callable

from grantkeeper.model import HttpRequest, ProviderCredentials
from grantkeeper.oauth.token_request import introspection_request
from grantkeeper.providers.record import Provider
from grantkeeper.services.redeem_provider_code import ProviderTokens

Sign = Callable[[HttpRequest], HttpRequest]


def needs_registration(provider: Provider) -> bool:
    """Tell whether the profile of this provider is read with our credentials beside the user's token."""
    return any(request.auth in ("oauth1", "introspection") for request in provider.profile.requests)


def signer_for(
    provider: Provider, credentials: ProviderCredentials, tokens: ProviderTokens, *, now: int
) -> Sign | None:
    """
    Make what completes such requests: a signature (OAuth 1.0a), or an introspection (RFC 7662).

    Args:
        provider: The record, its variables filled.
        credentials: Those the tokens were issued to, with their secret.
        tokens: Whose account is asked for.
        now: Epoch seconds.

    Returns:
        None where the record has no such request.
    """
    if not needs_registration(provider):
        return None
    if provider.protocol == "oauth1":
        from grantkeeper.services.oauth1_trip import signer  # noqa: PLC0415 - OAuth 1.0a only

        return signer(provider, credentials, tokens, now=now)
    token = next(iter(tokens.sets.values())).access_token
    return lambda request: introspection_request(provider, credentials, url=request.url, token=token)
