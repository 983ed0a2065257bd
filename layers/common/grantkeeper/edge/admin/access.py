"""Who may administer what, and what a change's body must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grantkeeper.edge.http import Request
from grantkeeper.edge.operations import OPERATOR, Access
from grantkeeper.errors import BadRequest

READ = Access("admin:read", OPERATOR)
WRITE = Access("admin:write", OPERATOR)
AUDIT = Access("audit:read", OPERATOR)
# What makes or takes power, or cannot be undone: a person who signed in a moment ago, and no key (K-14, T-10, T-11).
POWER = Access("admin:write", ("user",), recent=True)


def object_in(request: Request) -> Mapping[str, Any]:
    """
    The JSON object in the body, where every member may be left out and the object may not.

    Raises:
        BadRequest: There is no body, or another than an object.
    """
    if not request.body:
        raise BadRequest("Send a JSON object; an empty one will do.")
    return request.json()
