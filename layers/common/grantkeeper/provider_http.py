"""
The only code that talks to providers: one attempt, one deadline, one size limit.

It stands on `http.client`, which the SDK has loaded already: the first call costs no import (docs/decisions/0008).
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
import zlib
from collections import defaultdict
from functools import cached_property

from grantkeeper.errors import GrantkeeperError, ProviderUnavailable, TokenResponseRejected
from grantkeeper.ports import HttpRequest, HttpResponse
from grantkeeper.provider_address import Resolver, Target, addresses_of, parse_target
from grantkeeper.provider_wire import Connection, TlsWire, connect

MAX_BODY = 256 * 1024
CONNECT = 2.0  # seconds for name and TCP, and as much again for TLS
MAX_IDLE_PER_HOST = 50
_CHUNK = 64 * 1024
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE = re.compile(r"[\x20-\x7E]{0,16384}")  # RFC 9110 section 5.5, less what only old servers send


class PooledProviderHttp:
    """
    Requests to providers over kept connections; safe for any number of threads.

    It follows no redirect (C-42), reads no proxy variable (O-11), verifies every certificate, and connects to public
    addresses on port 443 only (see `provider_address`). There is no switch for any of it but the one for the local run.
    """

    def __init__(
        self,
        *,
        allow_private_addresses: bool = False,
        ca_file: str | None = None,
        resolver: Resolver = socket.getaddrinfo,
    ) -> None:
        """
        Args:
            allow_private_addresses: On the local run: http and any port at loopback addresses.
            ca_file: A PEM file of authorities trusted beside the system's, for a provider of one's own.
            resolver: `socket.getaddrinfo`.
        """
        self._allow_private = allow_private_addresses
        self._ca_file = ca_file
        self._resolver = resolver
        self._idle: dict[tuple[str, str, int], list[Connection]] = defaultdict(list)
        self._lock = threading.Lock()

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """
        Send one request and read its answer, once.

        Args:
            request: Built by the `oauth` package.
            budget: Seconds for everything: name, connection, TLS, sending, and the last byte of the answer.

        Returns:
            The answer, whatever its status; at most 256 KiB decompressed.

        Raises:
            ProviderUnavailable: No answer. `reason` is `address_refused`, `dns_failed`, `connect_failed`,
                `upstream_tls`, `timeout`, `connection_lost`, `upstream_malformed` or `request_malformed`;
                `outcome_unknown` is True from the first byte of the request on.
            TokenResponseRejected: The answer is over the size limit, or packed in a way nobody asked for; `reason` is
                `upstream_too_large` or `upstream_malformed`.
        """
        deadline = time.monotonic() + budget
        target = parse_target(request.url, allow_private_addresses=self._allow_private)
        headers = _headers(request)
        connection = self._kept(target) or self._connected(target, deadline)
        wire = connection.wire
        wire.deadline, wire.touched = deadline, False
        try:
            connection.request(request.method, target.path, body=request.body, headers=headers)
            response = connection.getresponse()
            try:
                body = _read(response)
            finally:
                response.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise _failed(error, sent=wire.touched) from None
        except GrantkeeperError:
            connection.close()
            raise
        self._keep(target, connection, reusable=not response.will_close)
        return HttpResponse(response.status, _lowered(response), body)

    def close(self) -> None:
        """Close the kept connections; later requests open new ones."""
        with self._lock:
            kept = [connection for idle in self._idle.values() for connection in idle]
            self._idle.clear()
        for connection in kept:
            connection.close()

    def __del__(self) -> None:
        self.close()

    def _connected(self, target: Target, deadline: float) -> Connection:
        """Open a connection to one of the target's judged addresses."""
        connecting = min(deadline, time.monotonic() + CONNECT)
        addresses = addresses_of(
            target,
            allow_private_addresses=self._allow_private,
            timeout=connecting - time.monotonic(),
            resolver=self._resolver,
        )
        plain = connect(addresses, connecting)
        if target.scheme == "http":
            return Connection(target, plain)
        plain.settimeout(max(min(deadline - time.monotonic(), CONNECT), 0.001))
        try:
            return Connection(target, self._tls.wrap_socket(plain, server_hostname=target.host))
        except (OSError, ValueError) as error:
            plain.close()
            reason = "timeout" if isinstance(error, TimeoutError) else "upstream_tls"
            raise ProviderUnavailable("The provider's TLS cannot be trusted.", reason=reason) from None

    def _kept(self, target: Target) -> Connection | None:
        """A connection kept from before, if it is young and nobody has closed it."""
        while True:
            with self._lock:
                idle = self._idle[target.scheme, target.host, target.port]
                if not idle:
                    return None
                connection = idle.pop()
            if connection.usable():
                return connection
            connection.close()

    def _keep(self, target: Target, connection: Connection, *, reusable: bool) -> None:
        connection.idle_since = time.time()
        with self._lock:
            idle = self._idle[target.scheme, target.host, target.port]
            if reusable and len(idle) < MAX_IDLE_PER_HOST:
                idle.append(connection)
                return
        connection.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        context.sslsocket_class = TlsWire
        return context


def _headers(request: HttpRequest) -> dict[str, str]:
    """
    Ours; an answer that is not packed cannot be a bomb, so none is asked for.

    `http.client` lets NUL and folded lines pass, and a token that becomes a header here comes from outside.
    """
    headers = {"user-agent": "grantkeeper"} | dict(request.headers) | {"accept-encoding": "identity"}
    if any(_HEADER.fullmatch(name) is None or _VALUE.fullmatch(value) is None for name, value in headers.items()):
        raise ProviderUnavailable("The request cannot be written.", reason="request_malformed")
    return headers


def _read(response: http.client.HTTPResponse) -> bytes:
    """Read the body up to the limit, unpacking what was packed unasked, never more than the limit at once (C-47)."""
    if (response.length or 0) > MAX_BODY:
        raise _too_large()
    packed = bytearray()
    while chunk := response.read1(_CHUNK) if response.length is None else response.read(_CHUNK):
        packed += chunk
        if len(packed) > MAX_BODY:
            raise _too_large()
    if response.length:  # reading in pieces, http.client does not say that the end is missing
        raise http.client.IncompleteRead(b"", response.length)
    coding = (response.getheader("content-encoding") or "identity").strip().lower()
    return bytes(packed) if coding == "identity" else _unpacked(bytes(packed), coding)


def _unpacked(packed: bytes, coding: str) -> bytes:
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise TokenResponseRejected("The provider's answer is packed in an unknown way.", reason="upstream_malformed")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, by their own headers
    try:
        body = unpacker.decompress(packed, MAX_BODY + 1)
    except zlib.error:
        raise TokenResponseRejected("The provider's answer cannot be unpacked.", reason="upstream_malformed") from None
    if len(body) > MAX_BODY:
        raise _too_large()
    if not unpacker.eof:
        raise TokenResponseRejected("The provider's answer is cut off.", reason="upstream_malformed")
    return body


def _lowered(response: http.client.HTTPResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        lowered = name.lower()
        headers[lowered] = f"{headers[lowered]}, {value}" if lowered in headers else value
    return headers


def _too_large() -> TokenResponseRejected:
    return TokenResponseRejected("The provider's answer is over 256 KiB.", reason="upstream_too_large")


def _failed(error: Exception, *, sent: bool) -> ProviderUnavailable:
    """Say what happened without repeating it: exceptions of the libraries quote headers and lines."""
    if isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead | OSError):
        reason = "connection_lost"
    else:
        reason = "upstream_malformed"
    return ProviderUnavailable("The provider did not answer in full.", outcome_unknown=sent, reason=reason)
