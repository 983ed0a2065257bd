"""A month's bill by service, and what other ways of refreshing and keeping keys would cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cli.cost.measured import Measured, Sized
from cli.cost.model import (
    MONTH,
    Refresh,
    Use,
    background,
    call_dollars,
    dollars,
    idle,
    kept_dollars,
    lazy_refreshes,
    stored_dollars,
)
from cli.cost.prices import MILLION, PRICES, Prices

DAYS = MONTH / 86_400
GRANT_WRITE = "grants: PutItem grant"
FREE_WHEN_IDLE = ("custom metrics", "alarms", "the sweeper's minutes")  # AWS's always-free tier covers them whole
FREE_POLLS = 1_000_000  # SQS requests a month


@dataclass(frozen=True, slots=True)
class Deployment:
    """
    Your numbers.

    Args:
        connections: How many there are.
        lifetime: Of their access tokens, in seconds.
        hot: The share of them that is used every day.
        reads_per_day: Token calls a day for each of those.
        provider: How its answers are, of `Measured.refreshes`, e.g. `strict google`.
        audit_days: How long entries of the trail are kept.
        item_bytes: Of a stored grant, where it is known better than by the provider's kind.
        refreshes: A month, where they were counted; None to reckon them from use.
    """

    connections: int = 1000
    lifetime: int = 3600
    hot: float = 0.1
    reads_per_day: float = 24.0
    provider: str = "strict google"
    audit_days: int = 400
    item_bytes: int | None = None
    refreshes: float | None = None

    @property
    def use(self) -> Use:
        """A share used daily, the rest not at all."""
        return Use("by use", ((self.hot, 30), (1 - self.hot, 0)))

    @property
    def refreshes_a_month(self) -> float:
        """All connections together."""
        return self.connections * self.use.refreshes(self.lifetime) if self.refreshes is None else self.refreshes

    @property
    def reads_a_month(self) -> float:
        """Token calls."""
        return self.connections * self.hot * self.reads_per_day * DAYS


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars a month by service, and beside them what a million refreshes cost."""

    by_service: Mapping[str, float]
    idle: Mapping[str, float]
    idle_with_free_tier: float
    per_million: Mapping[str, float]
    refreshes: float
    reads: float
    strategies: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def total(self) -> float:
        """Of a month."""
        return sum(self.by_service.values())


def bill(deployment: Deployment, *, measured: Measured, prices: Prices = PRICES) -> Bill:
    """
    The bill of a month, once the trail is as long as it gets.

    Raises:
        KeyError: The provider's kind was not measured.
    """
    sized = _sized(deployment, measured.refreshes[deployment.provider])
    refreshes, reads = deployment.refreshes_a_month, deployment.reads_a_month
    parts = background(sized.refresh, count=refreshes, prices=prices)
    calls = {name: each * reads for name, each in call_dollars(measured.token_call, by_api=True, prices=prices).items()}
    at_rest = deployment.connections * stored_dollars(sized.grant_bytes, sized.connection_bytes, prices=prices)
    trail = refreshes * kept_dollars(sized.refresh, retention_days=deployment.audit_days, prices=prices)
    fixed = idle(measured.tick, prices=prices)
    by_service = {
        "DynamoDB: refreshes": parts["writes"] + parts["counters"] + parts["reads"],
        "DynamoDB: token calls": calls["writes"] + calls["reads"],
        "DynamoDB: connections at rest": at_rest,
        "DynamoDB: the trail, kept": trail,
        "Lambda: refreshes": parts["Lambda"],
        "Lambda: token calls": calls["Lambda"],
        "API Gateway: token calls": reads * prices["api_request"].each,
        "KMS: calls": parts["KMS"],
        "SQS: refreshes": parts["SQS"],
        "CloudWatch: logs": parts["logs"] + calls["logs"],
        "idle: keys, metrics, alarms, the sweeper": sum(fixed.values()),
    }
    each = dollars(sized.refresh, prices=prices)
    return Bill(
        by_service=by_service,
        idle=fixed,
        idle_with_free_tier=_idle_with_free_tier(fixed, prices),
        per_million={name: part * MILLION for name, part in each.items()},
        refreshes=refreshes,
        reads=reads,
        strategies=_strategies(deployment, sized.refresh, prices),
    )


def _sized(deployment: Deployment, sized: Sized) -> Sized:
    """A grant of the given size: a write unit for each kilobyte begun."""
    if deployment.item_bytes is None:
        return sized
    units = {**sized.refresh.write_units, GRANT_WRITE: float(math.ceil(deployment.item_bytes / 1024))}
    return replace(sized, refresh=replace(sized.refresh, write_units=units), grant_bytes=deployment.item_bytes)


def _idle_with_free_tier(fixed: Mapping[str, float], prices: Prices) -> float:
    """What is left where nothing else in the account uses AWS's always-free tier up."""
    left = 0.0
    for name, each in fixed.items():
        if "polls" in name:
            left += max(each - FREE_POLLS * prices["sqs_request"].each, 0.0)
        elif not name.endswith(FREE_WHEN_IDLE):
            left += each
    return left


def _strategies(deployment: Deployment, refresh: Refresh, prices: Prices) -> list[Mapping[str, Any]]:
    """Other ways to refresh the same connections, and other ways to keep their keys."""
    hot, connections = deployment.hot, deployment.connections
    lazily = lazy_refreshes(lifetime=deployment.lifetime, reads_per_day=deployment.reads_per_day)
    ways = [
        ("by use, branch keys (this one)", deployment.use.refreshes(deployment.lifetime), None),
        ("by use, a KMS call for each refresh", deployment.use.refreshes(deployment.lifetime), 1.0),
        ("by use, a new data key for each refresh", deployment.use.refreshes(deployment.lifetime), 2.0),
        ("only when read, branch keys", hot * lazily + (1 - hot), None),
        ("every connection always, branch keys", Use("", ((1.0, 30),)).refreshes(deployment.lifetime), None),
        ("every connection always, a KMS call each", Use("", ((1.0, 30),)).refreshes(deployment.lifetime), 1.0),
    ]
    return [
        {
            "strategy": name,
            "refreshes": connections * each,
            "dollars": sum(background(refresh, count=connections * each, kms_calls=calls, prices=prices).values()),
        }
        for name, each, calls in ways
    ]
