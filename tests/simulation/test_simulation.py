"""The real services under a seeded scheduler: no interleaving violates an invariant, and the oracle has teeth."""

from __future__ import annotations

import os

import pytest

from tests.simulation import report
from tests.simulation.campaign import campaign, run_seed, seeds_to_kill
from tests.simulation.mutants import MUTANTS

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(7200)]

RUNS = int(os.environ.get("SIMULATION_RUNS", "100000"))
FIRST = int(os.environ.get("SIMULATION_FIRST", "0"))
PROCESSES = os.cpu_count() or 2
MOST_SEEDS = 10_000
EXPECTED_EXCUSES = {
    "the answer never arrived",
    "killed between answer and first write",
    "table and rescue queue refused to the end",
}


def test_no_seed_violates_an_invariant(capsys: pytest.CaptureFixture[str]) -> None:
    """Invariants 1 to 10 of the protocol hold after each step of each run, under every fault there is."""
    report.ARTIFACT.unlink(missing_ok=True)
    summary = campaign(first=FIRST, runs=RUNS, processes=PROCESSES)
    report.write("campaign", report.facts(summary))
    with capsys.disabled():
        print(report.table(summary))
    told = "\n".join(
        f"python -m tests.simulation --verbose --seed {seed}    # {what}" for seed, what in summary.violations
    )
    assert not summary.violations, told
    assert summary.runs == RUNS
    assert len(summary.traces) > 0.8 * RUNS, "the seeds repeat themselves"
    assert RUNS < 10_000 or set(summary.excused) >= EXPECTED_EXCUSES, "the runs do not come near the excused instant"


def test_a_seed_replays_to_the_same_story() -> None:
    """One seed is one interleaving: each step, each fault, each time."""
    for seed in range(FIRST, FIRST + 50):
        first, second = run_seed(seed), run_seed(seed)
        assert (first.trace, first.steps, first.world.hub.now) == (second.trace, second.steps, second.world.hub.now)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed(name: str) -> None:
    """The protocol with this one thing left out violates an invariant within 10,000 seeds."""
    killed = seeds_to_kill(name, first=FIRST, most=MOST_SEEDS)
    assert killed is not None, f"the mutant '{name}' survives {MOST_SEEDS} seeds"
    report.killed(name, *killed)
