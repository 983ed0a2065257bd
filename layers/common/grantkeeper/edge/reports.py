"""What the services report, as log lines and metrics: names and ids in the log, no id ever a metric's dimension."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from grantkeeper.errors import GrantkeeperError, KeyServiceUnavailable

# event → (log level, metric); a level of None is counted and not logged
_KNOWN: Mapping[str, tuple[str | None, str]] = MappingProxyType(
    {
        "refreshed": (None, "Refreshed"),
        "refresh_failed": (None, "RefreshFailed"),  # whoever asked logs the error
        "refresh_postponed": ("warning", "RefreshPostponed"),
        "refresh_stuck": ("error", "RefreshStuck"),
        "needs_reauth": ("warning", "NeedsReauthorization"),
        "provider_degraded": ("error", "ProviderDegraded"),
        "provider_recovered": ("info", "ProviderRecovered"),
        "provider_misconfigured": ("error", "ProviderMisconfigured"),
        "tampering_detected": ("critical", "TamperingDetected"),
        "token_set_at_risk": ("error", "TokenSetAtRisk"),
        "token_set_parked": ("error", "TokenSetParked"),
        "token_set_lost": ("critical", "TokenSetLost"),
        "upstream_revocation": ("info", "UpstreamRevocation"),
        "revocation_abandoned": ("error", "RevocationAbandoned"),
    }
)

# Why a refresh failed → a metric of its own: a dimension would make one of every metric. The other reasons have theirs:
# ProviderMisconfigured and NeedsReauthorization.
_FAILURES: Mapping[str, str] = MappingProxyType(
    {
        "throttled": "RefreshThrottled",
        "unavailable": "RefreshUnavailable",
        "refused": "RefreshRefused",
    }
)

# What the alarm of the same name watches: somebody we depend on refuses us, and only an operator can help.
ATTENTION = "OperatorAttention"


def counting(env: Mapping[str, str], metric: str) -> Callable[[], None]:
    """
    Make what counts, for the operator's attention, in a function that counts nothing else.

    Its metrics are made when there is something to count, so that no cold start pays for them.

    Args:
        env: Names the metrics; where it names none, nobody watches and nothing is counted.
        metric: `KmsRefused` or `ProviderMisconfigured`; the alarm's is counted with it.
    """

    def count() -> None:
        namespace = env.get("POWERTOOLS_METRICS_NAMESPACE")
        if namespace:
            from aws_lambda_powertools import Metrics  # noqa: PLC0415 - see above

            metrics = Metrics(namespace=namespace, service=env.get("POWERTOOLS_SERVICE_NAME"))
            for name in (metric, ATTENTION):
                metrics.add_metric(name=name, unit="Count", value=1)
            metrics.flush_metrics()

    return count


class _Log(Protocol):
    def info(self, msg: object, *args: object, extra: Any = None) -> None: ...
    def warning(self, msg: object, *args: object, extra: Any = None) -> None: ...
    def error(self, msg: object, *args: object, extra: Any = None) -> None: ...
    def critical(self, msg: object, *args: object, extra: Any = None) -> None: ...


class _Metrics(Protocol):
    def add_metric(self, name: str, unit: Any, value: float) -> None: ...


class Reports:
    """Takes the reports of services; safe to call from the worker's threads."""

    def __init__(self, logger: _Log, metrics: _Metrics) -> None:
        """Args: logger, metrics: those of Powertools."""
        self._log = logger
        self._metrics = metrics
        self._lock = threading.Lock()

    def __call__(self, event: str, facts: Mapping[str, str]) -> None:
        """Log one event at its level and count it. What is not known by name is logged as a warning."""
        level, metric = _KNOWN.get(event, ("warning", ""))
        if level is not None:
            write: Callable[..., None] = getattr(self._log, level)
            write(event.replace("_", " "), extra=dict(facts))
        if metric:
            self.count(metric)
        if event == "refresh_failed" and facts.get("reason") in _FAILURES:
            self.count(_FAILURES[facts["reason"]])
        if event == "provider_misconfigured":
            self.count(ATTENTION)
        if facts.get("error") == "key-service-unavailable":
            self._kms_refused()

    def refused(self, error: GrantkeeperError) -> None:
        """Count an answer's error where an alarm watches for it."""
        if isinstance(error, KeyServiceUnavailable):
            self._kms_refused()

    def _kms_refused(self) -> None:
        self.count("KmsRefused")
        self.count(ATTENTION)

    def count(self, metric: str, value: float = 1, unit: str = "Count") -> None:
        """Add to a metric."""
        with self._lock:
            self._metrics.add_metric(name=metric, unit=unit, value=value)
