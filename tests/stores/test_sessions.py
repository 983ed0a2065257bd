"""Refresh-token families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.stores.records import NOON, event, race, session

CONTENDERS = 32


def successor(number: int = 2, **fields: Any) -> Any:
    return session(current_hash=f"hash-{number}", previous_hash="hash-1", counter=2, rotated_at=NOON, **fields)


def test_a_session_comes_back_as_it_was_opened(world: Any) -> None:
    """By its family and in its user's list."""
    assert world.sessions.create(session(sealed_successor=b"\x00"), audit=event())
    assert world.sessions.get("fam_1") == session(sealed_successor=b"\x00")
    assert world.sessions.list("usr_1") == [session(sealed_successor=b"\x00")]
    assert world.sessions.get("fam_2") is None
    assert world.sessions.list("usr_2") == []


def test_a_family_is_opened_once(world: Any) -> None:
    """A second use of the code puts a revoked family there first; then the first use gets nothing."""
    assert world.sessions.create(session(status="revoked"), audit=event())
    assert not world.sessions.create(session(current_hash="other"), audit=event())
    assert world.sessions.get("fam_1").status == "revoked"


def test_s14_of_32_concurrent_uses_of_a_refresh_token_one_rotates(world: Any) -> None:
    """Never two live successors: the loser reads what the winner wrote."""
    world.sessions.create(session(), audit=event())
    outcomes = race(CONTENDERS, lambda n: world.sessions.rotate(successor(n + 100), expected_counter=1))
    assert sorted(outcomes) == [False] * (CONTENDERS - 1) + [True]
    winner = outcomes.index(True)
    assert world.sessions.get("fam_1").current_hash == f"hash-{winner + 100}"


def test_s15_rotations_are_ordered_by_counter_not_by_time(world: Any) -> None:
    """Two rotations within a second stay two: the older counter is refused."""
    world.sessions.create(session(), audit=event())
    assert world.sessions.rotate(successor(), expected_counter=1)
    assert not world.sessions.rotate(successor(3), expected_counter=1)
    assert world.sessions.rotate(replace(successor(3), counter=3), expected_counter=2)


def test_s17_after_a_revoke_no_rotation_succeeds(world: Any) -> None:
    """32 rotations and a revoke race; once the revoke is back the family is dead for good."""
    world.sessions.create(session(), audit=event())

    def contend(number: int) -> bool:
        if number == 0:
            return world.sessions.revoke("fam_1", audit=event("session.revoked"))
        return world.sessions.rotate(successor(number), expected_counter=1)

    outcomes = race(CONTENDERS, contend)
    assert outcomes[0] is True
    stored = world.sessions.get("fam_1")
    assert (stored.status, stored.sealed_successor) == ("revoked", b"")
    assert not world.sessions.rotate(successor(99), expected_counter=stored.counter)


def test_revoking_twice_says_so(world: Any) -> None:
    """One end, one audit entry."""
    world.sessions.create(session(), audit=event())
    outcomes = race(8, lambda _: world.sessions.revoke("fam_1", audit=event("session.revoked", sub="usr_1")))
    assert sorted(outcomes) == [False] * 7 + [True]
    entries, _ = world.audit.for_user("usr_1", limit=100)
    assert [e.action for e in entries] == ["session.revoked"]
    assert not world.sessions.revoke("unknown", audit=event())


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_rotation_whose_acknowledgement_was_lost_is_ours(world: Any, fault: str) -> None:
    """The retried write meets itself; the caller gets its new token and is not taken for a thief."""
    world.sessions.create(session(), audit=event())
    getattr(world.aws.dynamodb.faults, fault)("put_item")
    assert world.sessions.rotate(successor(), expected_counter=1)


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_family_opened_by_a_lost_write_is_ours(world: Any, fault: str) -> None:
    """One request token, one effect, one audit entry."""
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items")
    assert world.sessions.create(session(), audit=event("user.signed_in", sub="usr_1"))
    assert len(world.audit.for_user("usr_1", limit=10)[0]) == 1


def test_d05_a_rotation_that_meets_a_transaction_is_tried_again(world: Any) -> None:
    """TransactionConflict passes by itself."""
    world.sessions.create(session(), audit=event())
    world.aws.dynamodb.faults.conflict("put_item", times=2)
    assert world.sessions.rotate(successor(), expected_counter=1)


def test_s09_a_session_is_found_by_the_name_tokens_show(world: Any) -> None:
    """Whatever its status; not by another user's `sub`, nor by its family."""
    kept = session()
    world.sessions.create(kept, audit=event())
    assert world.sessions.find(kept.sub, kept.sid) == world.sessions.get(kept.family)
    assert world.sessions.find("usr_other", kept.sid) is None
    assert world.sessions.find(kept.sub, kept.family) is None
    world.sessions.revoke(kept.family, audit=event())
    assert world.sessions.find(kept.sub, kept.sid).status == "revoked"
