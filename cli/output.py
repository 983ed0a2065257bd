"""
Tables and colours for people, JSON for scripts, progress for whoever waits.

Colours and bars are for terminals alone; NO_COLOR (no-color.org) takes the colours away there too. What a script reads
is on standard output, and everything said on the way there on standard error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON value on standard output, instead of text for people."
)


def say(sentence: str, value: Mapping[str, Any], *, as_json: bool) -> None:
    """Tell what was done: a sentence for people, the same as an object for scripts."""
    click.echo(json.dumps(value, indent=2) if as_json else sentence)


def console(*, stderr: bool = False) -> Console:
    """A rich console over the present stdout or stderr; it finds out by itself whether that is a terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def show(value: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing."""
    if as_json:
        click.echo(json.dumps(value, indent=2))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    for name, cell in value.items():
        table.add_row(Text(name, style="bold"), Text(_text(cell)))
    console().print(table)


def show_list(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print many of the same; `empty` is said when there are none."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
        return
    if not rows:
        click.echo(empty)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(cell), style=STYLES.get(_text(cell), "")) for cell in row.values()))
    console().print(table)


# Words of ours that say how something stands; a client or key of that name is coloured too, which hurts nobody.
STYLES = {
    "active": "green", "available": "green", "signs": "green", "sound": "green",
    "rotating": "yellow", "disabled": "yellow", "suspended": "yellow",
    "revoked": "red", "expired": "red",
}  # fmt: skip


class Progress:
    """What a block of work tells while it goes on; without a terminal nothing of it is shown."""

    def __call__(self, more: int = 1) -> None:
        """So many more are done."""

    def stage(self, what: str, done: int, total: int | None) -> None:
        """Something else is being done now: how much of how much (None when nobody knows)."""


class _Bar(Progress):
    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def __call__(self, more: int = 1) -> None:
        self._bar.update(self._task, advance=more)

    def stage(self, what: str, done: int, total: int | None) -> None:
        self._bar.update(self._task, description=what, completed=done, total=total)


@contextmanager
def progress(what: str, *, total: int | None, quiet: bool = False) -> Iterator[Progress]:
    """
    A bar on standard error while a block works.

    Args:
        what: What is being done, e.g. `Re-sealing`.
        total: How many there are; None when nobody knows.
        quiet: No bar, as when standard error is no terminal: for `--json`.
    """
    err = console(stderr=True)
    if quiet or not err.is_terminal:
        yield Progress()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    from cli.rates import RateColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with RichProgress(*columns, console=err, transient=True) as bar:
        yield _Bar(bar, bar.add_task(what, total=total))


def day(epoch: int) -> str:
    """The date of an epoch second, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d")


def _text(cell: Any) -> str:
    if isinstance(cell, (list, tuple)):
        return " ".join(str(part) for part in cell)
    return "" if cell is None else str(cell)
