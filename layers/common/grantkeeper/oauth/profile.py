"""What a provider says of an account, brought to one form by the record's `profile` rule (security.md C-100, C-101)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from grantkeeper.errors import TokenResponseRejected
from grantkeeper.model import Profile
from grantkeeper.oauth.json_pointer import lookup

if TYPE_CHECKING:
    from grantkeeper.providers.record import ProfileRule, Provider

_PLACE = re.compile(r"\{([^{}]+)\}")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4}", re.ASCII)
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,255}")
_ABSENT = (None, "")


def resolve_profile(
    provider: Provider,
    *,
    id_claims: Mapping[str, Any] | None,
    token_response: Mapping[str, Any],
    answers: Mapping[str, Any],
) -> Profile:
    """
    Read a profile out of what the provider sent.

    An address counts as verified only by a JSON `true`, said in the same place as the address, by a provider whose
    record lets it say so. What does not look like an e-mail address, a https URL or a language tag is left out.

    Args:
        provider: Its `profile` rule says where each field stands.
        id_claims: The validated claims of the ID token, None without one.
        token_response: The token endpoint's answer.
        answers: Decoded answers by the name of their request; `userinfo` is the userinfo endpoint's.

    Raises:
        TokenResponseRejected: The account's stable id is not there: `reason` is `account_unknown`.
    """
    rule = provider.profile
    sources = {**answers, "id_token": id_claims, "token_response": token_response}
    account_id = _account_id(rule, sources)
    if account_id is None:
        raise TokenResponseRejected("The provider does not say which account this is.", reason="account_unknown")
    email_source, email = _first(rule.map.get("email", ()), sources)
    email = email if isinstance(email, str) and _EMAIL.fullmatch(email) else None
    avatar_url, locale = _avatar(rule, sources), _value(rule, "locale", sources)
    return Profile(
        provider_user_id=account_id,
        email=email,
        email_verified=email is not None and _verified(rule, sources, email_source),
        name=_name(_value(rule, "name", sources)),
        avatar_url=avatar_url if _is_https(avatar_url) else None,
        locale=locale if isinstance(locale, str) and _LOCALE.fullmatch(locale) else None,
    )


def account_shown(
    provider: Provider, *, account_id: str, answers: Mapping[str, Any], kept: Mapping[str, Any]
) -> bool | None:
    """
    Tell whether fresh answers are of the account that was connected.

    Only what was just asked counts: what was kept would agree with itself whosever the token is.

    Args:
        provider: Its `same_account` rule says what has to agree; without one the answers alone must name the account.
        account_id: As it was stored when the account was connected.
        answers: Decoded answers by the name of their request.
        kept: The grant's metadata.

    Returns:
        None when the answers do not say.
    """
    rule = provider.profile
    if not rule.same_account:
        told = _account_id(rule, answers)
        return None if told is None else told == account_id
    for same in rule.same_account:
        told = _id_text(_first((same.told,), answers)[1])
        if told is None:
            return None
        if told not in {_id_text(_first((place,), {"metadata": kept})[1]) for place in same.kept}:
            return False
    return True


def verification_told(provider: Provider, *, answers: Mapping[str, Any]) -> bool:
    """True when these answers say, either way, whether the e-mail address is verified."""
    rule = provider.profile
    return rule.email_verified_policy != "claim" or _value(rule, "email_verified", answers) is not None


def sources_needed(provider: Provider, *, id_claims: Mapping[str, Any] | None, field: str) -> bool:
    """True when `field` cannot be told from the ID token alone, so that somebody must be asked."""
    rule = provider.profile
    sources: dict[str, Any] = {"id_token": id_claims}
    if field == "provider_user_id":
        return _account_id(rule, sources) is None
    return _value(rule, field, sources) is None


def fill_places(template: str, sources: Mapping[str, Any]) -> str | None:
    """
    Compose a URL from places of answers, percent-encoded; a place that opens the template is a URL itself.

    Returns:
        None when one of the places holds nothing.
    """
    parts = {place: _id_text(_first((place,), sources)[1]) for place in _PLACE.findall(template) if "#" in place}
    if None in parts.values():
        return None

    def filled(match: re.Match[str]) -> str:
        value = parts.get(match[1])
        if value is None:
            return match[0]
        return value if match.start() == 0 else quote(value, safe="")

    return _PLACE.sub(filled, template)


def _avatar(rule: ProfileRule, sources: Mapping[str, Any]) -> Any:
    if rule.avatar.kind == "binary":
        return None  # its address opens for the token's bearer only
    if rule.avatar.kind == "computed" and rule.avatar.template is not None:
        return fill_places(rule.avatar.template, sources)
    return _value(rule, "avatar_url", sources)


def _account_id(rule: ProfileRule, sources: Mapping[str, Any]) -> str | None:
    if rule.id_template is None:
        return _id_text(_value(rule, "provider_user_id", sources))
    parts = {place: _id_text(_first((place,), sources)[1]) for place in _PLACE.findall(rule.id_template)}
    if None in parts.values():
        return None
    return _id_text(_PLACE.sub(lambda match: parts[match[1]] or "", rule.id_template))


def _id_text(value: Any) -> str | None:
    """GitHub's ids are numbers, all others' are strings; a fraction or a truth value is no id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= 255 and value.isprintable():
        return value
    return None


def _value(rule: ProfileRule, field: str, sources: Mapping[str, Any]) -> Any:
    return _first(rule.map.get(field, ()), sources)[1]


def _first(places: Iterable[str], sources: Mapping[str, Any]) -> tuple[str | None, Any]:
    """The first place that holds something, and what it holds."""
    for place in places:
        source, _, pointer = place.partition("#")
        document = sources.get(source)
        value = _primary_verified(document) if pointer == "primary_verified" else lookup(document, pointer)
        if value not in _ABSENT:
            return source, value
    return None, None


def _primary_verified(addresses: Any) -> str | None:
    """GitHub's list of addresses: the primary one, if it is verified."""
    for item in addresses if isinstance(addresses, list) else []:
        if isinstance(item, dict) and item.get("primary") is True and item.get("verified") is True:
            email = item.get("email")
            return email if isinstance(email, str) else None
    return None


def _verified(rule: ProfileRule, sources: Mapping[str, Any], email_source: str | None) -> bool:
    """One source's word never vouches for another's address; the text "true" is not true (C-101)."""
    if rule.email_verified_policy == "by_presence":
        return True
    if rule.email_verified_policy != "claim":
        return False
    places = [place for place in rule.map.get("email_verified", ()) if place.partition("#")[0] == email_source]
    if any(place.endswith("#primary_verified") for place in places):
        return _first(places, sources)[1] is not None  # the selector takes verified addresses only
    said = _first(places, sources)[1]
    return any(type(said) is type(yes) and said == yes for yes in rule.email_verified_values)


def _name(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(char for char in value if char.isprintable()).strip()[:200] or None


def _is_https(value: Any) -> bool:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or len(value) > 2048:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and " " not in value
