"""Connections as an operator sees them: whose they are, how they stand; never a token nor its sealed bytes (T-08)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from grantkeeper.model import Connection


class Seen(Protocol):
    """Connections without anything sealed."""

    def get(self, connection_id: str) -> Connection | None:
        """Consistent."""

    def ids_of_user(self, sub: str) -> Sequence[str]:
        """What a user has connected now; consistent."""
