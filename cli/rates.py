"""How fast a bar moves."""

from __future__ import annotations

from rich.progress import ProgressColumn, Task
from rich.text import Text


class RateColumn(ProgressColumn):
    """Pieces of work a second, as they went lately."""

    def render(self, task: Task) -> Text:
        """Empty before there is a rate."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")
