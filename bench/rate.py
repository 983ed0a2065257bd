"""
How fast one worker is, beside what it stands on: the provider's client alone, and bare calls of botocore.

The worker is the real one (`functions/refresh`, batch_handler) over a stand-in for DynamoDB with its real client, and
a provider that takes 50 ms.
"""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import botocore.session

from bench import servers
from bench.answers import answer_of
from bench.report import Report, median, spread
from bench.world import BenchWorld, batch_event
from grantkeeper.model import HttpRequest
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.stores import keys
from grantkeeper.stores.grant_item import grant_item
from grantkeeper.stores.table import key_item
from tests.support.functions import CONTEXT

LATENCY = 0.05  # seconds the provider takes
BATCH = 100  # ids of one invocation: four messages of 25
EFFICIENCY, CPU_MS, HTTP_MS = 0.85, 6.0, 1.2
BARE, HTTP_ALONE = "bare", "HTTP client alone"


@dataclass
class Sample:
    """One measurement, repeated: seconds by the wall and of the processor, for so many operations."""

    count: int
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)  # of the servers' processors

    @property
    def rate(self) -> float:
        """Operations a second, by the wall."""
        return self.count / median(self.walls)

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of this process, all its threads together, for one operation."""
        return median(self.cpus) / self.count * 1000

    @contextlib.contextmanager
    def measured(self, servers_cpu: Callable[[], float]) -> Iterator[None]:
        """Add what the block takes; `servers_cpu` tells what the servers have used so far."""
        wall, cpu, other = time.monotonic(), time.process_time(), servers_cpu()
        yield
        self.walls.append(time.monotonic() - wall)
        self.cpus.append(time.process_time() - cpu)
        self.others.append(servers_cpu() - other)


@dataclass
class Subject:
    """Something to measure: `prepare` stands outside the clock, what it returns inside."""

    name: str
    at_once: int
    sample: Sample
    prepare: Callable[[], Callable[[], Any]]


def rate(report: Report, *, rounds: int) -> None:
    """The worker beside its yardsticks, in shuffled rounds."""
    with servers.running() as running:
        provider_url = running.provider(delay=LATENCY, answer=answer_of("google"))
        world = BenchWorld(running.dynamodb_stand_in(), provider_url=provider_url)
        subjects = [*_workers(world), *_yardsticks(world, provider_url)]
        with contextlib.redirect_stdout(world.sink):
            _run(subjects, rounds=rounds, servers_cpu=running.cpu_seconds)
    _tell(report, subjects)


def _run(subjects: list[Subject], *, rounds: int, servers_cpu: Callable[[], float]) -> None:
    for number in range(rounds + 1):  # the first warms connections, keys and caches, and does not count
        for subject in random.sample(subjects, len(subjects)):
            go = subject.prepare()
            if number == 0:
                go()
                continue
            with subject.sample.measured(servers_cpu):
                go()
        print(f"\rround {number}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _workers(world: BenchWorld) -> list[Subject]:
    """The worker one after the other, as one provider's default budget has it, as wide as it goes, and twice that."""
    module = world.function("refresh")

    def batches(count: int, *, each: int, lanes: int) -> Callable[[], Callable[[], None]]:
        def prepare() -> Callable[[], None]:
            events = [batch_event(world.load(each, due=True), lanes=lanes) for _ in range(count)]
            return lambda: _invoke(module, events)

        return prepare

    return [
        Subject("worker, one at a time", 1, Sample(10), batches(1, each=10, lanes=1)),
        Subject("worker, 5 lanes (one provider, 10 workers)", 5, Sample(BATCH), batches(1, each=BATCH, lanes=5)),
        Subject("worker, one invocation of 100", 25, Sample(BATCH), batches(1, each=BATCH, lanes=25)),
        Subject("worker, two invocations of 200 at once", 50, Sample(4 * BATCH), batches(2, each=2 * BATCH, lanes=25)),
    ]


def _invoke(module: ModuleType, events: list[dict[str, Any]]) -> None:
    """Invocations side by side in one process; Lambda would give each a process of its own."""
    if len(events) == 1:
        answers = [module.batch_handler(events[0], CONTEXT)]
    else:
        with ThreadPoolExecutor(len(events)) as pool:
            answers = list(pool.map(lambda event: module.batch_handler(event, CONTEXT), events))
    if any(answer["batchItemFailures"] for answer in answers):
        raise RuntimeError("a message failed")


def _yardsticks(world: BenchWorld, provider_url: str) -> list[Subject]:
    """What the worker stands on, alone: the provider's client at 50 and 25, and bare botocore calls."""
    http = Httpx2ProviderHttp(allow_private_addresses=True)
    request = HttpRequest("POST", f"{provider_url}/token", (), b"grant_type=refresh_token&refresh_token=x")
    [grant] = world.load(1, due=False)
    key = key_item(keys.grant(grant.connection_id, "main"))
    item = grant_item(grant, due_shards=16)
    client: Any = botocore.session.Session().create_client(
        "dynamodb", region_name="us-east-1", endpoint_url=world.table_url
    )
    table, update = (
        world.grants_table,
        {"UpdateExpression": "SET due_at = :d", "ExpressionAttributeValues": {":d": {"N": "1"}}},
    )

    def http_alone(threads: int) -> Subject:
        def go() -> None:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda _: http.send(request), range(4 * BATCH)))

        return Subject(f"{HTTP_ALONE}, {threads} threads", threads, Sample(4 * BATCH), lambda: go)

    def bare(operation: str, call: Callable[[], Any]) -> Subject:
        def go() -> None:
            for _ in range(BATCH):
                call()

        return Subject(f"{BARE} {operation}", 1, Sample(BATCH), lambda: go)

    return [
        http_alone(25),
        http_alone(50),
        bare("GetItem", lambda: client.get_item(TableName=table, Key=key, ConsistentRead=True)),
        bare("UpdateItem", lambda: client.update_item(TableName=table, Key=key, **update)),
        bare("PutItem", lambda: client.put_item(TableName=table, Item=item)),
    ]


def _tell(report: Report, subjects: list[Subject]) -> None:
    single = next(subject.sample for subject in subjects if subject.at_once == 1)
    latency = 1 / single.rate
    get = next(subject.sample.cpu_ms for subject in subjects if subject.name == f"{BARE} GetItem")
    rows, reached = [], {}
    for subject in subjects:
        sample = subject.sample
        takes = latency if subject.name.startswith("worker") else LATENCY
        is_call = subject.name.startswith(BARE)
        ideal = 1000 / sample.cpu_ms if is_call else min(subject.at_once / takes, 1000 / sample.cpu_ms)
        reached[subject.name] = sample.rate / ideal
        rows.append(
            (
                subject.name,
                subject.at_once,
                sample.rate,
                ideal,
                f"{reached[subject.name]:.0%}",
                sample.cpu_ms,
                sample.cpu_ms / get,
                f"± {spread(sample.cpus):.0%}",
                sum(sample.others) / len(sample.others) / sample.count * 1000,
            )
        )
    report.table(
        f"Rate: a provider that takes {LATENCY * 1000:.0f} ms, one process",
        ("what", "at once", "per s", "ideal", "of it", "CPU ms each", "× GetItem", "noise", "servers' ms"),
        rows,
        note=f"ideal = min(at once / latency, 1 / CPU); a refresh alone takes {latency * 1000:.0f} ms, with stores. "
        "DynamoDB is a stand-in with the real client; nothing is subtracted.",
    )
    widest = max((s for s in subjects if s.name.startswith("worker")), key=lambda s: s.at_once)
    http = next(s.sample.cpu_ms for s in subjects if s.name == f"{HTTP_ALONE}, 50 threads")
    report.target("refreshes per s against the ideal, 50 at once", reached[widest.name], EFFICIENCY, at_least=True)
    report.target("CPU per refresh, ms", widest.sample.cpu_ms, CPU_MS)
    report.target("of it HTTP, ms", http, HTTP_MS)
