"""
Where a provider may be: the guard that keeps requests out of private networks (security.md section 2.8).

A name is resolved once, every address it has is judged, and the connection goes to a judged address: there is no second
look-up that could answer otherwise (O-03). The host name still goes into SNI, certificate check and Host header.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from grantkeeper.errors import ProviderUnavailable

MAX_ADDRESSES = 4
Resolver = Callable[..., list[Any]]  # as socket.getaddrinfo
Address = IPv4Address | IPv6Address

_URL = re.compile(r"(https?)://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?([/?][\x21-\x7E]{0,16000})?")
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL: canonical, or it would not have been parsed."""

    scheme: str
    host: str
    port: int
    path: str  # with the query


def parse_target(url: str, *, allow_private_addresses: bool) -> Target:
    """
    Take a URL apart, if it is of the one form we send to: `https://host/path?query` (O-01, O-06, O-07).

    Args:
        url: ASCII, without user name, fragment, backslash and white space.
        allow_private_addresses: On the local run: `http` and other ports than 443 are parsed as well; `judge_address`
            then accepts them at loopback addresses only.

    Raises:
        ProviderUnavailable: `reason` is `address_refused`.
    """
    match = _URL.fullmatch(url)
    if match is None or "\\" in url or "#" in url:
        raise refused()
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    port = parts.port or (443 if parts.scheme == "https" else 80) if _is_port(match[3]) else 0
    if not host or not port or not (allow_private_addresses or (parts.scheme == "https" and port == 443)):
        raise refused()
    path = parts.path or "/"
    return Target(parts.scheme, host, port, f"{path}?{parts.query}" if parts.query else path)


def addresses_of(
    target: Target, *, allow_private_addresses: bool, timeout: float, resolver: Resolver = socket.getaddrinfo
) -> list[tuple[int, Any]]:
    """
    Resolve a host once and judge every address it has; one that is not public refuses them all.

    Args:
        target: Where to go.
        allow_private_addresses: See `parse_target`.
        timeout: Seconds to wait for the resolver, which knows no deadline itself.
        resolver: `socket.getaddrinfo`.

    Returns:
        At most 4 pairs of address family and socket address, in the resolver's order.

    Raises:
        ProviderUnavailable: `reason` is `dns_failed` or `address_refused`.
    """
    answers = _resolve(target, timeout=timeout, resolver=resolver)
    for answer in answers:
        judge_address(answer[4][0], target, allow_private_addresses=allow_private_addresses)
    return [(answer[0], answer[4]) for answer in answers[:MAX_ADDRESSES]]


def judge_address(address: str, target: Target, *, allow_private_addresses: bool) -> None:
    """
    Refuse an address that is not on the public internet, whatever it is wrapped in (O-02).

    On the local run loopback and private addresses are accepted; only a loopback address makes plain http and other
    ports acceptable, and link-local addresses (169.254.169.254) never are.

    Raises:
        ProviderUnavailable: `reason` is `address_refused`.
    """
    try:
        ip = _unwrapped(ip_address(address.partition("%")[0]))
    except ValueError:
        raise refused() from None
    if allow_private_addresses and ip.is_loopback:
        return
    if target.scheme != "https" or target.port != 443:
        raise refused()
    public = ip.is_global and not ip.is_multicast
    private = ip.is_private and not (ip.is_link_local or ip.is_unspecified or ip.is_loopback)
    if not public and not (allow_private_addresses and private):
        raise refused()


def refused() -> ProviderUnavailable:
    """The error for a place we do not send to: nothing was sent, and no grant is judged by it."""
    return ProviderUnavailable("The provider's address is not one to send to.", reason="address_refused")


def _unwrapped(ip: Address) -> Address:
    """The IPv4 address inside an IPv6 one: mapped, NAT64, 6to4 or Teredo."""
    if not isinstance(ip, IPv6Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.sixtofour is not None:
        return ip.sixtofour
    return ip.teredo[1] if ip.teredo is not None else ip


def _is_port(text: str | None) -> bool:
    return text is None or 0 < int(text[1:]) < 65536


def _resolve(target: Target, *, timeout: float, resolver: Resolver) -> list[Any]:
    """`getaddrinfo` in a thread of its own, left behind when it hangs: it has no timeout to set."""
    found: list[list[Any]] = []

    def ask() -> None:
        try:
            found.append(resolver(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            found.append([])

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(max(timeout, 0))
    if not found or not found[0]:
        raise ProviderUnavailable("The provider's name does not resolve.", reason="dns_failed")
    return found[0]
