"""Statistics from counters: the same cost with a hundred connections and with a hundred million."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from grantkeeper.counter_names import REFRESH_FAILURE_REASONS, REFRESH_FAILURES
from grantkeeper.services.what_counts import CONNECTIONS, NEEDS_REAUTH_REASONS

# what a day's row shows: its own name → counter
OF_DAY: Mapping[str, str] = {
    "users": "users",
    "sign_ins": "sign_ins",
    "sign_ins_refused": "sign_ins_refused",
    "refreshes": "refreshes",
    "refresh_failures": REFRESH_FAILURES,
    "needs_reauth": "needs_reauth",
    "connected": "connected",
    "disconnected": "disconnected",
}


def last_days(days: int, *, now: int) -> Sequence[str]:
    """The UTC days up to today's, `yyyy-mm-dd`, oldest first."""
    today = datetime.fromtimestamp(now, UTC).date()
    return [f"{today - timedelta(days=back)}" for back in range(days - 1, -1, -1)]


def stats(
    totals: Mapping[str, int],
    *,
    days: Mapping[str, Mapping[str, int]],
    today: str,
    reconciliation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Arrange the counters for people.

    Args:
        totals: Counters of all time.
        days: Counters of each day to be shown, oldest first; today's among them.
        today: The current UTC day.
        reconciliation: What the last recount found; None when there was none.
    """
    return {
        "users": totals.get("users", 0),
        "connections": connections(totals),
        "sign_ins": _by_provider(totals, "sign_ins"),
        "refreshes": _by_provider(totals, "refreshes"),
        "refresh_failures": _by_provider(totals, REFRESH_FAILURES)
        | {"by_reason": under(totals, REFRESH_FAILURE_REASONS)},
        "needs_reauth_reasons": under(totals, NEEDS_REAUTH_REASONS),
        "refusals": {
            "sign_ins": totals.get("sign_ins_refused", 0),
            "confirmations": totals.get("confirmations_refused", 0),
            "reuse_detected": totals.get("reuse_detected", 0),
            "tampering_detected": totals.get("tampering_detected", 0),
        },
        "today": {name: days[today].get(name, 0) for name in ("users", "sign_ins", "refreshes")},
        "days": [{"day": day, **_row(counters)} for day, counters in days.items()],
        "reconciliation": None if reconciliation is None else dict(reconciliation),
    }


def connections(totals: Mapping[str, int]) -> dict[str, Any]:
    """How many connections there are, by status and by provider and status."""
    by_provider: dict[str, dict[str, int]] = {}
    by_status: dict[str, int] = {}
    for name, count in under(totals, CONNECTIONS).items():
        provider, _, status = name.rpartition("/")
        by_provider.setdefault(provider, {})[status] = count
        by_status[status] = by_status.get(status, 0) + count
    return {"by_status": by_status, "by_provider": by_provider}


def under(totals: Mapping[str, int], prefix: str) -> dict[str, int]:
    """The counters whose names begin so, by what follows."""
    return {name.removeprefix(prefix): count for name, count in totals.items() if name.startswith(prefix)}


def _row(counters: Mapping[str, int]) -> dict[str, int]:
    return {name: counters.get(counter, 0) for name, counter in OF_DAY.items()}


def _by_provider(totals: Mapping[str, int], name: str) -> dict[str, Any]:
    return {"total": totals.get(name, 0), "by_provider": under(totals, f"{name}/")}
