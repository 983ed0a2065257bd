"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): the client sends the browser to end its session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from grantkeeper import ids
from grantkeeper.errors import BadRequest, Unauthenticated
from grantkeeper.jws import verify_jws
from grantkeeper.model import Client
from grantkeeper.ports import Clients, KeySet, Sessions
from grantkeeper.services.revoke_session import end_session_of
from grantkeeper.services.signin_request import Parameters, only

MAX_STATE = 2048


@dataclass(frozen=True, slots=True)
class EndedSession:
    """Where to send the browser, None for a page of ours; `ended` when a session was."""

    ended: bool
    location: str | None = field(default=None, repr=False)


def end_session(
    parameters: Parameters,
    *,
    clients: Clients,
    sessions: Sessions,
    key_set: KeySet,
    issuer: str,
    now: int,
    request_id: str,
) -> EndedSession:
    """
    End the session an ID token names.

    We keep no sign-in of our own in the browser, so without a hint there is nothing to end, and a page on another site
    can end nothing: only who holds the ID token can. An expired hint is good; one that does not verify is none.

    Raises:
        BadRequest: A parameter is repeated; the client is unknown or contradicts the hint; the
            post_logout_redirect_uri is not registered: it is never followed.
    """
    hint = _hint(only(parameters, "id_token_hint"), key_set=key_set, issuer=issuer)
    client = _client(only(parameters, "client_id"), hint, clients)
    location = _location(parameters, client)
    return EndedSession(_end(hint, sessions=sessions, now=now, request_id=request_id), location)


def _hint(token: str | None, *, key_set: KeySet, issuer: str) -> Mapping[str, Any] | None:
    if not token:
        return None
    try:
        _, claims = verify_jws(token, key_set=key_set, algorithms=("RS256", "ES256"), typ="JWT")
    except Unauthenticated:
        return None
    named = all(isinstance(claims.get(name), str) for name in ("sub", "sid", "aud"))
    return claims if named and claims.get("iss") == issuer else None


def _client(client_id: str | None, hint: Mapping[str, Any] | None, clients: Clients) -> Client | None:
    if client_id is not None and hint is not None and client_id != hint["aud"]:
        raise BadRequest("The id_token_hint is another client's.", parameter="client_id")
    client_id = client_id or (hint["aud"] if hint is not None else None)
    client = clients.get(client_id) if client_id is not None and ids.is_id(client_id) else None
    if client_id is not None and client is None:
        raise BadRequest("The client is not known here.", parameter="client_id")
    return client


def _location(parameters: Parameters, client: Client | None) -> str | None:
    uri = only(parameters, "post_logout_redirect_uri")
    if not uri:
        return None
    if client is None or client.status != "active" or uri not in client.post_logout_redirect_uris:
        raise BadRequest("The post_logout_redirect_uri is not registered.", parameter="post_logout_redirect_uri")
    state = only(parameters, "state")
    if not state or len(state) > MAX_STATE:
        return uri
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode({'state': state}, quote_via=quote)}"


def _end(hint: Mapping[str, Any] | None, *, sessions: Sessions, now: int, request_id: str) -> bool:
    if hint is None:
        return False
    session = sessions.find(hint["sub"], hint["sid"])
    if session is None or session.client_id != hint["aud"]:
        return False
    return end_session_of(
        session, actor=f"user:{session.sub}", reason="signed_out", sessions=sessions, now=now, request_id=request_id
    )
