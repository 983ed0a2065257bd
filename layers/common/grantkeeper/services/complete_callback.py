"""
The provider sends the browser back.

    read the trip (nothing consumed) → its provider's own path → its own browser
        → the answer's parameters → redeem the trip: one winner → redeem the code → sign-in or connect
                                                               └─ OAuth 1.0a, first visit: on to the consent page

Until the browser has proved to be the one that left, nothing is consumed, so
a link preview, a stranger with the URL or a second browser can spoil nothing.
From then on every fault ends the trip and goes back to the client.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.errors import (
    AuthorizationRequestExpired,
    BrowserMismatch,
    ConfirmationRefused,
    ConnectSessionExpired,
    ErrandExpired,
    GrantkeeperError,
    OAuthError,
    ProviderDeclined,
    ProviderMisconfigured,
    ProviderMismatch,
)
from grantkeeper.model import AuditEvent
from grantkeeper.oauth.authorization_response import check_authorization_response
from grantkeeper.oauth.endpoints import resolve
from grantkeeper.services.callback_ports import CallbackPorts
from grantkeeper.services.client_redirect import error_redirect
from grantkeeper.services.complete_signin import complete_signin, require_client
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.redeem_trip import begin_trip, redeem_trip, verifier_of
from grantkeeper.services.signin_request import Parameters

if TYPE_CHECKING:
    from grantkeeper.model import AuthorizationRequest

_STATE = re.compile(r"[A-Za-z0-9_-]{43}\Z", re.ASCII)
# What a provider's refusal may tell our client; its other codes are about our registration, not about the client.
_USER_SAID = frozenset(
    {"access_denied", "login_required", "interaction_required", "consent_required", "account_selection_required"}
)


def complete_callback(
    parameters: Parameters,
    *,
    provider_id: str,
    browser_hash: str | None,
    issuer: str,
    ports: CallbackPorts,
    now: int,
    request_id: str,
    spare: Callable[[], float] = lambda: 0.0,
) -> str:
    """
    Finish a trip, whatever it was for.

    Args:
        parameters: Every value of every parameter of the redirect, decoded once.
        provider_id: The registration whose callback path was called.
        browser_hash: Hash of the browser's binding cookie; None without one.
        issuer: Our own, without a trailing slash.
        now: Epoch seconds.
        spare: Seconds there are, when it is called, for what no trip needs; none unless told.

    Returns:
        Where to send the browser: the client's redirect_uri, with what it waits for or with an error; on the first
        visit of a flow that needs a call before its consent page, that page.

    Raises:
        AuthorizationRequestExpired: `state` is missing, malformed, unknown, expired, or redeemed already.
        ProviderMismatch: The trip went to another provider (RFC 9700 section 4.4).
        BrowserMismatch: Another browser came back, or none that can be told. Nothing was consumed.
        BadRequest, ConnectSessionExpired, ErrandExpired: There is no trusted place left to go back to.
        ConfirmationRefused: Somebody else followed a link that was made for one user.
        StoreUnavailable: The trip could not be read or redeemed: the same URL may be tried again.
    """
    state = _state(parameters)
    trip = ports.authorization_requests.get(ids.digest(state), now=now)
    if trip.provider != provider_id:
        raise ProviderMismatch("This answer belongs to another provider.", reason="provider_mismatch")
    if browser_hash is None or not ids.same(browser_hash, trip.browser_hash):
        raise BrowserMismatch("Finish in the browser you started in.")

    code, fault = _judge(parameters, trip, state=state, ports=ports, now=now)
    trip = ports.authorization_requests.redeem(trip.state_hash, now=now)
    try:
        if fault is not None:
            raise fault
        if code is None:
            return begin_trip(trip, ports=ports, now=now)
        tokens = redeem_trip(code, trip, state=state, ports=ports, now=now)
        location = _finish(trip, tokens, issuer=issuer, ports=ports, now=now, request_id=request_id, spare=spare)
    except (ConnectSessionExpired, ErrandExpired, ConfirmationRefused):
        raise
    except GrantkeeperError as error:
        if isinstance(error, ProviderMisconfigured):
            from grantkeeper.services.report_registration import report_refused_trip  # noqa: PLC0415 - an exception

            report_refused_trip(trip, error, ports=ports, now=now)
        return _failed(trip, error, issuer=issuer, ports=ports, now=now, request_id=request_id)
    ports.breakers.record_success(trip.provider)  # last: what was granted is in safety by now
    return location


def _state(parameters: Parameters) -> str:
    values = parameters.get("state", ())
    if len(values) != 1 or _STATE.match(values[0]) is None:
        raise AuthorizationRequestExpired("Start again from the application.")
    return values[0]


def _judge(
    parameters: Parameters, trip: AuthorizationRequest, *, state: str, ports: CallbackPorts, now: int
) -> tuple[str | None, GrantkeeperError | None]:
    """
    Check the redirect before the trip is redeemed and long before its code goes anywhere.

    Returns:
        The code, or the verifier of OAuth 1.0a, or None for a trip that has yet to leave for the provider; and what is
        wrong with it.
    """
    try:
        provider = resolve(ports.catalog.get(trip.provider), trip.variables)
        credentials = ports.credentials.by_client_id(provider.credentials_id, trip.credentials_id)
        if provider.protocol == "oauth1":
            code = verifier_of(parameters, trip, state=state, provider=provider)
        else:
            code = check_authorization_response(parameters, provider=provider, credentials=credentials)
        if trip.purpose == "connect":
            from grantkeeper.services.complete_connect import open_session_of  # noqa: PLC0415 - connect only

            open_session_of(trip, connect_sessions=ports.connect_sessions, clients=ports.clients, now=now)
        elif trip.purpose != "signin":
            from grantkeeper.services.complete_errand import open_errand_of  # noqa: PLC0415 - errands only

            open_errand_of(trip, ports=ports, now=now)
    except GrantkeeperError as error:
        if error.status == 503:  # our own trouble: the trip is not spent on it
            raise
        return "", error
    return code, None


def _finish(
    trip: AuthorizationRequest,
    tokens: ProviderTokens,
    *,
    issuer: str,
    ports: CallbackPorts,
    now: int,
    request_id: str,
    spare: Callable[[], float],
) -> str:
    provider = resolve(ports.catalog.get(trip.provider), trip.variables)
    if trip.purpose == "signin":
        return complete_signin(
            request=trip,
            tokens=tokens,
            provider=provider,
            clients=ports.clients,
            users=ports.users,
            codes=ports.codes,
            avatars=lambda: ports.avatars,
            provider_http=ports.provider_http,
            issuer=issuer,
            now=now,
            request_id=request_id,
            spare=spare,
        )
    if trip.purpose != "connect":
        from grantkeeper.services.complete_errand import complete_errand  # noqa: PLC0415 - errands only

        return complete_errand(
            request=trip, tokens=tokens, provider=provider, ports=ports, issuer=issuer, now=now, request_id=request_id
        )
    from grantkeeper.services.complete_connect import complete_connect  # noqa: PLC0415 - a sign-in does without

    return complete_connect(
        request=trip,
        tokens=tokens,
        provider=provider,
        credentials=ports.credentials.by_client_id(provider.credentials_id, trip.credentials_id),
        clients=ports.clients,
        connect_sessions=ports.connect_sessions,
        connections=ports.connections,
        sealer=ports.sealer,
        provider_http=ports.provider_http,
        audit=ports.audit,
        users=ports.users,
        work_queue=ports.work_queue,
        now=now,
        request_id=request_id,
    )


def _failed(
    trip: AuthorizationRequest,
    error: GrantkeeperError,
    *,
    issuer: str,
    ports: CallbackPorts,
    now: int,
    request_id: str,
) -> str:
    """Tell the client, and the trail, why nothing came of the trip; in our words only (C-22)."""
    code = _error_code(error)
    if trip.purpose == "connect":
        from grantkeeper.services.complete_connect import connect_failed  # noqa: PLC0415 - a sign-in does without

        return connect_failed(
            request=trip,
            error=code,
            clients=ports.clients,
            connect_sessions=ports.connect_sessions,
            audit=ports.audit,
            now=now,
            request_id=request_id,
        )
    if trip.purpose != "signin":
        from grantkeeper.services.complete_errand import errand_failed  # noqa: PLC0415 - errands only

        return errand_failed(request=trip, error=code, ports=ports, now=now, request_id=request_id)
    _, redirect_uri = require_client(trip, ports.clients)
    ports.audit.record(
        AuditEvent(
            id=ids.new_id("evt"),
            time=now,
            action="user.sign_in_refused",
            actor=f"client:{trip.client_id}",
            client_id=trip.client_id,
            provider=trip.provider,
            reason=str(error.extensions.get("reason") or error.slug),
            request_id=request_id,
            details={"error": code},
        )
    )
    return error_redirect(redirect_uri, error=code, detail=error.detail, state=trip.client_state, issuer=issuer)


def _error_code(error: GrantkeeperError) -> str:
    """The code of RFC 6749 section 4.1.2.1 for the client; `server_error` says as little as it should."""
    if isinstance(error, OAuthError):
        return error.error
    if isinstance(error, ProviderDeclined):
        reason, told = error.extensions.get("reason"), error.extensions.get("error")
        if reason == "provider_unavailable":
            return "temporarily_unavailable"
        if reason == "declined":
            return str(told) if told in _USER_SAID else "access_denied"
        return "server_error"
    return "temporarily_unavailable" if error.status == 503 else "server_error"
