"""Back from the provider: keep what it granted, unconfirmed, and send the browser back to the client."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote, urlencode, urlsplit

from grantkeeper import ids
from grantkeeper.errors import (
    AccountMismatch,
    BadRequest,
    ConnectionRevoked,
    ConnectSessionExpired,
    Forbidden,
    GrantkeeperError,
)
from grantkeeper.model import AuditEvent, AuthorizationRequest, Connection, ConnectSession, Pending, ProviderCredentials
from grantkeeper.ports import AuditTrail, Clients, Connections, ConnectSessions, ProviderHttp, Sealer, Users, WorkQueue
from grantkeeper.providers.record import Provider
from grantkeeper.services.abandon_tokens import abandon_tokens
from grantkeeper.services.client_redirect import CLIENT_ERRORS
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.pending_connection import Arrival, pending_connection
from grantkeeper.services.post_connect import ask_after_connect
from grantkeeper.services.redeem_provider_code import ProviderTokens
from grantkeeper.services.redirect_uris import require_registered
from grantkeeper.services.sign_profile import signer_for

_ERROR_OF_STATUS = {403: "access_denied", 503: "temporarily_unavailable"}
OWN_ERRORS = frozenset({"account_mismatch", "connection_revoked"})


def open_session_of(
    request: AuthorizationRequest, *, connect_sessions: ConnectSessions, clients: Clients, now: int
) -> ConnectSession:
    """
    The session a trip was made for, if it still waits for one. Ask before the provider's code is spent.

    Raises:
        ConnectSessionExpired: Expired, ended, another trip of it came back first, or its client is not active or gave
            up the redirect_uri meanwhile.
    """
    session = _returnable(request, connect_sessions=connect_sessions, clients=clients, now=now)
    if session.status != "open":
        raise ConnectSessionExpired("The connect session is over.")
    return session


def complete_connect(
    *,
    request: AuthorizationRequest,
    tokens: ProviderTokens,
    provider: Provider,
    credentials: ProviderCredentials,
    clients: Clients,
    connect_sessions: ConnectSessions,
    connections: Connections,
    sealer: Sealer,
    provider_http: ProviderHttp,
    audit: AuditTrail,
    users: Users,
    work_queue: WorkQueue,
    now: int,
    request_id: str,
) -> str:
    """
    Store what the provider granted, sealed and unconfirmed.

    Nothing is usable yet: the tokens wait ten minutes for the client to confirm them for the session's user. The same
    account again is the same connection, and its old grant stays untouched until then. A re-connect that comes back
    with another account ends the session; its tokens are revoked at the provider, if no live connection shares them.

    Args:
        request: The redeemed trip.
        tokens: The provider's answer, judged.
        provider: The record the trip was made with.
        credentials: The registration the code was redeemed with.
        now: Epoch seconds.
        request_id: For the audit trail.

    Returns:
        Where to send the browser: the client's redirect_uri with `connect_session`, `confirmation` and `state`, or with
        `error`.

    Raises:
        ConnectSessionExpired: The session is over: there is no place to go back to.
        StoreUnavailable: Not even the failure could be written down.
    """
    session = open_session_of(request, connect_sessions=connect_sessions, clients=clients, now=now)
    try:
        _require_active_user(session, users)
        sign = signer_for(provider, credentials, tokens, now=now)
        profile = fetch_profile(provider=provider, tokens=tokens, provider_http=provider_http, sign=sign)
        found = ask_after_connect(provider=provider, tokens=tokens, provider_http=provider_http)
        arrival = Arrival(request, session, provider, credentials, tokens, profile, now, request_id, found)
        existing = _existing(session, profile.provider_user_id, connections)
        pending = pending_connection(arrival, existing=existing, sealer=sealer)
        confirmation = _store(pending, session, connections=connections, now=now, request_id=request_id)
    except (AccountMismatch, ConnectionRevoked) as error:
        pending = pending_connection(arrival, existing=None, sealer=sealer)
        _store(pending, session, connections=connections, now=now, request_id=request_id)
        reason = error.slug.replace("-", "_")
        _refuse(
            pending,
            session,
            reason=reason,
            connect_sessions=connect_sessions,
            connections=connections,
            work_queue=work_queue,
            now=now,
            request_id=request_id,
        )
        return _redirect(session, error=reason)
    except ConnectSessionExpired:
        raise
    except GrantkeeperError as error:
        return connect_failed(
            request=request,
            error=_ERROR_OF_STATUS.get(error.status, "server_error"),
            clients=clients,
            connect_sessions=connect_sessions,
            audit=audit,
            now=now,
            request_id=request_id,
        )
    return _redirect(session, confirmation=confirmation)


def connect_failed(
    *,
    request: AuthorizationRequest,
    error: str,
    clients: Clients,
    connect_sessions: ConnectSessions,
    audit: AuditTrail,
    now: int,
    request_id: str,
) -> str:
    """
    Tell the client that a trip came back without tokens. The session stays open: its link may be tried again.

    Args:
        request: The redeemed trip.
        error: A registered code, RFC 6749 section 4.1.2.1; anything else is told as `server_error`.

    Returns:
        The client's redirect_uri with `error`, `connect_session` and `state`.

    Raises:
        ConnectSessionExpired: There is no place to go back to.
    """
    session = _returnable(request, connect_sessions=connect_sessions, clients=clients, now=now)
    code = error if error in CLIENT_ERRORS | OWN_ERRORS else "server_error"
    audit.record(_event(session, action="connect_session.failed", reason=code, now=now, request_id=request_id))
    return _redirect(session, error=code)


def _returnable(
    request: AuthorizationRequest, *, connect_sessions: ConnectSessions, clients: Clients, now: int
) -> ConnectSession:
    """The session, if its redirect_uri is still one to send a browser to: what was registered may be withdrawn."""
    session = connect_sessions.get(request.connect_session_id or "", now=now)
    client = clients.get(session.client_id)
    try:
        require_registered(session.redirect_uri, () if client is None else client.redirect_uris)
    except BadRequest:
        raise ConnectSessionExpired("There is no place left to go back to.") from None
    if client is None or client.status != "active":
        raise ConnectSessionExpired("The application is not active.")
    return session


def _require_active_user(session: ConnectSession, users: Users) -> None:
    user = users.get(session.sub)
    if user is None or user.status != "active":
        raise Forbidden("This user is suspended.")


def _existing(session: ConnectSession, account_id: str, connections: Connections) -> Connection | None:
    """
    The live connection this grant belongs to, None for a new one.

    Raises:
        AccountMismatch: The re-connect was of another account.
        ConnectionRevoked: The connection was disconnected while its user was away; revoked is final.
    """
    found_id = session.connection_id or connections.find_account(session.sub, session.service, account_id)
    found = None if found_id is None else connections.get(found_id)
    if session.connection_id is None:
        return None if found is None or found.status == "revoked" else found
    if found is None or found.status == "revoked":
        raise ConnectionRevoked("The connection was disconnected.")
    if found.account_id != account_id:
        raise AccountMismatch("This is another account.")
    return found


def _store(pending: Pending, session: ConnectSession, *, connections: Connections, now: int, request_id: str) -> str:
    """Make tokens and confirmation known to the store, in one transaction; only the hash of the latter."""
    confirmation = ids.new_secret()
    authorized = replace(
        session,
        status="authorized",
        confirmation_hash=ids.digest(confirmation),
        pending_connection_id=pending.connection.id,
        expires_at=pending.expires_at,
    )
    event = _event(session, action="connection.pending", now=now, request_id=request_id)
    connections.authorize(pending, authorized, now=now, audit=replace(event, connection_id=pending.connection.id))
    return confirmation


def _refuse(
    pending: Pending,
    session: ConnectSession,
    *,
    reason: str,
    connect_sessions: ConnectSessions,
    connections: Connections,
    work_queue: WorkQueue,
    now: int,
    request_id: str,
) -> None:
    """
    End the session and throw its tokens away.

    They were stored first, under a connection of their own, so that a crash here cannot leave a grant at the provider
    that nobody knows of. Nobody ever saw the confirmation.
    """
    event = _event(session, action="connect_session.refused", reason=reason, now=now, request_id=request_id)
    connect_sessions.end(session.id, now=now, audit=event)
    abandon_tokens(
        pending.connection.id,
        session.id,
        provider=session.provider,
        connections=connections,
        work_queue=work_queue,
        now=now,
        request_id=request_id,
    )


def _redirect(session: ConnectSession, *, confirmation: str | None = None, error: str | None = None) -> str:
    """The client's registered URI, with our parameters behind whatever query it has."""
    parameters = {
        "connect_session": session.id,
        "confirmation": confirmation,
        "error": error,
        "state": session.state,
    }
    query = urlencode({name: value for name, value in parameters.items() if value}, quote_via=quote)
    return f"{session.redirect_uri}{'&' if urlsplit(session.redirect_uri).query else '?'}{query}"


def _event(session: ConnectSession, *, action: str, now: int, request_id: str, reason: str | None = None) -> AuditEvent:
    return AuditEvent(
        id=ids.new_id("evt"),
        time=now,
        action=action,
        actor=session.opened_by,
        sub=session.sub,
        connection_id=session.connection_id,
        client_id=session.client_id,
        provider=session.provider,
        service=session.service,
        reason=reason,
        request_id=request_id,
        details={"connect_session": session.id},
    )
