"""What the profile rule of a record must be: every place it names exists when it is looked for."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from grantkeeper.errors import InvalidProviderRecord
from grantkeeper.providers.record import AvatarRule, ProfileRequest, Provider

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
POINTER = re.compile(r"(?:/[^/]*)*")
PROFILE_FIELDS = frozenset({"provider_user_id", "email", "email_verified", "name", "avatar_url", "locale"})
OWN_SOURCES = frozenset({"id_token", "token_response", "metadata", "userinfo", "emails"})
TAKEN = frozenset({"id_token", "token_response", "metadata"})


def check_profile(provider: Provider) -> None:
    """
    Refuse a profile rule that cannot be read.

    Raises:
        InvalidProviderRecord: `field` names the place.
    """
    rule = provider.profile
    sources = set(OWN_SOURCES)
    for i, request in enumerate(rule.requests):
        _check_request(request, sources, f"profile.requests[{i}]")
        sources.add(request.name)  # a request may use the answers before it
    for field, places in rule.map.items():
        if field not in PROFILE_FIELDS:
            refuse(f"profile.map.{field}", "There is no such field.")
        for place in places:
            _check_place(place, sources, f"profile.map.{field}")
    for place in PLACEHOLDER.findall(rule.id_template or ""):
        _check_place(place, sources, "profile.id_template")
    if rule.id_template is not None and not PLACEHOLDER.search(rule.id_template):
        refuse("profile.id_template", "A place such as {id_token#/sub} is expected.")
    _check_avatar(rule.avatar, sources)


def _check_request(request: ProfileRequest, sources: set[str], place: str) -> None:
    if request.name in TAKEN:
        refuse(f"{place}.name", "The name is taken.")
    if _host_from_answers(request.url):
        refuse(f"{place}.url", "An answer cannot choose the host that gets the token.")
    for used in places_in(request.url):
        _check_place(used, sources, f"{place}.url")
    check_pointer(request.success_pointer, f"{place}.success_pointer")
    if request.body is not None and (request.method != "POST" or not _is_json(request.body)):
        refuse(f"{place}.body", "JSON is expected, with POST.")


def _host_from_answers(url: str) -> bool:
    """Tell whether a place or the token stands in scheme or host; an endpoint variable there has its own pattern."""
    return any(
        url.count("/", 0, match.start()) < 3 and ("#" in match[1] or match[1] == "token")
        for match in PLACEHOLDER.finditer(url)
    )


def _check_avatar(rule: AvatarRule, sources: set[str]) -> None:
    if rule.kind == "url":
        return
    if rule.template is None:
        refuse("profile.avatar.template", "The template is missing.")
    for place in PLACEHOLDER.findall(rule.template):
        _check_place(place, sources, "profile.avatar.template")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _check_place(place: str, sources: set[str], field: str) -> None:
    source, separator, pointer = place.partition("#")
    named = source == "emails" and pointer == "primary_verified"
    if not separator or source not in sources or not (named or POINTER.fullmatch(pointer)):
        refuse(field, "A place is written as source#/pointer, and the source must be known.")


def places_in(template: str) -> list[str]:
    """The places of answers a template is composed of, e.g. `metadata#/user_id`."""
    return [place for place in PLACEHOLDER.findall(template) if "#" in place]


def check_pointer(pointer: str | None, field: str) -> None:
    """Refuse what is no JSON pointer; None is one that is not set."""
    if pointer is not None and (not pointer or POINTER.fullmatch(pointer) is None):
        refuse(field, "A JSON pointer is expected, e.g. /access_token (RFC 6901).")


def refuse(field: str, detail: str) -> NoReturn:
    """Name the field, so that an operator can mend it."""
    raise InvalidProviderRecord(f"{field}: {detail}", field=field)
