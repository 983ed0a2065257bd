"""The function `reconcile`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grantkeeper.counter_names import Counted
from tests.doubles.aws import memory_wiring
from tests.stores.records import event
from tests.support.functions import CONTEXT, Function

NIGHT = json.loads((Path(__file__).parents[2] / "events" / "reconcile.json").read_text())
LAST_NIGHT = 1_795_222_800  # 2026-11-21 01:00 UTC


@pytest.fixture
def world():
    return memory_wiring()


@pytest.fixture
def function(world, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    module = Function("reconcile", world).module
    monkeypatch.setattr(module.time, "time", lambda: LAST_NIGHT)
    return module


def metric(out):
    lines = [json.loads(line) for line in out.splitlines() if "CounterDrift" in line]
    return [line["CounterDrift"] for line in lines if "CounterDrift" in line]


def test_a_night_without_drift_is_a_zero_for_the_alarm_to_see(world, function, capsys):
    """Reported, so that silence is told from agreement."""
    assert function.handler(NIGHT, CONTEXT) == {"outcome": "agrees"}
    assert metric(capsys.readouterr().out) == [[0.0]]

    assert function.handler(NIGHT, CONTEXT) == {"outcome": "done already"}
    assert metric(capsys.readouterr().out) == []


def test_drift_is_logged_as_an_error_and_counted(world, function, capsys, caplog):
    """At the second look, by counter; the trail has it too."""
    world.counters.add_once([Counted("odd", LAST_NIGHT, {"users": 2})], now=LAST_NIGHT)

    assert [function.handler(NIGHT, CONTEXT)["outcome"] for _ in range(2)] == ["looks again", "differs"]

    assert metric(capsys.readouterr().out) == [[2.0]]
    (logged,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (logged.day, logged.drift) == ("2026-11-20", {"users": -2})
    assert [e.action for e in world.audit.day("2026-11-21", limit=5)[0]] == ["counters.drifted"]


def test_a_run_out_of_time_says_that_it_goes_on(world, function):
    """And begins no page it could not note."""
    world.audit.record(event("user.signed_in", time=LAST_NIGHT - 86_400))
    ending = type("Context", (), {"get_remaining_time_in_millis": lambda _: 10_000})()

    assert function.handler(NIGHT, ending) == {"outcome": "goes on"}
