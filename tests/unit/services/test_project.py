"""What audit entries mean to the outside."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services import what_counts
from grantkeeper.services.project import project
from tests.doubles.aws import memory_wiring

NOON = 1_795_262_400


def entry(action="connection.activated", number=1, **fields):
    given_fields = {"provider": "google", "details": {"from": "none"}} | fields
    return AuditEvent(id=f"evt_{number}", time=NOON, action=action, actor="user:usr_1", **given_fields)


def increments(events):
    total = Counter()
    for event in events:
        total.update(what_counts.increments(event))
    return {name: by for name, by in total.items() if by}


def types_published(wiring):
    return [published["DetailType"] for published in wiring.aws.events.published]


def deliver(batch, wiring):
    return project(batch, bus=wiring.event_bus, counters=wiring.counters, now=NOON)


def test_a_connection_moves_from_status_to_status():
    """Its counters follow, and never count it twice."""
    life = [
        entry(number=1),
        entry("connection.needs_reauth", 2, reason="revoked_by_user", details={"from": "active"}),
        entry("connection.activated", 3, details={"from": "needs_reauth"}),
        entry("connection.revoked", 4, details={"from": "active"}),
    ]

    assert increments(life) == {
        "connections/google/revoked": 1,
        "connected": 2,
        "needs_reauth": 1,
        "disconnected": 1,
        "needs_reauth_reasons/revoked_by_user": 1,
    }


@given(st.lists(st.sampled_from(["active", "needs_reauth", "revoked"]), min_size=1, max_size=20))
def test_however_a_connection_lives_it_is_one_connection(statuses):
    """The counters of all statuses add up to one."""
    actions = {
        "active": "connection.activated",
        "needs_reauth": "connection.needs_reauth",
        "revoked": "connection.revoked",
    }
    left = "none"
    events = []
    for number, status in enumerate(statuses):
        events.append(entry(actions[status], number, details={"from": left}))
        left = status

    changes = increments(events)

    assert sum(by for name, by in changes.items() if name.startswith("connections/")) == 1
    assert changes[f"connections/google/{left}"] == 1


def test_a_batch_delivered_twice_changes_nothing():
    """Neither what is counted nor what the bus hears."""
    wiring = memory_wiring()
    batch = [entry(number=1), entry("user.signed_in", 2)]

    for _ in range(2):
        deliver(batch, wiring)

    counted = {"connections/google/active": 1, "connected": 1, "sign_ins": 1, "sign_ins/google": 1}
    assert wiring.counters.totals() == counted
    assert types_published(wiring) == ["Connection Activated", "User Signed In"]


def test_f21_a_batch_that_comes_longer_is_counted_to_its_end():
    """A poller that begins again finds more than before behind the same first record."""
    wiring = memory_wiring()
    events = [entry("user.signed_in", number) for number in range(5)]

    deliver(events[:2], wiring)
    deliver(events, wiring)
    deliver(events[3:], wiring)

    assert wiring.counters.totals()["sign_ins"] == 5
    assert len(types_published(wiring)) == 5


def test_a_batch_that_was_published_and_not_counted_is_published_again_under_its_ids():
    """Better twice than never: consumers go by the id."""
    wiring = memory_wiring()
    wiring.aws.dynamodb.faults.throttle("transact_write_items", code="AccessDeniedException")

    with pytest.raises(StoreUnavailable):
        deliver([entry()], wiring)
    wiring.aws.dynamodb.faults.clear()
    deliver([entry()], wiring)

    assert wiring.counters.totals()["connected"] == 1
    assert [json.loads(each["Detail"])["id"] for each in wiring.aws.events.published] == ["evt_1", "evt_1"]


def test_what_is_announced_and_not_counted_is_announced_once_too():
    """An identity that was linked changes no number."""
    wiring = memory_wiring()

    for _ in range(2):
        deliver([entry("identity.linked")], wiring)

    assert types_published(wiring) == ["Identity Linked"]
    assert wiring.counters.totals() == {}


def test_a_grant_that_came_back_to_life_counts_as_active_again():
    """A late holder brought its successor; the stream says what it was before."""
    dead = entry("connection.needs_reauth", 2, reason="rotation_outcome_unknown", details={"from": "active"})
    back = entry("grant.refreshed", 3, details={"name": "main", "generation": "8", "from": "needs_reauth"})

    changes = increments([entry(), dead, back])

    assert {name: by for name, by in changes.items() if name.startswith("connections/")} == {
        "connections/google/active": 1
    }


def test_nobody_hears_of_what_cannot_be_counted():
    """It is handed back, to be parked; what the trail alone is for is not."""
    wiring = memory_wiring()
    odd, quiet = entry(provider="Odd One"), entry("user.updated", 2, provider="Odd One")

    assert deliver([odd, quiet], wiring) == [odd]
    assert types_published(wiring) == []


def test_nothing_is_counted_that_was_not_published():
    """The bus comes first; refused there, the batch comes again."""
    wiring = memory_wiring()
    wiring.aws.events.reject_entries = 100

    with pytest.raises(StoreUnavailable):
        deliver([entry()], wiring)

    assert wiring.counters.totals() == {}


def test_a_batch_over_midnight_is_counted_in_both_days():
    """Each day gets its own."""
    wiring = memory_wiring()
    evening = entry("user.signed_in", 1)
    morning = replace(entry("user.signed_in", 2), time=NOON + 86_400)

    deliver([evening, morning], wiring)

    assert wiring.counters.totals()["sign_ins"] == 2
    assert wiring.counters.of_day("2026-11-21")["sign_ins"] == 1
    assert wiring.counters.of_day("2026-11-22")["sign_ins"] == 1


def test_whoever_is_erased_and_what_goes_with_him_is_counted_no_more():
    """His profile leaves the list when it begins, his tombstones when they are deleted; the bus tells of the end."""
    wiring = memory_wiring()
    life = [
        entry("user.provisioned", 1),
        entry(number=2),
        entry("connection.revoked", 3, details={"from": "active"}),
        entry("user.erasure_started", 4),
        entry("connection.removed", 5),
        entry("user.erased", 6),
    ]

    deliver(life, wiring)

    totals = wiring.counters.totals()
    assert (totals.get("users", 0), totals["users_erased"]) == (0, 1)
    assert not [count for name, count in totals.items() if name.startswith("connections/") and count]
    assert types_published(wiring) == ["User Provisioned", "Connection Activated", "Connection Revoked", "User Erased"]
