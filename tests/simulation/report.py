"""What a campaign found, as a table for people and as `artifacts/simulation.json` for the documentation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.simulation.campaign import Summary

ARTIFACT = Path(__file__).parents[2] / "artifacts" / "simulation.json"
SHOWN = 60
KILLED: dict[str, tuple[int, str]] = {}  # mutant → seeds, and the violation


def table(summary: Summary) -> str:
    """The campaign in lines."""
    rate = summary.runs / summary.seconds if summary.seconds else 0
    sweeps = ", ".join(f"{rounds}: {_share(count, summary)}" for rounds, count in sorted(summary.rounds.items())[:6])
    lines = [
        "",
        f"Simulation: {summary.runs:,} runs, {summary.steps:,} steps in {summary.seconds:.0f} s ({rate:,.0f} a second)",
        f"  different interleavings   {len(summary.traces):>9,}",
        f"  violations                {len(summary.violations):>9,}",
        "  lost, not excused                 0" if not summary.violations else "  lost                       see below",
        "  lost, excused",
        *_listed(summary.excused, summary),
        f"  sweeps until nothing was due: {sweeps}",
        "  runs with this fault",
        *_listed(summary.faults, summary),
        "  how invocations ended, per 1,000 runs",
        *(f"    {1000 * count / summary.runs:9.1f}  {name}" for name, count in summary.outcomes.most_common(SHOWN)),
    ]
    return "\n".join(lines)


def _listed(counts: Counter[str], summary: Summary) -> list[str]:
    return [f"    {count:9,}  {_share(count, summary):>6}  {name}" for name, count in counts.most_common(SHOWN)]


def _share(count: int, summary: Summary) -> str:
    return f"{100 * count / max(summary.runs, 1):.1f} %"


def facts(summary: Summary) -> dict[str, Any]:
    """The same for a machine."""
    return {
        "runs": summary.runs,
        "steps": summary.steps,
        "seconds": round(summary.seconds, 1),
        "interleavings": len(summary.traces),
        "violations": [{"seed": seed, "what": what} for seed, what in summary.violations],
        "excused_losses": dict(summary.excused.most_common()),
        "runs_with_fault": dict(summary.faults.most_common()),
        "sweeps_until_quiet": {str(rounds): count for rounds, count in sorted(summary.rounds.items())},
        "outcomes": dict(summary.outcomes.most_common()),
    }


def killed(name: str, seeds: int, violation: str) -> None:
    """A mutant was caught."""
    KILLED[name] = (seeds, violation)
    write("mutants", {each: {"seeds": at, "violation": what} for each, (at, what) in KILLED.items()})


def write(part: str, value: Mapping[str, Any]) -> None:
    """Put one part into the artifact beside what other tests have put there."""
    ARTIFACT.parent.mkdir(exist_ok=True)
    known = json.loads(ARTIFACT.read_text()) if ARTIFACT.exists() else {}
    known[part] = value
    ARTIFACT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
