"""
The refresh of what is due: how fast one worker is, what one refresh costs, and how a tick of the sweep grows.

    python -m bench.sweep [--rounds 7] [--held 1000,100000] [--only rate,cost,tick] [--strict]

Rates come from the real worker (`functions/refresh`, batch_handler) over a stand-in for DynamoDB with its real client,
and a provider that takes 50 ms; write and read units from DynamoDB Local. See bench/README.md for how to read it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import botocore.session

from bench import cost, servers, units
from bench.report import Report, median, spread
from bench.world import SHAPES, BenchWorld, answer_of, batch_event
from grantkeeper.ports import HttpRequest
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.stores import keys
from grantkeeper.stores.grant_item import grant_item
from grantkeeper.stores.table import key_item
from tests.doubles.sqs import InMemorySqs
from tests.support.functions import CONTEXT

LATENCY = 0.05  # seconds the provider takes
BATCH = 100  # ids of one invocation: four messages of 25
EFFICIENCY, CPU_MS, DOLLARS, KMS_CALLS = 0.85, 6.0, 4.5, 0.01
HTTP_MS = 1.2
SHARDS = 16
BARE, HTTP_ALONE = "bare", "HTTP client alone"
DUE = (0, 100, 1000)
HELD = "1000,100000"
GROWTH = 1.25  # a tick may cost so much more with the most rows held than with the fewest, the same number due


# --- the rate ---


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
    item = grant_item(grant, due_shards=SHARDS)
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


# --- what one refresh costs ---


def price(report: Report) -> None:
    """Units and dollars of one refresh, for strict and lasting providers and three sizes of answers."""
    measured: dict[tuple[str, str], units.Measured] = {}
    with servers.running() as running:
        table_url = running.dynamodb_local()
        for shape in SHAPES:
            provider_url = running.provider(delay=0.0, answer=answer_of(shape))
            for rule in ("strict", "lasting"):
                world = BenchWorld(table_url, provider_url=provider_url, rule=rule, shape=shape)
                measured[rule, shape] = units.measure(world)
    report.table(
        "One refresh: where the units go (DynamoDB Local's own count, projector and sweep included)",
        ("what", *[f"{rule} {shape}" for rule, shape in measured]),
        _unit_rows(list(measured.values())),
        note="a write unit is 1 KB; item sizes are those stored. Counters are counted in a batch of 100.",
    )
    report.table(
        "One million refreshes, in dollars",
        ("part", *[f"{rule} {shape}" for rule, shape in measured]),
        _dollar_rows([each.refresh for each in measured.values()]),
        note="us-east-1, on demand. `kept` is beside the total: the audit entry's 400 days in table and index.",
    )
    typical = measured["strict", "google"]
    report.table("A month of refreshing in the background, tokens of an hour, in dollars", *_months(typical.refresh))
    total = sum(cost.dollars(typical.refresh).values()) * cost.MILLION
    report.target("$ per million refreshes (strict, google)", total, DOLLARS)
    report.target("KMS calls per refresh, warm keys", typical.refresh.kms_calls, KMS_CALLS)


def _unit_rows(measured: list[units.Measured]) -> list[tuple[Any, ...]]:
    names: dict[str, None] = {}
    for each in measured:
        names |= dict.fromkeys(f"W {name}" for name in each.refresh.write_units)
    for each in measured:
        names |= dict.fromkeys(f"R {name}" for name in each.refresh.read_units)

    counters = cost.counter_units(units.BATCH)

    def one(each: units.Measured, name: str) -> float:
        kind, _, what = name.partition(" ")
        of = each.refresh.write_units if kind == "W" else each.refresh.read_units
        return of.get(what, 0.0)

    return [
        *[(name, *[one(each, name) for each in measured]) for name in names],
        ("W counters, full batch", *[counters for _ in measured]),
        ("W all", *[sum(each.refresh.write_units.values()) + counters for each in measured]),
        ("R all", *[sum(each.refresh.read_units.values()) for each in measured]),
        ("KMS calls", *[each.refresh.kms_calls for each in measured]),
        ("grant, bytes", *[each.grant_bytes for each in measured]),
        ("  of it sealed", *[each.sealed_bytes for each in measured]),
        ("audit entry, bytes", *[round(each.refresh.audit_bytes) for each in measured]),
        ("CPU ms, worker", *[each.refresh.worker_cpu_ms for each in measured]),
        ("CPU ms, projector", *[each.refresh.projector_cpu_ms for each in measured]),
        ("log, bytes", *[each.refresh.log_bytes for each in measured]),
    ]


def _dollar_rows(refreshes: list[cost.Refresh]) -> list[tuple[Any, ...]]:
    parts = [{name: d * cost.MILLION for name, d in cost.dollars(refresh).items()} for refresh in refreshes]
    return [
        *[(name, *[part[name] for part in parts]) for name in parts[0]],
        ("total", *[sum(part.values()) for part in parts]),
        ("kept", *[cost.kept_dollars(refresh) * cost.MILLION for refresh in refreshes]),
    ]


def _months(refresh: cost.Refresh) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    sizes = (10**3, 10**6, 10**8)
    rows: list[tuple[Any, ...]] = []
    for use in cost.USES:
        months = [cost.monthly(refresh, connections=size, use=use) for size in sizes]
        rows.append((use.name, use.refreshes(), *[month["total"] for month in months]))
        rows.append(("  and keeping its trail", "", *[month["kept"] for month in months]))
    return ("use", "refreshes each", *[f"{size:,} connections" for size in sizes]), rows


# --- the tick ---


def tick(report: Report, *, held: list[int]) -> None:
    """A tick of the sweeper over so many rows held and so many due."""
    rows: list[tuple[Any, ...]] = []
    with servers.running() as running:
        table_url = running.dynamodb_local(heap="2g")
        for count in held:
            world = BenchWorld(table_url, provider_url="http://127.0.0.1:9")
            started = time.monotonic()
            world.hold(count, due_at=int(time.time()) + 3600, spread=86_400)
            print(f"{count:,} rows held, loaded in {time.monotonic() - started:.0f} s", file=sys.stderr)
            rows += _ticks(world, held=count)
    report.table(
        "One tick of the sweeper (functions/sweeper, 16 shards): what it costs with rows held and rows due",
        ("held", "due", "sent", "Query calls", "index read units", "other calls", "CPU ms", "wall ms"),
        rows,
        note="held: rows of the due index whose time is an hour and more away. Keys, breakers and records are warm.",
    )
    by_due: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        by_due[row[1]].append(row)
    growth = max(row[4] / same[0][4] for same in by_due.values() for row in same)
    report.target("index units of a tick, most rows held against fewest", growth, GROWTH)


def _ticks(world: BenchWorld, *, held: int) -> list[tuple[Any, ...]]:
    module = world.function("sweeper")
    there, rows = 0, []
    for due in DUE:
        world.hold(due - there, due_at=int(time.time()) - 600, spread=60)
        there = due
        _tick(world, module)
        counted, took, cpu = _tick(world, module)
        sent = sum(len(_ids(body)) for body in world.aws.sqs.bodies(module.app_wiring.env["WORK_QUEUE_URL"]))
        index = sum(each for name, each in counted.reads.items() if "index due" in name)
        other = sum(counted.calls.values()) - counted.calls["Query"]
        rows.append((held, due, sent, counted.calls["Query"], index, other, cpu * 1000, took * 1000))
    return rows


def _tick(world: BenchWorld, module: ModuleType) -> tuple[units.Consumed, float, float]:
    """One tick with an empty queue: what it read, seconds by the wall, seconds of the processor."""
    world.aws.sqs = InMemorySqs()
    module.app_wiring.__dict__.pop("work_queue", None)
    with contextlib.redirect_stdout(world.sink), units.counting(world.client) as counted:
        wall, cpu = time.monotonic(), time.process_time()
        module.handler({}, CONTEXT)
        return counted, time.monotonic() - wall, time.process_time() - cpu


def _ids(body: str) -> list[Any]:
    ids: list[Any] = json.loads(body)["ids"]
    return ids


PARTS = ("rate", "cost", "tick")


def main(arguments: list[str] | None = None) -> int:
    """Run the parts asked for; exit 1 only with --strict and a target missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--held", default=HELD, help="rows held; 1000000 takes a quarter of an hour to load")
    parser.add_argument("--only", default=",".join(PARTS), help="rate, cost, tick")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args(arguments)

    report, parts = Report("sweep"), options.only.split(",")
    if "rate" in parts:
        rate(report, rounds=options.rounds)
    if "cost" in parts:
        price(report)
    if "tick" in parts:
        tick(report, held=[int(count) for count in options.held.split(",")])
    return report.finish(strict=options.strict)


if __name__ == "__main__":
    sys.exit(main())
