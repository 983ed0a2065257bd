"""Who is this account? Asked of the provider with a fresh access token, by the record's `profile` rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import AccountMismatch, ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import HttpRequest
from grantkeeper.oauth.answers import parse_answer, strict_value
from grantkeeper.oauth.failure import retry_after_seconds
from grantkeeper.oauth.profile import account_shown, resolve_profile, sources_needed, verification_told
from grantkeeper.oauth.profile_request import profile_request, refused_in_body, trouble_in_body
from grantkeeper.oauth.token_response import token_names
from grantkeeper.providers.record import ProfileRequest
from grantkeeper.services.redeem_provider_code import ProviderTokens

if TYPE_CHECKING:
    from grantkeeper.model import Profile
    from grantkeeper.ports import ProviderHttp
    from grantkeeper.providers.record import Provider

BUDGET = 4.0  # seconds for each call
OPTIONAL_BUDGET = 1.5  # seconds for one that the profile can do without
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
        sign: Completes a request that needs our registration too (OAuth 1.0a, introspection).

    Raises:
        ProviderUnavailable: The provider does not answer, or says that it cannot.
        TokenResponseRejected: `reason` is `token_refused` (the provider does not know its own token),
            `userinfo_subject` or `account_unknown`.
    """
    answers = _answers(provider, tokens, provider_http, sign)
    return _resolved(provider, tokens, answers)


def fetch_profile_again(
    known: Profile,
    *,
    provider: Provider,
    tokens: ProviderTokens,
    provider_http: ProviderHttp,
    sign: Sign | None = None,
) -> Profile:
    """
    Read the profile of a connected account anew, when the trip's ID token and first answer are gone.

    The provider has to show that the token is still of this account; what was kept shows nothing. An address that was
    verified stays so while it is the same and the provider no longer says either way.

    Args:
        known: As it was read before.
        tokens: An opened set, with the metadata it keeps and without ID token or answer.

    Raises:
        AccountMismatch: The provider names another account (C-57).
        ProviderUnavailable, TokenResponseRejected: As `fetch_profile`; `account_unknown` also when the provider does
            not say whose token it is.
    """
    answers = _answers(provider, tokens, provider_http, sign)
    same = account_shown(provider, account_id=known.provider_user_id, answers=answers, kept=_metadata(tokens))
    if same is None:
        raise TokenResponseRejected("The provider does not say which account this is.", reason="account_unknown")
    fresh = _resolved(provider, tokens, answers)
    if not same or fresh.provider_user_id != known.provider_user_id:
        raise AccountMismatch("The provider names another account.")
    if fresh.email == known.email and not verification_told(provider, answers=answers):
        return replace(fresh, email_verified=known.email_verified)
    return fresh


def access_token_of(tokens: ProviderTokens, provider: Provider) -> str:
    """
    The first token of the record's that is there.

    Raises:
        TokenResponseRejected: It does not fit into a header: `token_refused`.
    """
    token = next((tokens.sets[name].access_token for name in token_names(provider) if name in tokens.sets), "")
    if not token or not token.isascii() or not token.isprintable():
        raise TokenResponseRejected("The access token cannot be used.", reason="token_refused")
    return token


def _answers(
    provider: Provider, tokens: ProviderTokens, provider_http: ProviderHttp, sign: Sign | None
) -> Mapping[str, Any]:
    """What the provider says to each request of the record."""
    access_token = access_token_of(tokens, provider)
    answers: dict[str, Any] = {}
    for request in _requests(provider, tokens.id_claims):
        if request.when == "email_missing" and _email_known(provider, tokens, answers):
            continue
        sent = _request(request, access_token, sources_of(provider, tokens, answers), sign)
        ask = _try if request.optional else _ask
        answers[request.name] = None if sent is None else ask(sent, request, provider, provider_http)
        if request.name == USERINFO:
            _check_subject(answers[USERINFO], tokens.id_claims)
    return answers


def _requests(provider: Provider, id_claims: Mapping[str, Any] | None) -> list[ProfileRequest]:
    """The record's requests; userinfo goes without saying where the map names it and the ID token is not enough."""
    requests = list(provider.profile.requests)
    if id_claims is not None:
        requests = [request for request in requests if request.when != "no_id_token"]
    mentioned = any(place.startswith(f"{USERINFO}#") for places in provider.profile.map.values() for place in places)
    wanted = any(sources_needed(provider, id_claims=id_claims, field=name) for name in ("provider_user_id", "email"))
    ruled = any(request.name == USERINFO for request in provider.profile.requests)
    if mentioned and wanted and provider.userinfo_endpoint and not ruled:
        requests.insert(0, ProfileRequest(USERINFO, provider.userinfo_endpoint))
    return requests


def _request(
    request: ProfileRequest, access_token: str, sources: Mapping[str, Any], sign: Sign | None
) -> HttpRequest | None:
    """None when the URL needs a value that nobody has told."""
    sent = profile_request(request, access_token, sources)
    if sent is None or request.auth not in ("oauth1", "introspection"):
        return sent
    if sign is None:
        raise TokenResponseRejected("Only the connect trip can sign this request.", reason="account_unknown")
    return sign(sent)


def _try(sent: HttpRequest, request: ProfileRequest, provider: Provider, provider_http: ProviderHttp) -> Any:
    """A call the profile can do without: no trouble with it is anybody's."""
    try:
        return _ask(sent, request, provider, provider_http, budget=OPTIONAL_BUDGET)
    except (ProviderUnavailable, TokenResponseRejected):
        return None


def _ask(
    sent: HttpRequest,
    request: ProfileRequest,
    provider: Provider,
    provider_http: ProviderHttp,
    *,
    budget: float = BUDGET,
) -> Any:
    """
    One call; None when the provider answers, but not this: a missing scope hides an address, not the account.

    Raises:
        ProviderUnavailable: 408, 429 or 5xx.
        TokenResponseRejected: 401.
    """
    response = provider_http.send(sent, budget=budget)
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


def sources_of(provider: Provider, tokens: ProviderTokens, answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the URL of a request may be composed of."""
    body = parse_answer(tokens.body, provider=provider, lenient=True) or {}
    return {**answers, "metadata": _metadata(tokens), "token_response": body, "id_token": tokens.id_claims}


def _metadata(tokens: ProviderTokens) -> Mapping[str, Any]:
    """What the record keeps of token responses; a refresh carries it on."""
    return {name: value for each in tokens.sets.values() for name, value in each.metadata.items()}
