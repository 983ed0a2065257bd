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

import h11
import httpcore2
import httpx2

from grantkeeper.provider_address import Resolver
from grantkeeper.provider_wire import CURRENT, MAX_IDLE, Backend

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
            answer.status, headers=answer.headers, stream=_Body(answer, request.method), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response, method: str) -> None:
        self._answer = answer
        self._method = method

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        """Give the connection back; one on which more came than the answer is not used again."""
        try:
            if not _ends_there(bytes(CURRENT.get().received), method=self._method):
                self._answer.extensions["network_stream"].spoil()
        finally:
            self._answer.close()


def _ends_there(received: bytes, *, method: str) -> bool:
    """
    Tell whether an answer and nothing else was received.

    httpcore2 keeps what came behind an answer, and reads it as the answer to the next request on the connection: that
    of another user's refresh. So the answer is read once more, which takes some 50 µs.
    """
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "provider")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(received)
    try:
        event = reader.next_event()
        while not isinstance(event, h11.EndOfMessage) and event not in (h11.NEED_DATA, h11.PAUSED):
            event = reader.next_event()
    except h11.RemoteProtocolError:
        return False
    return isinstance(event, h11.EndOfMessage) and not reader.trailing_data[0]


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
