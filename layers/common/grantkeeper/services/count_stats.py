"""Statistics from counters: the same cost with a hundred connections and with a hundred million."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stats(totals: Mapping[str, int], today: Mapping[str, int]) -> dict[str, Any]:
    """
    Arrange the counters for people.

    Args:
        totals: Counters of all time.
        today: Counters of the current UTC day.
    """
    return {
        "users": totals.get("users", 0),
        "connections": _connections(totals),
        "sign_ins": _by_provider(totals, "sign_ins"),
        "refreshes": _by_provider(totals, "refreshes"),
        "needs_reauth_reasons": _under(totals, "needs_reauth_reasons/"),
        "refusals": {
            "sign_ins": totals.get("sign_ins_refused", 0),
            "confirmations": totals.get("confirmations_refused", 0),
            "reuse_detected": totals.get("reuse_detected", 0),
            "tampering_detected": totals.get("tampering_detected", 0),
        },
        "today": {
            "users": today.get("users", 0),
            "sign_ins": today.get("sign_ins", 0),
            "refreshes": today.get("refreshes", 0),
        },
    }


def prometheus(totals: Mapping[str, int]) -> str:
    """The counters in the Prometheus text format (version 0.0.4)."""
    lines = ["# HELP grantkeeper_users Users known.", "# TYPE grantkeeper_users gauge"]
    lines.append(f"grantkeeper_users {totals.get('users', 0)}")
    lines += [
        "# HELP grantkeeper_connections Connections by provider and status.",
        "# TYPE grantkeeper_connections gauge",
    ]
    for provider, statuses in sorted(_connections(totals)["by_provider"].items()):
        lines += [
            f'grantkeeper_connections{{provider="{provider}",status="{status}"}} {count}'
            for status, count in sorted(statuses.items())
        ]
    for name, text in (("sign_ins", "Sign-ins"), ("refreshes", "Refreshes of grants")):
        lines += [f"# HELP grantkeeper_{name}_total {text} by provider.", f"# TYPE grantkeeper_{name}_total counter"]
        lines += [
            f'grantkeeper_{name}_total{{provider="{provider}"}} {count}'
            for provider, count in sorted(_under(totals, f"{name}/").items())
        ]
    lines += [
        "# HELP grantkeeper_needs_reauth_total Grants that died, by reason.",
        "# TYPE grantkeeper_needs_reauth_total counter",
    ]
    lines += [
        f'grantkeeper_needs_reauth_total{{reason="{reason}"}} {count}'
        for reason, count in sorted(_under(totals, "needs_reauth_reasons/").items())
    ]
    return "\n".join(lines) + "\n"


def _connections(totals: Mapping[str, int]) -> dict[str, Any]:
    by_provider: dict[str, dict[str, int]] = {}
    by_status: dict[str, int] = {}
    for name, count in _under(totals, "connections/").items():
        provider, _, status = name.rpartition("/")
        by_provider.setdefault(provider, {})[status] = count
        by_status[status] = by_status.get(status, 0) + count
    return {"by_status": by_status, "by_provider": by_provider}


def _by_provider(totals: Mapping[str, int], name: str) -> dict[str, Any]:
    return {"total": totals.get(name, 0), "by_provider": _under(totals, f"{name}/")}


def _under(totals: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): count for name, count in totals.items() if name.startswith(prefix)}
