"""What a tick of the sweep costs, with rows held and with rows due."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import defaultdict
from types import ModuleType
from typing import Any

from bench import servers, units
from bench.report import Report
from bench.world import BenchWorld
from tests.doubles.sqs import InMemorySqs
from tests.support.functions import CONTEXT

DUE = (0, 100, 1000)
GROWTH = 1.25  # a tick may cost so much more with the most rows held than with the fewest, the same number due


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
