"""
Tables and colours for people, JSON for scripts, progress for whoever waits.

Colours and bars are for terminals alone; NO_COLOR (no-color.org) takes the colours away there too. What a script reads
is on standard output, and everything said on the way there on standard error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


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


@contextmanager
def progress(what: str, *, total: int | None, quiet: bool = False) -> Iterator[Callable[..., None]]:
    """
    A bar on standard error while a block works: call what you get with how many more are done.

    Args:
        what: What is being done, e.g. `Re-sealing`.
        total: How many there are; None when nobody knows.
        quiet: No bar, as when standard error is no terminal: for `--json`.
    """
    err = console(stderr=True)
    if quiet or not err.is_terminal:
        yield lambda _more=1: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more=1: bar.update(task, advance=more)


def day(epoch: int) -> str:
    """The date of an epoch second, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d")


def _text(cell: Any) -> str:
    if isinstance(cell, (list, tuple)):
        return " ".join(str(part) for part in cell)
    return "" if cell is None else str(cell)
