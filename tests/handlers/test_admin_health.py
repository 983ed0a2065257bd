"""The function `admin`: the deep health check."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doubles.api import api_of
from tests.support.desk import person

HEALTH = "/v1/admin/health"


@pytest.fixture
def api(monkeypatch: Any) -> Any:
    return api_of(monkeypatch, "admin")


def test_the_state_of_every_part_is_answered_with_200(api: Any) -> None:
    """Whoever asks is told, also of a part that failed: `status` is the worst."""
    api.world.wiring.aws.sqs.faults.throttle("get_queue_attributes", times=50, code="AccessDenied")
    answer = api.call("GET", HEALTH, as_=api.key(None, "admin:read"))
    parts = {check["name"]: check["status"] for check in answer.body["checks"]}
    assert (answer.status, answer.body["status"], answer.body["checked_at"]) == (200, "failing", api.world.now)
    assert parts["queues"] == "failing"
    assert parts["tables"] == parts["vault_key"] == parts["alarms"] == "ok"


def test_auditors_and_admins_are_told_and_nobody_else(api: Any) -> None:
    """A key for metrics is not enough."""
    assert api.call("GET", HEALTH, as_=person(api, "auditor")).status == 200
    assert api.call("GET", HEALTH, as_=api.key(None, "metrics:read")).status == 403
    assert api.call("GET", HEALTH).status == 401
