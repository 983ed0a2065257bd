"""
One trip to a provider's consent page, however it began: to sign in or to connect.

The PKCE verifier and the nonce wait in the authorization request, sealed under
`state`. Only the hash of `state` is stored, so the table alone opens nothing
and only the browser that comes back can finish the trip.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from grantkeeper import ids, sealing
from grantkeeper.errors import AuthorizationRequestExpired, GrantUnreadable
from grantkeeper.model import AuthorizationRequest
from grantkeeper.oauth.authorization import authorization_url
from grantkeeper.oauth.endpoints import callback_uri, resolve_variables

if TYPE_CHECKING:
    from grantkeeper.model import Purpose
    from grantkeeper.providers.record import Pairs, Provider

LIFETIME = 600  # seconds
_CONTEXT = "authorization request"
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Trip:
    """A request to store, and the URL that is good for once it is stored."""

    request: AuthorizationRequest
    url: str = field(repr=False)  # carries `state`


@dataclass(frozen=True, slots=True)
class TripSecrets:
    """What the trip keeps from the browser and from the table."""

    code_verifier: str | None = field(repr=False)
    nonce: str | None = field(repr=False)
    request_token: str | None = field(default=None, repr=False)  # OAuth 1.0a, once there is one
    request_token_secret: str | None = field(default=None, repr=False)


def new_trip(
    *,
    provider: Provider,
    credentials_id: str,
    browser_hash: str,
    scopes: tuple[str, ...],
    purpose: Purpose,
    issuer: str,
    now: int,
    extra: Mapping[str, str] = _NONE,
    variables: Pairs = (),
    details: Mapping[str, Any] = MappingProxyType({}),
) -> Trip:
    """
    Make a trip with fresh `state`, verifier and nonce. Store its request before anybody is sent to its URL.

    Args:
        provider: The record; its endpoint variables are filled here.
        credentials_id: `client_id` of our registration at the provider.
        browser_hash: Hash of the binding cookie.
        scopes: Asked of the provider.
        issuer: Our own, without a trailing slash.
        now: Epoch seconds; the trip lasts ten minutes.
        extra: Parameters such as `prompt`.
        details: The fields of `AuthorizationRequest` that belong to the purpose.

    Raises:
        BadRequest: `extra` or `variables` hold what the record does not allow.
    """
    state = ids.new_secret()
    secrets = TripSecrets(
        code_verifier=None if provider.pkce == "unsupported" else ids.new_secret(),
        nonce=ids.new_secret() if provider.nonce and "openid" in scopes else None,
    )
    variables = resolve_variables(provider, variables)
    redirect_uri = callback_uri(issuer, provider.id)
    url = _url(
        provider=provider,
        client_id=credentials_id,
        redirect_uri=redirect_uri,
        state=state,
        scopes=scopes,
        purpose="connect" if purpose == "connect" else "signin",
        code_verifier=secrets.code_verifier,
        nonce=secrets.nonce,
        extra=extra,
        variables=variables,
    )
    request = AuthorizationRequest(
        state_hash=ids.digest(state),
        purpose=purpose,
        provider=provider.id,
        credentials_id=credentials_id,
        redirect_uri=redirect_uri,
        browser_hash=browser_hash,
        sealed=seal_secrets(state, secrets),
        scopes=scopes,
        created_at=now,
        expires_at=now + LIFETIME,
        variables=variables,
        **details,
    )
    return Trip(request, url)


def _url(*, provider: Provider, redirect_uri: str, state: str, **request: Any) -> str:
    """The consent page; for OAuth 1.0a our own callback, which first has to ask the provider for a request token."""
    if provider.protocol == "oauth1":
        return f"{redirect_uri}?state={state}"
    return authorization_url(provider=provider, redirect_uri=redirect_uri, state=state, **request)


def open_secrets(state: str, request: AuthorizationRequest) -> TripSecrets:
    """
    Open what the trip kept.

    Raises:
        AuthorizationRequestExpired: The item was edited, or belongs to another `state`.
    """
    try:
        content = json.loads(sealing.open_under(state, request.sealed, context=_CONTEXT))
    except GrantUnreadable:
        raise AuthorizationRequestExpired("Start again.") from None
    return TripSecrets(**content)


def seal_secrets(state: str, secrets: TripSecrets) -> bytes:
    """Seal what a trip keeps under its `state`."""
    content = asdict(secrets)
    return sealing.seal_under(state, json.dumps(content).encode(), context=_CONTEXT)
