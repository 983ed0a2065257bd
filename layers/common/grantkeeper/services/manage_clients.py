"""The team's applications, as an admin registers, changes and switches them. A secret is shown once and kept hashed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from grantkeeper import ids
from grantkeeper.admin_ports import ClientVersions, VersionedClient
from grantkeeper.errors import Conflict, NotFound, PreconditionFailed, StoreUnavailable
from grantkeeper.model import Client
from grantkeeper.services.acting import Acting
from grantkeeper.services.client_registration import ClientMetadata

LIVE_SECRETS = 2  # while one rotates
ROUNDS = 5  # of reading and changing, when two admins change one client
MAX_TOLD = 400  # characters of a value in the trail


@dataclass(frozen=True, slots=True)
class ShownClient:
    """A client with the one look at its new secret; None where it got none."""

    found: VersionedClient
    secret: str | None = field(default=None, repr=False)


def new_client(wanted: ClientMetadata, *, now: int) -> tuple[Client, str | None]:
    """
    Make a client, and its first secret where it proves itself by one.

    Args:
        wanted: Judged.
        now: Epoch seconds.

    Returns:
        The client with the hash, to be stored; and the secret, to be shown.
    """
    secret = ids.new_secret() if _has_secrets(wanted.token_endpoint_auth_method) else None
    hashes = () if secret is None else (ids.digest(secret),)
    client = Client(client_id=ids.new_id("cli"), created_at=now, secret_hashes=hashes, **_as_fields(wanted))
    return client, secret


def create_client(wanted: ClientMetadata, *, clients: ClientVersions, by: Acting) -> ShownClient:
    """
    Register a client, audited.

    Raises:
        StoreUnavailable: It is not known whether it was stored; its id was told to nobody.
    """
    client, secret = new_client(wanted, now=by.now)
    clients.create(client, audit=by.event("client.registered", client_id=client.client_id, details=_told(None, client)))
    return ShownClient(read_client(client.client_id, clients=clients), secret)


def read_client(client_id: str, *, clients: ClientVersions) -> VersionedClient:
    """
    A client and its version.

    Raises:
        NotFound: There is none of this id.
    """
    found = clients.versioned(client_id) if ids.is_id(client_id) else None
    if found is None:
        raise NotFound("No such client.")
    return found


def replace_client(
    found: VersionedClient, wanted: ClientMetadata, *, clients: ClientVersions, by: Acting
) -> VersionedClient:
    """
    Change what whoever registers a client decides, all of it; its id, age, status and secrets stay.

    A client that proves itself by a secret no longer loses those it had.

    Args:
        found: As the caller has seen it.

    Raises:
        PreconditionFailed: It was changed since.
    """
    before = found.client
    kept = before.secret_hashes if _has_secrets(wanted.token_endpoint_auth_method) else ()
    after = replace(before, secret_hashes=kept, **_as_fields(wanted))
    if after != before:
        event = by.event("client.changed", client_id=before.client_id, details=_told(before, after))
        if not clients.replace(after, version=found.version, audit=event):
            raise PreconditionFailed("It was changed since you read it. Read it again.")
    return read_client(before.client_id, clients=clients)


def add_secret(client_id: str, *, keep_previous: bool, clients: ClientVersions, by: Acting) -> ShownClient:
    """
    Give a client its next secret, to be shown once.

    Args:
        keep_previous: Let the secret in use stay good beside it; False ends all there were.

    Raises:
        NotFound: No such client.
        Conflict: It proves itself by no secret; or two are good already, and neither may be cut short unasked.
    """
    secret = ids.new_secret()

    def change(client: Client) -> Client:
        if not _has_secrets(client.token_endpoint_auth_method):
            raise Conflict("The client proves itself by no secret: change token_endpoint_auth_method first.")
        if keep_previous and len(client.secret_hashes) >= LIVE_SECRETS:
            raise Conflict("The client has two good secrets already. End the older one first.")
        kept = client.secret_hashes if keep_previous else ()
        return replace(client, secret_hashes=(ids.digest(secret), *kept))

    details = {"previous": "kept" if keep_previous else "ended"}
    return ShownClient(_change(client_id, change, "client.secret_added", details, clients=clients, by=by), secret)


def end_old_secrets(client_id: str, *, clients: ClientVersions, by: Acting) -> VersionedClient:
    """
    End a rotation: the newest secret alone is good from then on.

    Raises:
        NotFound: No such client.
    """
    return _change(
        client_id,
        lambda client: replace(client, secret_hashes=client.secret_hashes[:1]),
        "client.secrets_ended",
        {},
        clients=clients,
        by=by,
    )


def switch_client(client_id: str, *, active: bool, clients: ClientVersions, by: Acting) -> VersionedClient:
    """
    Disable a client or enable it again, with all that was given at it: nothing is deleted.

    A disabled client's secrets, sessions, tokens and keys, and its users' keys, are refused within a minute; its
    origins at once.

    Raises:
        NotFound: No such client.
        Conflict: It is the one the caller is signed in at: nobody could enable it again from there.
    """
    if not active and client_id == by.client_id:
        raise Conflict("You are signed in at this client. Disable it from the command line.")
    return _change(
        client_id,
        lambda client: replace(client, status="active" if active else "disabled"),
        "client.enabled" if active else "client.disabled",
        {},
        clients=clients,
        by=by,
    )


def _change(
    client_id: str,
    change: Callable[[Client], Client],
    action: str,
    details: dict[str, str],
    *,
    clients: ClientVersions,
    by: Acting,
) -> VersionedClient:
    """Apply to whatever is stored; what changes nothing is not written down."""
    for _ in range(ROUNDS):
        found = read_client(client_id, clients=clients)
        after = change(found.client)
        if after == found.client:
            return found
        if clients.replace(after, version=found.version, audit=by.event(action, client_id=client_id, details=details)):
            return read_client(client_id, clients=clients)
    raise StoreUnavailable("The client is being changed by others.", retry_after=1)


def _as_fields(wanted: ClientMetadata) -> dict[str, Any]:
    return {each.name: getattr(wanted, each.name) for each in fields(wanted)}


def _has_secrets(method: str) -> bool:
    return method.startswith("client_secret_")


def _told(before: Client | None, after: Client) -> dict[str, str]:
    """What changed, from what to what (T-12); of secrets nothing, of keys their number."""
    old = {} if before is None else asdict(before)
    told: dict[str, str] = {}
    for name, value in asdict(after).items():
        if name in ("client_id", "created_at", "secret_hashes", "status") or value == old.get(name):
            continue
        if before is not None:
            told[f"{name}_before"] = _text(name, old[name])
        told[name] = _text(name, value)
    return told


def _text(name: str, value: object) -> str:
    if name == "jwks":
        return f"{len(value) if isinstance(value, tuple) else 0} keys"
    return json.dumps(value)[:MAX_TOLD]
