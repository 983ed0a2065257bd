"""Many seeds: in this process or in several, with what they had in common."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from tests.simulation import mutants
from tests.simulation.hub import Livelock
from tests.simulation.judgement import Violation
from tests.simulation.scenario import set_up
from tests.simulation.world import World

MOST_ROUNDS = 12
SWEEP_PERIOD = 60
MOST_VIOLATIONS = 20


@dataclass
class Result:
    """One seed, run."""

    seed: int
    violation: str | None
    trace: int
    steps: int
    world: World


def run_seed(
    seed: int, *, verbose: bool = False, tables: Callable[[], Any] | None = None, options: Any = None
) -> Result:
    """Run one seed to its quiet end, or to the first invariant that does not hold."""
    world = World(seed, verbose=verbose, tables=None if tables is None else tables(), options=options)
    violation = None
    mutants.enter(world)
    try:
        set_up(world)
        world.oracle.after_step()
        world.hub.run()
        quieten(world)
        world.oracle.final()
    except (Violation, Livelock) as found:
        violation = str(found)
        world.lines.append(f"{'':12}VIOLATION {found}")
    except Exception as error:
        raise AssertionError(f"seed {seed}: {world.scenario}") from error
    return Result(seed, violation, world.trace, world.hub.steps, world)


def quieten(world: World) -> None:
    """I9: the faults stop, time goes on, and sweeps come every minute until nothing is to be done."""
    from tests.simulation.actors import sweeper

    world.faults.stop()
    world.tell(None, "the faults stop", (), {}, None)
    for _ in range(MOST_ROUNDS):
        rows = [row for row in world.tables.rows.values() if not world.oracle.settled(row)]
        dues = [row.due_at for row in rows] + [world.tables.discard_due(key) for key in world.tables.pendings]
        if not dues:
            return
        if any(due is None for due in dues):
            raise Violation("I9", "something is to be done, and nothing will ever be due")
        world.rounds += 1
        world.hub.now = max(world.hub.now, min(dues))
        world.hub.now += world.rng.random() * SWEEP_PERIOD
        world.process("sweep", lambda p, r, me: sweeper(p, r), limit=50.0)
        world.hub.run()
    raise Violation("I9", f"after {MOST_ROUNDS} sweeps there is still something due")


@dataclass
class Summary:
    """What some seeds had in common."""

    runs: int = 0
    steps: int = 0
    seconds: float = 0.0
    violations: list[tuple[int, str]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    rounds: Counter[int] = field(default_factory=Counter)
    traces: set[int] = field(default_factory=set)

    def add(self, result: Result) -> None:
        world = result.world
        self.runs += 1
        self.steps += result.steps
        if result.violation is not None:
            self.violations.append((result.seed, result.violation))
        self.faults.update(world.faults.counts.keys())
        self.excused.update(world.oracle.excused)
        self.outcomes.update(world.outcomes)
        self.rounds[world.rounds] += 1
        self.traces.add(result.trace)

    def join(self, other: Summary) -> None:
        self.runs += other.runs
        self.steps += other.steps
        self.violations += other.violations
        self.faults.update(other.faults)
        self.excused.update(other.excused)
        self.outcomes.update(other.outcomes)
        self.rounds.update(other.rounds)
        self.traces |= other.traces


def run_seeds(seeds: Iterable[int], *, options: Any = None, stop_at: int = MOST_VIOLATIONS) -> Summary:
    """Run seeds one after the other; give up after `stop_at` violations."""
    summary = Summary()
    begun = time.perf_counter()
    for seed in seeds:
        summary.add(run_seed(seed, options=options))
        if len(summary.violations) >= stop_at:
            break
    summary.seconds = time.perf_counter() - begun
    return summary


CHUNK = 500


def _chunk(seeds: tuple[int, int]) -> Summary:
    gc.disable()  # cycles of a run are few and die with the chunk
    summary = run_seeds(range(*seeds))
    gc.collect()
    return summary


def campaign(*, first: int, runs: int, processes: int, tell: Callable[[Summary], None] = lambda _: None) -> Summary:
    """Run many seeds on several processors."""
    whole, begun = Summary(), time.perf_counter()
    chunks = [(at, min(at + CHUNK, first + runs)) for at in range(first, first + runs, CHUNK)]
    with get_context("fork").Pool(processes, maxtasksperchild=100) as pool:
        for part in pool.imap_unordered(_chunk, chunks):
            whole.join(part)
            whole.seconds = time.perf_counter() - begun
            tell(whole)
            if len(whole.violations) >= MOST_VIOLATIONS:
                pool.terminate()
                break
    whole.violations.sort()
    return whole


def seeds_to_kill(name: str, *, first: int = 0, most: int = 10_000) -> tuple[int, str] | None:
    """How many seeds a mutant survives, and what it is caught at; None when it survives them all."""
    with mutants.applied(name):
        for at in range(most):
            found = run_seed(first + at).violation
            if found is not None:
                return at + 1, found
    return None
