"""The authorization request (RFC 6749 section 4.1.1, RFC 7636 section 4.3, OpenID Connect Core section 3.1.2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

from grantkeeper.errors import BadRequest
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.oauth.pkce import code_challenge
from grantkeeper.oauth.scopes import scope_parameters

if TYPE_CHECKING:
    from grantkeeper.providers.record import Pairs, Provider

# What binds the trip to us. No record and no caller may set one of these.
PROTECTED_PARAMETERS = frozenset(
    {
        "response_type",
        "response_mode",
        "client_id",
        "client_secret",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "request",
        "request_uri",
        "client_assertion",
        "client_assertion_type",
    }
)
_NONE: Mapping[str, str] = MappingProxyType({})


def authorization_url(
    *,
    provider: Provider,
    client_id: str,
    redirect_uri: str,
    state: str,
    scopes: Sequence[str],
    purpose: Literal["signin", "connect"],
    code_verifier: str | None = None,
    nonce: str | None = None,
    extra: Mapping[str, str] = _NONE,
    variables: Pairs = (),
) -> str:
    """
    Build the URL of the provider's consent page.

    The provider's own extras come first, then the caller's, so that nothing can overwrite a parameter that carries
    security. The challenge is sent wherever the provider takes one, always as S256; the nonce goes with `openid`.

    Args:
        provider: Where to send the user, and in which dialect.
        client_id: Of our registration there.
        redirect_uri: The one fixed callback of that registration.
        state: The secret that binds the answer to the request.
        scopes: Provider scopes, in order; joined as the record says.
        purpose: Chooses between the record's sign-in and connect parameters: only connect asks for offline access.
        code_verifier: RFC 7636 verifier; needed unless the record says PKCE is unsupported.
        nonce: Needed when `openid` is among the scopes and the record does not decline it.
        extra: Parameters such as `prompt` or `login_hint`.
        variables: Values of the endpoint variables; defaults stand in.

    Returns:
        An absolute URL for a `Location` header.

    Raises:
        BadRequest: `extra` names a protected parameter, or a variable is malformed.
        ValueError: A verifier or nonce is missing that the provider takes: a bug of the caller.
    """
    provider = resolve(provider, variables)
    for name in extra:
        if name in PROTECTED_PARAMETERS or name in _scope_parameters(provider):
            raise BadRequest(f"The parameter {name} cannot be set.", parameter=name)

    params = dict(provider.authorization_params)
    params |= dict(provider.signin_params if purpose == "signin" else provider.connect_params)
    params |= extra
    params |= {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "state": state}
    params |= scope_parameters(provider, scopes)
    if provider.response_mode != "query":
        params["response_mode"] = provider.response_mode
    params |= _pkce(provider, code_verifier)
    params |= _nonce(provider, scopes, nonce)

    joint = "&" if "?" in provider.authorization_endpoint else "?"
    return f"{provider.authorization_endpoint}{joint}{urlencode(params, quote_via=quote)}"


def _scope_parameters(provider: Provider) -> tuple[str | None, ...]:
    return (provider.scope.parameter, *(extra.parameter for extra in provider.scope.extra))


def _pkce(provider: Provider, verifier: str | None) -> dict[str, str]:
    if provider.pkce == "unsupported":  # sending one can harm: Slack then turns the app into a public client
        return {}
    if verifier is None:
        raise ValueError("the provider takes PKCE, and there is no code verifier")
    return {"code_challenge": code_challenge(verifier), "code_challenge_method": "S256"}


def _nonce(provider: Provider, scopes: Sequence[str], nonce: str | None) -> dict[str, str]:
    if not provider.nonce or "openid" not in scopes:
        return {}
    if not nonce:
        raise ValueError("an ID token is asked for, and there is no nonce")
    return {"nonce": nonce}
