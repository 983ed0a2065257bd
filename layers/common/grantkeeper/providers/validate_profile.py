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
MAX_STEPS = 2
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
    for i, same in enumerate(rule.same_account):
        _check_place(same.told, sources - TAKEN, f"profile.same_account[{i}].told")
        for place in same.kept:
            _check_place(place, {"metadata"}, f"profile.same_account[{i}].kept")
        if not same.kept:
            refuse(f"profile.same_account[{i}].kept", "What was kept is missing.")
    _check_avatar(rule.avatar, sources)
    _check_kept_claims(provider)


def check_post_connect(provider: Provider) -> None:
    """
    Refuse a step after the connect that cannot be taken.

    Raises:
        InvalidProviderRecord: `field` names the place.
    """
    if len(provider.post_connect) > MAX_STEPS:
        refuse("post_connect", "Two steps at most: the browser waits for each of them.")
    kept = {name for name, _ in provider.token_response.metadata}
    for i, step in enumerate(provider.post_connect):
        place = f"post_connect[{i}]"
        if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", step.request.name, re.ASCII) is None or step.request.name in kept:
            refuse(f"{place}.request.name", "A short lower-case name that nothing else is kept under is expected.")
        kept.add(step.request.name)
        _check_request(step.request, {"metadata"}, f"{place}.request")
        if step.request.auth in ("oauth1", "introspection"):
            refuse(f"{place}.request.auth", "A request of this kind is not signed.")
        check_pointer(step.entries or None, f"{place}.entries")
        if not step.keep:
            refuse(f"{place}.keep", "The values to keep of each entry are missing.")
        for name, pointer in step.keep:
            check_pointer(pointer, f"{place}.keep.{name}")


def _check_request(request: ProfileRequest, sources: set[str], place: str) -> None:
    if request.name in TAKEN:
        refuse(f"{place}.name", "The name is taken.")
    if _host_from_answers(request.url):
        refuse(f"{place}.url", "An answer cannot choose the host that gets the token.")
    for used in places_in(request.url):
        _check_place(used, sources, f"{place}.url")
    check_pointer(request.success_pointer, f"{place}.success_pointer")
    if request.auth == "introspection" and (request.method != "POST" or request.body is not None):
        refuse(f"{place}.auth", "An introspection is a POST without a body of its own (RFC 7662).")
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
    if rule.kind == "binary":
        if _host_from_answers(rule.template):
            refuse("profile.avatar.template", "An answer cannot choose the host that gets the token.")
        for place in places_in(rule.template):
            _check_place(place, sources, "profile.avatar.template")
        return
    for place in PLACEHOLDER.findall(rule.template):
        _check_place(place, sources, "profile.avatar.template")


def _check_kept_claims(provider: Provider) -> None:
    """A name stands for one thing: what the token response says must not take the place of a signed claim."""
    told = {name for name, _ in provider.token_response.metadata}
    for i, (name, pointer) in enumerate(provider.token_response.kept_claims):
        place = f"token_response.kept_claims[{i}]"
        if name in told:
            refuse(place, "The name is taken by token_response.metadata.")
        check_pointer(pointer, place)


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
