"""`python -m tests.simulation`: run seeds, or tell the story of one."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "layers" / "common"))

from tests.simulation.campaign import run_seed, run_seeds, seeds_to_kill
from tests.simulation.mutants import MUTANTS, applied


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run one seed")
    parser.add_argument("--verbose", action="store_true", help="print every step of that seed")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--mutants", action="store_true", help="let every mutant be caught")
    parser.add_argument("--mutant", help="with --seed: the story with this mutant in the code")
    chosen = parser.parse_args()
    if chosen.mutants:
        return tell_mutants()
    if chosen.seed is not None:
        with applied(chosen.mutant) if chosen.mutant else contextlib.nullcontext():
            result = run_seed(chosen.seed, verbose=chosen.verbose)
        print(f"seed {chosen.seed}: {result.world.scenario}")
        print("\n".join(result.world.lines))
        print(f"{result.steps} steps, trace {result.trace:016x}: {result.violation or 'no invariant violated'}")
        return result.violation is not None
    summary = run_seeds(range(chosen.first, chosen.first + chosen.runs))
    print(f"{summary.runs} runs, {summary.steps} steps, {summary.seconds:.1f} s, {len(summary.traces)} interleavings")
    for title in ("faults", "excused", "outcomes", "rounds"):
        print(title)
        for name, count in sorted(getattr(summary, title).items(), key=lambda each: -each[1]):
            print(f"  {count:8} {name}")
    for seed, what in summary.violations:
        print(f"seed {seed}: {what}")
    return bool(summary.violations)


def tell_mutants() -> bool:
    """Every mutant with the seeds it took. True when one survives."""
    survivor = False
    for name in MUTANTS:
        killed = seeds_to_kill(name)
        survivor = survivor or killed is None
        print(f"{name:60} {'SURVIVES' if killed is None else f'{killed[0]:6}  {killed[1]}'}", flush=True)
    return survivor


if __name__ == "__main__":
    sys.exit(main())
