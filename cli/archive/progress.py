"""How far long work is, at what rate, and how much longer it takes: on standard error, and only for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class Advance(Protocol):
    """Told of each piece of work that is done."""

    def __call__(self, pieces: int = 1) -> None:
        """So many more are done."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.0f}/s")


@contextmanager
def progress(what: str, *, total: int | None, shown: bool) -> Iterator[Advance]:
    """
    Show a bar while work goes on.

    Args:
        what: What is done.
        total: Pieces of work; None when nobody knows.
        shown: False for scripts. A terminal that is none shows nothing either.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not shown or not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def advance(pieces: int = 1) -> None:
            bar.advance(task, pieces)

        yield advance
