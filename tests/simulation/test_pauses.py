"""
What happens when an invocation outlives its lease: why "lease > hard limit + skew", and the fence for when it fails.

No protocol keeps everything in these schedules; what is compared is how much is lost (security.md 3.1).
"""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest

from tests.simulation import report
from tests.simulation.campaign import run_seed
from tests.simulation.mutants import applied
from tests.simulation.world import Options

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(600)]

RUNS = 3000
FROZEN = Options(zombies=True, longest_pause=60.0, pause_rate=0.3, counting=True)
LIMITED = Options(zombies=False, longest_pause=60.0, pause_rate=0.3, counting=True)


def count(options: Options, *mutants: str, runs: int = RUNS) -> Counter[str]:
    """Violations by invariant over some seeds."""
    counts: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        for name in mutants:
            stack.enter_context(applied(name))
        for seed in range(runs):
            counts.update(run_seed(seed, options=options).world.oracle.refused)
    return counts


def test_the_hard_limit_keeps_the_lease_from_ending_before_its_holder() -> None:
    """Frozen for up to a minute, an invocation is dead when it thaws: nothing is violated; without the limit, much."""
    limited, frozen = count(LIMITED), count(FROZEN)
    report.write("pauses", {"runs": RUNS, "with the hard limit": limited, "without it": frozen})
    assert not limited
    assert frozen["I1"] > 0


@pytest.mark.parametrize("schedule", ["no hard limit", "lease of 4 s"])
def test_a_fence_on_the_lease_loses_more_than_one_on_the_generation(schedule: str) -> None:
    """A late holder whose refresh token is still current holds the only valid successor: refusing its save loses it."""
    options, mutants = (FROZEN, ()) if schedule == "no hard limit" else (LIMITED, ("lease shorter than the call",))
    by_generation = count(options, *mutants)
    by_lease = count(options, *mutants, "fence on the lease")
    report.write(f"fences: {schedule}", {"runs": RUNS, "by generation": by_generation, "by lease": by_lease})
    assert by_lease["I2"] > by_generation["I2"]
