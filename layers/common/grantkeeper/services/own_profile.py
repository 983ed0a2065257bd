"""A user's own profile: what the providers say, what he set himself, and which of the two everybody sees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from grantkeeper import ids
from grantkeeper.errors import BadRequest, PreconditionFailed, Unauthenticated
from grantkeeper.model import AuditEvent, Identity, Principal, User
from grantkeeper.ports import Users

MEMBERS = frozenset({"name", "avatar_url", "locale"})
MAX_NAME = 200
MAX_URL = 2048
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,4}\Z", re.ASCII)  # RFC 5646, its form and no registry
_JOINERS = "\u200c\u200d"  # Persian and Indic names need them, and nothing else of their kind


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """A user with his identities, oldest first."""

    user: User
    identities: tuple[Identity, ...]


def own_profile(sub: str, *, users: Users) -> OwnProfile:
    """
    Read it, consistently.

    Raises:
        Unauthenticated: The user is gone.
    """
    user = users.get(sub)
    if user is None:
        raise Unauthenticated("The credential is not valid.", error="invalid_token")
    return OwnProfile(user, tuple(users.identities(sub)))


def parse_overrides(body: Mapping[str, Any]) -> Mapping[str, str]:
    """
    Read what a user sets himself: the whole of it, so that what is left out or null is his no longer.

    Never an address, its verification, a role or a status: those are the provider's word, or the operator's (T-06).

    Raises:
        BadRequest: A member is unknown, of the wrong type, or cannot be shown.
    """
    if set(body) - MEMBERS:  # not named: it is the sender's text
        raise BadRequest("The body has a member that cannot be set.")
    checks = {"name": _name, "avatar_url": _url, "locale": _locale}
    return {name: checks[name](value) for name, value in body.items() if value is not None}


def override(
    profile: OwnProfile, wanted: Mapping[str, str], *, principal: Principal, users: Users, now: int, request_id: str
) -> OwnProfile:
    """
    Put the user's own settings in place of those he had, audited by field and never by value.

    Raises:
        PreconditionFailed: The user's record moved since it was read.
        StoreUnavailable: It is not known whether it was stored.
    """
    before = profile.user
    changed = sorted(name for name in MEMBERS if before.overrides.get(name) != wanted.get(name))
    if not changed:
        return profile
    after = replace(before, overrides=dict(wanted), updated_at=now)
    audit = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="user.profile_changed",
        actor=principal.actor,
        sub=before.sub,
        client_id=principal.client_id,
        request_id=request_id,
        details={"changed": " ".join(changed)},
    )
    if not users.update(after, expected_version=before.version, audit=audit):
        raise PreconditionFailed("It was changed since you read it. Read it again.")
    return replace(profile, user=replace(after, version=before.version + 1))


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise BadRequest("name is text.", parameter="name")
    name = value.strip()
    if not 0 < len(name) <= MAX_NAME or not all(c.isprintable() or c in _JOINERS for c in name):
        raise BadRequest("name is 1 to 200 characters that can be shown.", parameter="name")
    return name


def _locale(value: Any) -> str:
    if not isinstance(value, str) or _LOCALE.match(value) is None:
        raise BadRequest("locale is a language tag such as de-AT (RFC 5646).", parameter="locale")
    return value


def _url(value: Any) -> str:
    """An address that a browser shows; we never fetch it."""
    problem = BadRequest("avatar_url is an https URL without credentials.", parameter="avatar_url")
    if not isinstance(value, str) or len(value) > MAX_URL or not value.isascii() or not value.isprintable():
        raise problem
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or set(value) & set(' "<>\\^`{|}'):
        raise problem
    return value
