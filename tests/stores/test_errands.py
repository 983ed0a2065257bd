"""Errands and consents: moved forward one way, together with what they bring about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grantkeeper.errors import ErrandExpired, StoreUnavailable
from grantkeeper.model import Errand
from tests.stores.records import NOON, event, identity, race, user

BACK = "https://app.example/linked"


def errand(**changes: Any) -> Errand:
    made = Errand("errand_1", "link", "app", "usr_1", BACK, NOON, NOON + 600, "user:usr_1", provider="github")
    return replace(made, **changes)


SECOND = identity("usr_1", issuer="https://github.com", subject="7", email="a@b.c", changed=("email",))
PROVEN = errand(status="proven", browser_hash="b", identity=SECOND, confirmation_hash="c")


def proven(world: Any) -> Errand:
    """An errand of a user who exists, proven."""
    world.users.provision(user(), identity(), audit=event())
    world.errands.put(errand(), audit=event())
    world.errands.prove(PROVEN, now=NOON, audit=event())
    return PROVEN


def test_an_errand_comes_back_as_it_was_put_and_proven(world: Any) -> None:
    """With the identity, tuples and all."""
    world.errands.put(errand(), audit=event())
    assert world.errands.get("errand_1", now=NOON) == errand()
    world.errands.prove(PROVEN, now=NOON, audit=event())
    assert world.errands.get("errand_1", now=NOON) == PROVEN
    with pytest.raises(StoreUnavailable):
        world.errands.put(errand(), audit=event())


def test_an_errand_is_over_when_its_time_is(world: Any) -> None:
    """DynamoDB's TTL is never trusted."""
    proven(world)
    with pytest.raises(ErrandExpired):
        world.errands.get("errand_1", now=NOON + 600)
    with pytest.raises(ErrandExpired):
        world.errands.link(PROVEN, SECOND, user=None, now=NOON + 600, audit=event())
    assert world.users.find(SECOND.issuer, SECOND.subject) is None


def test_an_errand_goes_one_way(world: Any) -> None:
    """Proven once; ended once; nothing after it is done or ended."""
    proven(world)
    with pytest.raises(ErrandExpired):
        world.errands.prove(PROVEN, now=NOON, audit=event())
    assert world.errands.end("errand_1", audit=event())
    assert not world.errands.end("errand_1", audit=event())
    assert world.errands.get("errand_1", now=NOON).identity is None, "the stranger's address goes at once"
    with pytest.raises(ErrandExpired):
        world.errands.link(PROVEN, SECOND, user=None, now=NOON, audit=event())


def test_of_32_racing_confirmations_one_links(world: Any) -> None:
    """One transaction has it; its audit entry stands once."""
    proven(world)

    def confirm(number: int) -> Any:
        try:
            return world.errands.link(
                PROVEN, SECOND, user=None, now=NOON, audit=event("identity.linked", id=f"evt_{number}", sub="usr_1")
            )
        except ErrandExpired:
            return None

    outcomes = race(32, confirm)

    assert [o for o in outcomes if o is not None] == [SECOND]
    assert world.users.identities("usr_1") == [identity(), SECOND]
    trail = [e.action for e in world.audit.for_user("usr_1", limit=50)[0]]
    assert trail.count("identity.linked") == 1


def test_a_link_brings_the_profile_along_or_changes_nothing(world: Any) -> None:
    """At the version it was read."""
    proven(world)
    stale = user(name="Ada", version=7)
    assert world.errands.link(PROVEN, SECOND, user=stale, now=NOON, audit=event()) is None
    assert world.users.find(SECOND.issuer, SECOND.subject) is None
    assert world.errands.link(PROVEN, SECOND, user=user(name="Ada"), now=NOON, audit=event()) == SECOND
    assert world.users.get("usr_1").name == "Ada"


def test_an_identity_is_removed_while_another_stays(world: Any) -> None:
    """From both of its places; and not when the other one is gone."""
    proven(world)
    world.errands.link(PROVEN, SECOND, user=None, now=NOON, audit=event())

    assert world.users.unlink(SECOND, kept=identity(), user=None, audit=event())
    assert not world.users.unlink(identity(), kept=SECOND, user=None, audit=event())
    assert world.users.find(SECOND.issuer, SECOND.subject) is None
    assert world.users.identities("usr_1") == [identity()]


def test_an_acknowledgement_that_is_lost_is_recognised(world: Any) -> None:
    """The write knows itself again."""
    world.users.provision(user(), identity(), audit=event())
    world.errands.put(errand(), audit=event())
    world.aws.dynamodb.faults.lose_acknowledgement("transact_write_items")
    world.errands.prove(PROVEN, now=NOON, audit=event())
    assert world.errands.get("errand_1", now=NOON).status == "proven"
