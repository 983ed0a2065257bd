"""Races of real processes: one refresh for any number of callers, and nothing survives a disconnect."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.chaos.scene import DELETE, HOUR, LEASE, MOST_TRIES, Scene

pytestmark = pytest.mark.chaos

CALLERS = 32
SECONDS = 10  # of racing, unless CHAOS=full
FULL_ROUNDS, FULL_RACES = 1_000, 10_000
FULL = os.environ.get("CHAOS") == "full"


def _rounds(full: int):
    """Numbers of rounds: as many as fit, or all of them."""
    ends = time.monotonic() + SECONDS
    for number in range(full):
        if not FULL and time.monotonic() >= ends:
            return
        yield number


@pytest.mark.timeout(7200 if FULL else 120)
def test_f25_thirty_two_processes_and_one_refresh(lane, record_property) -> None:
    """A token runs out and 32 processes ask at once, round by round: one call upstream each time, all are served."""
    scene = Scene.open(lane, "strict", expired=False)
    crowd = [lane.worker() for _ in range(CALLERS)]
    for worker in crowd:
        worker.ask("wait", really=True)
        assert scene.call(worker).status == 200  # a fresh token; 32 cold starts at once would be all there is to see
    done = 0
    for number in _rounds(FULL_ROUNDS):
        lane.clock.advance(HOUR + 1)
        at = lane.clock.now + 0.02
        for worker in crowd:
            worker.begin("http", at=at, **scene.http())
        outcomes = [worker.outcome() for worker in crowd]

        assert {outcome.status for outcome in outcomes} == {200}, outcomes
        assert {outcome.body["generation"] for outcome in outcomes} == {number + 2}
        assert len({outcome.body["access_token"] for outcome in outcomes}) == 1
        done += 1
    calls = scene.calls()
    assert len(calls) == done
    assert {call["status"] for call in calls} == {200}
    scene.check_calls()
    assert scene.alive()
    record_property(
        "chaos_figures", ("refreshers", {"processes": CALLERS, "rounds": done, "upstream_calls": len(calls)})
    )


@pytest.mark.timeout(7200 if FULL else 120)
def test_f27_nothing_survives_a_disconnect(lane, record_property) -> None:
    """A refresh and a disconnect of the same connection, at any distance: dead here and at the provider, every time."""
    rng = random.Random(27)
    profiles = ("strict", "grace", "lasting")
    refresher, disconnecter, helper = lane.worker(), lane.worker(), lane.worker()
    refresher.ask("wait", really=True)
    disconnecter.ask("wait", really=True)
    won = {200: 0, 409: 0, 503: 0}
    for number in _rounds(FULL_RACES):
        scene = Scene(lane, profiles[number % 3], _helper=helper)
        scene.connection_id, scene.family = scene.connect()
        lane.clock.advance(HOUR + 1)
        now = lane.clock.now + 0.005
        refresher.begin("http", at=now + rng.random() * 0.02, **scene.http())
        disconnecter.begin("http", at=now + rng.random() * 0.06, **scene.http(DELETE))
        answer, gone = refresher.outcome(), disconnecter.outcome()
        assert gone.status == 200, gone
        assert answer.status in won, answer
        won[answer.status] += 1

        scene.deliver()
        for _ in range(MOST_TRIES):
            if "sealed" not in scene.row():
                break
            lane.clock.advance(LEASE * 10)
            scene.sweep()
        scene.observe()
        assert scene.history[-1][1] == "revoked"
        assert "sealed" not in scene.row()
        assert not scene.alive(), f"a survivor: {scene.calls()} {scene.calls('revoke')}"
    figures = {
        "races": sum(won.values()),
        "refresh_answered": {str(code): n for code, n in won.items()},
        "survivors": 0,
    }
    record_property("chaos_figures", ("revoke_and_refresh", figures))
