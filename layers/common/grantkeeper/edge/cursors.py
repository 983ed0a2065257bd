"""
Cursors of lists: opaque, authenticated, bound to who asked for what.

A cursor is a place in one list for one principal. Edited, or taken to another
list, filter or principal, it is refused (T-04).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

from grantkeeper.edge.http import Request
from grantkeeper.errors import BadRequest
from grantkeeper.ids import b64url, b64url_decode
from grantkeeper.model import Principal

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
TAG_BYTES = 16
MAX_LENGTH = 2048  # an e-mail address is in some


class Cursors:
    """Issues and reads cursors under one key of the deployment."""

    def __init__(self, key: bytes) -> None:
        """Args: key: at least 32 random bytes, from `ports.DeploymentSecrets`."""
        self._key = key

    def issue(self, position: str, *, principal: Principal, query: Sequence[str | None]) -> str:
        """
        Make the cursor of a position.

        Args:
            position: Where the next page starts; readable by the caller, so never a secret.
            principal: Who may use it.
            query: The list's name and every filter, in a fixed order.
        """
        return f"{b64url(position.encode())}.{b64url(self._tag(position, principal, query))}"

    def read(self, cursor: str | None, *, principal: Principal, query: Sequence[str | None]) -> str | None:
        """
        Return the position of a cursor; None for no cursor.

        Raises:
            BadRequest: Not a cursor of this list for this principal.
        """
        if cursor is None:
            return None
        try:
            text, tag = cursor[:MAX_LENGTH].split(".")
            position = b64url_decode(text).decode()
            genuine = hmac.compare_digest(b64url_decode(tag), self._tag(position, principal, query))
        except ValueError:
            genuine, position = False, ""
        if not genuine:
            raise BadRequest("The cursor does not belong to this list.", parameter="cursor")
        return position

    def _tag(self, position: str, principal: Principal, query: Sequence[str | None]) -> bytes:
        bound = json.dumps([principal.actor, principal.client_id, list(query), position])
        return hmac.digest(self._key, bound.encode(), hashlib.sha256)[:TAG_BYTES]


def page_limit(request: Request) -> int:
    """
    How many entries a page may hold, by the parameter `limit`.

    Raises:
        BadRequest: Not a number of 1 to 100.
    """
    text = request.one("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= MAX_LIMIT:
        raise BadRequest("limit is 1 to 100.", parameter="limit")
    return int(text)
