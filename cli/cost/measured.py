"""
What one refresh, one token call and one tick take, as the bench found it.

    python -m bench.sweep --only cost --record
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cli.cost.model import Call, Refresh

FILE = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Sized:
    """A refresh of one kind of provider, and how large its grant is."""

    refresh: Refresh
    grant_bytes: int
    connection_bytes: int


@dataclass(frozen=True, slots=True)
class Measured:
    """All of it; `refreshes` by rule and shape, e.g. `strict google`."""

    date: str
    refreshes: Mapping[str, Sized]
    token_call: Call
    tick: Call


@cache
def measured() -> Measured:
    """The figures that were recorded last."""
    told: dict[str, Any] = json.loads(FILE.read_text())
    refreshes = {
        name: Sized(Refresh(**each["refresh"]), each["grant_bytes"], each["connection_bytes"])
        for name, each in told["refreshes"].items()
    }
    return Measured(told["date"], refreshes, Call(**told["token_call"]), Call(**told["tick"]))
