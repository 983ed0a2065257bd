"""The rescue: the same conditional write, later; see test_refresh.py (F-16) for how an answer comes here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.rescue import rescue
from tests.doubles.refresh_world import STRICT, RefreshWorld


@pytest.fixture
def world(monkeypatch):
    world = RefreshWorld(monkeypatch, rule=STRICT)
    world.pass_time(3600)
    return world


@pytest.fixture
def parked(world):
    """The successor as the refresh function sealed it, while DynamoDB took nothing."""
    world.aws.dynamodb.faults.throttle("put_item", times=1000, when=lambda k: k["Item"]["sk"]["S"] == "GRANT#main")
    successor = world.refresh().grant
    world.aws.dynamodb.faults.clear()
    return successor


def test_a_parked_answer_becomes_the_next_generation(world, parked):
    """Byte for byte what the provider gave; twice is once."""
    for _ in range(3):
        assert rescue(parked, grants=world.wiring.grants) == "saved"

    assert world.grant() == replace(parked, caused_by="rescue")
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens


def test_an_answer_that_comes_too_late_is_dropped(world, parked):
    """I3: the generation went on without it."""
    rescue(replace(parked, write_id="other"), grants=world.wiring.grants)
    current = world.grant()

    assert rescue(parked, grants=world.wiring.grants) == "moved"
    assert world.grant() == current


def test_i5_an_answer_for_a_revoked_connection_revives_nothing(world, parked):
    """It is kept, sealed, for the worker that revokes it; once."""
    world.disconnect()

    assert rescue(parked, grants=world.wiring.grants) == "revoked"
    assert world.grant().status == "revoked"
    assert world.grant().due_at is not None
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens

    assert rescue(replace(parked, write_id="other"), grants=world.wiring.grants) == "dropped"


def test_dynamodb_still_down_keeps_the_message(world, parked):
    """The queue delivers it again."""
    world.aws.dynamodb.faults.throttle("put_item", times=1000)

    with pytest.raises(StoreUnavailable):
        rescue(parked, grants=world.wiring.grants)


def test_the_rescue_calls_neither_kms_nor_a_provider(world, parked):
    """It holds no key: what it applies stays sealed."""
    before = len(world.aws.kms.faults.calls), len(world.provider.requests)

    rescue(parked, grants=world.wiring.grants)

    assert (len(world.aws.kms.faults.calls), len(world.provider.requests)) == before
