"""The figures of the model's runs: a table for a reader, artifacts/model.json for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.model.checker import Result

REPORT = Path(__file__).parents[2] / "artifacts" / "model.json"


def table(results: Sequence[Result]) -> str:
    """One line for each run."""
    width = max(len(each.name) for each in results)
    lines = [f"{'run':{width}}  {'states':>12} {'transitions':>13} {'depth':>6} {'MB':>6} {'s':>6}  finds"]
    lines += [
        f"{each.name:{width}}  {each.states:>12,} {each.transitions:>13,} {each.depth:>6} {each.megabytes:>6.0f}"
        f" {each.seconds:>6.2f}  {each.violated or 'nothing'}"
        for each in results
    ]
    return "\n".join(lines)


def leave(results: Sequence[Result]) -> None:
    """Leave the figures in artifacts/model.json."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps([asdict(each) for each in results], indent=1) + "\n")
