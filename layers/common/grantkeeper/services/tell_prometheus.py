"""
The counters in the Prometheus text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from grantkeeper.counter_names import REFRESH_FAILURE_REASONS, REFRESH_FAILURES
from grantkeeper.recount_ports import Reconciled
from grantkeeper.services.count_stats import connections, under
from grantkeeper.services.what_counts import NEEDS_REAUTH_REASONS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]

# counter → what it says; each becomes grantkeeper_<counter>_total
PLAIN: Mapping[str, str] = {
    "users_erased": "Users whose erasure began.",
    "connected": "Connections activated, for the first time or again.",
    "disconnected": "Connections revoked.",
    "connect_sessions": "Connect sessions opened.",
    "confirmations_refused": "Confirmations of a connection refused: another browser, user or client.",
    "sessions_revoked": "Sessions revoked.",
    "reuse_detected": "Spent refresh tokens of ours that came again.",
    "consents_granted": "Consents granted to other clients.",
    "consents_withdrawn": "Consents withdrawn.",
    "api_keys_created": "API keys created.",
    "api_keys_rotated": "API keys rotated.",
    "api_keys_revoked": "API keys revoked.",
}
BY_PROVIDER: Mapping[str, str] = {
    "sign_ins": "Sign-ins by provider.",
    "sign_ins_refused": "Sign-ins refused by provider.",
    "refreshes": "Refreshes of grants by provider.",
    REFRESH_FAILURES: "Attempts of the refresh worker that brought no tokens, by provider.",
    "connects_failed": "Connects that failed at the provider.",
    "provider_outages": "Times a provider's circuit breaker opened.",
    "provider_refusals": "Times a provider began to refuse our registration.",
    "tampering_detected": "Sealed sets that did not open for their own record, by provider.",
}
# prefix of counters → metric, what it says
BY_REASON: Mapping[str, tuple[str, str]] = {
    NEEDS_REAUTH_REASONS: ("needs_reauth", "Grants that died, by reason."),
    REFRESH_FAILURE_REASONS: ("refresh_failure_reasons", "The same attempts without tokens, by reason."),
}


class Family(NamedTuple):
    """One metric with all its samples."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: Iterable[tuple[Labels, int]]


def prometheus(totals: Mapping[str, int], *, breakers: Mapping[str, bool], reconciled: Reconciled | None = None) -> str:
    """
    Write every metric.

    Args:
        totals: Counters of all time.
        breakers: Provider → whether its circuit breaker is open.
        reconciled: What the last recount found; None when there was none.
    """
    families = [*_gauges(totals, breakers), *_counters(totals), *_recounted(reconciled)]
    return "".join(line for family in families for line in _lines(family))


def _gauges(totals: Mapping[str, int], breakers: Mapping[str, bool]) -> Iterator[Family]:
    yield Family("users", "gauge", "Users known.", [((), totals.get("users", 0))])
    shown = [
        ((("provider", provider), ("status", status)), count)
        for provider, statuses in connections(totals)["by_provider"].items()
        for status, count in statuses.items()
    ]
    yield Family("connections", "gauge", "Connections by provider and status.", shown)
    opened = [((("provider", provider),), int(is_open)) for provider, is_open in breakers.items()]
    yield Family("provider_breaker_open", "gauge", "1 while a provider's circuit breaker is open.", opened)


def _counters(totals: Mapping[str, int]) -> Iterator[Family]:
    for name, text in PLAIN.items():
        yield Family(f"{name}_total", "counter", text, [((), totals.get(name, 0))])
    for name, text in BY_PROVIDER.items():
        yield Family(f"{name}_total", "counter", text, _labelled("provider", under(totals, f"{name}/")))
    for prefix, (name, text) in BY_REASON.items():
        yield Family(f"{name}_total", "counter", text, _labelled("reason", under(totals, prefix)))


def _recounted(found: Reconciled | None) -> Iterator[Family]:
    if found is not None:
        text = "By how much the last recount and the counters differ."
        yield Family("counter_drift", "gauge", text, [((), found.all_drift)])
        yield Family("recounted_timestamp_seconds", "gauge", "When the last recount ended.", [((), found.at)])


def _labelled(label: str, counts: Mapping[str, int]) -> list[tuple[Labels, int]]:
    return [(((label, value),), count) for value, count in counts.items()]


def _lines(family: Family) -> Iterator[str]:
    name = f"grantkeeper_{family.name}"
    yield f"# HELP {name} {_escaped(family.help)}\n"
    yield f"# TYPE {name} {family.kind}\n"
    for labels, value in sorted(family.samples):
        shown = ",".join(f'{label}="{_quoted(text)}"' for label, text in labels)
        yield f"{name}{{{shown}}} {value}\n" if shown else f"{name} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
