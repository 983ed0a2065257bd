"""What errands have in common, whoever opens, follows or finishes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from grantkeeper import ids
from grantkeeper.errors import BadRequest, ErrandExpired
from grantkeeper.model import AuditEvent, Client, Errand
from grantkeeper.ports import Clients, Errands
from grantkeeper.services.redirect_uris import require_registered

LIFETIME = 10 * 60  # seconds
MAX_STATE = 1024
_PARAMETER = {"link": "identity_link", "consent": "consent_request"}


@dataclass(frozen=True, slots=True)
class OpenedErrand:
    """What the client gets: an id to finish with, and a URL for the user's browser, which is a secret."""

    id: str
    url: str = field(repr=False)
    expires_at: int = 0


def read_members(body: Mapping[str, Any], members: tuple[str, ...]) -> dict[str, str]:
    """
    Read a JSON body whose members are all strings; null stands for left out.

    Raises:
        BadRequest: A member is unknown (T-06), empty or no string.
    """
    found = {}
    for name, value in body.items():
        if name not in members:  # not named: it is the sender's text
            raise BadRequest("The body has a member that is not known here.")
        if value is None:
            continue
        if not isinstance(value, str) or not value:
            raise BadRequest(f"{name} is a string.", parameter=name)
        found[name] = value
    if len(found.get("state", "")) > MAX_STATE:
        raise BadRequest("The state is over 1024 characters.", parameter="state")
    return found


def required(members: Mapping[str, str], name: str) -> str:
    """
    One of them.

    Raises:
        BadRequest: It is missing.
    """
    if name not in members:
        raise BadRequest(f"{name} is missing.", parameter=name)
    return members[name]


def errand_of(ticket_or_id: str, *, errands: Errands, now: int) -> Errand:
    """
    By its id.

    Raises:
        ErrandExpired: Unknown, or past its time.
    """
    if not ids.is_id(ticket_or_id):
        raise ErrandExpired("This link is unknown, was used already or has expired.")
    return errands.get(ticket_or_id, now=now)


def returnable(errand: Errand, clients: Clients) -> Client:
    """
    The errand's client, if its redirect_uri is still one to send a browser to: what was registered may be withdrawn.

    Raises:
        ErrandExpired: There is no place left to go back to.
    """
    client = clients.get(errand.client_id)
    try:
        require_registered(errand.redirect_uri, () if client is None else client.redirect_uris)
    except BadRequest:
        client = None
    if client is None or client.status != "active":
        raise ErrandExpired("There is no place left to go back to.")
    return client


def back_to_client(errand: Errand, **parameters: str | None) -> str:
    """The client's registered URI with the errand's id, what came of it, and the client's state."""
    told = {_PARAMETER[errand.kind]: errand.id, **parameters, "state": errand.state}
    query = urlencode({name: value for name, value in told.items() if value}, quote_via=quote)
    return f"{errand.redirect_uri}{'&' if urlsplit(errand.redirect_uri).query else '?'}{query}"


def errand_event(
    errand: Errand, action: str, *, actor: str, now: int, request_id: str, reason: str | None = None
) -> AuditEvent:
    """An entry of the trail of the errand's user."""
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action=action,
        actor=actor,
        sub=errand.sub,
        client_id=errand.client_id,
        provider=errand.provider,
        reason=reason,
        request_id=request_id,
        details={"errand": errand.id},
    )
