"""API keys of users: made and rotated by who signed in a moment ago, never for more than his token lets him do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.errors import BadRequest, Conflict, InsufficientScope, NotFound
from grantkeeper.model import ApiKey, AuditEvent, Principal
from grantkeeper.ports import ApiKeys
from grantkeeper.services.people import client_of
from grantkeeper.services.rotate_api_key import DAY, DEFAULT_DAYS, MAX_DAYS, rotated

# What a key of a user may do at all: use his connections. Neither change his account, nor administer by his role.
GRANTABLE = ("connections:read", "connections:token", "connections:write")
MEMBERS = frozenset({"name", "scopes", "expires_in_days"})
ROTATION_MEMBERS = frozenset({"expires_in_days"})
MAX_KEYS = 25  # of one user, expired ones among them until he revokes them
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class WantedKey:
    """A key a user asks for, checked for form only."""

    name: str
    scopes: tuple[str, ...]
    days: int

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> WantedKey:
        """
        Read the JSON body.

        Raises:
            BadRequest: A member is missing, unknown, of the wrong type or out of bounds.
        """
        if set(body) - MEMBERS:  # not named: it is the sender's text
            raise BadRequest("The body has a member that is not known here.")
        name, scopes = body.get("name"), body.get("scopes")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise BadRequest("name is 1 to 100 printable characters.", parameter="name")
        if not isinstance(scopes, list) or not scopes or not all(scope in GRANTABLE for scope in scopes):
            raise BadRequest(f"scopes are some of {', '.join(GRANTABLE)}.", parameter="scopes")
        return cls(name, tuple(dict.fromkeys(scopes)), _days(body))


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key with the one look at its text."""

    key: ApiKey
    text: str = field(repr=False)


def parse_rotation(body: Mapping[str, Any]) -> int:
    """
    Read the JSON body of a rotation.

    Returns:
        For how many days the key shall live from now.

    Raises:
        BadRequest: A member is unknown, of the wrong type or out of bounds.
    """
    if set(body) - ROTATION_MEMBERS:
        raise BadRequest("The body has a member that is not known here.")
    return _days(body)


def make_key(wanted: WantedKey, *, principal: Principal, api_keys: ApiKeys, now: int, request_id: str) -> ShownKey:
    """
    Make a key by which its holder acts as the caller at the caller's client, audited.

    Raises:
        InsufficientScope: The caller's own token lacks one of the scopes (K-14).
        Conflict: He has 25 keys.
        StoreUnavailable: Nothing was stored.
    """
    _require_scopes(wanted.scopes, principal)
    sub = principal.sub or ""
    if len(api_keys.of_user(sub)) >= MAX_KEYS:
        raise Conflict("There are 25 keys already. Revoke one first.")
    made = new_api_key()
    key = ApiKey(
        key_id=made.key_id,
        secret_hash=made.secret_hash,
        scopes=wanted.scopes,
        created_at=now,
        expires_at=now + wanted.days * DAY,
        client_id=client_of(principal),
        name=wanted.name,
        sub=sub,
    )
    api_keys.put(key, audit=_event("api_key.created", key, principal=principal, now=now, request_id=request_id))
    return ShownKey(key, made.text)


def list_keys(principal: Principal, *, api_keys: ApiKeys) -> Sequence[ApiKey]:
    """The caller's keys, at whichever client, oldest first; revoked ones stand in his trail only."""
    return api_keys.of_user(principal.sub or "")


def rotate_own_key(
    key_id: str, *, days: int, principal: Principal, api_keys: ApiKeys, now: int, request_id: str
) -> ShownKey:
    """
    Give one of the caller's keys a new secret and a new end, in so many days; the old secret ends in seven.

    Raises:
        NotFound: No key of his at this client.
        InsufficientScope: The key can do what the caller's token cannot (K-14).
        Conflict: It is being rotated already, or is over.
        StoreUnavailable: It is not known whether it was rotated.
    """
    key = _own(key_id, principal=principal, api_keys=api_keys)
    if key.client_id != principal.client_id:  # its holder would act at a client whose token the caller does not have
        raise NotFound("No such key.")
    _require_scopes(key.scopes, principal)
    return _rotate(key, days=days, principal=principal, api_keys=api_keys, now=now, request_id=request_id)


def rotate_itself(principal: Principal, *, api_keys: ApiKeys, now: int, request_id: str) -> ShownKey:
    """
    Give the client's key that asks a new secret; it lives no longer for that, so whoever stole it does neither.

    Raises:
        NotFound: It is gone.
        Conflict: It is being rotated already, or is over.
        StoreUnavailable: It is not known whether it was rotated.
    """
    key = api_keys.get(principal.key_id or "")
    if key is None:
        raise NotFound("No such key.")
    return _rotate(key, days=None, principal=principal, api_keys=api_keys, now=now, request_id=request_id)


def revoke_key(key_id: str, *, principal: Principal, api_keys: ApiKeys, now: int, request_id: str) -> None:
    """
    Revoke a key of the caller's, at whichever client; refused everywhere within a minute (K-08).

    Raises:
        NotFound: No key of his, or revoked before.
        StoreUnavailable: It is not known whether it was revoked; it may be asked again.
    """
    key = _own(key_id, principal=principal, api_keys=api_keys)
    audit = _event("api_key.revoked", key, principal=principal, now=now, request_id=request_id)
    if not api_keys.revoke(key, audit=audit):
        raise NotFound("No such key.")


def _own(key_id: str, *, principal: Principal, api_keys: ApiKeys) -> ApiKey:
    key = api_keys.get(key_id) if ids.is_id(key_id) else None
    if key is None or key.sub is None or key.sub != principal.sub or key.status == "revoked":
        raise NotFound("No such key.")
    return key


def _require_scopes(scopes: Sequence[str], principal: Principal) -> None:
    for scope in scopes:
        if scope not in principal.scopes:
            raise InsufficientScope(f"Your own token lacks the scope {scope}.", scope=scope)


def _rotate(
    key: ApiKey, *, days: int | None, principal: Principal, api_keys: ApiKeys, now: int, request_id: str
) -> ShownKey:
    made, following = rotated(key, days=days, now=now)
    audit = _event("api_key.rotated", key, principal=principal, now=now, request_id=request_id)
    if not api_keys.rotate(following, replaces=key, audit=audit):
        raise Conflict("The key was changed meanwhile.")
    return ShownKey(following, made.text)


def _event(action: str, key: ApiKey, *, principal: Principal, now: int, request_id: str) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action=action,
        actor=principal.actor,
        sub=key.sub,
        client_id=key.client_id,
        request_id=request_id,
        details={"key_id": key.key_id},
    )


def _days(body: Mapping[str, Any]) -> int:
    days = body.get("expires_in_days", DEFAULT_DAYS)
    if type(days) is not int or not 1 <= days <= MAX_DAYS:
        raise BadRequest("expires_in_days is 1 to 365.", parameter="expires_in_days")
    return days
