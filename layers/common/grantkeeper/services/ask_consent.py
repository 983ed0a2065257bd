"""A client asks a user, through his browser and a page of ours, to let it use a connection that another one opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import BadRequest, Forbidden, NoSignIn
from grantkeeper.model import Errand, Principal
from grantkeeper.ports import Clients, Connections, Errands, Providers, Sessions, Users
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.errands import LIFETIME, OpenedErrand, errand_event, read_members, required
from grantkeeper.services.identities import able_to_sign_in
from grantkeeper.services.open_connect_session import require_client, require_service
from grantkeeper.services.people import Named, find_person
from grantkeeper.services.redirect_uris import require_registered

MEMBERS = ("service", "connection_id", "redirect_uri", "state", "user_id", "user_sub")


@dataclass(frozen=True, slots=True)
class ConsentAsk:
    """What a client asks for, checked for form only: a connection, or one of a service for the user to choose."""

    redirect_uri: str
    named: Named
    service: str | None = None
    connection_id: str | None = None
    state: str | None = None

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> ConsentAsk:
        """
        Read the JSON body.

        Raises:
            BadRequest: A member is missing, unknown, no string, or contradicts another.
        """
        members = read_members(body, MEMBERS)
        if ("service" in members) == ("connection_id" in members):
            raise BadRequest("Ask for a service or for a connection_id.", parameter="service")
        return cls(
            redirect_uri=required(members, "redirect_uri"),
            named=Named(members.get("user_id"), members.get("user_sub")),
            service=members.get("service"),
            connection_id=members.get("connection_id"),
            state=members.get("state"),
        )


def ask_consent(
    ask: ConsentAsk,
    *,
    principal: Principal,
    clients: Clients,
    users: Users,
    sessions: Sessions,
    connections: Connections,
    errands: Errands,
    provider_items: Providers,
    catalog: Catalog,
    issuer: str,
    now: int,
    request_id: str,
) -> OpenedErrand:
    """
    Make the link that asks; what it is about is judged on the page, before the user himself and nobody else.

    A connection that does not exist, or is somebody else's, is asked for like one that is his: the answer tells no
    client which there are.

    Raises:
        BadRequest: The redirect_uri is not registered, or a key named nobody.
        UnknownService, ScopeNotAllowed, ProviderDisabled, ProviderNotConfigured: As for connecting the service.
        NotFound: No such user for this client.
        NoSignIn: The user cannot prove to us who he is: he has none but a client's own id, or was never seen.
        Forbidden: The client or the user may not act.
    """
    client = require_client(principal, clients)
    redirect_uri = require_registered(ask.redirect_uri, client.redirect_uris)
    if ask.service is not None:
        require_service(ask.service, client=client, catalog=catalog, provider_items=provider_items)
    sub = find_person(principal, ask.named, users=users, sessions=sessions, connections=connections)
    able = () if sub is None else able_to_sign_in(users.identities(sub), catalog=catalog, provider_items=provider_items)
    if sub is None or not able:
        raise NoSignIn("This user has no identity to sign in with, so nobody can answer for him.")
    user = users.get(sub)
    if user is None or user.status != "active":
        raise Forbidden("This user is suspended.")

    ticket = ids.new_secret()
    errand = Errand(
        id=ids.digest(ticket),
        kind="consent",
        client_id=client.client_id,
        sub=sub,
        redirect_uri=redirect_uri,
        created_at=now,
        expires_at=now + LIFETIME,
        opened_by=principal.actor,
        state=ask.state,
        service=ask.service,
        connection_id=ask.connection_id,
    )
    # Without the connection: it may be a stranger's, in whose trail this has no place.
    event = errand_event(errand, "consent.requested", actor=principal.actor, now=now, request_id=request_id)
    errands.put(errand, audit=replace(event, service=ask.service))
    return OpenedErrand(errand.id, f"{issuer}/consent/{ticket}", errand.expires_at)
