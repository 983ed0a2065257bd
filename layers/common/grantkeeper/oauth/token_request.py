"""Requests to a provider's token and revocation endpoints (RFC 6749 sections 2.3.1, 4.1.3, 6; RFC 7009; RFC 7523)."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlencode

from grantkeeper.errors import ProviderMisconfigured, ProviderNotConfigured
from grantkeeper.ids import new_secret
from grantkeeper.model import HttpRequest
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.oauth.scopes import scope_parameters

if TYPE_CHECKING:
    from grantkeeper.model import AuthMethod, ProviderCredentials, TokenSet
    from grantkeeper.providers.record import Pairs, Provider, RevocationRule

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 60


def code_request(
    provider: Provider,
    credentials: ProviderCredentials,
    *,
    code: str,
    redirect_uri: str,
    code_verifier: str | None = None,
    client_assertion: str | None = None,
    variables: Pairs = (),
) -> HttpRequest:
    """
    Build the exchange of an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    `redirect_uri` is always sent, as it always was in the authorization request.

    Args:
        provider: Whose token endpoint, in which dialect.
        credentials: Our registration there.
        code: As `check_authorization_response` returned it.
        redirect_uri: The one of the trip.
        code_verifier: The one of the trip; not sent where PKCE is unsupported.
        client_assertion: A signed JWT of `assertion_claims`, for `private_key_jwt` only.
        variables: Values of the endpoint variables.

    Raises:
        ProviderNotConfigured: The registration lacks the secret its method needs.
        ProviderMisconfigured: `private_key_jwt` without an assertion.
    """
    provider = resolve(provider, variables)
    params = dict(provider.code_params)
    params |= {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if code_verifier is not None and provider.pkce != "unsupported":
        params["code_verifier"] = code_verifier
    return _token_request(provider, credentials, provider.token_endpoint, params, client_assertion)


def refresh_request(
    provider: Provider,
    credentials: ProviderCredentials,
    *,
    refresh_token: str,
    scopes: Sequence[str] = (),
    redirect_uri: str | None = None,
    client_assertion: str | None = None,
    variables: Pairs = (),
) -> HttpRequest:
    """
    Build a refresh (RFC 6749 section 6).

    Args:
        provider: Whose endpoint: the record's `refresh_endpoint`, else its token endpoint.
        credentials: The registration the grant was made under.
        refresh_token: The one to spend.
        scopes: Granted scopes; sent only where the record asks for them.
        redirect_uri: Our callback; sent only where the record asks for it.
        client_assertion: See `code_request`.
        variables: Values of the endpoint variables the grant is bound to.

    Raises:
        ProviderNotConfigured: The registration lacks the secret its method needs.
        ProviderMisconfigured: `private_key_jwt` without an assertion.
    """
    provider = resolve(provider, variables)
    params = dict(provider.refresh_params)
    params |= {"grant_type": "refresh_token", "refresh_token": refresh_token}
    if provider.refresh_sends_scope:
        params |= scope_parameters(provider, scopes)
    if provider.refresh_sends_redirect_uri and redirect_uri is not None:
        params["redirect_uri"] = redirect_uri
    endpoint = provider.refresh_endpoint or provider.token_endpoint
    return _token_request(provider, credentials, endpoint, params, client_assertion)


def revocation_request(
    provider: Provider,
    credentials: ProviderCredentials,
    *,
    token_set: TokenSet,
    client_assertion: str | None = None,
    variables: Pairs = (),
) -> HttpRequest | None:
    """
    Build the upstream revocation of a token set (RFC 7009, or the record's own way).

    Where the record says `requires_live_access_token`, the caller refreshes an expired set first.

    Returns:
        None when the provider has no way to revoke, or the set lacks the token it takes.

    Raises:
        ProviderNotConfigured: The registration lacks the secret its method needs.
        ProviderMisconfigured: `private_key_jwt` without an assertion.
    """
    provider = resolve(provider, variables)
    rule = provider.revocation
    token = _token_to_revoke(rule, token_set)
    template = provider.revocation_endpoint if rule.kind == "rfc7009" else rule.url_template
    if rule.kind == "none" or token is None or template is None:
        return None

    headers = dict(provider.token_request_headers)
    params: dict[str, str] = {}
    if rule.encoding != "none":
        params[rule.token_parameter] = token
    if rule.kind == "rfc7009":
        hint = "refresh_token" if token == token_set.refresh_token else "access_token"
        params["token_type_hint"] = hint  # RFC 7009 section 2.1
    if rule.auth == "bearer":
        headers["authorization"] = f"Bearer {token}"
    elif rule.auth != "none":
        method = _method(provider, credentials) if rule.auth == "client" else rule.auth
        _authenticate(method, credentials, headers=headers, params=params, client_assertion=client_assertion)

    url = template.replace("{client_id}", quote(credentials.client_id, safe="")).replace(
        "{token}", quote(token, safe="")
    )
    return _request(rule.method, url, headers, params, rule.encoding)


def introspection_request(provider: Provider, credentials: ProviderCredentials, *, url: str, token: str) -> HttpRequest:
    """
    Build a question about an access token that our registration asks (RFC 7662 section 2.1).

    Raises:
        ProviderNotConfigured: The registration lacks the secret its method needs.
        ProviderMisconfigured: `private_key_jwt`, for which there is no assertion here.
    """
    params = {"token": token, "token_type_hint": "access_token"}
    headers = dict(provider.token_request_headers)
    method = _method(provider, credentials)
    _authenticate(method, credentials, headers=headers, params=params, client_assertion=None)
    return _request("POST", url, headers, params, "form")


def assertion_claims(provider: Provider, credentials: ProviderCredentials, *, now: int) -> Mapping[str, Any]:
    """
    Claims of a client assertion for `private_key_jwt` (RFC 7523 section 3, OpenID Connect Core section 9).

    The audience is the issuer where there is one: an assertion made for it is of no use at another endpoint's owner.
    """
    return {
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "aud": provider.issuer or provider.token_endpoint,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": new_secret(),
    }


def _token_request(
    provider: Provider,
    credentials: ProviderCredentials,
    endpoint: str,
    params: dict[str, str],
    client_assertion: str | None,
) -> HttpRequest:
    headers = dict(provider.token_request_headers)
    method = _method(provider, credentials)
    _authenticate(method, credentials, headers=headers, params=params, client_assertion=client_assertion)
    return _request("POST", endpoint, headers, params, provider.token_request_encoding)


def _method(provider: Provider, credentials: ProviderCredentials) -> AuthMethod:
    return credentials.auth_method or provider.token_endpoint_auth_method


def _authenticate(
    method: AuthMethod,
    credentials: ProviderCredentials,
    *,
    headers: dict[str, str],
    params: dict[str, str],
    client_assertion: str | None,
) -> None:
    """Authenticate in exactly one way: the header or the body, never both (RFC 6749 section 2.3)."""
    if method == "client_secret_basic":
        pair = f"{quote_plus(credentials.client_id)}:{quote_plus(_secret(credentials))}"
        headers["authorization"] = "Basic " + b64encode(pair.encode("ascii")).decode("ascii")
        return
    params["client_id"] = credentials.client_id
    if method == "client_secret_post":
        params["client_secret"] = _secret(credentials)
    elif method == "private_key_jwt":
        if client_assertion is None:
            raise ProviderMisconfigured("The registration signs its requests, and there is no signing key.")
        params |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": client_assertion}


def _secret(credentials: ProviderCredentials) -> str:
    if not credentials.client_secret:
        raise ProviderNotConfigured("The registration has no client secret.", provider=credentials.provider)
    return credentials.client_secret


def _token_to_revoke(rule: RevocationRule, token_set: TokenSet) -> str | None:
    if rule.token_hint == "access_token" or rule.auth == "bearer":
        return token_set.access_token or None
    # RFC 7009 section 2: a server takes the refresh token and may take the access token
    return token_set.refresh_token or (token_set.access_token if rule.kind == "rfc7009" else None) or None


def _request(method: Any, url: str, headers: dict[str, str], params: dict[str, str], encoding: str) -> HttpRequest:
    body = None
    if encoding == "form":
        headers["content-type"] = "application/x-www-form-urlencoded"
        body = urlencode(params).encode("ascii")
    elif encoding == "json":
        headers["content-type"] = "application/json"
        body = json.dumps(params, separators=(",", ":")).encode("ascii")
    return HttpRequest(method, url, tuple(headers.items()), body)
