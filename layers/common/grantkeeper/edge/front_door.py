"""
Who came by the distribution in front of the API, and from where. Loaded only where a deployment has one.

CloudFront adds a secret header to what it forwards. An API Gateway is reachable by itself for whoever knows its
address, past the distribution and its web ACL; without the header nobody is let in. With it, and only then, the header
that says where the viewer is can be believed: CloudFront replaces what a viewer sends under that name.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from grantkeeper.errors import Forbidden

if TYPE_CHECKING:
    from grantkeeper.edge.http import Request

SECRET = "x-origin-secret"
VIEWER = "cloudfront-viewer-address"


class FrontDoor:
    """Lets in what carries the secret."""

    def __init__(self, hashes: Iterable[str]) -> None:
        """Args: hashes: SHA-256 of each secret that is good now, in hex; two while it is being changed."""
        self._hashes = tuple(each.strip().lower() for each in hashes)

    def enter(self, request: Request) -> Request:
        """
        Return the request as its viewer's: with his address, and without the secret.

        Raises:
            Forbidden: It did not come by the distribution.
        """
        sent = hashlib.sha256(request.headers.get(SECRET, "").encode()).hexdigest()
        if not [each for each in self._hashes if hmac.compare_digest(each, sent)]:
            raise Forbidden("Use the public address.")
        headers = {name: value for name, value in request.headers.items() if name != SECRET}
        return replace(request, headers=headers, source_ip=_viewer(headers) or request.source_ip)


def _viewer(headers: dict[str, str]) -> str | None:
    """The address in `198.51.100.10:46532`; IPv6 comes with or without brackets."""
    address = headers.get(VIEWER, "").rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(address))
    except ValueError:
        return None
