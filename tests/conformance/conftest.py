"""One world per test and dialect; whatever the product said wrongly fails the test at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.dialects import DIALECTS
from tests.conformance.world import World


@pytest.fixture
def new_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], World]]:
    """Make a world by the key of a dialect."""
    worlds: list[World] = []

    def make(key: str) -> World:
        worlds.append(World(monkeypatch, DIALECTS[key]))
        return worlds[-1]

    yield make
    for world in worlds:
        assert world.vendor.complaints == []
