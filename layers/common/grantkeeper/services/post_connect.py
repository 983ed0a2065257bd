"""What a record asks once the account is known, and keeps beside the connection: the sites a token is good for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.oauth.answers import strict_value
from grantkeeper.oauth.failure import retry_after_seconds
from grantkeeper.oauth.json_pointer import lookup
from grantkeeper.oauth.profile_request import profile_request, refused_in_body, trouble_in_body
from grantkeeper.oauth.token_response import token_names
from grantkeeper.ports import ProviderHttp
from grantkeeper.providers.record import PostConnect, Provider
from grantkeeper.services.redeem_provider_code import ProviderTokens

BUDGET = 4.0  # seconds for each call
MAX_ENTRIES = 50
MAX_TEXT = 512  # characters
MAX_SIZE = 8 * 1024  # bytes of all that one step keeps, as JSON: it is written with every change of the connection


def ask_after_connect(
    *, provider: Provider, tokens: ProviderTokens, provider_http: ProviderHttp, most: float = BUDGET
) -> Mapping[str, list[dict[str, Any]]]:
    """
    Take the record's steps after a connect, one call each.

    Args:
        provider: The record, its variables filled.
        tokens: The account's, judged.
        provider_http: Sends the requests: a deadline, a cap on the answer, no redirect, no private address.
        most: Seconds there are for each call, 4 at most.

    Returns:
        What to keep, by the name of its step. A step that got no answer is not there, so that what was kept before
        stays; of one that got too much the first entries are kept.

    Raises:
        ProviderUnavailable: A step without which the connection is no use got no answer.
        TokenResponseRejected: Or one that says nothing: `reason` is `post_connect`.
    """
    kept = {}
    for step in provider.post_connect:
        try:
            asked = _ask(step, provider, tokens, provider_http, budget=min(most, BUDGET))
            kept[step.request.name] = _entries(asked, step)
        except (ProviderUnavailable, TokenResponseRejected):
            if step.required:
                raise
    return kept


def _ask(
    step: PostConnect, provider: Provider, tokens: ProviderTokens, provider_http: ProviderHttp, *, budget: float
) -> Any:
    if budget <= 0:
        raise ProviderUnavailable("There is no time left to ask what the token is good for.", retry_after=1)
    own = next((tokens.sets[name] for name in token_names(provider) if name in tokens.sets), None)
    # the URL is composed of what a refresh carries on, and of nothing that only the answer to a code says
    sent = None if own is None else profile_request(step.request, own.access_token, {"metadata": own.metadata})
    if sent is None:
        raise _said_nothing()
    response = provider_http.send(sent, budget=budget)
    failing = response.status in (408, 429) or response.status >= 500
    if failing or trouble_in_body(step.request, response, provider):
        retry_after = retry_after_seconds(response.headers.get("retry-after"))
        raise ProviderUnavailable("The provider could not say what the token is good for.", retry_after=retry_after)
    if response.status != 200 or refused_in_body(step.request, response, provider):
        raise _said_nothing()
    return strict_value(response.body)


def _entries(answer: Any, step: PostConnect) -> list[dict[str, Any]]:
    """The first entries of the list, as many as there is room for, each with what the record names."""
    found = lookup(answer, step.entries)
    if not isinstance(found, list):
        raise _said_nothing()
    kept: list[dict[str, Any]] = []
    for entry in found[:MAX_ENTRIES]:
        values = {name: value for name, pointer in step.keep if (value := _plain(lookup(entry, pointer))) is not None}
        if values and len(json.dumps([*kept, values])) <= MAX_SIZE:
            kept.append(values)
    if step.required and not kept:
        raise _said_nothing()
    return kept


def _plain(value: Any) -> Any:
    """Texts, numbers, flags and lists of texts; what else an answer holds is nobody's business here."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else None
    if isinstance(value, list):
        return [each for each in value[:MAX_ENTRIES] if isinstance(each, str) and len(each) <= MAX_TEXT]
    return value if isinstance(value, bool | int) else None


def _said_nothing() -> TokenResponseRejected:
    return TokenResponseRejected("The provider does not say what the token is good for.", reason="post_connect")
