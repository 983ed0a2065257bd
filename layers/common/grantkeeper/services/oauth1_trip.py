"""
A trip by OAuth 1.0a (RFC 5849 section 2), which needs a call to the provider before the user can be sent there.

    /connect/{ticket} ─► our callback, `state` A: request token ─► consent page ─► our callback, `state` B: access token

The function that follows connect links holds no secret and calls nobody, so the callback's makes that call: the first
visit spends trip A and puts trip B in its place, whose `state` travels in `oauth_callback` and seals the request
token's secret. Both visits must be of the browser that followed the link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime

from grantkeeper import ids
from grantkeeper.model import AuthorizationRequest, HttpRequest, HttpResponse, ProviderCredentials
from grantkeeper.oauth.failure import failure
from grantkeeper.oauth.oauth1 import (
    Credentials1,
    access_token_request,
    authorization_url,
    request_token_request,
    sign,
    temporary_credentials,
)
from grantkeeper.oauth.token_response import granted
from grantkeeper.ports import AuthorizationRequests, ProviderHttp
from grantkeeper.providers.record import Provider
from grantkeeper.services.redeem_provider_code import ProviderTokens, read_set, refusal
from grantkeeper.services.trips import LIFETIME, TripSecrets, seal_secrets


def begin_oauth1(
    trip: AuthorizationRequest,
    *,
    provider: Provider,
    credentials: ProviderCredentials,
    authorization_requests: AuthorizationRequests,
    http: ProviderHttp,
    now: int,
) -> str:
    """
    Ask for a request token and say where the user consents.

    Args:
        trip: Redeemed; the one that begins here takes its place.
        provider: Its variables filled.
        credentials: With their secret.
        http: Sends one request, two when the provider's clock differs (C-96).
        now: Epoch seconds.

    Returns:
        The URL of the consent page.

    Raises:
        ProviderUnavailable, ProviderMisconfigured, ProviderNotConfigured: No request token now.
        TokenResponseRejected: An answer that grants none, or confirms no callback (C-92).
    """
    state = ids.new_secret()
    callback = f"{trip.redirect_uri}?state={state}"
    answer = _send(lambda at: request_token_request(provider, credentials, callback=callback, now=at), http, now=now)
    if answer.status != 200:
        raise refusal(failure(answer, provider=provider, now=now))
    temporary = temporary_credentials(answer)
    secrets = TripSecrets(None, None, request_token=temporary.token, request_token_secret=temporary.secret)
    authorization_requests.put(
        replace(
            trip,
            state_hash=ids.digest(state),
            sealed=seal_secrets(state, secrets),
            created_at=now,
            expires_at=now + LIFETIME,  # temporary credentials are not used for longer either (C-98)
        )
    )
    return authorization_url(provider, request_token=temporary.token, scopes=trip.scopes)


def redeem_verifier(
    verifier: str,
    secrets: TripSecrets,
    *,
    provider: Provider,
    credentials: ProviderCredentials,
    http: ProviderHttp,
    now: int,
) -> ProviderTokens:
    """
    Exchange the request token for token credentials, once (C-94).

    Raises:
        ProviderUnavailable, ProviderMisconfigured: No answer, or our registration was refused.
        TokenResponseRejected: The answer grants nothing.
    """
    temporary = Credentials1(secrets.request_token or "", secrets.request_token_secret or "")
    answer = _send(
        lambda at: access_token_request(provider, credentials, temporary=temporary, verifier=verifier, now=at),
        http,
        now=now,
    )
    names = granted(answer, provider=provider)
    if not names:
        raise refusal(failure(answer, provider=provider, now=now))
    return ProviderTokens(answer.body, {name: read_set(answer, provider, name, now=now) for name in names}, None)


def signer(
    provider: Provider, credentials: ProviderCredentials, tokens: ProviderTokens, *, now: int
) -> Callable[[HttpRequest], HttpRequest]:
    """Make what signs requests with fresh token credentials: for the profile."""
    token_set = next(iter(tokens.sets.values()))
    token = Credentials1(token_set.access_token, str(token_set.metadata.get("token_secret") or ""))
    return lambda request: sign(request, provider=provider, credentials=credentials, token=token, now=now)


def _send(build: Callable[[int], HttpRequest], http: ProviderHttp, *, now: int) -> HttpResponse:
    """Send, and once more by the provider's clock when it refuses ours: nothing was spent by the first (C-96)."""
    answer = http.send(build(now))
    theirs = _date(answer.headers)
    if answer.status in (400, 401) and b"timestamp_refused" in answer.body[:4096] and theirs is not None:
        return http.send(build(theirs))
    return answer


def _date(headers: Mapping[str, str]) -> int | None:
    try:
        return int(parsedate_to_datetime(headers.get("date", "")).timestamp())
    except (ValueError, TypeError, OverflowError):
        return None
