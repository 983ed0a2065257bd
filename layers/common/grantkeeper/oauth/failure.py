"""What an answer without tokens means (RFC 6749 section 5.2), judged by the record's error table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from grantkeeper.oauth.answers import form_object, lenient_object
from grantkeeper.oauth.json_pointer import lookup
from grantkeeper.oauth.registered import TOKEN_ERRORS

if TYPE_CHECKING:
    from grantkeeper.model import HttpResponse
    from grantkeeper.providers.record import ErrorRule, Provider

MAX_RETRY_AFTER = 15 * 60


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A failed token request.

    `dead`: the grant is gone, says the record. `transient`: wait. `config`: our registration is at fault, no user
    can help. `user_action`: the user must do something at the provider. `unknown`: no answer we understand; it changes
    no status.
    """

    kind: Literal["dead", "transient", "config", "user_action", "unknown"]
    error: str | None = None  # a registered code, or one the record lists; never the provider's own words
    reason: str | None = None  # a model.Reason for dead; else a slug of ours
    retry_after: int | None = None  # seconds, at most 15 minutes
    outcome_unknown: bool = False  # the request may have been obeyed all the same


def failure(http: HttpResponse, *, provider: Provider, now: int) -> Failure:
    """
    Say what an answer means that granted nothing; total, and never the provider's own words.

    The most specific row of the table wins, the record's own rows before the defaults. Two things no row can overrule
    by its error code alone: an overloaded or broken server (408, 429, 5xx) declares nobody dead (C-54), and what no row
    matches is `unknown`.

    Args:
        http: The answer in which `granted` found nothing.
        provider: Its record's `errors`.
        now: Epoch seconds, for a `Retry-After` that is a date.
    """
    body = _body(http, provider)
    code = _error_code(body, provider)
    rule = _match(http, body, code, provider)
    retry_after = retry_after_seconds(http.headers.get("retry-after"), now=now)
    shown = code if code in TOKEN_ERRORS or any(code == row.error for row in provider.errors) else None

    if rule is None:
        return Failure("unknown", shown, _unknown_reason(http, body, code), retry_after, _may_be_obeyed(http, code))
    reason = rule.reason
    if reason is None:
        reason = "revoked_by_user" if rule.outcome == "dead" else _REASONS[rule.outcome]
    return Failure(rule.outcome, shown, reason, retry_after, rule.outcome == "transient" and _may_be_obeyed(http, code))


_REASONS = {"transient": "provider_unavailable", "config": "registration_refused", "user_action": "user_action_needed"}


def _body(http: HttpResponse, provider: Provider) -> dict[str, Any]:
    body = lenient_object(http.body)
    if body is None and provider.token_response.encoding == "form":
        body = form_object(http.body)
    return body or {}


def _error_code(body: dict[str, Any], provider: Provider) -> str | None:
    rule = provider.token_response
    for pointer in (rule.error_pointer, *rule.more_error_pointers):
        value = lookup(body, pointer)
        if isinstance(value, str) and 0 < len(value) <= 100:
            return value
    return None


def _match(http: HttpResponse, body: dict[str, Any], code: str | None, provider: Provider) -> ErrorRule | None:
    from grantkeeper.providers.record import DEFAULT_ERRORS  # noqa: PLC0415 - comes with the provider, not before it

    details = frozenset(_details(body))
    text = http.body[:4096].decode("utf-8", "replace").casefold()
    best: ErrorRule | None = None
    for rule in (*provider.errors, *DEFAULT_ERRORS):
        if _applies(rule, http, code, details, text) and (best is None or _weight(rule) > _weight(best)):
            best = rule
    return best


def _applies(rule: ErrorRule, http: HttpResponse, code: str | None, details: frozenset[str], text: str) -> bool:
    if _weight(rule) == 0:
        return False
    overloaded = http.status in (408, 429) or http.status >= 500
    if overloaded and rule.outcome == "dead" and rule.status is None and rule.status_class is None:
        return False
    return (
        (rule.error is None or rule.error == code)
        and (rule.status is None or rule.status == http.status)
        and (rule.status_class is None or rule.status_class == http.status // 100)
        and (rule.error_code is None or rule.error_code in details)
        and (rule.body_text is None or rule.body_text.casefold() in text)
    )


def _weight(rule: ErrorRule) -> int:
    fields = (rule.error, rule.status, rule.status_class, rule.error_code, rule.body_text)
    return sum(field is not None for field in fields)


def _details(body: dict[str, Any]) -> Iterator[str]:
    """Sub-codes: Microsoft's `error_codes` and `suberror`, Google's `error_subtype`."""
    codes = body.get("error_codes")
    yield from (str(item) for item in (codes if isinstance(codes, list) else [])[:20] if isinstance(item, int | str))
    yield from (value for name in ("error_subtype", "suberror") if isinstance(value := body.get(name), str))


def retry_after_seconds(value: str | None, *, now: int | None = None) -> int | None:
    """
    Read a `Retry-After` (RFC 9110 section 10.2.3): seconds or an HTTP date, at most 15 minutes.

    Args:
        value: The header.
        now: Epoch seconds; without it a date means nothing.

    Returns:
        Seconds to wait, None when the header says nothing of use.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]), MAX_RETRY_AFTER)
    try:
        seconds = int(parsedate_to_datetime(value).timestamp()) - (now or 0)
    except (ValueError, TypeError, OverflowError):
        return None
    return None if now is None else min(max(seconds, 0), MAX_RETRY_AFTER)


def _unknown_reason(http: HttpResponse, body: dict[str, Any], code: str | None) -> str:
    if 300 <= http.status < 400:
        return "upstream_redirect"  # never followed: the secret stays with the host it was meant for (C-42)
    return "upstream_malformed" if not body or code is None else "upstream_error"


def _may_be_obeyed(http: HttpResponse, code: str | None) -> bool:
    """
    Tell whether the server may have done what was asked although its answer says nothing of it.

    So with a success we cannot read and with a gateway that lost the server's answer; not with a plain refusal, nor
    with 503 and 429, which are said before the work.
    """
    return (200 <= http.status < 300 and code is None) or (http.status >= 500 and http.status != 503)
