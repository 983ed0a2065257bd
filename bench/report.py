"""How a bench says what it found: tables on the terminal, the same as JSON in `artifacts/`."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
WIDE = 150  # columns, so that no table is folded in a log
QUIET = 0.5  # of the processors: a machine that is busier than that before the bench is no quiet one


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that was promised: at most, or at least, so much."""

    name: str
    measured: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


@dataclass
class Report:
    """Collects tables and targets, prints them as they come, and writes them at the end."""

    name: str
    targets: list[Target] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    _console: Console = field(default_factory=lambda: Console(width=WIDE))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, note: str = "") -> None:
        """Print a table and keep it; numbers are shown to three digits."""
        table = Table(title=title, title_justify="left", caption=note, caption_justify="left")
        for at, column in enumerate(columns):
            table.add_column(column, justify="right" if at else "left")
        for row in rows:
            table.add_row(*[_shown(value) for value in row])
        self._console.print(table)
        self.found[title] = [dict(zip(columns, row, strict=True)) for row in rows]

    def target(self, name: str, measured: float, bound: float, *, at_least: bool = False) -> None:
        """Hold a figure to what was promised of it."""
        self.targets.append(Target(name, measured, bound, at_least))

    def finish(self, *, strict: bool) -> int:
        """Print the targets and the noise, write the JSON; returns the exit code, 1 only when strict and missed."""
        rows = [
            (t.name, t.measured, f"{'≥' if t.at_least else '≤'} {t.bound:g}", "met" if t.met else "MISSED")
            for t in self.targets
        ]
        noise = f"{noise_of(self.load_before)}; ratios of processor time carry over, milliseconds and rates do not"
        self.table("Targets", ("what", "measured", "target", ""), rows, note=noise)
        path = ROOT / "artifacts" / f"bench_{self.name}.json"
        path.parent.mkdir(exist_ok=True)
        facts = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine(), "noise": noise}
        path.write_text(json.dumps(facts | self.found, indent=2, ensure_ascii=False) + "\n")
        self._console.print(f"also in {path.relative_to(ROOT)}")
        return 1 if strict and not all(target.met for target in self.targets) else 0


def machine() -> str:
    """Processors and versions."""
    return f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}"


def noise_of(load_before: float) -> str:
    """What else the machine had to do, from the load of the minute before."""
    load = load_before / (os.cpu_count() or 1)
    state = "a quiet machine" if load < QUIET else "A BUSY MACHINE, the figures are noisy"
    return f"load before {load_before:.1f} on {os.cpu_count()} processors: {state}"


def median(values: Sequence[float]) -> float:
    """The median; of nothing, not a number."""
    return statistics.median(values) if values else float("nan")


def spread(values: Sequence[float]) -> float:
    """Half the distance between the quartiles, as a share of the median: what is noise."""
    if len(values) < 4:
        return (max(values) - min(values)) / 2 / median(values)
    first, _, third = statistics.quantiles(values, n=4)
    return (third - first) / 2 / median(values)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
