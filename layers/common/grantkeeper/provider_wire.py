"""
Connections to providers: at judged addresses only, and every read and write of an exchange ends at its deadline.

It is the network backend of httpcore2, on which httpx2 stands. Only `provider_client` imports this module.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import httpcore2

from grantkeeper.errors import ProviderUnavailable
from grantkeeper.provider_address import Resolver, Target, addresses_of

CONNECT = 2.0  # seconds for name and TCP, and as much again for TLS
MAX_IDLE = 10.0  # seconds an unused connection is kept: providers and NAT gateways drop them unasked


@dataclass(slots=True)
class Exchange:
    """
    One request and its answer. A thread has at most one: httpcore2's pool works in the thread that sends.

    Attributes:
        target: Where to.
        deadline: On the monotonic clock.
        touched: A byte of the request may have left.
        ended: The other side has closed or reset the connection.
        received: All that was read, as it came.
    """

    target: Target
    deadline: float
    touched: bool = False
    ended: bool = False
    received: bytearray = field(default_factory=bytearray, repr=False)  # holds tokens

    def left(self, most: float = 3600.0) -> float:
        """Seconds until the deadline, `most` at the most. Raises TimeoutError when it has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        return min(left, most)


CURRENT: ContextVar[Exchange] = ContextVar("exchange")


class Wire(httpcore2.NetworkStream):
    """A connected socket whose every read and write ends at the exchange's deadline: dripping gains no time (C-54)."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._used = time.time()
        self._spoilt = False

    def spoil(self) -> None:
        """Let nobody use the connection again: more came than the answer."""
        self._spoilt = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore2's, per read
        """Read what has come. Raises OSError."""
        exchange = CURRENT.get()
        self._wire.settimeout(exchange.left())
        data = self._wire.recv(max_bytes)
        exchange.ended = not data
        exchange.received += data
        self._used = time.time()
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write everything; from here on the outcome is unknown. Raises TimeoutError or WriteError."""
        exchange = CURRENT.get()
        rest = memoryview(buffer)
        while rest:
            self._wire.settimeout(exchange.left())
            exchange.touched = True
            try:
                rest = rest[self._wire.send(rest) :]
            except TimeoutError:
                raise
            except OSError:  # httpcore2 reads on after this one: who refuses a request may have said why
                raise httpcore2.WriteError from None

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Wire:
        """Raises ProviderUnavailable: `upstream_tls` or `timeout`."""
        del timeout
        try:
            self._wire.settimeout(CURRENT.get().left(CONNECT))
            return Wire(ssl_context.wrap_socket(self._wire, server_hostname=server_hostname))
        except (OSError, ValueError) as error:
            self.close()
            reason = "timeout" if isinstance(error, TimeoutError) else "upstream_tls"
            raise ProviderUnavailable("The provider's TLS cannot be trusted.", reason=reason) from None

    def close(self) -> None:
        """Close the socket."""
        self._wire.close()

    def get_extra_info(self, info: str) -> Any:
        """
        Answer `is_readable`, by which the pool tells kept connections that have ended; nothing else.

        Idle time is counted on the wall clock as well: the other may stand still while an environment is frozen.
        """
        if info != "is_readable":
            return None
        if self._spoilt or self._wire.fileno() < 0 or not 0 <= time.time() - self._used < MAX_IDLE:
            return True
        poll = select.poll()  # not select(), which fails beyond 1024 descriptors
        poll.register(self._wire, select.POLLIN)
        return bool(poll.poll(0))


class Backend(httpcore2.NetworkBackend):
    """Connects to addresses that were judged for this very connection; there is no second look-up (O-02, O-03)."""

    def __init__(self, *, allow_private_addresses: bool, resolver: Resolver) -> None:
        self._allow_private = allow_private_addresses
        self._resolver = resolver

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Wire:
        """Raises ProviderUnavailable: `address_refused`, `dns_failed` or `connect_failed`."""
        del timeout, local_address, socket_options
        exchange = CURRENT.get()
        connecting = time.monotonic() + exchange.left(CONNECT)
        addresses = addresses_of(
            replace(exchange.target, host=host, port=port),
            allow_private_addresses=self._allow_private,
            timeout=connecting - time.monotonic(),
            resolver=self._resolver,
        )
        return Wire(_connected(addresses, connecting))


def _connected(addresses: list[tuple[int, Any]], deadline: float) -> socket.socket:
    """Connect to the first that answers; the time is shared, so that a silent one leaves some to the next."""
    for left, (family, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        timeout = (deadline - time.monotonic()) / left
        if timeout <= 0:
            break
        wire = socket.socket(family, socket.SOCK_STREAM)
        try:
            wire.settimeout(timeout)
            wire.connect(address)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            wire.close()
        else:
            return wire
    raise ProviderUnavailable("The provider cannot be reached.", reason="connect_failed")
