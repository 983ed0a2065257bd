"""Branch keys and signing keys in the table: in memory and on DynamoDB Local alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent, BranchKey, SigningKey, SigningKeyRing
from grantkeeper.stores.branch_keys import DynamoBranchKeys
from grantkeeper.stores.signing_keys import DynamoSigningKeys
from tests.doubles.dynamodb import InMemoryDynamoDB
from tests.doubles.tables import create_tables

NOON = 1_800_000_000


@dataclass
class World:
    client: Any
    grants: str
    audit: str
    now: float = NOON

    def branch_keys(self) -> DynamoBranchKeys:
        return DynamoBranchKeys(self.client, self.grants, self.audit, clock=lambda: self.now)

    def signing_keys(self) -> DynamoSigningKeys:
        return DynamoSigningKeys(self.client, self.grants, self.audit)

    def entries(self) -> int:
        return int(self.client.scan(TableName=self.audit, Select="COUNT")["Count"])


@pytest.fixture(params=["memory", "local"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        client = InMemoryDynamoDB()
        create_tables(client)
        yield World(client, "grants", "audit")
        return
    tables = request.getfixturevalue("dynamodb_tables")
    yield World(tables.client, tables.grants, tables.audit)


def event(number: int) -> AuditEvent:
    return AuditEvent(f"evt_{number}", NOON, "branch_key.created", "system:sweeper", details={"bucket": "3"})


def branch_key(version: int, *, bucket: int = 3) -> BranchKey:
    return BranchKey(bucket, version, b"wrapped \x00\xff" + bytes((version,)), NOON)


def signing_key(kid: str, **more: Any) -> SigningKey:
    return SigningKey(kid, "ES256", {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ"}, NOON, NOON, **more)


# --- branch keys ---


def test_a_bucket_without_a_key_has_no_newest(world):
    """The first minute of a deployment."""
    assert world.branch_keys().newest(3) is None
    assert world.branch_keys().get(3, 1) is None


def test_versions_are_added_one_by_one_and_all_stay(world):
    """The newest is found with one read; older ones by their number."""
    keys = world.branch_keys()
    for version in (1, 2, 3):
        assert keys.add(branch_key(version), audit=event(version))

    assert keys.newest(3) == branch_key(3)
    assert [keys.get(3, version) for version in (1, 2, 3, 4)] == [*map(branch_key, (1, 2, 3)), None]
    assert keys.newest(4) is None
    assert world.entries() == 3


@pytest.mark.parametrize("version", [1, 2, 4, 0])
def test_only_the_next_version_is_taken(world, version):
    """No version is overwritten, none is skipped, and a refused one leaves no audit entry."""
    keys = world.branch_keys()
    keys.add(branch_key(1), audit=event(1))
    keys.add(branch_key(2), audit=event(2))

    assert not keys.add(replace(branch_key(version), wrapped=b"other"), audit=event(9))
    assert keys.newest(3) == branch_key(2)
    assert keys.get(3, 1) == branch_key(1)
    assert keys.get(3, 4) is None
    assert world.entries() == 2


def test_the_first_version_is_one(world):
    """A bucket does not begin in the middle."""
    assert not world.branch_keys().add(branch_key(2), audit=event(1))
    assert world.branch_keys().newest(3) is None


def test_a_lost_pointer_overwrites_no_version(world):
    """Somebody deleted the pointer: version 1 is not made anew, for what it sealed could never be opened again."""
    keys = world.branch_keys()
    keys.add(branch_key(1), audit=event(1))
    world.client.delete_item(TableName=world.grants, Key={"pk": {"S": "BRANCH#3#newest"}, "sk": {"S": "BRANCH"}})

    assert not keys.add(replace(branch_key(1), wrapped=b"other"), audit=event(2))
    assert keys.get(3, 1) == branch_key(1)


def test_of_racing_writers_one_adds_the_version(world):
    """Eight sweepers, one key, one audit entry."""
    start = threading.Barrier(8)
    added: list[int] = []

    def add(number: int) -> None:
        keys = world.branch_keys()
        start.wait()
        if keys.add(replace(branch_key(1), wrapped=bytes((number,))), audit=event(number)):
            added.append(number)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(added) == 1
    assert world.branch_keys().newest(3).wrapped == bytes((added[0],))
    assert world.entries() == 1


def test_the_newest_is_remembered_for_five_minutes_and_none_for_thirty_seconds(world):
    """A warm refresh reads no branch key; the very first key is noticed soon."""
    reader, writer = world.branch_keys(), world.branch_keys()
    assert reader.newest(3) is None
    writer.add(branch_key(1), audit=event(1))

    assert reader.newest(3) is None
    world.now += 31
    assert reader.newest(3) == branch_key(1)

    writer.add(branch_key(2), audit=event(2))
    world.now += 299
    assert reader.newest(3) == branch_key(1)
    world.now += 2
    assert reader.newest(3) == branch_key(2)


def test_who_adds_a_version_sees_it_at_once(world):
    """Also when somebody else was faster."""
    loser, winner = world.branch_keys(), world.branch_keys()
    assert loser.newest(3) is None
    assert winner.add(branch_key(1), audit=event(1))

    assert not loser.add(branch_key(1), audit=event(2))
    assert loser.newest(3) == branch_key(1)


# --- signing keys ---


def test_before_the_first_write_the_ring_is_empty(world):
    """Version 0."""
    assert world.signing_keys().load() == SigningKeyRing()
    assert world.signing_keys().public() == ()


def test_a_ring_comes_back_as_it_was_stored(world):
    """Keys, times, states, private halves."""
    ring = SigningKeyRing(
        1,
        (signing_key("a"), signing_key("b", retire_at=NOON + 5), signing_key("c", state="revoked", retire_at=NOON)),
        {"a": b"\x00\xff", "b": b"half"},
    )

    assert world.signing_keys().replace(ring, audit=event(1))

    assert world.signing_keys().load() == ring
    assert world.signing_keys().public() == ring.keys


def test_a_ring_replaces_the_version_before_it_and_no_other(world):
    """First write, next write, and everything that is neither; refusals leave no audit entry."""
    keys = world.signing_keys()
    assert not keys.replace(SigningKeyRing(2, (signing_key("a"),)), audit=event(1))
    assert keys.replace(SigningKeyRing(1, (signing_key("a"),)), audit=event(1))
    assert not keys.replace(SigningKeyRing(1, (signing_key("b"),)), audit=event(2))
    assert keys.replace(SigningKeyRing(2, (signing_key("b"),)), audit=event(2))
    assert not keys.replace(SigningKeyRing(2, (signing_key("c"),)), audit=event(3))
    assert not keys.replace(SigningKeyRing(4, (signing_key("c"),)), audit=event(3))

    assert keys.load() == SigningKeyRing(2, (signing_key("b"),))
    assert world.entries() == 2


def test_an_empty_ring_can_be_stored(world):
    """Every key revoked and forgotten is no crash."""
    keys = world.signing_keys()
    keys.replace(SigningKeyRing(1, (signing_key("a"),), {"a": b"x"}), audit=event(1))
    keys.replace(SigningKeyRing(2), audit=event(2))

    assert keys.load() == SigningKeyRing(2)


# --- trouble ---


def test_a_store_that_does_not_answer_is_unavailable():
    """Reads and writes alike; nothing else is read into it."""
    client = InMemoryDynamoDB()
    create_tables(client)
    world = World(client, "grants", "audit")
    calls = [
        ("get_item", lambda: world.branch_keys().newest(1)),
        ("get_item", lambda: world.branch_keys().get(1, 1)),
        ("get_item", lambda: world.signing_keys().public()),
        ("get_item", lambda: world.signing_keys().load()),
        ("transact_write_items", lambda: world.branch_keys().add(branch_key(1), audit=event(1))),
        ("transact_write_items", lambda: world.signing_keys().replace(SigningKeyRing(1), audit=event(1))),
    ]
    for operation, action in calls:
        client.faults.throttle(operation, code="AccessDeniedException")
        with pytest.raises(StoreUnavailable):
            action()
    assert client.dump("grants") == []
    assert client.dump("audit") == []


def test_a_failed_read_is_not_remembered():
    """The next caller asks again."""
    client = InMemoryDynamoDB()
    create_tables(client)
    keys = World(client, "grants", "audit").branch_keys()
    client.faults.throttle("get_item", code="AccessDeniedException")
    with pytest.raises(StoreUnavailable):
        keys.newest(3)
    keys.add(branch_key(1), audit=event(1))

    assert keys.newest(3) == branch_key(1)
