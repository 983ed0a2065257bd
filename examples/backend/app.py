"""
The API that the single-page application calls: it believes its callers by their access token and acts for them.

    GET    /connections                 what the caller has connected
    POST   /connections                 open a connect session: {service, state}
    POST   /connections/confirm         confirm it: {connect_session, confirmation}
    GET    /connections/{id}/account    the caller's account at the service, read with the provider's token
    DELETE /connections/{id}            disconnect
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from examples.backend.access_tokens import AccessTokens, InsufficientScope, InvalidToken
from examples.backend.grantkeeper_api import GrantkeeperApi, Refused, call

MAX_BODY = 16_384  # bytes
TOLD = (400, 403, 404, 409, 410, 429)  # of Grantkeeper's refusals: the others are this API's fault or nobody's here
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What this API is told when it starts."""

    spa_origin: str  # the only origin whose pages may call
    connected_uri: str  # where the browser comes back after connecting
    accounts: Mapping[str, str]  # service → the provider's userinfo endpoint


class BadRequest(Exception):
    """The caller's fault; the message says what."""


class Backend(ThreadingHTTPServer):
    """The API, on 127.0.0.1."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        """Take the port: the URL is this API's name, which has to be registered before it opens."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.settings: Settings
        self.grantkeeper: GrantkeeperApi
        self.tokens: AccessTokens

    def open(self, settings: Settings, *, grantkeeper: GrantkeeperApi) -> None:
        """Take what registration gave us; tokens must be for this API by its own name."""
        self.settings, self.grantkeeper = settings, grantkeeper
        self.tokens = AccessTokens(issuer=grantkeeper.issuer, audience=self.url, fetch_keys=grantkeeper.keys)

    # Each of these is for the user `sub`, whose token was verified.

    def connections(self, sub: str, _: Mapping[str, str]) -> Any:
        """What he has connected."""
        return self.grantkeeper.connections(sub)

    def open_session(self, sub: str, body: Mapping[str, str]) -> Any:
        """A connect session for him. The URL goes to the page that asked for it and nowhere else."""
        return self.grantkeeper.open_connect_session(
            sub, service=body["service"], state=body["state"], redirect_uri=self.settings.connected_uri
        )

    def confirm(self, sub: str, body: Mapping[str, str]) -> Any:
        """Confirm for who is signed in here and now: had another begun, Grantkeeper refuses and ends the session."""
        return self.grantkeeper.confirm(sub, session_id=body["connect_session"], confirmation=body["confirmation"])

    def account(self, sub: str, body: Mapping[str, str]) -> Any:
        """His account as the provider tells it; he sees the answer, never the token."""
        connection = self.grantkeeper.connection(sub, body["id"])
        endpoint = self.settings.accounts.get(connection["service"])
        if endpoint is None:
            raise BadRequest("This example does not know how to ask that service.")
        token = self.grantkeeper.provider_token(connection)
        account = call(endpoint, headers={"authorization": f"Bearer {token}"})
        return {name: account[name] for name in ("sub", "name", "email") if name in account}

    def disconnect(self, sub: str, body: Mapping[str, str]) -> Any:
        """Disconnect."""
        return self.grantkeeper.disconnect(self.grantkeeper.connection(sub, body["id"]))


READ, WRITE = "connections:read", "connections:write"
# Method, path → scope of the caller's token, members of the body, what answers. Our key may do more than a caller may.
ROUTES: tuple[tuple[str, str, str, tuple[str, ...], Callable[[Backend, str, Mapping[str, str]], Any]], ...] = (
    ("GET", r"/connections", READ, (), Backend.connections),
    ("POST", r"/connections", WRITE, ("service", "state"), Backend.open_session),
    ("POST", r"/connections/confirm", WRITE, ("connect_session", "confirmation"), Backend.confirm),
    ("GET", r"/connections/(?P<id>\w{1,64})/account", READ, (), Backend.account),
    ("DELETE", r"/connections/(?P<id>\w{1,64})", WRITE, (), Backend.disconnect),
)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds a connection may idle
    server: Backend

    def serve(self) -> None:
        """Answer with what a route says, or with a problem."""
        try:
            self._send(200, self._answer())
        except InvalidToken as error:
            log.info("token refused: %s", error)
            self._problem(401, "Send an access token for this API.", challenge='Bearer error="invalid_token"')
        except InsufficientScope as error:
            self._problem(403, f"The token lacks {error}.", challenge='Bearer error="insufficient_scope"')
        except BadRequest as error:
            self._problem(400, str(error))
        except Refused as error:
            self._problem(error.status if error.status in TOLD else 502, str(error))
        except OSError as error:
            log.warning("Grantkeeper or a provider does not answer: %s", error)
            self._problem(502, "Somebody this API asks does not answer.")

    do_GET = do_POST = do_DELETE = serve  # noqa: N815 - http.server's names

    def do_OPTIONS(self) -> None:
        """The browser's question before it sends a token: who may."""
        self._send(204, None)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> Any:
        body, path = self._body(), urlsplit(self.path).path
        for method, pattern, scope, members, answer in ROUTES:
            found = re.fullmatch(pattern, path, re.ASCII) if method == self.command else None
            if found is not None:
                sub = str(self.server.tokens.verify(self._bearer(), scope=scope)["sub"])
                return answer(self.server, sub, _members(body, members) | found.groupdict())
        raise Refused(404, {"detail": "There is nothing here."})

    def _bearer(self) -> str:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidToken("none")
        return token

    def _body(self) -> bytes:
        length = self.headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY:
            self.close_connection = True
            raise BadRequest("The body is too long.")
        return self.rfile.read(int(length))

    def _problem(self, status: int, detail: str, *, challenge: str | None = None) -> None:
        self._send(status, {"status": status, "detail": detail}, challenge=challenge)

    def _send(self, status: int, body: Any, *, challenge: str | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        headers = {
            "content-type": "application/json" if status == 200 else "application/problem+json",
            "content-length": str(len(content)),
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "access-control-allow-origin": self.server.settings.spa_origin,
            "vary": "origin",
        }
        if challenge:
            headers["www-authenticate"] = challenge
        if self.command == "OPTIONS":
            headers["access-control-allow-methods"] = "GET, POST, DELETE"
            headers["access-control-allow-headers"] = "authorization, content-type"
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _members(body: bytes, names: tuple[str, ...]) -> dict[str, str]:
    """
    The members a route wants, as strings.

    Raises:
        BadRequest: One is missing or is no string.
    """
    if not names:
        return {}
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(given.get(name), str) for name in names):
        raise BadRequest(f"Send JSON with {' and '.join(names)}.")
    return {name: given[name] for name in names}
