"""The number of due shards changes live on DynamoDB Local: rows due before, during and after are all found."""

from __future__ import annotations

import time

import pytest

from grantkeeper.model import ShardMark
from grantkeeper.services.due_shards import EMPTY_FOR, PATROL, PATROL_TURN
from tests.doubles.aws import InMemoryAws
from tests.doubles.fleet import MINUTE, Fleet
from tests.stores.records import race


@pytest.fixture
def fleet(dynamodb_tables, monkeypatch):
    aws = InMemoryAws()
    aws.dynamodb = dynamodb_tables.client
    names = {"GRANTS_TABLE": dynamodb_tables.grants, "REQUESTS_TABLE": dynamodb_tables.requests}
    return Fleet(monkeypatch, aws=aws, env={**names, "AUDIT_TABLE": dynamodb_tables.audit})


def test_sixteen_to_sixty_four_to_four_misses_nothing(fleet):
    """Grown and shrunk under a load of grants: each is refreshed in the first sweep after it fell due."""
    before = fleet.connect(12, shards=16)
    fleet.tick(16)
    during = [*fleet.connect(12, shards=64), *fleet.connect(6, shards=16)]
    grown = fleet.tick(64)
    after = fleet.connect(12, shards=64)
    later = fleet.connect(12, shards=64, due_at=fleet.world.now + 10 * MINUTE)
    assert fleet.tick(64).sent == len(after)
    assert fleet.generations([*before, *during, *after]) == {2}
    assert grown.oldest_due <= MINUTE

    mixed = [*fleet.connect(6, shards=64), *fleet.connect(6, shards=4)]
    shrunk = fleet.tick(4)
    oldest = [fleet.tick(4, after=5 * MINUTE).oldest_due for _ in range(3)]

    assert fleet.generations([*mixed, *later]) == {2}
    assert max(shrunk.oldest_due, *oldest) <= 5 * MINUTE
    assert fleet.mark.high_water == 64
    for _ in range(5):  # what was saved with 64 moves when it is due again, within the first hour
        fleet.tick(4, after=EMPTY_FOR // 2)
    assert fleet.mark.high_water == 4


def test_a_row_that_a_rollback_left_above_the_mark_is_found(fleet):
    """When the patrol's turn comes, by a real index."""
    fleet.tick(16)
    stranded = fleet.connect_in(200, shards=256)
    minutes = (200 // PATROL - fleet.world.now // MINUTE) % PATROL_TURN or PATROL_TURN

    fleet.tick(16, after=minutes * MINUTE)

    assert fleet.generations([stranded]) == {2}
    assert fleet.mark.high_water == 201


def test_of_many_who_change_the_mark_one_does(fleet):
    """Sweeps overlap: whoever read what stands there may replace it, the others are told."""
    sweepers = [fleet.world.container().shard_mark for _ in range(8)]
    stands = fleet.mark

    written = race(8, lambda at: sweepers[at].replace(ShardMark(high_water=at + 1), expected=stands))

    (won,) = [mark for mark in written if mark is not None]
    assert fleet.mark == won
    assert race(8, lambda at: sweepers[at].replace(ShardMark(high_water=99), expected=stands)) == [None] * 8


def test_sixty_four_empty_shards_are_read_in_a_fraction_of_the_budget(fleet):
    """Of 45 s; the bound is loose, for the emulator and this machine are shared."""
    fleet.tick(64)
    begun = time.monotonic()

    report = fleet.tick(64)

    assert report.shards_unread == 0
    assert time.monotonic() - begun < 15
