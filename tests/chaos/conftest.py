"""A lane for each process of pytest, and a clean stage for each scenario."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.chaos import lane as lanes
from tests.conftest import need


@pytest.fixture(scope="session")
def whole_lane() -> Iterator[lanes.Lane]:
    """Tables, queues, a key and workers of this process's own."""
    need(lanes.missing())
    lane = lanes.open_lane(os.environ.get("PYTEST_XDIST_WORKER", "gw"))
    yield lane
    leaked = lane.leaked()
    assert not leaked, f"{len(leaked)} tokens in clear in {lane.log.name} or in messages"


@pytest.fixture
def lane(whole_lane: lanes.Lane) -> Iterator[lanes.Lane]:
    """The lane with nobody in it and the clock at the real time."""
    whole_lane.clean()
    yield whole_lane
    whole_lane.end_workers()
