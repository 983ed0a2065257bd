"""What a backend says to Grantkeeper with its API key: open, confirm, list, take a token, disconnect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIMEOUT = 20  # seconds


class Refused(Exception):
    """Grantkeeper said no, in the form of RFC 9457."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or status))
        self.status = status


@dataclass(frozen=True)
class GrantkeeperApi:
    """
    Grantkeeper, for one user at a time.

    The key reaches every user of this client. So each call names the user by the `sub` of the token that was verified,
    never by anything that came in a body; whose a connection is, is looked up before its token is taken.
    """

    issuer: str
    api_key: str = field(repr=False)

    def keys(self) -> Mapping[str, Any]:
        """The public keys of its access tokens."""
        return call(f"{self.issuer}/.well-known/jwks.json")

    def open_connect_session(self, sub: str, *, service: str, redirect_uri: str, state: str) -> Mapping[str, Any]:
        """Let this user connect one service."""
        wish = {"service": service, "redirect_uri": redirect_uri, "state": state, "user_sub": sub}
        return self._v1("/connect-sessions", json_body=wish)

    def confirm(self, sub: str, *, session_id: str, confirmation: str) -> Mapping[str, Any]:
        """Confirm for the user who is signed in where the browser came back."""
        body = {"confirmation": confirmation, "user_sub": sub}
        return self._v1(f"/connect-sessions/{quote(session_id, safe='')}/complete", json_body=body)

    def connections(self, sub: str) -> Mapping[str, Any]:
        """What this user has connected; the first page of it."""
        return self._v1(f"/connections?{urlencode({'user_sub': sub, 'limit': 100})}")

    def connection(self, sub: str, connection_id: str) -> Mapping[str, Any]:
        """
        One connection of this user: whoever names it, its token is taken for its owner only.

        Raises:
            Refused: 404, for another's as for none.
        """
        connection: Mapping[str, Any] = self._v1(f"/connections/{quote(connection_id, safe='')}")
        if connection["user_sub"] != sub:
            raise Refused(404, {"detail": "No such connection."})
        return connection

    def provider_token(self, connection: Mapping[str, Any]) -> str:
        """A working access token of the provider's, for what `connection` returned. It never goes to a browser."""
        return str(self._v1(f"/connections/{connection['id']}/token?min_ttl=30")["access_token"])

    def disconnect(self, connection: Mapping[str, Any]) -> Mapping[str, Any]:
        """Disconnect what `connection` returned; Grantkeeper revokes at the provider what may be revoked."""
        return self._v1(f"/connections/{connection['id']}", method="DELETE")

    def _v1(
        self, path: str, *, json_body: Mapping[str, Any] | None = None, method: str | None = None
    ) -> dict[str, Any]:
        headers = {"x-api-key": self.api_key}
        return call(f"{self.issuer}/v1{path}", headers=headers, json_body=json_body, method=method)


class _NoRedirect(HTTPRedirectHandler):
    """A credential goes where it was meant to go, or nowhere."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


_open = build_opener(_NoRedirect).open


def call(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    json_body: Mapping[str, Any] | None = None,
    method: str | None = None,
) -> dict[str, Any]:
    """
    One request; its JSON object.

    Raises:
        Refused: The other side says no.
        OSError: It says nothing, or nothing that can be read.
    """
    request = Request(url, headers=dict(headers or {}), method=method)  # noqa: S310 - of our own configuration
    if json_body is not None:
        request.data = json.dumps(json_body).encode()
        request.add_header("content-type", "application/json")
    try:
        with _open(request, timeout=TIMEOUT) as response:
            answer = json.load(response)
    except HTTPError as error:
        raise Refused(error.code, _problem(error)) from None
    except (HTTPException, ValueError) as error:
        raise OSError(f"unreadable: {type(error).__name__}") from None
    if not isinstance(answer, dict):
        raise OSError("unreadable: no object")
    return answer


def _problem(error: HTTPError) -> Mapping[str, Any]:
    try:
        body = json.loads(error.read(4096))
    except (OSError, HTTPException, ValueError):
        body = None
    return body if isinstance(body, dict) else {}
