"""
An application of the team, as small as it can be: what a newcomer opens, and an example to copy from.

It signs users in with the authorization code flow and PKCE, checks the ID
token, lets the user connect the demo service, and asks for access tokens with
its API key. The key, the tokens and the user's session stay on this side; the
browser holds one cookie that means nothing anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import Request, urlopen

from joserfc import jwk, jwt

PAGE = Template((Path(__file__).parent / "demo_app.html").read_text())
SERVICE = "demo"
COOKIE = "demo_app"


@dataclass
class Visitor:
    """One browser, known by its cookie."""

    state: str = ""
    nonce: str = ""
    verifier: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    connect_state: str = ""
    connection_id: str = ""


class DemoApp(ThreadingHTTPServer):
    """The application, on 127.0.0.1: another host name than the issuer's, so that they share no cookie."""

    daemon_threads = True

    def __init__(self, port: int, *, issuer: str) -> None:
        """Args: port: where to listen. issuer: Grantkeeper's base URL."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.callback_uri = f"{self.url}/callback"
        self.connected_uri = f"{self.url}/connected"
        self.issuer = issuer
        self.client_id = ""
        self._api_key = ""
        self._visitors: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def open(self, *, client_id: str, api_key: str) -> None:
        """Take the credentials that registration gave us."""
        self.client_id, self._api_key = client_id, api_key

    def visitor(self, cookie: str) -> Visitor | None:
        """Who carries this cookie."""
        return self._visitors.get(cookie)

    def welcome(self) -> tuple[str, Visitor]:
        """A new visitor and the cookie to know them by."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._visitors) >= 1000:
                self._visitors.pop(next(iter(self._visitors)))
            return cookie, self._visitors.setdefault(cookie, Visitor())

    # --- signing in: OpenID Connect Core section 3.1, with PKCE (RFC 7636) ---

    def sign_in_url(self, visitor: Visitor) -> str:
        """Where to send the browser; what comes back must fit what is kept here."""
        visitor.state, visitor.nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        visitor.verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(visitor.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback_uri,
            "scope": "openid profile email",
            "state": visitor.state,
            "nonce": visitor.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.issuer}/oauth2/authorize?{urlencode(query)}"

    def finish_sign_in(self, visitor: Visitor, answer: dict[str, str]) -> None:
        """
        Exchange the code and believe the ID token only after checking it.

        Raises:
            ValueError: The answer is not the one to our question.
        """
        if not visitor.state or not secrets.compare_digest(answer.get("state", ""), visitor.state):
            raise ValueError("This answer belongs to another sign-in.")
        if answer.get("iss") != self.issuer:  # RFC 9207
            raise ValueError("This answer comes from another issuer.")
        if "error" in answer:
            raise ValueError(f"Signing in failed: {answer['error']}.")
        tokens = _call(
            f"{self.issuer}/oauth2/token",
            form={
                "grant_type": "authorization_code",
                "code": answer.get("code", ""),
                "redirect_uri": self.callback_uri,
                "client_id": self.client_id,
                "code_verifier": visitor.verifier,
            },
        )
        keys = jwk.KeySet.import_key_set(_call(f"{self.issuer}/.well-known/jwks.json"))  # type: ignore[arg-type]
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            nonce={"essential": True, "value": visitor.nonce},
            exp={"essential": True},
        ).validate(claims)
        visitor.claims, visitor.state, visitor.verifier = claims, "", ""

    # --- connecting: open, send the browser, confirm for the user who came back ---

    def connect_url(self, visitor: Visitor) -> str:
        """Open a connect session for the signed-in user; the browser goes to the URL it answers."""
        visitor.connect_state = secrets.token_urlsafe(32)
        session = self._api(
            "/v1/connect-sessions",
            json_body={
                "service": SERVICE,
                "redirect_uri": self.connected_uri,
                "state": visitor.connect_state,
                "user_sub": visitor.claims["sub"],
            },
        )
        return str(session["connect_url"])

    def finish_connect(self, visitor: Visitor, answer: dict[str, str]) -> None:
        """
        Confirm for the user who is signed in here and now, not for the one who started.

        Raises:
            ValueError: The answer is not the one to our question.
        """
        if not visitor.connect_state or not secrets.compare_digest(answer.get("state", ""), visitor.connect_state):
            raise ValueError("This answer belongs to another connection.")
        if "error" in answer:
            raise ValueError(f"Connecting failed: {answer['error']}.")
        connection = self._api(
            f"/v1/connect-sessions/{answer.get('connect_session', '')}/complete",
            json_body={"confirmation": answer.get("confirmation", ""), "user_sub": visitor.claims["sub"]},
        )
        visitor.connect_state, visitor.connection_id = "", str(connection["id"])

    def token(self, visitor: Visitor) -> dict[str, Any]:
        """The token call. A backend would use the token; this one shows how it begins, never all of it."""
        answer = self._api(f"/v1/connections/{visitor.connection_id}/token?min_ttl=30")
        shown = ("kind", "token_type", "expires_at", "scopes", "generation", "connection_id")
        return {"access_token": f"{answer['access_token'][:6]}…"} | {name: answer.get(name) for name in shown}

    def _api(self, path: str, *, json_body: dict[str, Any] | None = None) -> dict[str, Any]:
        return _call(f"{self.issuer}{path}", json_body=json_body, headers={"x-api-key": self._api_key})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DemoApp

    def do_GET(self) -> None:
        """Pages and the two ways back."""
        self._serve(
            {"/": self._home, "/callback": self._callback, "/connected": self._connected, "/token": self._token}
        )

    def do_POST(self) -> None:
        """Buttons. The cookie is SameSite=Lax, so another site's form finds nobody signed in."""
        self.rfile.read(min(int(self.headers.get("content-length") or 0), 65536))
        self._serve({"/sign-in": self._sign_in, "/connect": self._connect, "/sign-out": self._sign_out})

    def log_message(self, *_: object) -> None:
        """Say nothing: the ways back carry codes."""

    def _serve(self, routes: dict[str, Any]) -> None:
        morsel = SimpleCookie(self.headers.get("cookie", "")).get(COOKIE)
        visitor = self.server.visitor(morsel.value) if morsel else None
        self._new_cookie = ""
        if visitor is None:
            self._new_cookie, visitor = self.server.welcome()
        route = routes.get(urlsplit(self.path).path)
        try:
            if route is None:
                self._send(404, "There is no such page.", content_type="text/plain; charset=utf-8")
            else:
                route(visitor, {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
        except (ValueError, KeyError, OSError) as error:
            self._page(visitor, problem=str(error), status=502 if isinstance(error, OSError) else 400)

    def _home(self, visitor: Visitor, _: dict[str, str]) -> None:
        self._page(visitor)

    def _sign_in(self, visitor: Visitor, _: dict[str, str]) -> None:
        self._redirect(self.server.sign_in_url(visitor))

    def _callback(self, visitor: Visitor, answer: dict[str, str]) -> None:
        self.server.finish_sign_in(visitor, answer)
        self._redirect("/")

    def _connect(self, visitor: Visitor, _: dict[str, str]) -> None:
        self._redirect(self.server.connect_url(visitor))

    def _connected(self, visitor: Visitor, answer: dict[str, str]) -> None:
        self.server.finish_connect(visitor, answer)
        self._redirect("/")

    def _token(self, visitor: Visitor, _: dict[str, str]) -> None:
        if not visitor.connection_id:
            raise ValueError("Nothing is connected.")
        self._send(200, json.dumps(self.server.token(visitor), indent=2), content_type="application/json")

    def _sign_out(self, visitor: Visitor, _: dict[str, str]) -> None:
        visitor.claims, visitor.connection_id = {}, ""
        self._redirect("/")

    def _page(self, visitor: Visitor, *, problem: str = "", status: int = 200) -> None:
        body = PAGE.substitute(
            stage="connected" if visitor.connection_id else "signed-in" if visitor.claims else "nobody",
            claims=html.escape(json.dumps(visitor.claims, indent=2, ensure_ascii=False)),
            problem=html.escape(problem),
        )
        self._send(status, body, content_type="text/html; charset=utf-8")

    def _redirect(self, url: str) -> None:
        self._send(303, "", content_type="text/plain; charset=utf-8", location=url)

    def _send(self, status: int, body: str, *, content_type: str, location: str = "") -> None:
        content = body.encode()
        self.send_response_only(status)
        for name, value in (
            ("content-type", content_type),
            ("content-length", str(len(content))),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("location", location),
            ("set-cookie", self._new_cookie and f"{COOKIE}={self._new_cookie}; HttpOnly; SameSite=Lax; Path=/"),
        ):
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _call(
    url: str,
    *,
    form: dict[str, str] | None = None,
    json_body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """
    One request to Grantkeeper.

    Raises:
        OSError: It said no or nothing; the message is its own.
    """
    request = Request(url, headers=headers or {})  # noqa: S310 - the issuer's URL, from our own configuration
    if form is not None:
        request.data = urlencode(form).encode()
    elif json_body is not None:
        request.data = json.dumps(json_body).encode()
        request.add_header("content-type", "application/json")
    try:
        with urlopen(request, timeout=30) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
            return answer
    except HTTPError as error:
        raise OSError(f"{error.code} from {urlsplit(url).path}: {error.read(2000).decode(errors='replace')}") from None
