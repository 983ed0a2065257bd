"""What audit entries mean to the outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services.count_stats import prometheus, stats
from grantkeeper.services.project import increments, project
from tests.doubles.aws import memory_wiring

NOON = 1_795_262_400


def entry(action="connection.activated", number=1, **fields):
    given_fields = {"provider": "google", "details": {"from": "none"}} | fields
    return AuditEvent(id=f"evt_{number}", time=NOON, action=action, actor="user:usr_1", **given_fields)


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
    """The bus hears it twice under the same ids; the counters once."""
    wiring = memory_wiring()
    batch = [entry(number=1), entry("user.signed_in", 2)]

    for _ in range(2):
        project(batch, bus=wiring.event_bus, counters=wiring.counters)

    assert wiring.counters.totals() == {"connections/google/active": 1, "sign_ins": 1, "sign_ins/google": 1}
    assert [published["DetailType"] for published in wiring.aws.events.published] == [
        "Connection Activated",
        "User Signed In",
    ] * 2


def test_nothing_is_counted_that_was_not_published():
    """The bus comes first; refused there, the batch comes again."""
    wiring = memory_wiring()
    wiring.aws.events.reject_entries = 100

    with pytest.raises(StoreUnavailable):
        project([entry()], bus=wiring.event_bus, counters=wiring.counters)

    assert wiring.counters.totals() == {}


def test_a_batch_over_midnight_is_counted_in_both_days():
    """Each day gets its own."""
    wiring = memory_wiring()
    evening = entry("user.signed_in", 1)
    morning = replace(entry("user.signed_in", 2), time=NOON + 86_400)

    project([evening, morning], bus=wiring.event_bus, counters=wiring.counters)

    assert wiring.counters.totals()["sign_ins"] == 2
    assert wiring.counters.of_day("2026-11-21")["sign_ins"] == 1
    assert wiring.counters.of_day("2026-11-22")["sign_ins"] == 1


def test_statistics_are_arranged_by_provider_and_status():
    """As an operator reads them."""
    totals = {
        "users": 2,
        "connections/google/active": 3,
        "connections/github/revoked": 1,
        "refreshes": 7,
        "refreshes/google": 7,
    }

    shown = stats(totals, {"refreshes": 5})

    assert shown["users"] == 2
    assert shown["connections"] == {
        "by_status": {"active": 3, "revoked": 1},
        "by_provider": {"google": {"active": 3}, "github": {"revoked": 1}},
    }
    assert shown["refreshes"] == {"total": 7, "by_provider": {"google": 7}}
    assert shown["today"]["refreshes"] == 5


def test_prometheus_reads_the_metrics():
    """Judged by the reference parser."""
    from prometheus_client.parser import text_string_to_metric_families

    text = prometheus(
        {"users": 2, "connections/google/active": 3, "refreshes/google": 7, "needs_reauth_reasons/revoked_by_user": 1}
    )

    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples == {
        ("grantkeeper_users",): 2,
        ("grantkeeper_connections", "google", "active"): 3,
        ("grantkeeper_refreshes_total", "google"): 7,
        ("grantkeeper_needs_reauth_total", "revoked_by_user"): 1,
    }
