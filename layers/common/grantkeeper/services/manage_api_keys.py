"""API keys of clients, as the CLI and an admin make and revoke them. Neither makes a client's key an operator's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grantkeeper import ids
from grantkeeper.admin_ports import ApiKeyPages
from grantkeeper.api_key_format import new_api_key
from grantkeeper.errors import BadRequest, NotFound
from grantkeeper.model import ApiKey
from grantkeeper.ports import ApiKeys, Clients
from grantkeeper.services.acting import Acting
from grantkeeper.services.rotate_api_key import DAY, DEFAULT_DAYS, MAX_DAYS

OPERATOR_SCOPES = ("admin:read", "admin:write", "audit:read", "metrics:read")  # the CLI alone makes such keys (K-14)
CLIENT_SCOPES = ("connections:read", "connections:token", "connections:write", "users:read", "users:write")
ROTATES_ITSELF = "account:write"  # of a client's key, and only where it is asked for
# By an admin: with a key that reads tokens he would read them himself (T-08, decision 0025).
GRANTABLE = tuple(scope for scope in (*CLIENT_SCOPES, ROTATES_ITSELF) if scope != "connections:token")
MEMBERS = frozenset({"client_id", "name", "scopes", "expires_in_days"})
MAX_NAME = 100
AT_ONCE = 100  # keys revoked by one call


@dataclass(frozen=True, slots=True)
class WantedClientKey:
    """A key that an admin asks for, checked for form only."""

    client_id: str
    name: str
    scopes: tuple[str, ...]
    days: int

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> WantedClientKey:
        """
        Read the JSON body.

        Raises:
            BadRequest: A member is missing, unknown, of the wrong type or out of bounds; or a scope is
                one that admins do not give.
        """
        if set(body) - MEMBERS:  # not named: it is the sender's text
            raise BadRequest("The body has a member that is not known here.")
        client_id, name, scopes = body.get("client_id"), body.get("name"), body.get("scopes")
        if not isinstance(client_id, str) or not ids.is_id(client_id):
            raise BadRequest("client_id is a client's id.", parameter="client_id")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise BadRequest("name is 1 to 100 printable characters.", parameter="name")
        if not isinstance(scopes, list) or not scopes or not all(scope in GRANTABLE for scope in scopes):
            raise BadRequest(f"scopes are some of {', '.join(GRANTABLE)}.", parameter="scopes")
        days = body.get("expires_in_days", DEFAULT_DAYS)
        if type(days) is not int or not 1 <= days <= MAX_DAYS:
            raise BadRequest("expires_in_days is 1 to 365.", parameter="expires_in_days")
        return cls(client_id, name, tuple(dict.fromkeys(scopes)), days)


@dataclass(frozen=True, slots=True)
class ShownClientKey:
    """A key with the one look at its text."""

    key: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RevokedKeys:
    """How many keys a call revoked, and where the next goes on; None at the end."""

    revoked: int
    position: str | None


def new_key(*, client_id: str | None, name: str, scopes: tuple[str, ...], days: int, now: int) -> ShownClientKey:
    """Make a key, to be stored and shown; `client_id` None makes it the operator's. Times in epoch seconds."""
    made = new_api_key()
    key = ApiKey(
        key_id=made.key_id,
        secret_hash=made.secret_hash,
        scopes=scopes,
        created_at=now,
        expires_at=now + days * DAY,
        client_id=client_id,
        name=name,
    )
    return ShownClientKey(key, made.text)


def create_key(wanted: WantedClientKey, *, clients: Clients, api_keys: ApiKeys, by: Acting) -> ShownClientKey:
    """
    Make a key by which a client's backend calls, audited.

    Raises:
        NotFound: No such client, or it is disabled.
        StoreUnavailable: It is not known whether it was stored; its text was told to nobody.
    """
    client = clients.get(wanted.client_id)
    if client is None or client.status != "active":
        raise NotFound("No such client, or it is disabled.")
    shown = new_key(client_id=wanted.client_id, name=wanted.name, scopes=wanted.scopes, days=wanted.days, now=by.now)
    details = {"key_id": shown.key.key_id, "scopes": " ".join(wanted.scopes)}
    api_keys.put(shown.key, audit=by.event("api_key.created", client_id=wanted.client_id, details=details))
    return shown


def revoke_key(key_id: str, *, api_keys: ApiKeys, by: Acting) -> None:
    """
    Revoke any key, a client's, a user's or the operator's: refused everywhere within a minute (K-08).

    Raises:
        NotFound: No such key, or revoked before.
        StoreUnavailable: It is not known whether it was revoked; it may be asked again.
    """
    key = api_keys.get(key_id) if ids.is_id(key_id) else None
    if key is None or not _revoke(key, api_keys=api_keys, by=by):
        raise NotFound("No such key.")


def revoke_all(
    client_id: str,
    *,
    clients: Clients,
    api_keys: ApiKeys,
    pages: ApiKeyPages,
    by: Acting,
    position: str | None = None,
) -> RevokedKeys:
    """
    Revoke every key of a client, its users' own among them (K-13), a hundred a call.

    A call looks at a bounded number of keys, and those that ended long ago are among them: it may revoke none and not
    be the last. The list may be a moment late: a key made in the same second may be left. Disabling the client refuses
    it too.

    Args:
        position: What the call before returned. Without one it begins at the client's first key again.

    Raises:
        NotFound: No such client.
        StoreUnavailable: Some may be left; it may be asked again.
    """
    if not ids.is_id(client_id) or clients.get(client_id) is None:
        raise NotFound("No such client.")
    found, onward = pages.page(client_id=client_id, where={"status": "active"}, after=position, limit=AT_ONCE)
    revoked = sum(_revoke(key, api_keys=api_keys, by=by) for key in found)
    return RevokedKeys(revoked, onward)


def _revoke(key: ApiKey, *, api_keys: ApiKeys, by: Acting) -> bool:
    event = by.event("api_key.revoked", sub=key.sub, client_id=key.client_id, details={"key_id": key.key_id})
    return api_keys.revoke(key, audit=event)
