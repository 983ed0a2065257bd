"""
What refreshes, token calls and an idle deployment cost: the arithmetic, from what one takes to a month of them.

What one takes is measured (`bench/units.py`, kept in `measured.json`); prices are in `prices.py`. What is neither is a
constant here, with where it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cli.cost.prices import PRICES, Prices

MONTH = 730 * 3600  # seconds

GB_OF_ONE_CPU = 1.769  # Lambda gives a whole processor at this size, and less in proportion
MEMORY_GB = 0.5
CALL_SECONDS = 0.005  # taken for a call of DynamoDB, which a function waits for: AWS says single-digit milliseconds

IDS_PER_MESSAGE, MESSAGES_PER_BATCH, MESSAGES_PER_SEND = 25, 4, 10
# two counters, and the mark of each second that a batch spans, in a transaction, which costs twice
COUNTERS, MARKS, TRANSACTED = 2, 2, 2
MOST_RECORDS, WINDOW = 100, 1.0  # of the projector's batch: records, seconds
KEY_AGE, BUCKETS = 300, 16  # seconds an opened branch key is kept; how many there are
WORKERS = 10
TICKS = MONTH / 60
KEYS, ALARMS = 2, 10
METRICS = 6  # that a sweep reports every minute; the others come with what happens
QUEUES, POLLERS, POLL_SECONDS = 2, 5, 20  # Lambda's, of each queue: five long polls at any time
LEAD_JITTER = 1.1  # the mean of 1 to 1.2: grants are due that much earlier than their margin
ITEM_OVERHEAD = 100  # bytes DynamoDB charges beside an item, in every place it is kept in
# bytes of Lambda's own START, END and REPORT for an invocation, and of the API's access log: taken, not measured
LAMBDA_LINES, ACCESS_LINE = 400, 350
DAYS = 30.4  # of a month
SMALL_ROWS, SMALL_BYTES = 3, 200  # of the user's list, of his consent, of who shares the account: taken, not measured


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


@dataclass(frozen=True, slots=True)
class Call:
    """What one warm invocation takes: a token call, or a tick of the sweeper."""

    write_units: float
    read_units: float
    store_calls: float
    cpu_ms: float
    log_bytes: float


def sqs_requests() -> float:
    """SQS requests for one id: its share of sending, receiving and deleting a message."""
    return (1 / MESSAGES_PER_SEND + 2 / MESSAGES_PER_BATCH) / IDS_PER_MESSAGE


def counter_units(records: float) -> float:
    """Write units for counting one refresh, when the projector's batch holds so many."""
    held = min(max(records, 1.0), MOST_RECORDS)
    return TRANSACTED * (COUNTERS + min(held, MARKS)) / held


def dollars(
    refresh: Refresh, *, records: float = MOST_RECORDS, kms_calls: float | None = None, prices: Prices = PRICES
) -> dict[str, float]:
    """
    The price of one refresh, part by part.

    Args:
        records: How many entries the projector finds in a batch.
        kms_calls: Instead of those measured warm.
    """
    cpu = (refresh.worker_cpu_ms + refresh.projector_cpu_ms) / 1000
    invocations = 1 / (IDS_PER_MESSAGE * MESSAGES_PER_BATCH) + 2 / min(max(records, 1.0), MOST_RECORDS)
    return {
        "writes": sum(refresh.write_units.values()) * prices["write_unit"].each,
        "counters": counter_units(records) * prices["write_unit"].each,
        "reads": sum(refresh.read_units.values()) * prices["read_unit"].each,
        "KMS": (refresh.kms_calls if kms_calls is None else kms_calls) * prices["kms_call"].each,
        "SQS": sqs_requests() * prices["sqs_request"].each,
        "Lambda": _compute(cpu * GB_OF_ONE_CPU, invocations, prices),
        "logs": (refresh.log_bytes + invocations * LAMBDA_LINES) / 1e9 * prices["log_gb"].each,
    }


def call_dollars(call: Call, *, by_api: bool = False, prices: Prices = PRICES) -> dict[str, float]:
    """
    The price of one invocation, part by part; what it waits for DynamoDB is paid as well.

    Args:
        by_api: It came through the API, which logs it too.
    """
    logged = call.log_bytes + LAMBDA_LINES + (ACCESS_LINE if by_api else 0)
    seconds = max(call.cpu_ms / 1000 * GB_OF_ONE_CPU / MEMORY_GB, call.store_calls * CALL_SECONDS)
    return {
        "writes": call.write_units * prices["write_unit"].each,
        "reads": call.read_units * prices["read_unit"].each,
        "Lambda": _compute(seconds * MEMORY_GB, 1, prices),
        "logs": logged / 1e9 * prices["log_gb"].each,
    }


def _compute(gb_seconds: float, invocations: float, prices: Prices) -> float:
    return gb_seconds * prices["gb_second"].each + invocations * prices["lambda_request"].each


def kept_dollars(refresh: Refresh, *, retention_days: int = 400, prices: Prices = PRICES) -> float:
    """What the audit entry of one refresh costs as long as it is kept: in the table, whole again in its index."""
    return _kept_gb(refresh.audit_bytes, 2, prices) * retention_days / DAYS


def _kept_gb(size: float, copies: int, prices: Prices) -> float:
    """Dollars a month for an item of so many bytes, in so many places, backed up once."""
    return (size + ITEM_OVERHEAD) / 1e9 * (copies * prices["table_gb"].each + prices["backup_gb"].each)


def stored_dollars(grant_bytes: float, connection_bytes: float, *, prices: Prices = PRICES) -> float:
    """What a connection at rest costs a month: its grant, itself in table and list, and three small rows beside it."""
    small = SMALL_ROWS * _kept_gb(SMALL_BYTES, 1, prices)
    return _kept_gb(grant_bytes, 1, prices) + _kept_gb(connection_bytes, 2, prices) + small


def idle(tick: Call, *, prices: Prices = PRICES) -> dict[str, float]:
    """A month of a deployment that nobody uses, line by line."""
    ticks = {name: each * TICKS for name, each in call_dollars(tick, prices=prices).items()}
    polls = QUEUES * POLLERS * MONTH / POLL_SECONDS
    return {
        f"{KEYS} KMS keys": KEYS * prices["kms_key"].each,
        f"{METRICS} custom metrics": METRICS * prices["metric"].each,
        f"{ALARMS} alarms": ALARMS * prices["alarm"].each,
        "Lambda polls its queues": polls * prices["sqs_request"].each,
        "the sweeper's minutes": sum(ticks.values()) + TICKS * prices["schedule"].each,
    }


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


def lazy_refreshes(*, lifetime: int, reads_per_day: float, keepalives: float = 1.0) -> float:
    """Refreshes a month of one connection that is refreshed only when a read finds its token too old."""
    if reads_per_day <= 0:
        return keepalives
    alive, rate = lifetime / 3600, reads_per_day / 24
    longest = MONTH / 3600 / max(keepalives, 1e-9)  # hours until the keep-alive comes anyway
    waits = (1 - math.exp(-rate * max(longest - alive, 0))) / rate
    return MONTH / 3600 / (alive + waits)


def background(
    refresh: Refresh, *, count: float, kms_calls: float | None = None, prices: Prices = PRICES
) -> dict[str, float]:
    """
    So many refreshes a month, in dollars by part.

    Batches of the projector fill, and opened keys are shared, as the rate allows; below a refresh a second most batches
    hold one entry and counting is what costs.

    Args:
        kms_calls: Of each refresh, for another way of keeping keys; None, as ours.
    """
    rate = count / MONTH
    workers = max(1.0, min(WORKERS, rate))
    misses = min(1.0, BUCKETS * workers / (KEY_AGE * rate)) if rate else 0.0
    each = dollars(refresh, records=rate * WINDOW, kms_calls=misses if kms_calls is None else kms_calls, prices=prices)
    return {name: part * count for name, part in each.items()}


def monthly(
    refresh: Refresh, *, tick: Call, connections: int, use: Use, lifetime: int = 3600, prices: Prices = PRICES
) -> dict[str, float]:
    """
    A month of refreshing in the background: refreshes, dollars by part, `total`; beside it, `kept`, what keeping the
    trail costs a month once it is as long as it gets.
    """
    count = connections * use.refreshes(lifetime)
    parts = background(refresh, count=count, prices=prices)
    parts["idle"] = sum(idle(tick, prices=prices).values())
    return {
        "refreshes": count,
        **parts,
        "total": sum(parts.values()),
        "kept": kept_dollars(refresh, prices=prices) * count,
    }
