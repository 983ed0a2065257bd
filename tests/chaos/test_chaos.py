"""Processes die, sleep and are cut off at every named point, and no grant is lost outside the excused instant."""

from __future__ import annotations

import os

import pytest

from tests.chaos.matrix import Scenario, scenarios
from tests.chaos.scene import Scene

pytestmark = pytest.mark.chaos

FULL = os.environ.get("CHAOS") == "full"


@pytest.mark.parametrize("scenario", scenarios(full=FULL), ids=lambda scenario: scenario.id)
def test_scenario(scenario: Scenario, lane, record_property) -> None:
    """The plan, then two sweeps, then the invariants, from outside."""
    facts = {"fault": scenario.fault, "action": scenario.kind, "provider": scenario.profile, "lost": False}
    record_property("chaos", facts)  # filled on the way
    scene = Scene.open(lane, scenario.profile)
    scene.excused = scenario.excused
    try:
        scenario.plan(scene)
        if scenario.revoked:
            scene.heal_revoked()
            scene.verify_revoked()
        else:
            scene.heal()
            scene.verify()
    finally:
        facts["lost"] = scene.lost
