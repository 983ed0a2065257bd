"""What one refresh takes of the tables and costs, and what a month of them costs."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, fields
from typing import Any

from bench import servers, units
from bench.answers import SHAPES, answer_of
from bench.report import Report
from bench.world import BenchWorld
from cli.cost import measured as recorded
from cli.cost import model as cost
from cli.cost.prices import MILLION

DOLLARS, KMS_CALLS = 4.5, 0.01


def price(report: Report, *, record: bool = False) -> None:
    """
    Units and dollars of one refresh, for strict and lasting providers and three sizes of answers.

    Args:
        record: Write what was measured where `grantkeeper cost` and docs/cost.md have it from.
    """
    measured: dict[tuple[str, str], units.Measured] = {}
    with servers.running() as running:
        table_url = running.dynamodb_local()
        for shape in SHAPES:
            provider_url = running.provider(delay=0.0, answer=answer_of(shape))
            for rule in ("strict", "lasting"):
                world = BenchWorld(table_url, provider_url=provider_url, rule=rule, shape=shape)
                measured[rule, shape] = units.measure(world)
        world = BenchWorld(table_url, provider_url="http://127.0.0.1:9")
        token_call, tick = units.measure_token_call(world), units.measure_tick(world)
    if record:
        _record(measured, token_call=token_call, tick=tick)
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
    calls = (token_call, tick)
    report.table(
        "One token call, and one tick of the sweeper with nothing due",
        ("what", "token call", "tick"),
        [(f.name, *[getattr(call, f.name) for call in calls]) for f in fields(cost.Call)],
    )
    typical = measured["strict", "google"]
    report.table(
        "A month of refreshing in the background, tokens of an hour, in dollars", *_months(typical.refresh, tick)
    )
    total = sum(cost.dollars(typical.refresh).values()) * MILLION
    report.target("$ per million refreshes (strict, google)", total, DOLLARS)
    report.target("KMS calls per refresh, warm keys", typical.refresh.kms_calls, KMS_CALLS)


def _record(measured: dict[tuple[str, str], units.Measured], *, token_call: cost.Call, tick: cost.Call) -> None:
    told = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "refreshes": {
            f"{rule} {shape}": {
                "refresh": asdict(each.refresh),
                "grant_bytes": each.grant_bytes,
                "connection_bytes": each.connection_bytes,
            }
            for (rule, shape), each in measured.items()
        },
        "token_call": asdict(token_call),
        "tick": asdict(tick),
    }
    recorded.FILE.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")


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
    parts = [{name: d * MILLION for name, d in cost.dollars(refresh).items()} for refresh in refreshes]
    return [
        *[(name, *[part[name] for part in parts]) for name in parts[0]],
        ("total", *[sum(part.values()) for part in parts]),
        ("kept", *[cost.kept_dollars(refresh) * MILLION for refresh in refreshes]),
    ]


def _months(refresh: cost.Refresh, tick: cost.Call) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    sizes = (10**3, 10**6, 10**8)
    rows: list[tuple[Any, ...]] = []
    for use in cost.USES:
        months = [cost.monthly(refresh, tick=tick, connections=size, use=use) for size in sizes]
        rows.append((use.name, use.refreshes(), *[month["total"] for month in months]))
        rows.append(("  and keeping its trail", "", *[month["kept"] for month in months]))
    return ("use", "refreshes each", *[f"{size:,} connections" for size in sizes]), rows
