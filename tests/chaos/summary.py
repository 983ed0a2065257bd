"""What a run of chaos found, printed at its end and written to artifacts/chaos.json when the whole matrix ran."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ARTIFACT = Path(__file__).parents[2] / "artifacts" / "chaos.json"
WHOLE = 300  # scenarios at least, for a run that is worth keeping


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Called by pytest when everything has run."""
    scenarios = list(_properties(terminalreporter, "chaos"))
    others = dict(facts for _, facts in _properties(terminalreporter, "chaos_figures"))
    if not scenarios and not others:
        return
    found = _found(scenarios) | {"figures": others}
    _print(found, terminalreporter.write_line)
    if len(scenarios) >= WHOLE:
        ARTIFACT.parent.mkdir(exist_ok=True)
        ARTIFACT.write_text(json.dumps(found, indent=2) + "\n")


def _properties(reporter: Any, wanted: str) -> Iterator[tuple[str, Any]]:
    """(outcome, value) of a property, of every test that ran."""
    for outcome in ("passed", "failed"):
        for report in reporter.stats.get(outcome, []):
            if getattr(report, "when", "") == "call":
                yield from ((outcome, value) for name, value in report.user_properties if name == wanted)


def _found(scenarios: list[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    passed = [facts for outcome, facts in scenarios if outcome == "passed"]
    excused = [facts for facts in passed if facts["lost"]]
    lost = sum(facts["lost"] for outcome, facts in scenarios if outcome != "passed")
    rows: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for outcome, facts in scenarios:
        for column in (facts["provider"], facts["action"]):
            rows[facts["fault"]][column]["total"] += 1
            rows[facts["fault"]][column][outcome] += 1
    return {
        "matrix": "full" if os.environ.get("CHAOS") == "full" else "default",
        "passed": len(passed),
        "total": len(scenarios),
        "grants_lost_outside_the_excused_instant": lost,
        "grants_lost_excused": len(excused),
        "excused": dict(Counter(f"{facts['fault']} {facts['action']} {facts['provider']}" for facts in excused)),
        "by_fault": {
            fault: {column: f"{count['passed']}/{count['total']}" for column, count in sorted(columns.items())}
            for fault, columns in sorted(rows.items())
        },
    }


def _print(found: Mapping[str, Any], line: Any) -> None:
    line("")
    line(f"chaos ({found['matrix']}): {found['passed']}/{found['total']} scenarios passed")
    outside = found["grants_lost_outside_the_excused_instant"]
    line(f"grants lost: {outside}; in the excused instant, at the strict provider: {found['grants_lost_excused']}")
    for fault, columns in found["by_fault"].items():
        line(f"  {fault}  " + "  ".join(f"{column} {count}" for column, count in columns.items()))
    for name, figures in found["figures"].items():
        line(f"  {name}: {json.dumps(figures)}")
