"""A server of static files, for the single-page application: a short list of files under a strict policy."""

from __future__ import annotations

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

SPA = Path(__file__).parent / "spa"
LIBRARY = SPA / "node_modules" / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js"
HTML, SCRIPT, STYLE = "text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"
# The two ways back are the same page: its script looks at the address.
FILES = {
    "/": (SPA / "index.html", HTML),
    "/callback": (SPA / "index.html", HTML),
    "/connected": (SPA / "index.html", HTML),
    "/app.js": (SPA / "app.js", SCRIPT),
    "/client.js": (SPA / "client.js", SCRIPT),
    "/style.css": (SPA / "style.css", STYLE),
    "/icon.svg": (SPA / "icon.svg", "image/svg+xml"),
    "/oidc-client-ts.min.js": (LIBRARY, SCRIPT),
}


class Pages(ThreadingHTTPServer):
    """The files of the application, on 127.0.0.1, and what it has to know: /config.json."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        """Take the port."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.origin = f"http://127.0.0.1:{self.server_address[1]}"
        self.config = b"{}"
        self.policy = ""

    def open(self, config: bytes, *, talks_to: tuple[str, ...]) -> None:
        """
        Begin to serve.

        Args:
            config: /config.json: public, like everything a browser gets.
            talks_to: The origins that the page may send requests to, besides its own.
        """
        self.config = config
        rules: Mapping[str, str] = {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "connect-src": " ".join(("'self'", *talks_to)),
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
        }
        self.policy = "; ".join(f"{name} {value}" for name, value in rules.items())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds a connection may idle
    server: Pages

    def do_GET(self) -> None:
        """One of the files, or 404."""
        path = urlsplit(self.path).path
        if path == "/config.json":
            self._send(200, self.server.config, "application/json")
        elif path in FILES:
            file, content_type = FILES[path]
            self._send(200, file.read_bytes(), content_type)
        else:
            self._send(404, b"There is no such page.", "text/plain; charset=utf-8")

    def log_message(self, *_: object) -> None:
        """Say nothing: the ways back carry codes."""

    def _send(self, status: int, content: bytes, content_type: str) -> None:
        self.send_response_only(status)
        for name, value in (
            ("content-type", content_type),
            ("content-length", str(len(content))),
            ("content-security-policy", self.server.policy),
            ("referrer-policy", "no-referrer"),  # nobody else is told the code in the address
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-cache"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
