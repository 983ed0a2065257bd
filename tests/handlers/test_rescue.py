"""The function `rescue`: parked answers in, saved generations out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.doubles.refresh_world import STRICT, RefreshWorld
from tests.support.functions import CONTEXT, Function

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    world = RefreshWorld(monkeypatch, rule=STRICT)
    world.pass_time(3600)
    return world


@pytest.fixture
def function(world):
    return Function("rescue", world.full_wiring())


@pytest.fixture
def parked(world):
    """The body that the refresh function parked while DynamoDB took nothing."""
    world.aws.dynamodb.faults.throttle("put_item", times=1000, when=lambda k: k["Item"]["sk"]["S"] == "GRANT#main")
    world.refresh()
    world.aws.dynamodb.faults.clear()
    return world.parked()[0]


def batch(*bodies):
    event = json.loads((ROOT / "events" / "rescue.json").read_text())
    record = event["Records"][0]
    return {"Records": [record | {"messageId": f"m{at}", "body": body} for at, body in enumerate(bodies)]}


def test_f16_a_parked_answer_is_saved(world, function, parked):
    """And delivered twice it is saved once."""
    for _ in range(2):
        assert function.module.handler(batch(parked), CONTEXT) == {"batchItemFailures": []}

    assert world.grant().generation == 2
    assert world.grant().caused_by == "rescue"
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens


def test_a_message_stays_while_dynamodb_refuses(world, function, parked):
    """It is delivered again, and its neighbours with it are not held up."""
    world.aws.dynamodb.faults.throttle("put_item", times=1000)

    assert function.module.handler(batch(parked), CONTEXT) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}

    world.aws.dynamodb.faults.clear()
    function.module.handler(batch(parked), CONTEXT)
    assert world.grant().generation == 2


def test_d06_an_invocation_that_ends_soon_begins_no_save(world, function, parked):
    """A kill would send back what was saved with what was not, and count against all of them."""
    ending = SimpleNamespace(get_remaining_time_in_millis=lambda: 8_000)

    assert function.module.handler(batch(parked), ending) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert world.grant().generation == 1


@pytest.mark.parametrize("poison", ["", "{}", "null", '{"sealed":"!"}'])
def test_d16_what_cannot_be_read_goes_to_the_dead_letters(world, function, parked, poison):
    """Kept for an operator, told at the highest level; the readable one is saved."""
    answer = function.module.handler(batch(poison, parked), CONTEXT)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert world.grant().generation == 2


@pytest.mark.parametrize("strange", [{"connection_id": 5}, {"connection_id": "\ud800"}])
def test_d16_what_reads_well_and_cannot_be_saved_wears_out_no_neighbour(world, function, parked, strange):
    """Sixty deliveries of the batch would bring the good ones to the dead letters with it."""
    poison = json.dumps(json.loads(parked) | {"connection_id": "con_other"} | strange)

    answer = function.module.handler(batch(poison, parked), CONTEXT)

    assert {failure["itemIdentifier"] for failure in answer["batchItemFailures"]} <= {"m0"}
    assert world.grant().generation == 2


def test_the_committed_event_can_be_read(function):
    """Of a connection that is not here: there is nothing to do for it."""
    event = json.loads((ROOT / "events" / "rescue.json").read_text())

    assert function.module.handler(event, CONTEXT) == {"batchItemFailures": []}


def test_the_function_needs_no_key_and_no_provider(world, function, parked):
    """Its wiring has neither."""
    wiring = world.full_wiring()
    for name in ("VAULT_KEY_ARN", "WORK_QUEUE_URL", "RESCUE_QUEUE_URL", "REQUESTS_TABLE", "ISSUER"):
        wiring.env.pop(name)
    function.module.app_wiring = wiring

    assert function.module.handler(batch(parked), CONTEXT) == {"batchItemFailures": []}
    assert world.grant().generation == 2
