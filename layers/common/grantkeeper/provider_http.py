"""
The only code that talks to providers: one attempt, one deadline, one size limit.

It stands on httpx2, which is loaded by the first request and not before (docs/decisions/0001).
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
import zlib
from typing import TYPE_CHECKING

from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import HttpRequest, HttpResponse
from grantkeeper.provider_address import Resolver, Target, parse_target

if TYPE_CHECKING:
    import httpx2

    from grantkeeper.provider_wire import Exchange

MAX_BODY = 256 * 1024
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE = re.compile(r"[\x20-\x7E]{0,16384}")  # RFC 9110 section 5.5, less what only old servers send


class Httpx2ProviderHttp:
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
        resolver: Resolver | None = None,
    ) -> None:
        """
        Args:
            allow_private_addresses: On the local run: http and any port at loopback addresses.
            ca_file: A PEM file of authorities trusted beside the system's, for a provider of one's own.
            resolver: `socket.getaddrinfo` unless given.
        """
        self._client: httpx2.Client | None = None
        self._lock = threading.Lock()
        self._allow_private = allow_private_addresses
        self._ca_file = ca_file
        self._resolver = resolver or socket.getaddrinfo

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """
        Send one request and read its answer, once.

        Args:
            request: Built by the `oauth` package.
            budget: Seconds for everything: name, connection, TLS, sending, and the last byte of the answer.

        Returns:
            The answer, whatever its status; at most 256 KiB decompressed.

        Raises:
            ProviderUnavailable: No whole answer. `reason` is `address_refused`, `dns_failed`, `connect_failed`,
                `upstream_tls`, `timeout`, `connection_lost`, `upstream_malformed` or `request_malformed`;
                `outcome_unknown` is True from the first byte of the request on.
            TokenResponseRejected: The answer is over the size limit, or packed in a way nobody asked for; `reason` is
                `upstream_too_large` or `upstream_malformed`.
        """
        deadline = time.monotonic() + budget
        target = parse_target(request.url, allow_private_addresses=self._allow_private)
        headers = _headers(request)
        from grantkeeper.provider_client import FAILURES  # httpx2 comes with it
        from grantkeeper.provider_wire import CURRENT, Exchange

        exchange = Exchange(target, deadline)
        before = CURRENT.set(exchange)
        try:
            return self._exchanged(target, request, headers)
        except FAILURES as error:
            raise _failed(error, exchange) from None
        finally:
            CURRENT.reset(before)

    def close(self) -> None:
        """Close the kept connections; later requests open new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def __del__(self) -> None:
        self.close()

    def _exchanged(self, target: Target, request: HttpRequest, headers: dict[str, str]) -> HttpResponse:
        import httpx2

        host = f"[{target.host}]" if ":" in target.host else target.host
        wanted = httpx2.Request(
            request.method,
            f"{target.scheme}://{host}:{target.port}/",
            headers=headers,
            content=request.body,
            extensions={"target": target.path.encode()},  # as it stands: httpx2 would quote it anew
        )
        response = self._made_client().send(wanted, stream=True)
        try:
            return HttpResponse(response.status_code, dict(response.headers.items()), _read(response))
        finally:
            with contextlib.suppress(Exception):  # what was answered is answered, however the connection ends
                response.close()

    def _made_client(self) -> httpx2.Client:
        from grantkeeper.provider_client import new_client

        with self._lock:
            if self._client is None:
                self._client = new_client(
                    allow_private_addresses=self._allow_private, ca_file=self._ca_file, resolver=self._resolver
                )
            return self._client


def _headers(request: HttpRequest) -> dict[str, str]:
    """
    Ours; an answer that is not packed cannot be a bomb, so none is asked for.

    They are read before a connection is made: a token that becomes a header here comes from outside.
    """
    headers = {"user-agent": "grantkeeper"} | dict(request.headers) | {"accept-encoding": "identity"}
    if any(_HEADER.fullmatch(name) is None or _VALUE.fullmatch(value) is None for name, value in headers.items()):
        raise ProviderUnavailable("The request cannot be written.", reason="request_malformed")
    return headers


def _read(response: httpx2.Response) -> bytes:
    """Read the body up to the limit, unpacking what was packed unasked, never more than the limit at once (C-47)."""
    if int(response.headers.get("content-length", "0")) > MAX_BODY:
        raise _too_large()
    from grantkeeper.provider_client import FAILURES

    packed = bytearray()
    try:
        for chunk in response.iter_raw():
            packed += chunk
            if len(packed) > MAX_BODY:
                raise _too_large()
    except FAILURES:
        if not _is_whole(bytes(packed)):
            raise
    coding = response.headers.get("content-encoding", "identity").strip().lower()
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
    if not unpacker.eof and not _is_whole(body):
        raise TokenResponseRejected("The provider's answer is cut off.", reason="upstream_malformed")
    return body


def _is_whole(body: bytes) -> bool:
    """
    Tell whether a body is a JSON object from brace to brace, so that nothing of it can be missing.

    Then a connection that breaks or hangs instead of ending has answered all the same: a refresh token may be in it,
    and no other answer may ever hold it.
    """
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _too_large() -> TokenResponseRejected:
    return TokenResponseRejected("The provider's answer is over 256 KiB.", reason="upstream_too_large")


def _failed(error: Exception, exchange: Exchange) -> ProviderUnavailable:
    """Say what happened without repeating it: exceptions of the libraries quote headers and lines."""
    if isinstance(error, TimeoutError):
        reason = "timeout"
    elif exchange.ended or isinstance(error, OSError):
        reason = "connection_lost"
    else:
        reason = "upstream_malformed" if exchange.touched else "request_malformed"
    return ProviderUnavailable("The provider did not answer in full.", outcome_unknown=exchange.touched, reason=reason)
