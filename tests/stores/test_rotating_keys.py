"""API keys while they are rotated and revoked, by several at once; and a user's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.stores.records import api_key, event, race


def turned(key: Any, secret_hash: str) -> Any:
    return replace(key, secret_hash=secret_hash, old_secret_hash=key.secret_hash, old_secret_ends_at=10**10)


def test_k07_of_racing_rotations_one_wins(world: Any) -> None:
    """There are never three secrets, and nobody is shown one that does not work."""
    key = api_key()
    world.api_keys.put(key, audit=event())

    won = race(8, lambda n: world.api_keys.rotate(turned(key, f"hash {n}"), replaces=key, audit=event()))

    assert sorted(won) == [False] * 7 + [True]
    assert world.api_keys.get(key.key_id) == turned(key, f"hash {won.index(True)}")


def test_k08_a_rotation_that_races_a_revocation_does_not_undo_it(world: Any) -> None:
    """Whichever comes first, the key is revoked."""
    key = api_key()
    world.api_keys.put(key, audit=event())
    race(
        2,
        lambda n: (
            world.api_keys.revoke(key, audit=event("api_key.revoked"))
            if n
            else world.api_keys.rotate(turned(key, "next"), replaces=key, audit=event("api_key.rotated"))
        ),
    )

    stored = world.api_keys.get(key.key_id)
    assert stored.status == "revoked"
    assert not world.api_keys.rotate(turned(stored, "again"), replaces=stored, audit=event())


def test_k08_a_key_is_revoked_once(world: Any) -> None:
    """And the trail says so once; a key that never was is none."""
    key = api_key()
    world.api_keys.put(key, audit=event())

    assert sorted(race(4, lambda _: world.api_keys.revoke(key, audit=event("api_key.revoked")))) == [False] * 3 + [True]
    assert not world.api_keys.revoke(api_key("never"), audit=event())


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_rotation_whose_acknowledgement_was_lost_counts(world: Any, fault: str) -> None:
    """The secret that is shown is the one that is stored."""
    key = api_key()
    world.api_keys.put(key, audit=event())
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items")

    assert world.api_keys.rotate(turned(key, "next"), replaces=key, audit=event())
    assert world.api_keys.get(key.key_id).secret_hash == "next"


def test_a_users_keys_stand_in_his_list_until_they_are_revoked(world: Any) -> None:
    """With the day of use; nobody else's, and no client's."""
    mine, his = api_key("key_2", sub="usr_1", created_at=2), api_key("key_1", sub="usr_1", created_at=1)
    for key in (api_key("key_0"), mine, his, api_key("key_3", sub="usr_2")):
        world.api_keys.put(key, audit=event())
    world.api_keys.touch("key_2", day="2026-01-02")

    assert world.api_keys.of_user("usr_1") == [his, replace(mine, used_day="2026-01-02")]
    world.api_keys.revoke(his, audit=event())
    assert [key.key_id for key in world.api_keys.of_user("usr_1")] == ["key_2"]
    assert world.api_keys.get("key_1").status == "revoked"
    assert world.api_keys.of_user("usr_9") == []
