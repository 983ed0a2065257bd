"""Who is this account? Asked of the provider with a fresh access token, by the record's `profile` rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import Profile
from grantkeeper.oauth.answers import parse_answer, strict_value
from grantkeeper.oauth.failure import retry_after_seconds
from grantkeeper.oauth.profile import resolve_profile, sources_needed
from grantkeeper.oauth.profile_request import profile_request, refused_in_body, trouble_in_body
from grantkeeper.oauth.token_response import token_names
from grantkeeper.ports import HttpRequest, ProviderHttp
from grantkeeper.providers.record import ProfileRequest, Provider
from grantkeeper.services.redeem_provider_code import ProviderTokens

BUDGET = 4.0  # seconds for each call
USERINFO = "userinfo"

Sign = Callable[[HttpRequest], HttpRequest]


def fetch_profile(
    *, provider: Provider, tokens: ProviderTokens, provider_http: ProviderHttp, sign: Sign | None = None
) -> Profile:
    """
    Find out whose the tokens are.

    The ID token is enough where it says who and which address; else the userinfo endpoint and the record's own requests
    are asked, with the token in the header only (RFC 6750 section 2.1). What userinfo says counts only for the subject
    of the ID token (OpenID Connect Core section 5.3.2): another user's access token put beside it is found out here.

    Args:
        provider: The record, its variables filled.
        tokens: The provider's answer, judged; its ID token's claims validated.
        provider_http: Sends the requests.
        sign: Signs a request that the record wants signed (OAuth 1.0a).

    Raises:
        ProviderUnavailable: The provider does not answer, or says that it cannot.
        TokenResponseRejected: `reason` is `token_refused` (the provider does not know its own token),
            `userinfo_subject` or `account_unknown`.
    """
    access_token = _access_token(tokens, provider)
    answers: dict[str, Any] = {}
    for request in _requests(provider, tokens.id_claims):
        if request.when == "email_missing" and _email_known(provider, tokens, answers):
            continue
        sent = _request(request, access_token, _sources(provider, tokens, answers), sign)
        answers[request.name] = None if sent is None else _ask(sent, request, provider, provider_http)
        if request.name == USERINFO:
            _check_subject(answers[USERINFO], tokens.id_claims)
    return _resolved(provider, tokens, answers)


def _requests(provider: Provider, id_claims: Mapping[str, Any] | None) -> list[ProfileRequest]:
    """The record's requests; userinfo goes without saying where the map names it and the ID token is not enough."""
    requests = list(provider.profile.requests)
    mentioned = any(place.startswith(f"{USERINFO}#") for places in provider.profile.map.values() for place in places)
    wanted = any(sources_needed(provider, id_claims=id_claims, field=name) for name in ("provider_user_id", "email"))
    if mentioned and wanted and provider.userinfo_endpoint and all(r.name != USERINFO for r in requests):
        requests.insert(0, ProfileRequest(USERINFO, provider.userinfo_endpoint))
    return requests


def _access_token(tokens: ProviderTokens, provider: Provider) -> str:
    token = next((tokens.sets[name].access_token for name in token_names(provider) if name in tokens.sets), "")
    if not token or not token.isascii() or not token.isprintable():  # it goes into a header
        raise TokenResponseRejected("The access token cannot be used.", reason="token_refused")
    return token


def _request(
    request: ProfileRequest, access_token: str, sources: Mapping[str, Any], sign: Sign | None
) -> HttpRequest | None:
    """None when the URL needs a value that nobody has told."""
    sent = profile_request(request, access_token, sources)
    if sent is None or request.auth != "oauth1":
        return sent
    if sign is None:
        raise TokenResponseRejected("Only the connect trip can sign this request.", reason="account_unknown")
    return sign(sent)


def _ask(sent: HttpRequest, request: ProfileRequest, provider: Provider, provider_http: ProviderHttp) -> Any:
    """
    One call; None when the provider answers, but not this: a missing scope hides an address, not the account.

    Raises:
        ProviderUnavailable: 408, 429 or 5xx.
        TokenResponseRejected: 401.
    """
    response = provider_http.send(sent, budget=BUDGET)
    if response.status == 401 or refused_in_body(request, response, provider):
        raise TokenResponseRejected("The provider does not know the token it issued.", reason="token_refused")
    failing = response.status in (408, 429) or response.status >= 500
    if failing or trouble_in_body(request, response, provider):
        retry_after = retry_after_seconds(response.headers.get("retry-after"))
        raise ProviderUnavailable("The provider could not say whose account this is.", retry_after=retry_after)
    return strict_value(response.body) if response.status == 200 else None


def _check_subject(userinfo: Any, id_claims: Mapping[str, Any] | None) -> None:
    if userinfo is None or id_claims is None:
        return
    if not isinstance(userinfo, dict) or userinfo.get("sub") != id_claims.get("sub"):
        raise TokenResponseRejected("The access token is another account's.", reason="userinfo_subject")


def _email_known(provider: Provider, tokens: ProviderTokens, answers: Mapping[str, Any]) -> bool:
    try:
        return _resolved(provider, tokens, answers).email is not None
    except TokenResponseRejected:
        return False


def _resolved(provider: Provider, tokens: ProviderTokens, answers: Mapping[str, Any]) -> Profile:
    token_response = parse_answer(tokens.body, provider=provider, lenient=True) or {}
    answers = {**answers, "metadata": _metadata(tokens)}
    return resolve_profile(provider, id_claims=tokens.id_claims, token_response=token_response, answers=answers)


def _sources(provider: Provider, tokens: ProviderTokens, answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a request's URL may be composed of."""
    body = parse_answer(tokens.body, provider=provider, lenient=True) or {}
    return {**answers, "metadata": _metadata(tokens), "token_response": body, "id_token": tokens.id_claims}


def _metadata(tokens: ProviderTokens) -> Mapping[str, Any]:
    """What the record keeps of token responses; a refresh carries it on."""
    return {name: value for each in tokens.sets.values() for name, value in each.metadata.items()}
