"""Tables for people, JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table


def show(value: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing."""
    if as_json:
        click.echo(json.dumps(value, indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, cell in value.items():
        table.add_row(f"[bold]{name}[/bold]", _text(cell))
    Console().print(table)


def show_list(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print many of the same; `empty` is said when there are none."""
    if as_json:
        click.echo(json.dumps(list(rows), indent=2))
        return
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row.values()))
    Console().print(table)


def day(epoch: int) -> str:
    """The date of an epoch second, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d")


def _text(cell: Any) -> str:
    if isinstance(cell, (list, tuple)):
        return " ".join(str(part) for part in cell)
    return "" if cell is None else str(cell)
