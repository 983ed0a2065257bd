"""The user answers on our page: this client may use this connection, or not."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from grantkeeper import ids
from grantkeeper.errors import BadRequest, BrowserMismatch, ErrandExpired, UnknownService
from grantkeeper.model import AuditEvent, Client, Connection, Errand, consent_of
from grantkeeper.ports import Clients, Connections, Errands
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.errands import back_to_client, errand_event, errand_of, returnable


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, and for which of the user's connections; none when there is nothing of his to allow."""

    errand: Errand
    client: Client
    connections: Sequence[Connection]


def question_of(
    errand_id: str,
    *,
    browser_hash: str | None,
    errands: Errands,
    clients: Clients,
    connections: Connections,
    now: int,
) -> Question:
    """
    What the user is asked, in the browser in which he proved who he is.

    Args:
        errand_id: Of the request.
        browser_hash: Hash of the browser's binding cookie; None without one.
        now: Epoch seconds.

    Raises:
        ErrandExpired: Unknown, expired, answered already, or nobody has proved himself yet.
        BrowserMismatch: Another browser. Nothing was consumed.
    """
    errand = errand_of(errand_id, errands=errands, now=now)
    if errand.kind != "consent" or errand.status != "proven" or errand.browser_hash is None:
        raise ErrandExpired("This link was used already or has expired.")
    if browser_hash is None or not ids.same(browser_hash, errand.browser_hash):
        raise BrowserMismatch("Finish in the browser you started in.")
    client = returnable(errand, clients)
    return Question(errand, client, _his(errand, client, connections))


def service_names(connections: Sequence[Connection], *, catalog: Catalog) -> dict[str, str]:
    """What the services of connections are called; one that went away goes by its id."""
    names = {}
    for service in {connection.service for connection in connections}:
        with contextlib.suppress(UnknownService):
            names[service] = catalog.service(service)[1].display_name
    return names


def answer_consent(
    question: Question,
    *,
    chosen: str | None,
    errands: Errands,
    now: int,
    request_id: str,
) -> str:
    """
    Keep the answer; it is given once.

    Args:
        question: As `question_of` judged it just now.
        chosen: The connection he allows; None when he denies.

    Returns:
        The client's redirect_uri with `result`, and with `connection_id` when it is `granted`.

    Raises:
        BadRequest: He was not asked about that connection.
        ErrandExpired: Answered already.
    """
    errand = question.errand
    event = errand_event(errand, "consent.denied", actor=f"user:{errand.sub}", now=now, request_id=request_id)
    if chosen is None:
        if not errands.end(errand.id, audit=event):
            raise ErrandExpired("This was answered already.")
        return back_to_client(errand, result="denied")

    connection = next((c for c in question.connections if ids.same(c.id, chosen)), None)
    if connection is None:
        raise BadRequest("Choose one of your connections.")
    consent = consent_of(connection, client_id=errand.client_id, now=now)
    errands.allow(errand, consent, now=now, audit=_granted(event, connection))
    return back_to_client(errand, result="granted", connection_id=connection.id)


def _granted(event: AuditEvent, connection: Connection) -> AuditEvent:
    return replace(
        event,
        action="consent.granted",
        connection_id=connection.id,
        provider=connection.provider,
        service=connection.service,
    )


def _his(errand: Errand, client: Client, connections: Connections) -> Sequence[Connection]:
    """Of what was asked for: his, not disconnected, and of a service that this client may use."""
    if errand.connection_id is None:
        found = [c for c in connections.list_for_user(errand.sub) if c.service == errand.service]
    else:
        one = connections.get(errand.connection_id) if ids.is_id(errand.connection_id) else None
        found = [] if one is None or one.sub != errand.sub else [one]
    usable = ("active", "needs_reauth")
    return [c for c in found if c.status in usable and ("*" in client.services or c.service in client.services)]
