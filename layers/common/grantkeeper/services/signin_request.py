"""The parameters of a client's authorization request, judged (RFC 6749 section 4.1.1, OpenID Connect Core 3.1.2.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantkeeper.errors import BadRequest, OAuthError

if TYPE_CHECKING:
    from grantkeeper.model import Client

Parameters = Mapping[str, tuple[str, ...]]

PROMPTS = ("none", "login", "consent", "select_account")
MAX_AGE_LIMIT = 10 * 365 * 86400
_LIMITS = {"state": 2048, "nonce": 512, "scope": 1024, "resource": 512, "login_hint": 320, "provider": 64}
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
_NOT_SUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """What a client asks for, checked. Its `state` and redirect_uri are known before, for the answer."""

    scopes: tuple[str, ...]
    code_challenge: str
    prompts: frozenset[str]
    provider: str | None = None
    nonce: str | None = None
    max_age: int | None = None
    resource: str | None = None
    login_hint: str | None = None

    @property
    def wants_fresh_login(self) -> bool:
        """True when only the provider's `auth_time` can show that the request was honoured."""
        return "login" in self.prompts or self.max_age is not None


def check_signin_request(parameters: Parameters, *, client: Client, issuer: str) -> SignInRequest:
    """
    Judge everything but client and redirect_uri.

    Raises:
        OAuthError: With the code that belongs in the redirect.
    """
    _check_form(parameters)
    if only(parameters, "response_type") != "code":
        raise OAuthError("unsupported_response_type", "Only response_type=code is supported.")
    if only(parameters, "response_mode") not in (None, "query"):
        raise OAuthError("invalid_request", "Only response_mode=query is supported.")
    scopes = tuple(dict.fromkeys((only(parameters, "scope") or "").split(" ")))
    if "openid" not in scopes:
        raise OAuthError("invalid_scope", "The scope must hold openid.")

    return SignInRequest(
        scopes=tuple(scope for scope in scopes if scope in client.scopes),
        code_challenge=_code_challenge(parameters),
        prompts=_prompts(parameters),
        provider=only(parameters, "provider") or None,
        nonce=only(parameters, "nonce") or None,
        max_age=_max_age(parameters),
        resource=_resource(parameters, client=client, issuer=issuer),
        login_hint=only(parameters, "login_hint") or None,
    )


def _check_form(parameters: Parameters) -> None:
    """No parameter twice (RFC 6749 section 3.1), no request objects, nothing of absurd length."""
    for name, values in parameters.items():
        if len(values) != 1:
            raise OAuthError("invalid_request", "A parameter is repeated.")
        if len(values[0]) > _LIMITS.get(name, 4096):
            raise OAuthError("invalid_request", "A parameter is too long.")
        if name in _NOT_SUPPORTED:
            raise OAuthError(_NOT_SUPPORTED[name], "Send plain parameters.")


def _code_challenge(parameters: Parameters) -> str:
    """S256 is required of every client (RFC 9700 section 2.1.1); a missing method would mean plain."""
    challenge = only(parameters, "code_challenge") or ""
    if only(parameters, "code_challenge_method") != "S256" or _CHALLENGE.match(challenge) is None:
        raise OAuthError("invalid_request", "PKCE with code_challenge_method=S256 is required.")
    return challenge


def _prompts(parameters: Parameters) -> frozenset[str]:
    prompts = frozenset((only(parameters, "prompt") or "").split())
    if not prompts <= set(PROMPTS) or ("none" in prompts and len(prompts) > 1):
        raise OAuthError("invalid_request", "The prompt is not supported.")
    return prompts


def _max_age(parameters: Parameters) -> int | None:
    text = only(parameters, "max_age")
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) is None or int(text) > MAX_AGE_LIMIT:
        raise OAuthError("invalid_request", "max_age is a number of seconds.")
    return int(text)


def _resource(parameters: Parameters, *, client: Client, issuer: str) -> str | None:
    """RFC 8707: our own API, which is also the default, or one the client registered. One at a time."""
    resource = only(parameters, "resource")
    if resource is None or resource == issuer:
        return None
    if resource not in client.resources:
        raise OAuthError("invalid_target", "The resource is not registered for this client.")
    return resource


def only(parameters: Parameters, name: str) -> str | None:
    """
    A parameter's only value.

    Raises:
        BadRequest: It is repeated; where that may travel in the redirect, `_check_form` has said so before.
    """
    values = parameters.get(name, ())
    if len(values) > 1:
        raise BadRequest(f"The parameter {name} is repeated.", parameter=name)
    return values[0] if values else None


def client_state(parameters: Parameters) -> str | None:
    """The client's `state` for the answer: none when it is repeated or too long, whose fault is told without it."""
    values = parameters.get("state", ())
    return values[0] if len(values) == 1 and 0 < len(values[0]) <= _LIMITS["state"] else None
