"""What every part of the oracle needs: how it says no, and how it reads a sealed set without the product's code."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.world import World

SKEW = 5  # seconds by which the clocks of two processes differ at most


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, number: str, what: str) -> None:
        super().__init__(f"{number}: {what}")
        self.number = number


@lru_cache(maxsize=4096)
def read_set(plaintext: bytes) -> tuple[str | None, str | None, int | None]:
    """Refresh token, access token and end of a sealed set, read without the product's code."""
    envelope = json.loads(plaintext)
    answer = envelope.get("answer", {})
    refresh = answer.get("refresh_token") or envelope.get("refresh_token")
    lives = answer.get("expires_in")
    return refresh, answer.get("access_token"), None if lives is None else envelope["received_at"] + lives


class Judgement:
    """One part of the oracle."""

    w: World
    dead: dict[str, list[float]]
    excused: dict[str, int]
    lost: set[int]
    stood: dict[str, None]

    def refuse(self, number: str, what: str) -> Any:
        """An invariant does not hold: the end of the run."""
        raise Violation(number, what)
