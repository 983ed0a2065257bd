"""The last lines of the layer: what each mutant was caught at."""

from __future__ import annotations

from typing import Any

from tests.simulation.report import KILLED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if KILLED:
        terminalreporter.section("mutants of the refresh protocol, and the seeds it took")
    for name, (seeds, violation) in KILLED.items():
        terminalreporter.write_line(f"{seeds:7,}  {name:58} {violation[:90]}")
