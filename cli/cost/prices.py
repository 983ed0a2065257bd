"""
List prices, each with where it stands and when it was written down; every one may be overridden.

They are those of us-east-1, on demand, in dollars, without any free tier. Other regions differ by some ten per cent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MILLION = 1_000_000
WRITTEN = "2026-11-21"
_AWS = "https://aws.amazon.com"


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for `per` of a unit."""

    dollars: float
    per: float
    unit: str
    source: str
    date: str = WRITTEN

    @property
    def each(self) -> float:
        """Dollars for one."""
        return self.dollars / self.per


Prices = Mapping[str, Price]

PRICES: Prices = {
    "write_unit": Price(0.625, MILLION, "DynamoDB write unit (1 KB)", f"{_AWS}/dynamodb/pricing/on-demand/"),
    "read_unit": Price(0.125, MILLION, "DynamoDB read unit (4 KB)", f"{_AWS}/dynamodb/pricing/on-demand/"),
    "table_gb": Price(0.25, 1, "DynamoDB GB-month", f"{_AWS}/dynamodb/pricing/on-demand/"),
    "backup_gb": Price(0.20, 1, "continuous backup GB-month", f"{_AWS}/dynamodb/pricing/on-demand/"),
    "kms_call": Price(0.03, 10_000, "KMS request", f"{_AWS}/kms/pricing/"),
    "kms_key": Price(1.0, 1, "KMS key and month", f"{_AWS}/kms/pricing/"),
    "sqs_request": Price(0.40, MILLION, "SQS request", f"{_AWS}/sqs/pricing/"),
    "lambda_request": Price(0.20, MILLION, "Lambda request", f"{_AWS}/lambda/pricing/"),
    "gb_second": Price(13.3334, MILLION, "Lambda GB-second (arm64)", f"{_AWS}/lambda/pricing/"),
    "api_request": Price(1.00, MILLION, "HTTP API request", f"{_AWS}/api-gateway/pricing/"),
    "schedule": Price(1.00, MILLION, "EventBridge Scheduler call", f"{_AWS}/eventbridge/pricing/"),
    "log_gb": Price(0.50, 1, "CloudWatch Logs GB written", f"{_AWS}/cloudwatch/pricing/"),
    "alarm": Price(0.10, 1, "CloudWatch alarm and month", f"{_AWS}/cloudwatch/pricing/"),
    "metric": Price(0.30, 1, "CloudWatch custom metric and month", f"{_AWS}/cloudwatch/pricing/"),
}


class PriceError(ValueError):
    """There is no such price, or it is no number; the message says which."""


def overridden(prices: Prices, *, given: Iterable[str] = (), file: Path | None = None) -> Prices:
    """
    Prices with some replaced.

    Args:
        given: `name=dollars`, in the unit of the table.
        file: JSON: name → dollars.

    Raises:
        PriceError: A name is unknown, or a value is no price.
    """
    pairs: dict[str, Any] = {}
    if file is not None:
        try:
            pairs |= dict(json.loads(file.read_text()))
        except (OSError, ValueError, TypeError):
            raise PriceError(f"{file} is no JSON object of prices.") from None
    for text in given:
        name, _, value = text.partition("=")
        pairs[name] = value
    changed = dict(prices)
    for name, value in pairs.items():
        changed[name] = _replaced(prices, name, value)
    return changed


def _replaced(prices: Prices, name: str, value: Any) -> Price:
    if name not in prices:
        raise PriceError(f"There is no price {name}: there are {', '.join(prices)}.")
    try:
        dollars = float(value)
    except (TypeError, ValueError):
        raise PriceError(f"{name}: {value!r} is no number of dollars.") from None
    if not 0 <= dollars < MILLION:
        raise PriceError(f"{name}: {value!r} is no price.")
    before = prices[name]
    return Price(dollars, before.per, before.unit, "given by you", "")
