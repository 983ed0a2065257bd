"""Which of our scopes a token gets: requested, and allowed both to the client and to the user's role."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from grantkeeper.model import ALL_SCOPES

if TYPE_CHECKING:
    from grantkeeper.model import Client, Role

_EVERYONE = frozenset(
    {
        "openid", "profile", "email", "offline_access",
        "connections:read", "connections:token", "connections:write", "account:write",
    }
)  # fmt: skip
_AUDITOR = _EVERYONE | {"admin:read", "audit:read", "metrics:read", "users:read"}
ROLE_SCOPES: dict[Role, frozenset[str]] = {
    "user": _EVERYONE,
    "auditor": _AUDITOR,
    "admin": frozenset(ALL_SCOPES),
}

# The operator's keys belong to no client, so they never reach a token of anybody's.
OPERATOR_SCOPES = frozenset({"admin:read", "admin:write", "users:read", "users:write", "audit:read", "metrics:read"})


def effective_scopes(requested: Iterable[str], *, client: Client, role: Role) -> tuple[str, ...]:
    """
    Requested ∩ client's ∩ role's, in the order requested.

    `connections:token` is never issued to a public client: what a browser holds can be read there.
    """
    allowed = ROLE_SCOPES[role] & frozenset(client.scopes)
    if not client.confidential:
        allowed -= {"connections:token"}
    return tuple(scope for scope in dict.fromkeys(requested) if scope in allowed)
