"""What is said to a provider, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to a provider, fully built by the pure `oauth` package."""

    method: Literal["GET", "POST", "DELETE"]
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def __repr__(self) -> str:
        """Hide headers, body and path: they carry credentials (HubSpot's revocation has the token in its path)."""
        return f"HttpRequest({self.method} {'/'.join(self.url.split('/', 3)[:3])})"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer of a provider, at most 256 KiB decompressed. Redirects are never followed."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    def __repr__(self) -> str:
        """Hide the body: it carries tokens."""
        return f"HttpResponse({self.status})"
