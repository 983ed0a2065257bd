"""Pictures behind a token, of users and of connections."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Avatar
from tests.stores.records import event, identity, user

PICTURE = Avatar("microsoft", 1_700_000_000, "image/jpeg", "d1", b"\xff\xd8\xff" + b"x" * 65_533)


def test_a_picture_is_read_as_it_was_written(world: Any) -> None:
    """Byte for byte, and beside it that there is none."""
    world.users.provision(user(), identity(), audit=event("user.created", sub="usr_1"))
    assert world.avatars.of_user("usr_1") is None

    world.avatars.put_for_user("usr_1", PICTURE, audit=event("user.avatar_changed", sub="usr_1"))
    assert world.avatars.of_user("usr_1") == PICTURE
    none = Avatar("microsoft", 1_700_000_001)
    world.avatars.put_for_user("usr_1", none, audit=event("user.avatar_changed", sub="usr_1"))

    assert world.avatars.of_user("usr_1") == none
    assert world.avatars.of_user("usr_2") is None
    assert world.users.get("usr_1") == user()
    assert world.users.identities("usr_1") == [identity()]
    trail, _ = world.audit.for_user("usr_1", limit=10)
    assert [e.action for e in trail].count("user.avatar_changed") == 2


def test_d01_what_is_not_audited_is_not_written(world: Any) -> None:
    """An id that the trail has already: the picture stays as it was, and the caller hears of the store."""
    audit = event("user.avatar_changed", sub="usr_1")
    world.avatars.put_for_user("usr_1", PICTURE, audit=audit)

    with pytest.raises(StoreUnavailable):
        world.avatars.put_for_user("usr_1", Avatar("microsoft", 1), audit=audit)
    assert world.avatars.of_user("usr_1") == PICTURE
