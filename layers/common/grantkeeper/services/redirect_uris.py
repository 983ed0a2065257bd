"""Which redirect URIs a client may use: exactly its registered ones (RFC 9700 section 2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from grantkeeper.errors import BadRequest

MAX_LENGTH = 2048

# RFC 8252 section 7.3: a native app cannot know its loopback port when it registers. One regular expression for the
# whole URI leaves no room for two parsers to disagree: no userinfo, no backslash, no fragment, no control character.
LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]{1,5}))?((?:[/?][\x21-\x5b\x5d-\x7e]*)?)\Z")


def require_registered(presented: object, registered: Iterable[str]) -> str:
    """
    Check a client's redirect_uri: the same string as a registered one, or a registered loopback URI at another port.

    Returns:
        The URI, safe to redirect to.

    Raises:
        BadRequest: It is missing or not registered; there is no trusted place to send the browser.
    """
    if not isinstance(presented, str) or not presented or len(presented) > MAX_LENGTH:
        raise BadRequest("The redirect_uri is missing or malformed.", parameter="redirect_uri")
    if not any(matches(presented, uri) for uri in registered):
        raise BadRequest("The redirect_uri is not registered for this client.", parameter="redirect_uri")
    return presented


def matches(presented: str, registered: str) -> bool:
    """Tell whether `presented` is `registered`, the port of an http loopback URI aside."""
    if presented == registered:
        return True
    ours, theirs = LOOPBACK.match(registered), LOOPBACK.match(presented)
    if ours is None or theirs is None or "#" in presented:
        return False
    port = theirs.group(2)
    return (ours.group(1), ours.group(3)) == (theirs.group(1), theirs.group(3)) and (
        port is None or 0 < int(port) < 65536
    )
