"""Every store is tested twice: over the double, which can misbehave, and over DynamoDB Local, which is right."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.doubles.aws import InMemoryAws, memory_wiring
from tests.doubles.faults import FaultyClient


@pytest.fixture(params=["memory", "dynamodb_local"])
def world(request: pytest.FixtureRequest) -> Any:
    """A wiring whose stores are real; `world.aws.dynamodb.faults` makes things go wrong in either."""
    if request.param == "memory":
        return memory_wiring()
    tables = request.getfixturevalue("dynamodb_tables")
    names = {"GRANTS_TABLE": tables.grants, "REQUESTS_TABLE": tables.requests, "AUDIT_TABLE": tables.audit}
    doubles = InMemoryAws()
    return memory_wiring(
        aws=SimpleNamespace(
            dynamodb=FaultyClient(tables.client), sqs=doubles.sqs, ssm=doubles.ssm, events=doubles.events
        ),
        **names,
    )


@pytest.fixture
def memory() -> Any:
    """The same over the double alone, for what no emulator does: index lag, small pages, stale reads."""
    return memory_wiring()
