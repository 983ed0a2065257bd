"""What every simulated port knows: its process and its world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.hub import Process

if TYPE_CHECKING:
    from tests.simulation.world import World


class Port:
    __slots__ = ("process", "world")

    def __init__(self, process: Process, world: World) -> None:
        self.process = process
        self.world = world
