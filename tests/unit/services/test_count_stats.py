"""Statistics from counters."""

from __future__ import annotations

from grantkeeper.services.count_stats import last_days, stats

NOON = 1_795_262_400  # 2026-11-21


def test_statistics_are_arranged_by_provider_and_status():
    """As an operator reads them."""
    totals = {
        "users": 2,
        "connections/google/active": 3,
        "connections/github/revoked": 1,
        "refreshes": 7,
        "refreshes/google": 7,
        "refresh_failures": 4,
        "refresh_failures/google": 4,
        "refresh_failure_reasons/provider-unavailable": 4,
    }

    shown = stats(totals, days={"2026-11-21": {"refreshes": 5}}, today="2026-11-21")

    assert shown["users"] == 2
    assert shown["connections"] == {
        "by_status": {"active": 3, "revoked": 1},
        "by_provider": {"google": {"active": 3}, "github": {"revoked": 1}},
    }
    assert shown["refreshes"] == {"total": 7, "by_provider": {"google": 7}}
    assert shown["refresh_failures"] == {
        "total": 4,
        "by_provider": {"google": 4},
        "by_reason": {"provider-unavailable": 4},
    }
    assert shown["today"]["refreshes"] == 5
    assert shown["reconciliation"] is None


def test_days_are_shown_oldest_first_and_a_quiet_day_as_zeros():
    """A chart has no gaps."""
    days = {"2026-11-20": {}, "2026-11-21": {"users": 1, "connected": 2, "refresh_failures": 3, "sign_ins/google": 9}}

    quiet, busy = stats({}, days=days, today="2026-11-21")["days"]

    names = ["users", "sign_ins", "sign_ins_refused", "refreshes", "refresh_failures", "needs_reauth"]
    assert quiet == {"day": "2026-11-20"} | dict.fromkeys([*names, "connected", "disconnected"], 0)
    assert busy == quiet | {"day": "2026-11-21", "users": 1, "connected": 2, "refresh_failures": 3}


def test_the_last_days_end_with_today():
    """By UTC, over the end of a month."""
    assert last_days(1, now=NOON) == ["2026-11-21"]
    assert last_days(23, now=NOON)[:2] == ["2026-10-30", "2026-10-31"]
    assert last_days(2, now=NOON - NOON % 86_400) == ["2026-11-20", "2026-11-21"]
