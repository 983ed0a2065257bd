"""What a user lets which client use: shown with its history, and withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grantkeeper import ids
from grantkeeper.errors import NotFound
from grantkeeper.model import AuditEvent, Consent, Principal
from grantkeeper.ports import Clients, Consents


@dataclass(frozen=True, slots=True)
class ListedConsent:
    """A consent, and what its client is called; None for a client that is gone."""

    consent: Consent
    client_name: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of them, and where the next page begins; None on the last."""

    consents: Sequence[ListedConsent]
    next_position: str | None


def list_consents(sub: str, *, consents: Consents, clients: Clients, limit: int, after: str | None) -> Page:
    """
    A user's, those he withdrew too, newest first.

    Args:
        limit: How many on a page.
        after: `next_position` of the page before.
    """
    found = [consent for consent in consents.list(sub) if after is None or _position(consent) < after]
    found.sort(key=_position, reverse=True)
    shown = found[:limit]
    registered = {client_id: clients.get(client_id) for client_id in {consent.client_id for consent in shown}}
    names = {client_id: client.client_name for client_id, client in registered.items() if client is not None}
    return Page(
        [ListedConsent(consent, names.get(consent.client_id)) for consent in shown],
        _position(shown[-1]) if len(found) > limit else None,
    )


def _position(consent: Consent) -> str:
    return f"{consent.created_at:012d}#{consent.client_id}#{consent.connection_id}#{consent.withdrawn_at or 0:012d}"


def withdraw_consent(
    client_id: str,
    connection_id: str,
    *,
    principal: Principal,
    consents: Consents,
    now: int,
    request_id: str,
) -> None:
    """
    End what the caller let a client use: no token call of that client is answered any more.

    Which client opened the connection makes no difference: without consent it sees no token of it either. The
    connection stays, and so does what the provider granted; ending that is a disconnect.

    Args:
        principal: A user.
        now: Epoch seconds.

    Raises:
        NotFound: There is no such consent of his, or he withdrew it.
    """
    sub = principal.sub or ""
    event = AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action="consent.withdrawn",
        actor=principal.actor,
        sub=sub,
        connection_id=connection_id,
        client_id=client_id,
        request_id=request_id,
    )
    known = ids.is_id(client_id) and ids.is_id(connection_id)
    if not known or not consents.withdraw(sub, client_id, connection_id, now=now, audit=event):
        raise NotFound("No such consent.")
