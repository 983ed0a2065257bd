"""
What refreshes cost, in dollars: list prices, and the arithmetic from one refresh to a month.

Prices are those of us-east-1, on demand, without any free tier (DynamoDB since November 2024). What one refresh takes
is measured (`bench.units`); nothing here is measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MILLION = 1_000_000
MONTH = 730 * 3600  # seconds

WRITE_UNIT = 0.625 / MILLION
READ_UNIT = 0.125 / MILLION
KMS_CALL = 0.03 / 10_000
KMS_KEY = 1.0  # a month; there are two: the VaultKey and the TableKey
SQS_REQUEST = 0.40 / MILLION
LAMBDA_REQUEST = 0.20 / MILLION
GB_SECOND = 0.0000133334  # arm64
GB_OF_ONE_CPU = 1.769  # Lambda gives a whole processor at this size, and less in proportion
LOG_GB = 0.50
STORED_GB, BACKED_UP_GB = 0.25, 0.20  # a month; continuous backups hold the table and not its indexes

IDS_PER_MESSAGE, MESSAGES_PER_BATCH, MESSAGES_PER_SEND = 25, 4, 10
# two counters, and the mark of each second that a batch spans, in a transaction, which costs twice
COUNTERS, MARKS, TRANSACTED = 2, 2, 2
MOST_RECORDS, WINDOW = 100, 1.0  # of the projector's batch: records, seconds
KEY_AGE, BUCKETS = 300, 16  # seconds an opened branch key is kept; how many there are
WORKERS = 10
TICKS, TICK_QUERIES = MONTH / 60, 32  # each shard once, and as many of those above them
LEAD_JITTER = 1.1  # the mean of 1 to 1.2: grants are due that much earlier than their margin
ITEM_OVERHEAD = 100  # bytes DynamoDB charges beside an item, in every place it is kept in
RETENTION_MONTHS = 400 / 30.4


@dataclass(frozen=True, slots=True)
class Refresh:
    """What one warm refresh takes, its audit entry included; units by what they were for."""

    write_units: Mapping[str, float]  # without the counters, which depend on how full a batch is
    read_units: Mapping[str, float]
    kms_calls: float
    worker_cpu_ms: float
    projector_cpu_ms: float
    log_bytes: float
    audit_bytes: float


def sqs_requests() -> float:
    """SQS requests for one id: its share of sending, receiving and deleting a message."""
    return (1 / MESSAGES_PER_SEND + 2 / MESSAGES_PER_BATCH) / IDS_PER_MESSAGE


def counter_units(records: float) -> float:
    """Write units for counting one refresh, when the projector's batch holds so many."""
    held = min(max(records, 1.0), MOST_RECORDS)
    return TRANSACTED * (COUNTERS + min(held, MARKS)) / held


def dollars(refresh: Refresh, *, records: float = MOST_RECORDS, kms_calls: float | None = None) -> dict[str, float]:
    """
    The price of one refresh, part by part.

    Args:
        records: How many entries the projector finds in a batch.
        kms_calls: Instead of those measured warm.
    """
    cpu = (refresh.worker_cpu_ms + refresh.projector_cpu_ms) / 1000
    invocations = 1 / (IDS_PER_MESSAGE * MESSAGES_PER_BATCH) + 2 / min(max(records, 1.0), MOST_RECORDS)
    return {
        "writes": sum(refresh.write_units.values()) * WRITE_UNIT,
        "counters": counter_units(records) * WRITE_UNIT,
        "reads": sum(refresh.read_units.values()) * READ_UNIT,
        "KMS": (refresh.kms_calls if kms_calls is None else kms_calls) * KMS_CALL,
        "SQS": sqs_requests() * SQS_REQUEST,
        "Lambda": cpu * GB_OF_ONE_CPU * GB_SECOND + invocations * LAMBDA_REQUEST,
        "logs": refresh.log_bytes / 1e9 * LOG_GB,
    }


def kept_dollars(refresh: Refresh) -> float:
    """What the audit entry of one refresh costs as long as it is kept: in the table, whole again in its index."""
    gigabytes = (refresh.audit_bytes + ITEM_OVERHEAD) / 1e9
    return gigabytes * (2 * STORED_GB + BACKED_UP_GB) * RETENTION_MONTHS


def refreshes_per_month(*, lifetime: int, in_use: float = 1.0) -> float:
    """
    Refreshes of one connection kept fresh.

    Args:
        lifetime: Of its access tokens, in seconds.
        in_use: The part of the time it is on the schedule: used today or yesterday.
    """
    margin = min(lifetime / 2, max(300.0, lifetime / 10))
    return in_use * MONTH / (lifetime - margin * LEAD_JITTER)


@dataclass(frozen=True, slots=True)
class Use:
    """How a deployment's connections are used: each share of them on so many days of a month."""

    name: str
    days: tuple[tuple[float, float], ...]  # (share of the connections, days of use in 30)
    keepalives: float = 1.0  # refreshes a month of what nobody uses

    def refreshes(self, lifetime: int = 3600) -> float:
        """
        Refreshes a month of one connection on average: a day of use keeps it fresh for that day and the next.

        Days of use are taken to stand alone until they would meet, so this is the most.
        """
        eager = refreshes_per_month(lifetime=lifetime)
        return sum(share * max(min(days * 2 / 30, 1.0) * eager, self.keepalives) for share, days in self.days)


USES = (
    Use("eager: every connection, always", ((1.0, 30),)),
    Use("by use: 10 % daily, 30 % weekly, 60 % idle", ((0.1, 30), (0.3, 4.3), (0.6, 0))),
    Use("by use: 1 % daily, 99 % idle", ((0.01, 30), (0.99, 0))),
)


def monthly(refresh: Refresh, *, connections: int, use: Use, lifetime: int = 3600) -> dict[str, float]:
    """
    A month of refreshing in the background: refreshes, dollars by part, `total`; beside it, `kept`, what keeping the
    trail costs a month once it is as long as it gets.

    Batches of the projector fill, and opened keys are shared, as the rate allows; below a refresh a second most batches
    hold one entry and counting is what costs.
    """
    count = connections * use.refreshes(lifetime)
    rate = count / MONTH
    workers = max(1.0, min(WORKERS, rate))
    misses = min(1.0, BUCKETS * workers / (KEY_AGE * rate)) if rate else 0.0
    parts = {name: each * count for name, each in dollars(refresh, records=rate * WINDOW, kms_calls=misses).items()}
    parts["fixed"] = 2 * KMS_KEY + TICKS * (TICK_QUERIES * 0.5 * READ_UNIT + LAMBDA_REQUEST + 2 * SQS_REQUEST)
    return {
        "refreshes": count,
        **parts,
        "total": sum(parts.values()),
        "kept": kept_dollars(refresh) * count,
    }
