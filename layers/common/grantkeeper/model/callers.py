"""Who calls us, and with what right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from grantkeeper.model.people import Role

ALL_SCOPES = (
    "openid", "profile", "email", "offline_access",
    "connections:read", "connections:token", "connections:write", "users:read", "users:write",
    "account:write", "admin:read", "admin:write", "audit:read", "metrics:read",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ApiKey:
    """
    A key of a client, of a user at a client (`sub`), or of the operator (`client_id` None: admin scopes, never tokens).

    While it is rotated it has two secrets: the one before is good until `old_secret_ends_at`.
    """

    key_id: str
    secret_hash: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    client_id: str | None = None
    name: str = ""
    status: Literal["active", "revoked"] = "active"
    sub: str | None = None
    rotated_at: int = 0  # when the present secret was made, where it is not the first
    old_secret_hash: str | None = None
    old_secret_ends_at: int = 0
    used_day: str | None = None

    def state(self, now: int) -> Literal["active", "rotating", "expired", "revoked"]:
        """How it stands, by our clock."""
        if self.status == "revoked":
            return "revoked"
        if now >= self.expires_at:
            return "expired"
        return "rotating" if now < self.old_secret_ends_at else "active"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a user at a client, by a Bearer JWT or a key of his own (`key_id`); a client's or operator's key."""

    kind: Literal["user", "api_key"]
    scopes: frozenset[str]
    client_id: str | None = None
    sub: str | None = None  # only for kind == "user"
    role: Role = "user"
    sid: str | None = None
    auth_time: int | None = None
    key_id: str | None = None

    @property
    def actor(self) -> str:
        """The name of the principal in audit entries: `user:<sub>`, `user_key:<key id>` or `key:<key id>`."""
        if self.kind == "user":
            return f"user:{self.sub}" if self.key_id is None else f"user_key:{self.key_id}"
        return f"key:{self.key_id}"
