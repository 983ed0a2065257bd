"""Users' sign-ins at clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A code of ours: 60 s, bound to client, redirect_uri and challenge (RFC 6749 section 4.1.2)."""

    code_hash: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    sub: str
    scopes: tuple[str, ...]
    provider: str
    expires_at: int
    family: str  # the session this code opens; a second use of the code revokes it
    nonce: str | None = None
    auth_time: int | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A user's sign-in at one client: a family of rotating refresh tokens."""

    family: str
    sid: str  # what tokens and lists show; not the family
    sub: str
    client_id: str
    scopes: tuple[str, ...]
    provider: str
    created_at: int
    expires_at: int  # absolute, 30 days
    idle_expires_at: int  # 7 days after the last use
    current_hash: str
    previous_hash: str | None = None
    rotated_at: int = 0
    counter: int = 1
    sealed_successor: bytes = b""  # the current refresh token, sealed under a key derived from the previous one
    status: Literal["active", "revoked"] = "active"
    auth_time: int | None = None
    nonce: str | None = None
    resource: str | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """How `Sessions.rotate` went: `rotated`, `replayed` (the predecessor within its grace), `reused`, `gone`."""

    outcome: Literal["rotated", "replayed", "reused", "gone"]
    session: Session | None = None
