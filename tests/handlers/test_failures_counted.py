"""The function `projector`: refreshes that fail are counted from what the worker leaves in the row."""

from __future__ import annotations

import random

import pytest

from grantkeeper.errors import ProviderUnavailable
from grantkeeper.model import Work
from grantkeeper.services.work import work_through
from tests.doubles.refresh_world import STRICT, RefreshWorld
from tests.handlers.test_projector import GRANTS_ARN, record
from tests.support.functions import CONTEXT, Function


@pytest.fixture
def world(monkeypatch):
    world = RefreshWorld(monkeypatch, rule=STRICT)
    world.pass_time(3300)
    world.told = []
    world.wiring.aws.dynamodb.on_change.append(lambda *change: hear(world, *change))
    return world


@pytest.fixture
def function(world, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    return Function("projector", world.wiring).module


def hear(world, table, old, new):
    """The stream of Grants behind its filter."""
    if table == "grants" and old and new and new["sk"]["S"].startswith("GRANT#") and old != new:
        told = record(new, old, arn=GRANTS_ARN, number=len(world.told) + 1)
        told["dynamodb"]["ApproximateCreationDateTime"] = float(world.now)
        world.told.append(told)


def attempt(world):
    """A sweep finds it due, and a worker does what it can."""
    message = Work("refresh", "example", ((world.connection_id, world.grant().generation),), request_id="sweep")
    in_turn = lambda tasks: [task() for task in tasks]  # noqa: E731 - the worker's threads, one after the other
    assert work_through([message], ports=world.ports(), run=world.run(), parallel=in_turn) == frozenset()
    world.pass_time(700)


def failures(world):
    totals = world.wiring.counters.totals()
    return {name: count for name, count in totals.items() if name.startswith("refresh_failure")}


def test_each_failed_attempt_is_counted_once_by_reason_and_provider(world, function):
    """Down twice, throttling once, then refused once: the stream may tell it in any company, again and again."""
    for _ in range(2):
        world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))
        attempt(world)
    world.provider.answer_next(401, b'{"error": "invalid_client"}')
    attempt(world)
    world.wiring.breakers.forget("example")
    world.provider.answer_next(400, b'{"error": "invalid_grant"}')
    attempt(world)
    attempt(world)
    assert world.grant().generation == 2

    rng = random.Random(1)
    for _ in range(8):
        records = [*world.told, *world.told[:3]]
        rng.shuffle(records)
        assert function.handler({"Records": records[: rng.randrange(1, 9)]}, CONTEXT) == {"batchItemFailures": []}
    assert function.handler({"Records": world.told}, CONTEXT) == {"batchItemFailures": []}

    assert failures(world) == {
        "refresh_failures": 4,
        "refresh_failures/example": 4,
        "refresh_failure_reasons/provider-unavailable": 2,
        "refresh_failure_reasons/provider-misconfigured": 1,
        "refresh_failure_reasons/refused-once": 1,
    }


def test_what_is_put_off_for_another_reason_is_no_failure(world, function):
    """A row that rests, or is looked at later, keeps the mark of its last failure and counts no second one."""
    world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))
    attempt(world)
    for later in (500, 1000):
        world.wiring.grants.postpone(world.connection_id, "main", generation=1, due_at=world.now + later)

    function.handler({"Records": world.told}, CONTEXT)

    assert failures(world)["refresh_failures"] == 1


def test_a_successful_refresh_forgets_the_failure(world, function):
    """The row is as small as before, and the next failure of the same kind counts."""
    for _ in range(2):
        world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))
        attempt(world)
        attempt(world)
        assert "failed" not in world.told[-1]["dynamodb"]["NewImage"]
        world.pass_time(3600)

    function.handler({"Records": world.told}, CONTEXT)

    assert failures(world)["refresh_failures"] == 2


@pytest.mark.parametrize("strange", [{"provider": {"S": "Not One"}}, {"failed": {"N": "7"}}, {"provider": {"N": "1"}}])
def test_d16_a_failure_nobody_of_ours_wrote_holds_up_nothing(world, function, strange):
    """It is passed over; its neighbours count."""
    world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))
    attempt(world)
    (good,) = [each for each in world.told if "failed" in each["dynamodb"]["NewImage"]]
    odd = {**good, "dynamodb": {**good["dynamodb"], "NewImage": good["dynamodb"]["NewImage"] | strange}}

    assert function.handler({"Records": [odd, good]}, CONTEXT) == {"batchItemFailures": []}

    assert failures(world)["refresh_failures"] == 1
