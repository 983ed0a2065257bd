"""Connections to providers whose every read and write ends at one deadline (security.md C-54)."""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
from typing import Any

from grantkeeper.errors import ProviderUnavailable
from grantkeeper.provider_address import Target

MAX_IDLE = 10.0  # seconds an unused connection is kept: providers and NAT gateways drop them unasked


class _Deadlined:
    """Every read and write of the exchange ends at one deadline: a server that drips bytes gains no time (C-54)."""

    deadline: float
    touched: bool  # a byte of the request may have left

    def arm(self: Any) -> None:
        """Give the next call the time that is left. Raises TimeoutError when none is."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        self.settimeout(left)


class PlainWire(_Deadlined, socket.socket):
    """A socket with a deadline; `http.client` reads by `recv_into` and writes by `sendall`."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Read within the deadline."""
        self.arm()
        return super().recv_into(*args, **options)

    def sendall(self, *args: Any) -> None:
        """Write within the deadline; from here on the outcome is unknown."""
        self.arm()
        self.touched = True
        super().sendall(*args)


class TlsWire(_Deadlined, ssl.SSLSocket):
    """The same over TLS, where `sendall` goes through `send`."""

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Read within the deadline."""
        self.arm()
        return super().recv_into(*args, **options)

    def send(self, *args: Any) -> int:
        """Write within the deadline; from here on the outcome is unknown."""
        self.arm()
        self.touched = True
        return super().send(*args)


class Connection(http.client.HTTPConnection):
    """A connection that is open already, and stays with the address it was opened to."""

    def __init__(self, target: Target, wire: socket.socket) -> None:
        super().__init__(target.host, target.port)
        self.default_port = 443 if target.scheme == "https" else 80  # left out of the Host header
        self.auto_open = 0
        self.sock = wire
        self.idle_since = time.time()

    @property
    def wire(self) -> Any:
        """The socket, to set the deadline on."""
        return self.sock

    def usable(self) -> bool:
        """Young, and silent: a kept connection with something to read has been closed by the other side."""
        if self.sock is None or not 0 <= time.time() - self.idle_since < MAX_IDLE:
            return False
        poll = select.poll()  # not select(), which fails beyond 1024 descriptors
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)


def connect(addresses: list[tuple[int, Any]], deadline: float) -> socket.socket:
    """
    Connect to the first address that answers; the time is shared, so that one that is silent leaves some to the next.

    Raises:
        ProviderUnavailable: None of them did; `reason` is `connect_failed`.
    """
    for left, (family, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        timeout = (deadline - time.monotonic()) / left
        if timeout <= 0:
            break
        wire = PlainWire(family, socket.SOCK_STREAM)
        try:
            wire.settimeout(timeout)
            wire.connect(address)
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            wire.close()
        else:
            return wire
    raise ProviderUnavailable("The provider cannot be reached.", reason="connect_failed")
