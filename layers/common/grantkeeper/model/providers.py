"""What we keep of a provider beside its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]


@dataclass(frozen=True, slots=True)
class ProviderCredentials:
    """Our own registration at a provider; several may be live while a secret rotates."""

    provider: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    auth_method: AuthMethod | None = None  # None: the record's
    state: Literal["active", "retiring"] = "active"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """
    A provider's breaker: closed (`open_until` 0), open, or half open when `open_until` has passed.

    `closed_at` is when a success last closed it, 0 when that never happened. Epoch seconds.
    """

    open_until: int = 0
    closed_at: int = 0
