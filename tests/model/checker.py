"""
Runs spin on refresh.pml: generates a verifier, compiles it, runs it, and reads what it says.

A search that was cut short proves nothing, so it is an error here, never a result.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MODEL = Path(__file__).parent / "refresh.pml"
DEPTH = 1_000_000  # steps of one path; a longer one is an error, not a cut
PATIENCE = 250.0  # seconds for one verifier, which takes less than ten on a processor of its own
CUT_SHORT = ("max search depth too small", "out of memory", "memory limit", "timed out")
VIOLATED = re.compile(
    r"^pan:\d+: (?:assertion violated (?P<assertion>.+?)|(?P<cycle>acceptance cycle)) \(at depth", re.MULTILINE
)
UNREACHED = re.compile(r"refresh\.pml:(\d+), state \d+, \"(.*)\"")
MARK = re.compile(r"SEEN\((\w+)\)")


class Inconclusive(Exception):
    """The checker did not come to an end; the message says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """
    One configuration of the model.

    Args:
        defines: What is passed to spin as -D, mutants among it.
        goal: `safety` looks at every state; `shortest` too, but for the shortest way to an error; `liveness` looks for
            fair cycles on which I9 never comes true.
        optimize: Compile well, for a long search; else fast, for a short one.
    """

    name: str
    defines: tuple[str, ...] = ()
    goal: str = "safety"
    optimize: bool = False
    patience: float = PATIENCE


@dataclass(frozen=True, slots=True)
class Result:
    """What the verifier said. `seconds` are of its search, without generating and compiling it."""

    name: str
    defines: tuple[str, ...]
    goal: str
    violated: str | None
    states: int
    transitions: int
    depth: int
    megabytes: float
    seconds: float
    seconds_in_all: float
    unreached: tuple[str, ...] = field(default=())


SAFETY = Run("every state, all providers", optimize=True)
GENERATIONS = Run("every state, two generations", ("FAULTS=1", "LAST=2"), optimize=True)
LIVENESS = Run("fair cycles", ("LIVENESS", "TWO_PROFILES", "FAULTS=1"), "liveness", optimize=True)
THREE_FAULTS = Run("every state, three faults", ("FAULTS=3", "PROFILE=FAMILY"), optimize=True)
LARGE = (
    Run("two generations, two faults", ("FAULTS=2", "LAST=2", "PROFILE=FAMILY"), optimize=True, patience=900),
    *(
        Run(f"three faults, {profile}", ("FAULTS=3", f"PROFILE={profile}"), optimize=True, patience=900)
        for profile in ("STRICT", "GRACE", "SHORT", "LASTING")
    ),
    Run("three workers", ("WORKERS=3", "FAULTS=1"), optimize=True, patience=900),
    Run("four workers", ("WORKERS=4", "FAULTS=1", "PROFILE=FAMILY"), optimize=True, patience=900),
    Run(
        "fair cycles, all providers",
        ("LIVENESS", "FAULTS=1"),
        "liveness",
        optimize=True,
        patience=900,
    ),
    Run(
        "fair cycles, two faults",
        ("LIVENESS", "FAULTS=2", "PROFILE=FAMILY"),
        "liveness",
        optimize=True,
        patience=900,
    ),
)


def missing() -> str | None:
    """What is not installed, as one sentence; None when everything is."""
    if shutil.which("spin") is None:
        return "spin is missing: the model of the refresh protocol needs it."
    if compiler() is None:
        return "A C compiler is missing: the model of the refresh protocol needs one."
    return None


def compiler() -> str | None:
    """The path of a C compiler."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def check(run: Run) -> Result:
    """
    Search every state of one configuration.

    Raises:
        Inconclusive: The search did not end, or its verifier could not be made.
    """
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="grantkeeper-model-") as made:
        folder = Path(made)
        # merged statements are not told apart in the list of what was never reached
        apart = ["-o3"] if run.goal == "safety" else []
        shutil.copy(MODEL, folder)
        _make(["spin", "-a", *apart, *(f"-D{define}" for define in run.defines), MODEL.name], folder)
        _make([str(compiler()), "-w", *_compiling(run), "-o", "pan", "pan.c"], folder)
        said = _search(["./pan", *_searching(run)], folder, patience=run.patience)
    return read(said, run=run, seconds_in_all=time.monotonic() - begun)


def read(said: str, *, run: Run, seconds_in_all: float = 0.0) -> Result:
    """
    Read a verifier's output.

    Raises:
        Inconclusive: It does not say that the search was complete, or that it found an error.
    """
    for sign in CUT_SHORT:
        if sign in said:
            raise Inconclusive(f"{run.name}: {sign}")
    violation = VIOLATED.search(said)
    errors = _number(r"errors: (\d+)", said, run)
    if (errors > 0) != (violation is not None):
        raise Inconclusive(f"{run.name}: {errors} errors, but {violation}\n{said[:2000]}")
    if errors == 0 and "Search not completed" in said:
        raise Inconclusive(f"{run.name}: the search was not completed")
    return Result(
        name=run.name,
        defines=run.defines,
        goal=run.goal,
        violated=None if violation is None else violation["assertion"] or "I9",
        states=int(_number(r"(\d+) states, stored", said, run)),
        transitions=int(_number(r"(\d+) transitions", said, run)),
        depth=int(_number(r"depth reached (\d+)", said, run)),
        megabytes=_number(r"([\d.]+)\s+total actual memory usage", said, run),
        seconds=_number(r"elapsed time ([\d.e+-]+) seconds", said, run),
        seconds_in_all=round(seconds_in_all, 2),
        unreached=() if violation else _unreached(said),
    )


def marks() -> dict[str, int]:
    """The states that must be reached, and the line that marks each."""
    lines = enumerate(MODEL.read_text().splitlines(), 1)
    return {mark: number for number, line in lines if "#define" not in line for mark in MARK.findall(line)}


def _unreached(said: str) -> tuple[str, ...]:
    """Marks that no state came by, and the other statements that were never executed, by line."""
    named = {number: mark for mark, number in marks().items()}
    lines = {int(number): text for number, text in UNREACHED.findall(said) if text != "-end-"}
    return tuple(sorted(named.get(number, f"line {number}: {text}") for number, text in lines.items()))


def _compiling(run: Run) -> list[str]:
    how = {
        "safety": ["-DSAFETY", "-DCOLLAPSE"],
        "shortest": ["-DSAFETY", "-DCOLLAPSE", "-DBFS"],
        "liveness": ["-DCOLLAPSE", "-DNFAIR=3"],
    }
    return ["-O1" if run.optimize else "-O0", *how[run.goal]]


def _searching(run: Run) -> list[str]:
    # -E: who waits for ever is no error by itself; the liveness run looks for that
    how = {"safety": ["-E"], "shortest": ["-E"], "liveness": ["-a", "-f"]}
    return [*how[run.goal], f"-m{DEPTH}", "-w22"]


def _make(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise Inconclusive(f"{command[0]}: {(done.stdout + done.stderr)[:2000]}")


def _search(command: list[str], folder: Path, *, patience: float) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        return "timed out"
    return done.stdout + done.stderr


def _number(pattern: str, said: str, run: Run) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise Inconclusive(f"{run.name}: the verifier does not say {pattern!r}\n{said[:2000]}")
    return float(found[1])
