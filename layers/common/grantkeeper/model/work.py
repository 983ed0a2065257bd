"""What is due, and the messages that get it done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class DueGrant:
    """A hint of the due index; the row itself decides."""

    connection_id: str
    name: str
    provider: str
    generation: int
    due_at: int


@dataclass(frozen=True, slots=True)
class ShardMark:
    """
    How many shards of the due index may hold rows.

    `falls_to` is where the mark may fall, since above it no row has been seen from `empty_since` (epoch seconds) on.
    """

    high_water: int = 0
    falls_to: int | None = None
    empty_since: int | None = None
    write_id: str = ""  # of its last write; empty before there is any


@dataclass(frozen=True, slots=True)
class Work:
    """
    A queue message: ids only, grouped by provider. kind: refresh | revoke | erase | reseal.

    `lanes`: how many of its ids a worker may have under way at once. `delay`: seconds before it is delivered.
    """

    kind: Literal["refresh", "revoke", "erase", "reseal"]
    provider: str
    ids: tuple[tuple[str, int], ...]  # (connection id, generation), at most 25
    request_id: str = ""
    lanes: int = 25
    delay: int = 0
