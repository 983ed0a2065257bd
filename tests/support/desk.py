"""Somebody who administers: at the client `desk`, by a sign-in of some age."""

from __future__ import annotations

from typing import Any

from grantkeeper.model import ALL_SCOPES, Session
from tests.doubles.provider import NOON

SCOPES = "admin:read admin:write audit:read"


def person(api: Any, role: str = "admin", *, age: int = 60) -> dict[str, str]:
    """A credential of somebody with this role, who signed in so many seconds ago."""
    sub = f"usr_{role}_{age}"
    if api.world.wiring.users.get(sub) is None:
        api.world.add_user(sub, role=role)
        if api.world.wiring.clients.get("desk") is None:
            api.world.add_client("desk", scopes=ALL_SCOPES)
    session = Session(
        family=f"fam_{sub}", sid=f"sid_{sub}_desk", sub=sub, client_id="desk", scopes=ALL_SCOPES, provider="example",
        created_at=NOON - age, expires_at=NOON + 86_400, idle_expires_at=NOON + 86_400, current_hash="h",
    )  # fmt: skip
    api.world.wiring.sessions.create(session, audit=api.world.event("user.signed_in"))
    return api.user(sub, client_id="desk", scope=SCOPES)
