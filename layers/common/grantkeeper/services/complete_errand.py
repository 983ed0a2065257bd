"""
The browser comes back on an errand.

    prove   who is it? The errand's user: go on, to the identity he wants to link, or to our page that asks him.
            Somebody else: the errand is over, and nobody is told whose it was.
    link    which identity? Kept aside until the client confirms for the user who is signed in there.

The second trip of a link begins only where the first has ended, in the same browser. So a link that got into other
hands attaches nothing: whoever opens it has to be its user twice over, at his provider and at the client (C-102).
"""

from __future__ import annotations

from dataclasses import replace

from grantkeeper import ids
from grantkeeper.errors import ConfirmationRefused, ErrandExpired
from grantkeeper.model import AuthorizationRequest, Errand, Identity
from grantkeeper.providers.record import Provider
from grantkeeper.services.callback_ports import CallbackPorts
from grantkeeper.services.client_redirect import CLIENT_ERRORS
from grantkeeper.services.complete_signin import identity_key
from grantkeeper.services.errands import back_to_client, errand_event, errand_of, returnable
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.provider_facts import first_identity
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.signin_providers import require_signin_provider
from grantkeeper.services.start_errand import errand_trip

REFUSED = {"link": "identity.link_refused", "consent": "consent.refused"}
FAILED = {"link": "identity.link_failed", "consent": "consent.failed"}


def open_errand_of(trip: AuthorizationRequest, *, ports: CallbackPorts, now: int) -> Errand:
    """
    The errand of a trip that came back, before anything is spent on it.

    Raises:
        ErrandExpired: It is not open any more, or there is no place left to go back to.
    """
    errand = errand_of(trip.errand_id or "", errands=ports.errands, now=now)
    returnable(errand, ports.clients)
    if errand.status != "open":
        raise ErrandExpired("This link was used already or has expired.")
    return errand


def complete_errand(
    *,
    request: AuthorizationRequest,
    tokens: ProviderTokens,
    provider: Provider,
    ports: CallbackPorts,
    issuer: str,
    now: int,
    request_id: str,
) -> str:
    """
    Go on from whoever came back.

    The identity is judged as at a sign-in. Its tokens are dropped; nobody is signed in anywhere, and no user is made.

    Returns:
        The provider of the identity to be linked, our own page that asks for consent, or the client's redirect_uri
        with what it confirms with.

    Raises:
        ConfirmationRefused: Somebody else came back. The errand is over.
        ErrandExpired: It was over already.
        UnknownProvider, ProviderDisabled, ProviderNotConfigured: The provider to be linked went away meanwhile.
        ProviderUnavailable, TokenResponseRejected: The profile cannot be read.
    """
    errand = open_errand_of(request, ports=ports, now=now)
    profile = fetch_profile(provider=provider, tokens=tokens, provider_http=ports.provider_http)
    identity_issuer, subject = identity_key(provider, profile, tokens.id_claims)
    if request.purpose == "link":
        identity = first_identity(
            profile, issuer=identity_issuer, subject=subject, sub=errand.sub, provider=provider.id, now=now
        )
        return _proven_link(errand, identity, request=request, ports=ports, now=now, request_id=request_id)

    _require_user(errand, identity_issuer, subject, ports=ports, now=now, request_id=request_id)
    if errand.kind == "link":
        return _second_trip(errand, request=request, ports=ports, issuer=issuer, now=now)
    proven = replace(errand, status="proven", browser_hash=request.browser_hash)
    event = errand_event(errand, "consent.asked", actor=f"user:{errand.sub}", now=now, request_id=request_id)
    ports.errands.prove(proven, now=now, audit=event)
    return f"{issuer}/allow/{errand.id}"


def errand_failed(*, request: AuthorizationRequest, error: str, ports: CallbackPorts, now: int, request_id: str) -> str:
    """
    Tell the client that a trip came back with nothing. The errand stays open: its link may be tried again.

    Args:
        error: A registered code, RFC 6749 section 4.1.2.1; anything else is told as `server_error`.

    Raises:
        ErrandExpired: There is no place to go back to.
    """
    errand = errand_of(request.errand_id or "", errands=ports.errands, now=now)
    returnable(errand, ports.clients)
    code = error if error in CLIENT_ERRORS else "server_error"
    event = errand_event(
        errand, FAILED[errand.kind], actor=errand.opened_by, now=now, request_id=request_id, reason=code
    )
    ports.audit.record(event)
    return back_to_client(errand, error=code)


def _require_user(
    errand: Errand, identity_issuer: str, subject: str, *, ports: CallbackPorts, now: int, request_id: str
) -> None:
    known = ports.users.find(identity_issuer, subject)
    user = None if known is None or known.sub != errand.sub else ports.users.get(errand.sub)
    if user is not None and user.status == "active":
        return
    actor = errand.opened_by if known is None else f"user:{known.sub}"
    refused = errand_event(
        errand, REFUSED[errand.kind], actor=actor, now=now, request_id=request_id, reason="other_user"
    )
    if not ports.errands.end(errand.id, audit=refused):
        ports.audit.record(refused)
    raise ConfirmationRefused("This link was made for somebody else. It is over now.")


def _second_trip(errand: Errand, *, request: AuthorizationRequest, ports: CallbackPorts, issuer: str, now: int) -> str:
    """On to the provider of the other identity, in the browser that was just proven to be its user's."""
    provider, credentials_id = require_signin_provider(
        errand.provider or "", client=None, catalog=ports.catalog, provider_items=ports.provider_items
    )
    trip = errand_trip(
        errand,
        provider=provider,
        credentials_id=credentials_id,
        purpose="link",
        browser_hash=request.browser_hash,
        issuer=issuer,
        now=now,
    )
    ports.authorization_requests.put(trip.request)
    return trip.url


def _proven_link(
    errand: Errand,
    identity: Identity,
    *,
    request: AuthorizationRequest,
    ports: CallbackPorts,
    now: int,
    request_id: str,
) -> str:
    confirmation = ids.new_secret()
    proven = replace(
        errand,
        status="proven",
        browser_hash=request.browser_hash,
        identity=identity,
        confirmation_hash=ids.digest(confirmation),
    )
    event = errand_event(errand, "identity.proven", actor=errand.opened_by, now=now, request_id=request_id)
    ports.errands.prove(proven, now=now, audit=event)
    return back_to_client(errand, confirmation=confirmation)
