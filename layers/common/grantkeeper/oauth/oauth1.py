"""
OAuth 1.0a (RFC 5849): temporary credentials, the user's authorization, token credentials.

    request_token_request ─► temporary_credentials ─► authorization_url ─► check_callback ─► access_token_request

Signatures are Authlib's, loaded when the first one is made. Time and nonce come from the caller and from `secrets`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import quote, urlencode

from grantkeeper import ids
from grantkeeper.errors import (
    AuthorizationResponseRejected,
    ProviderDeclined,
    ProviderNotConfigured,
    TokenResponseRejected,
)
from grantkeeper.model import HttpRequest, HttpResponse, ProviderCredentials
from grantkeeper.oauth.answers import form_object
from grantkeeper.oauth.scopes import scope_parameters
from grantkeeper.providers.record import OAuth1Rule, Provider

MAX_TOKEN = 2048
MAX_VERIFIER = 1024


@dataclass(frozen=True, slots=True)
class Credentials1:
    """A token and its secret: temporary credentials or token credentials (RFC 5849 section 1.1)."""

    token: str = field(repr=False)
    secret: str = field(repr=False)


def request_token_request(
    provider: Provider, credentials: ProviderCredentials, *, callback: str, now: int
) -> HttpRequest:
    """
    Build the request for temporary credentials (section 2.1).

    Args:
        provider: Its `oauth1` rule knows endpoint, method and signature.
        credentials: Our registration: consumer key and secret.
        callback: Where the user comes back to; carries what binds the trip, since there is no `state`.
        now: Epoch seconds, the request's timestamp.

    Raises:
        ProviderNotConfigured: The registration lacks its secret.
    """
    rule = _rule(provider)
    request = HttpRequest(rule.request_method, rule.request_token_endpoint, _ACCEPT)
    return sign(request, provider=provider, credentials=credentials, callback=callback, now=now)


def temporary_credentials(http: HttpResponse) -> Credentials1:
    """
    Read the answer to `request_token_request` (section 2.1).

    Raises:
        TokenResponseRejected: No credentials, or `oauth_callback_confirmed` is not `true`: the server is one of OAuth
            1.0 without the a, open to session fixation (C-92). `reason` is `request_token_missing` or
            `callback_not_confirmed`.
    """
    answer = form_object(http.body) if http.status == 200 else None
    token, secret = (answer or {}).get("oauth_token"), (answer or {}).get("oauth_token_secret")
    if answer is None or not token or secret is None or len(token) > MAX_TOKEN or len(secret) > MAX_TOKEN:
        raise TokenResponseRejected("The provider gave no request token.", reason="request_token_missing")
    if answer.get("oauth_callback_confirmed") != "true":
        raise TokenResponseRejected("The provider did not confirm the callback.", reason="callback_not_confirmed")
    return Credentials1(token, secret)


def authorization_url(provider: Provider, *, request_token: str, scopes: Sequence[str]) -> str:
    """
    Build the URL of the consent page (section 2.2).

    Args:
        provider: Its connect parameters come first; nothing overwrites the token.
        request_token: Of the temporary credentials.
        scopes: Where the provider has any, in the record's spelling.
    """
    params = dict(provider.authorization_params) | dict(provider.connect_params)
    params |= scope_parameters(provider, scopes) | {"oauth_token": request_token}
    joint = "&" if "?" in provider.authorization_endpoint else "?"
    return f"{provider.authorization_endpoint}{joint}{urlencode(params, quote_via=quote)}"


def check_callback(query: Mapping[str, tuple[str, ...]], *, provider: Provider, request_token: str) -> str:
    """
    Judge the redirect back (section 2.2); only what passes may be redeemed.

    Args:
        query: Every value of every parameter, decoded once.
        provider: Its `oauth1` rule names the parameter of a refusal.
        request_token: The one this browser left with: another's is an attempt at session fixation (C-93).

    Returns:
        The verifier.

    Raises:
        ProviderDeclined: The user said no.
        AuthorizationResponseRejected: `reason` is `parameter_repeated`, `token_mismatch` or `verifier_missing`.
    """
    if any(len(values) != 1 for values in query.values()):
        _reject("parameter_repeated", "A parameter is repeated.")
    if _rule(provider).denied_parameter in query:
        raise ProviderDeclined("Access was not granted at the provider.", error="access_denied", reason="declined")
    if not ids.same(query.get("oauth_token", ("",))[0], request_token):
        _reject("token_mismatch", "The answer belongs to another request.")
    verifier = query.get("oauth_verifier", ("",))[0]
    if not 0 < len(verifier) <= MAX_VERIFIER:
        _reject("verifier_missing", "The answer holds no verifier.")
    return verifier


def access_token_request(
    provider: Provider, credentials: ProviderCredentials, *, temporary: Credentials1, verifier: str, now: int
) -> HttpRequest:
    """
    Build the request for token credentials (section 2.3). Its answer is the record's `token_response`, form-encoded.

    Raises:
        ProviderNotConfigured: The registration lacks its secret.
    """
    request = HttpRequest(_rule(provider).request_method, provider.token_endpoint, _ACCEPT)
    return sign(request, provider=provider, credentials=credentials, token=temporary, verifier=verifier, now=now)


def sign(
    request: HttpRequest,
    *,
    provider: Provider,
    credentials: ProviderCredentials,
    now: int,
    token: Credentials1 | None = None,
    callback: str | None = None,
    verifier: str | None = None,
) -> HttpRequest:
    """
    Sign a request (section 3), with a nonce that is never used again; the parameters go into the header (3.5.1).

    Args:
        request: Without a form body; its URL may have a query, which is signed too.
        provider: Its `oauth1` rule names the signature method.
        credentials: Consumer key and secret.
        now: Epoch seconds.
        token: The token the request is made with, if there is one.
        callback: `oauth_callback`, of the first request.
        verifier: `oauth_verifier`, of the third.

    Raises:
        ProviderNotConfigured: The registration lacks its secret.
    """
    from authlib.oauth1.rfc5849.client_auth import ClientAuth  # noqa: PLC0415 - 30 ms, for OAuth 1.0a only
    from authlib.oauth1.rfc5849.parameters import prepare_headers  # noqa: PLC0415

    if not credentials.client_secret:
        raise ProviderNotConfigured("The registration has no client secret.", provider=credentials.provider)
    client = ClientAuth(
        credentials.client_id,
        client_secret=credentials.client_secret,
        token=None if token is None else token.token,
        token_secret=None if token is None else token.secret,
        redirect_uri=callback,
        verifier=verifier,
        signature_method=_rule(provider).signature_method,
    )
    params = client.get_oauth_params(ids.new_secret(), str(now))
    unsigned = prepare_headers(params, {})
    signature = client.get_oauth_signature(request.method, request.url, unsigned, "")
    signed = prepare_headers([*params, ("oauth_signature", signature)], {})
    headers = (*request.headers, ("authorization", signed["Authorization"]))
    return HttpRequest(request.method, request.url, headers, request.body)


_ACCEPT = (("accept", "application/x-www-form-urlencoded"),)


def _rule(provider: Provider) -> OAuth1Rule:
    if provider.oauth1 is None:
        raise ValueError(f"{provider.id} does not speak OAuth 1.0a")
    return provider.oauth1


def _reject(reason: str, detail: str) -> NoReturn:
    raise AuthorizationResponseRejected(detail, reason=reason)
