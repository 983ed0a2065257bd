"""
An application of the team, as small as it can be: what a newcomer opens.

Pages and a cookie that means nothing anywhere else; what it says to
Grantkeeper is in `demo_client.py`. The API key, the tokens and the user's
session stay on this side of the browser.
"""

from __future__ import annotations

import html
import json
import secrets
import threading
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc.errors import JoseError

from local.demo_client import DemoClient, Visitor

PAGE = Template((Path(__file__).parent / "demo_app.html").read_text())
COOKIE = "demo_app"


class DemoApp(ThreadingHTTPServer):
    """The application, on 127.0.0.1: another host name than the issuer's, so that they share no cookie."""

    daemon_threads = True

    def __init__(self, port: int, *, issuer: str) -> None:
        """Args: port: where to listen. issuer: Grantkeeper's base URL."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.callback_uri = f"{self.url}/callback"
        self.connected_uri = f"{self.url}/connected"
        self._issuer = issuer
        self.client: DemoClient
        self._visitors: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def open(self, *, client_id: str, api_key: str) -> None:
        """Take the credentials that registration gave us."""
        self.client = DemoClient(self._issuer, self.callback_uri, self.connected_uri, client_id, api_key)

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
        except (ValueError, KeyError, OSError, JoseError) as error:
            self._page(visitor, problem=str(error), status=502 if isinstance(error, OSError) else 400)

    def _home(self, visitor: Visitor, _: dict[str, str]) -> None:
        self._page(visitor)

    def _sign_in(self, visitor: Visitor, _: dict[str, str]) -> None:
        self._redirect(self.server.client.sign_in_url(visitor))

    def _callback(self, visitor: Visitor, answer: dict[str, str]) -> None:
        self.server.client.finish_sign_in(visitor, answer)
        self._redirect("/")

    def _connect(self, visitor: Visitor, _: dict[str, str]) -> None:
        self._redirect(self.server.client.connect_url(visitor))

    def _connected(self, visitor: Visitor, answer: dict[str, str]) -> None:
        self.server.client.finish_connect(visitor, answer)
        self._redirect("/")

    def _token(self, visitor: Visitor, _: dict[str, str]) -> None:
        if not visitor.connection_id:
            raise ValueError("Nothing is connected.")
        try:
            shown = json.dumps(self.server.client.token(visitor), indent=2, ensure_ascii=False)
        except OSError as error:  # the reader sees what Grantkeeper says, as a backend would
            shown = str(error)
        self._send(200, shown, content_type="text/plain; charset=utf-8")

    def _sign_out(self, visitor: Visitor, _: dict[str, str]) -> None:
        visitor.claims, visitor.profile, visitor.connection_id = {}, {}, ""
        self._redirect("/")

    def _page(self, visitor: Visitor, *, problem: str = "", status: int = 200) -> None:
        body = PAGE.substitute(
            stage="connected" if visitor.connection_id else "signed-in" if visitor.claims else "nobody",
            claims=html.escape(json.dumps(visitor.claims, indent=2, ensure_ascii=False)),
            profile=html.escape(json.dumps(visitor.profile, indent=2, ensure_ascii=False)),
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
