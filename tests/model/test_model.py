"""
The refresh protocol as a Promela model, every interleaving of it.

GRANTKEEPER_MODEL=large adds the larger searches. `python -m tests.model` prints the same figures as a table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.model.checker import (
    GENERATIONS,
    LARGE,
    LIVENESS,
    MODEL,
    SAFETY,
    THREE_FAULTS,
    Inconclusive,
    Result,
    Run,
    check,
    marks,
    missing,
    read,
)
from tests.model.figures import leave, table
from tests.model.mutants import MUTANTS, Mutant

# One worker of pytest does them all, one after another: each search wants a processor to itself.
pytestmark = [pytest.mark.story, pytest.mark.xdist_group("model")]

MORE = (THREE_FAULTS, *(LARGE if os.environ.get("GRANTKEEPER_MODEL") == "large" else ()))
PACKAGE = Path(__file__).parents[2] / "layers" / "common" / "grantkeeper"
COMPLETE = """
State-vector 116 byte, depth reached 170, errors: 0
  3930702 states, stored
  9317996 transitions (= stored+matched)
  243.987 total actual memory usage
pan: elapsed time 3.73 seconds
"""


@pytest.fixture(scope="module")
def results() -> Iterator[list[Result]]:
    """What was found, left in artifacts/model.json in the end."""
    need_checker()
    found: list[Result] = []
    yield found
    if found:
        leave(found)
        print(table(found))


def need_checker() -> None:
    need(missing())


@pytest.mark.timeout(600)
def test_i1_i2_i3_i5_i7_hold_in_every_state(results: list[Result]) -> None:
    """
    Two workers, all kinds of providers; two faults, or two generations: no invariant falls.

    And nothing is true for want of trying: between them the two searches execute every statement.
    """
    faults, generations = check(SAFETY), check(GENERATIONS)
    results += [faults, generations]
    assert faults.violated is None
    assert generations.violated is None
    assert set(faults.unreached) & set(generations.unreached) == set()
    assert faults.states > 1_000_000


@pytest.mark.timeout(1000)
@pytest.mark.parametrize("run", MORE, ids=lambda run: run.name)
def test_more_faults_and_more_workers_break_no_invariant(run: Run, results: list[Result]) -> None:
    """Three faults at the provider that forgives least; GRANTKEEPER_MODEL=large goes on from there."""
    result = check(run)
    results.append(result)
    assert result.violated is None


@pytest.mark.timeout(300)
def test_i9_after_the_faults_every_grant_is_fresh_or_the_user_is_asked(results: list[Result]) -> None:
    """On every fair path the grant is fresh, `needs_reauth`, or revoked and erased in the end, and stays so."""
    result = check(LIVENESS)
    results.append(result)
    assert result.violated is None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.define)
def test_a_protocol_without_one_of_its_parts_is_caught(mutant: Mutant, results: list[Result]) -> None:
    """And by the invariant that the part is there for."""
    result = check(mutant.run)
    results.append(result)
    assert result.violated == mutant.falls


def test_every_mutant_of_the_model_is_run() -> None:
    """A macro that nobody runs would be a mutant that nobody has caught."""
    settings = {"WORKERS", "FAULTS", "LAST", "REACH", "PROFILE", "TWO_PROFILES", "LIVENESS"}
    macros = set(re.findall(r"#ifn?def (\w+)", MODEL.read_text())) - settings
    assert macros == {mutant.define for mutant in MUTANTS}


@pytest.mark.parametrize("state", ["ORPHAN_RESOLVED", "PARKED_SAVED", "LATE_REVOKED", "STRIKE_TWO_OURS"])
def test_a_state_that_must_be_reached_is_an_error_when_it_is_forbidden(state: str, results: list[Result]) -> None:
    """The denial of what should happen is refuted, which also gives a trail to read."""
    result = check(Run(f"reaches {state}", (f"REACH={state}", "PROFILE=STRICT")))
    results.append(result)
    number = re.search(rf"#define {state} (\d+)", MODEL.read_text())
    assert number is not None
    assert result.violated == f"({number[1]}!={number[1]})"


def test_a_state_that_is_not_reached_is_noticed() -> None:
    """At a provider that rotates nothing nobody finds an orphan or gives up for our own doing."""
    need_checker()
    result = check(Run("nothing rotates", ("PROFILE=LASTING", "FAULTS=1")))
    assert result.violated is None
    assert {"LOSS_TOLD", "STRIKE_TWO_OURS", "ORPHAN_FOUND", "ANSWER_REPEATED"} <= set(result.unreached)


def test_every_mark_stands_on_a_line() -> None:
    """A mark that the model defines and never sets would be looked for in vain."""
    defined = set(re.findall(r"^#define (\w+) \d+$", MODEL.read_text().split("#define SEEN")[0], re.MULTILINE))
    assert set(marks()) == defined - {"WORKERS", "FAULTS", "LAST", "REACH"}


@pytest.mark.parametrize(
    "said",
    [
        COMPLETE + "error: max search depth too small\n",
        COMPLETE + "pan: out of memory\n",
        COMPLETE + "Warning: Search not completed\n",
        COMPLETE.replace("errors: 0", "errors: 1"),
        "timed out",
        "",
    ],
)
def test_a_search_that_was_cut_short_is_no_result(said: str) -> None:
    """Half a search finds half the errors."""
    with pytest.raises(Inconclusive):
        read(said, run=SAFETY)


def test_a_complete_search_is_read() -> None:
    """The figures are the verifier's own."""
    result = read(COMPLETE, run=SAFETY)
    assert (result.states, result.transitions, result.depth) == (3930702, 9317996, 170)
    assert (result.megabytes, result.seconds, result.violated) == (243.987, 3.73, None)


def test_the_functions_that_the_model_names_are_there() -> None:
    """Whoever compares the model with the code finds what it speaks of."""
    named = re.findall(
        r"(?:(stores)/)?\b(\w+)\.(?!py\b)(_?[a-z]\w+)", " ".join(re.findall(r"/\*.*?\*/", MODEL.read_text(), re.DOTALL))
    )
    looked_up = 0
    for folder, module, function in named:
        source = PACKAGE / (folder or "services") / f"{module}.py"
        if source.exists():
            looked_up += 1
            assert f"def {function}(" in source.read_text(), f"{module}.{function}"
    assert looked_up >= 12
