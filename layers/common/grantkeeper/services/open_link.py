"""Open a link: a signed-in user may prove another identity of his, for ten minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import Unauthenticated
from grantkeeper.model import Errand, Principal
from grantkeeper.ports import Clients, Errands, Providers, Sessions
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.errands import LIFETIME, OpenedErrand, errand_event, read_members, required
from grantkeeper.services.open_connect_session import require_client
from grantkeeper.services.redirect_uris import require_registered
from grantkeeper.services.signin_providers import require_signin_provider

MEMBERS = ("provider", "redirect_uri", "state")


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """What a client asks for, checked for form only."""

    provider: str
    redirect_uri: str
    state: str | None = None

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> LinkRequest:
        """
        Read the JSON body.

        Raises:
            BadRequest: A member is missing, unknown, or no string.
        """
        members = read_members(body, MEMBERS)
        return cls(required(members, "provider"), required(members, "redirect_uri"), members.get("state"))


def open_link(
    request: LinkRequest,
    *,
    principal: Principal,
    clients: Clients,
    sessions: Sessions,
    errands: Errands,
    provider_items: Providers,
    catalog: Catalog,
    issuer: str,
    now: int,
    request_id: str,
) -> OpenedErrand:
    """
    Let the caller prove another identity; nothing is linked before he confirms that it was he who did.

    His browser proves first who he is, at the provider his session was opened at.

    Args:
        principal: A user who signed in a short while ago; the caller has seen to that.
        issuer: Our own, without a trailing slash.
        now: Epoch seconds.

    Raises:
        BadRequest: The redirect_uri is not registered.
        UnknownProvider: It signs nobody in here.
        ProviderDisabled, ProviderNotConfigured: Nor at the moment.
        Unauthenticated: The session ended meanwhile.
        Forbidden: The client is not active.
    """
    client = require_client(principal, clients)
    redirect_uri = require_registered(request.redirect_uri, client.redirect_uris)
    provider, _ = require_signin_provider(
        request.provider, client=client, catalog=catalog, provider_items=provider_items
    )
    session = sessions.find(principal.sub or "", principal.sid or "")
    if session is None:
        raise Unauthenticated("The session is over.", error="invalid_token")
    ticket = ids.new_secret()
    errand = Errand(
        id=ids.digest(ticket),
        kind="link",
        client_id=client.client_id,
        sub=session.sub,
        redirect_uri=redirect_uri,
        created_at=now,
        expires_at=now + LIFETIME,
        opened_by=principal.actor,
        state=request.state,
        provider=provider.id,
        proven_at=session.provider,
    )
    event = errand_event(errand, "identity.link_opened", actor=principal.actor, now=now, request_id=request_id)
    errands.put(errand, audit=event)
    return OpenedErrand(errand.id, f"{issuer}/link/{ticket}", errand.expires_at)
