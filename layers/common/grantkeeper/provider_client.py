"""
How httpx2 is held to our rules (docs/decisions/0008).

Only `provider_http` imports this module, and only when it sends: httpx2 comes with it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from http.cookiejar import CookieJar
from typing import Any

import httpcore2
import httpx2

from grantkeeper.provider_address import Resolver
from grantkeeper.provider_wire import MAX_IDLE, Backend

MAX_KEPT = 50  # connections kept open while unused: one for each thread of the largest batch, twice over
FAILURES = (OSError, httpcore2.ProtocolError, httpcore2.NetworkError, httpx2.HTTPError, httpx2.InvalidURL)


class Transport(httpx2.BaseTransport):
    """
    httpcore2's pool over our backend.

    It never makes a thread wait for a connection, so there are at most as many as threads that send, and those kept.
    """

    def __init__(self, *, backend: Backend, tls: ssl.SSLContext) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=MAX_KEPT,
            keepalive_expiry=MAX_IDLE,
            network_backend=backend,
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises what the backend raises, and httpcore2's ProtocolError."""
        url = request.url
        answer = self._pool.handle_request(
            httpcore2.Request(
                request.method,
                httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _NoCookies(CookieJar):
    """Keeps none: a jar would grow with every answer, one user's cookies beside another's."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Forget them unread."""


def new_client(*, allow_private_addresses: bool, ca_file: str | None, resolver: Resolver) -> httpx2.Client:
    """
    Make a client that follows nothing, remembers nothing and reads no environment (C-42, O-04, O-11).

    Args:
        allow_private_addresses: See `provider_address.parse_target`.
        ca_file: A PEM file of authorities trusted beside the system's.
        resolver: `socket.getaddrinfo`.
    """
    for library in ("httpx2", "httpcore2"):  # they log addresses at INFO, and headers at DEBUG
        logging.getLogger(library).setLevel(logging.WARNING)
    return httpx2.Client(
        transport=Transport(
            backend=Backend(allow_private_addresses=allow_private_addresses, resolver=resolver), tls=_tls(ca_file)
        ),
        cookies=_NoCookies(),
        follow_redirects=False,
        timeout=None,  # the wires know the deadline
        trust_env=False,
    )


def _tls(ca_file: str | None) -> ssl.SSLContext:
    """The system's authorities, kept fresh with the runtime; SSL_CERT_FILE and SSLKEYLOGFILE do not count."""
    context = httpx2.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
