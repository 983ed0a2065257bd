"""The function `sweeper`: a tick in, messages and keys out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.keys import shard_of
from tests.doubles.refresh_world import STRICT, RefreshWorld
from tests.support.functions import Function

ROOT = Path(__file__).parents[2]
TICK = json.loads((ROOT / "events" / "sweeper.json").read_text())
CONTEXT = SimpleNamespace(
    get_remaining_time_in_millis=lambda: 50_000,
    function_name="sweeper",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-west-1:111122223333:function:sweeper",
    aws_request_id="00000000-0000-4000-8000-000000000000",
)


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    return RefreshWorld(monkeypatch, rule=STRICT)


@pytest.fixture
def function(world, monkeypatch):
    function = Function("sweeper", world.full_wiring())
    monkeypatch.setattr(function.module.time, "time", lambda: world.clock.now)
    return function


def metrics(capsys):
    merged: dict = {}
    for line in capsys.readouterr().out.splitlines():
        if '"_aws"' in line:
            merged |= json.loads(line)
    return merged


def test_a_tick_queues_what_is_due_and_makes_the_keys(world, function, capsys):
    """The oldest due and the age of the signing keys are reported every time."""
    world.wiring.grants.postpone(world.connection_id, "main", generation=1, due_at=world.now)
    world.pass_time(100)

    function.module.handler(TICK, CONTEXT)

    assert world.queued()[0]["ids"] == [[world.connection_id, 1]]
    assert {key.alg for key in world.wiring.signing_keys.public()} == {"ES256", "RS256"}
    reported = metrics(capsys)
    assert reported["OldestDueAge"] == [pytest.approx(100, abs=2)]
    assert reported["SigningKeyAge"] == [0]
    assert reported["Queued"] == [1]


def test_a_tick_with_nothing_to_do_reports_zero(function, capsys):
    """Missing data is an alarm, so nothing due is a number."""
    function.module.handler(TICK, CONTEXT)

    assert metrics(capsys)["OldestDueAge"] == [0]


def test_a_shard_that_was_not_read_leaves_the_oldest_due_untold(world, function, capsys):
    """Missing data is an alarm: a low figure might not be true. What the others hold is queued."""
    world.pass_time(3600)
    shard = {"S": str((due_shard_of(world) + 1) % 4)}
    world.aws.dynamodb.faults.throttle(
        "query", times=12, when=lambda request: request["ExpressionAttributeValues"].get(":shard") == shard
    )

    function.module.handler(TICK, CONTEXT)

    reported = metrics(capsys)
    assert "OldestDueAge" not in reported
    assert reported["Queued"] == [1]


def due_shard_of(world):
    return shard_of(world.connection_id, 4)


def test_d14_the_same_tick_twice_changes_nothing_more(world, function):
    """Scheduler fires double now and then."""
    function.module.handler(TICK, CONTEXT)
    keys = world.wiring.signing_keys.public()

    function.module.handler(TICK, CONTEXT)

    assert world.wiring.signing_keys.public() == keys


def test_keys_are_rotated_though_the_queue_is_down(world, function):
    """One part does not wait for the other's store, and the failure is seen."""
    world.pass_time(3600)
    world.aws.sqs.faults.throttle("get_queue_attributes", times=100, code="RequestThrottled")

    with pytest.raises(StoreUnavailable):
        function.module.handler(TICK, CONTEXT)

    assert world.wiring.signing_keys.public()


def test_grants_are_queued_though_kms_is_down(world, function, capsys):
    """The other way round; the alarm for KMS is told."""
    world.pass_time(3600)
    world.aws.kms.disable()

    with pytest.raises(StoreUnavailable):
        function.module.handler(TICK, CONTEXT)

    assert len(world.queued()) == 1
    assert metrics(capsys)["KmsRefused"] == [1]


def test_the_sweeper_opens_nothing(world, function):
    """It asks KMS to make keys, never to open one, and writes no grant."""
    world.pass_time(3600)
    before = world.grant()
    world.aws.kms.faults.calls.clear()

    function.module.handler(TICK, CONTEXT)

    assert {operation for operation, _ in world.aws.kms.faults.calls} <= {
        "generate_data_key_without_plaintext",
        "generate_data_key_pair_without_plaintext",
    }
    assert world.grant() == before


def test_a_sweep_leaves_a_mark_of_what_it_saw(world, function):
    """So a schedule that stopped is told from one with nothing to do."""
    world.pass_time(3600)

    function.module.handler(TICK, CONTEXT)

    mark = world.wiring.sweep_mark.read()
    assert mark["at"] == world.clock.now
    assert (mark["due"], mark["sent"], mark["shards_unread"]) == (1, 1, 0)


def test_a_sweep_that_cannot_leave_its_mark_is_a_sweep_all_the_same(world, function):
    """The mark is for whoever asks; the work is not."""
    world.pass_time(3600)
    world.aws.dynamodb.faults.throttle(
        "put_item", times=50, when=lambda request: request["Item"]["sk"] == {"S": "SWEEP"}
    )

    function.module.handler(TICK, CONTEXT)

    assert len(world.queued()) == 1
    assert world.wiring.sweep_mark.read() is None
