"""Redeem the code a provider gave us: one request, one judgement of the answer (RFC 6749 section 4.1.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import (
    IdTokenRejected,
    ProviderMisconfigured,
    ProviderUnavailable,
    TokenResponseRejected,
)
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.oauth.failure import Failure, failure
from grantkeeper.oauth.token_request import code_request
from grantkeeper.oauth.token_response import granted, id_token_of, sealable, token_set
from grantkeeper.services.provider_keys import ProviderKeys

if TYPE_CHECKING:
    from grantkeeper.model import HttpResponse, ProviderCredentials, TokenSet
    from grantkeeper.ports import ProviderHttp
    from grantkeeper.providers.record import Pairs, Provider


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """What a code was redeemed for: the body as it came, the named token sets in it, the claims of its ID token."""

    body: bytes = field(repr=False)
    sets: Mapping[str, TokenSet]
    id_claims: Mapping[str, Any] | None = field(repr=False)


def redeem_provider_code(
    *,
    provider: Provider,
    credentials: ProviderCredentials,
    code: str,
    code_verifier: str | None,
    nonce: str | None,
    redirect_uri: str,
    http: ProviderHttp,
    keys: ProviderKeys,
    now: int,
    max_age: int | None = None,
    variables: Pairs = (),
) -> ProviderTokens:
    """
    Send the code to the token endpoint, once, and believe the answer only after every check.

    A code is never sent twice (C-55): when the answer is lost the user starts again. An OpenID provider that was asked
    for `openid` must answer with an ID token, which is validated whatever channel it came by.

    Args:
        provider: The record; its endpoint variables are filled here.
        credentials: The registration the trip was made with.
        code: As `check_authorization_response` returned it.
        code_verifier: The trip's; None where PKCE is unsupported.
        nonce: The trip's; None when no ID token was asked for.
        redirect_uri: The trip's.
        http: Sends one request.
        keys: The provider's published keys.
        now: Epoch seconds.
        max_age: Seconds since the user's last sign-in at the provider, to be proved by `auth_time`.
        variables: Values of the endpoint variables of the trip.

    Raises:
        ProviderUnavailable: No answer, or one that says so.
        ProviderMisconfigured: The provider refused our registration.
        TokenResponseRejected: The answer grants nothing; `reason` says why.
        IdTokenRejected: The ID token is missing or fails a check.
    """
    provider = resolve(provider, variables)
    request = code_request(
        provider,
        credentials,
        code=code,
        redirect_uri=redirect_uri,
        code_verifier=code_verifier,
        variables=variables,
    )
    answer = http.send(request)
    names = granted(answer, provider=provider)
    if not names:
        raise refusal(failure(answer, provider=provider, now=now))

    sets = {name: read_set(answer, provider, name, now=now) for name in names}
    claims = _id_claims(
        answer, sets, provider=provider, credentials=credentials, keys=keys, nonce=nonce, now=now, max_age=max_age
    )
    if claims is not None and provider.token_response.kept_claims:
        sets = {name: read_set(answer, provider, name, now=now, id_claims=claims) for name in names}
    return ProviderTokens(answer.body, sets, claims)


def read_set(
    answer: HttpResponse, provider: Provider, name: str, *, now: int, id_claims: Mapping[str, Any] | None = None
) -> TokenSet:
    """Read a token set as it will be read from the vault, so that both readings agree."""
    plaintext = sealable(answer.body, provider=provider, name=name, previous=None, received_at=now, id_claims=id_claims)
    return token_set(plaintext, provider=provider, name=name)


def refusal(fault: Failure) -> Exception:
    """Make the error a refused exchange ends in, in our words."""
    if fault.kind == "transient":
        return ProviderUnavailable(
            "The provider could not answer.", outcome_unknown=fault.outcome_unknown, retry_after=fault.retry_after
        )
    if fault.kind == "config":
        return ProviderMisconfigured("The provider refused our registration.", error=fault.error)
    return TokenResponseRejected("The provider did not grant the code.", reason=fault.reason or fault.error)


def _id_claims(
    answer: HttpResponse,
    sets: Mapping[str, TokenSet],
    *,
    provider: Provider,
    credentials: ProviderCredentials,
    keys: ProviderKeys,
    nonce: str | None,
    now: int,
    max_age: int | None,
) -> Mapping[str, Any] | None:
    """The claims of the ID token, if this provider's is one to rely on and one was asked for."""
    if provider.protocol != "oidc" or (provider.nonce and nonce is None):
        return None
    token = id_token_of(answer.body, provider=provider)
    if token is None:
        raise IdTokenRejected("The answer holds no ID token.", reason="missing")
    from grantkeeper.oauth.id_token import key_id_of, validate_id_token  # noqa: PLC0415 - loads a JOSE library

    return validate_id_token(
        token,
        provider=provider,
        client_id=credentials.client_id,
        nonce=nonce,
        keys=keys.keys(provider, now, key_id_of(token)),
        now=now,
        max_age=max_age,
        access_token=next(iter(sets.values())).access_token,
    )
