"""Users, the identities by which they sign in, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from grantkeeper import ids

Role = Literal["user", "auditor", "admin"]


@dataclass(frozen=True, slots=True)
class User:
    """
    A person known to us; `sub` in our tokens.

    `email`, `name`, `avatar_url` and `locale` are what the providers say (`services.provider_facts`); what the user set
    himself stands apart in `overrides`.
    """

    sub: str
    created_at: int
    updated_at: int
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    role: Role = "user"
    status: Literal["active", "suspended", "erased"] = "active"
    version: int = 1
    overrides: Mapping[str, str] = field(default_factory=dict)

    def shown(self, name: str) -> str | None:
        """`name`, `avatar_url` or `locale` as everybody sees it: what the user set, else what a provider says."""
        value: str | None = self.overrides.get(name) or getattr(self, name)
        return value


@dataclass(frozen=True, slots=True)
class Identity:
    """
    (issuer, subject) names a user. A client's own user id has the issuer `client:<client_id>`.

    What the provider said last, when it last did, and what was new the last time anything was.
    """

    issuer: str
    subject: str
    sub: str
    provider: str
    linked_at: int
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    avatar_url: str | None = None
    locale: str | None = None
    synced_at: int = 0  # 0: linked before this was kept
    changed_at: int = 0
    changed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What its user may call it; says neither issuer nor subject."""
        return ids.pair_digest(self.issuer, self.subject)


@dataclass(frozen=True, slots=True)
class Avatar:
    """
    A picture that only a token's bearer could fetch, kept by us; one without bytes notes that the provider has none.

    `digest` is of the bytes: it tells a changed picture, and is the ETag.
    """

    provider: str
    changed_at: int
    content_type: str = ""
    digest: str = ""
    image: bytes = field(default=b"", repr=False)
