"""
What one refresh takes of the tables, as DynamoDB Local reports it (`ReturnConsumedCapacity`), call by call.

The worker refreshes, the stream's records go through the projector twice (saved generations into the trail, the
trail into counters and events), and a sweep reads the index: every unit that a refresh costs anywhere is here.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.world import BenchWorld, batch_event, token_event
from cli.cost.model import Call, Refresh
from grantkeeper.model import Grant
from grantkeeper.stores import keys
from grantkeeper.stores.items import Item
from grantkeeper.stores.table import key_item
from tests.doubles.dynamodb_values import item_size
from tests.support.functions import CONTEXT

WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem")
BATCH = 100  # records of a stream, and ids of four messages, when there is enough to do
WARM_UP = 100  # grants refreshed before anything is counted: every branch key has been opened then
COUNTERS = "counters"


@dataclass
class Consumed:
    """Units by what they were for, and calls by operation."""

    writes: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)


@contextlib.contextmanager
def counting(client: Any) -> Iterator[Consumed]:
    """Count every call of a botocore client for as long as the block runs; failed calls report nothing."""
    consumed, events = Consumed(), client.meta.events

    def ask(params: dict[str, Any], context: dict[str, Any], **_: Any) -> dict[str, Any]:
        context["bench_item"] = _kind(params.get("Key") or params.get("Item") or {})
        context["bench_consistent"] = params.get("ConsistentRead", False)
        return {**params, "ReturnConsumedCapacity": "INDEXES"}

    def note(parsed: Mapping[str, Any], model: Any, context: Mapping[str, Any], **_: Any) -> None:
        told = parsed.get("ConsumedCapacity", [])
        consumed.calls[model.name] += 1
        into = consumed.writes if model.name in WRITES else consumed.reads
        for each in told if isinstance(told, list) else [told]:
            table = each["TableName"].partition("-")[2]
            used = {_what(model.name, table, context["bench_item"]): each.get("Table", {}).get("CapacityUnits", 0)}
            for index, of_index in each.get("GlobalSecondaryIndexes", {}).items():
                used[f"{table}: index {index}"] = of_index["CapacityUnits"]
            if not any(used.values()):  # a read that finds nothing: DynamoDB charges the least, the emulator nothing
                used[list(used)[-1]] = 1.0 if context["bench_consistent"] else 0.5
            into.update(used)

    hooks = (("provide-client-params.dynamodb", ask), ("after-call.dynamodb", note))
    for name, hook in hooks:
        events.register(name, hook)
    try:
        yield consumed
    finally:
        for name, hook in hooks:
            events.unregister(name, hook)


def _kind(key: Mapping[str, Any]) -> str:
    """What kind of item a key is of: the sort key's first part."""
    text: str = key.get("sk", {}).get("S", "")
    return text.partition("#")[0].lower()


def _what(operation: str, table: str, kind: str) -> str:
    if operation == "TransactWriteItems":
        return COUNTERS
    return f"{table}: {operation} {kind}".rstrip()


@dataclass(frozen=True, slots=True)
class Measured:
    """One refresh: what it takes, and how large its items are."""

    refresh: Refresh
    grant_bytes: int
    sealed_bytes: int
    connection_bytes: int  # of the item beside it, which is in an index whole as well
    calls: Mapping[str, float]


def measure(world: BenchWorld, *, count: int = BATCH) -> Measured:
    """
    Refresh `count` grants, warm, and count everything that follows.

    Args:
        world: Over DynamoDB Local.
        count: At most 100, one batch of every kind.

    Raises:
        RuntimeError: Not every grant was refreshed and recorded.
    """
    worker, projector = world.function("refresh"), world.function("projector")
    with contextlib.redirect_stdout(world.sink):
        worker.batch_handler(batch_event(world.load(WARM_UP, due=True), lanes=25), CONTEXT)
        grants = world.load(count, due=True)
        before = [_stored(world, grant) for grant in grants]
        logged, kms = world.sink.written, world.kms_calls
        with counting(world.client) as by_worker, _cpu() as worker_cpu:
            worker.batch_handler(batch_event(grants, lanes=25), CONTEXT)
        kms = world.kms_calls - kms
        after = [_stored(world, grant) for grant in grants]
        saved = [_change(world.grants_table, old, new) for old, new in zip(before, after, strict=True)]
        with counting(world.client) as by_trail, _cpu() as trail_cpu:
            projector.handler({"Records": saved}, CONTEXT)
        entries = [_entry(world, grant) for grant in grants]
        added = [_change(world.env["AUDIT_TABLE"], None, entry) for entry in entries]
        with counting(world.client) as by_counters, _cpu() as counters_cpu:
            projector.handler({"Records": added}, CONTEXT)
        logged = world.sink.written - logged
    if any(item["generation"] != {"N": "8"} for item in after):
        raise RuntimeError("not every grant was refreshed")

    writes = _each(by_worker.writes + by_trail.writes + by_counters.writes, count)
    return Measured(
        Refresh(
            write_units={name: units for name, units in writes.items() if name != COUNTERS},
            read_units={**_each(by_worker.reads, count), "grants: index due, by the sweep": _page_share(world, grants)},
            kms_calls=kms / count,
            worker_cpu_ms=worker_cpu[0] / count * 1000,
            projector_cpu_ms=(trail_cpu[0] + counters_cpu[0]) / count * 1000,
            log_bytes=logged / count,
            audit_bytes=_mean(entries),
        ),
        grant_bytes=round(_mean(after)),
        sealed_bytes=round(sum(len(item["sealed"]["B"]) for item in after) / count),
        connection_bytes=round(_mean([_connection(world, grant) for grant in grants])),
        calls=_each(by_worker.calls, count),
    )


def measure_token_call(world: BenchWorld, *, count: int = BATCH) -> Call:
    """
    Hand out a fresh token `count` times, warm, and count what that takes.

    Raises:
        RuntimeError: A token was not handed out.
    """
    [grant] = world.load(1, due=False)
    module, event = world.function("refresh"), token_event(grant.connection_id, world.api_key())

    def call() -> None:
        if module.handler(event, CONTEXT)["statusCode"] != 200:
            raise RuntimeError("no token was handed out")

    return _measured_call(world, call, count=count)


def measure_tick(world: BenchWorld, *, count: int = 20) -> Call:
    """Let the sweeper run `count` times, warm, with nothing due, and count what that takes."""
    module = world.function("sweeper")
    return _measured_call(world, lambda: module.handler({}, CONTEXT), count=count)


def _measured_call(world: BenchWorld, call: Callable[[], object], *, count: int) -> Call:
    for handler in logging.getLogger("bench").handlers:  # one for all worlds of a process: the first world's
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(world.sink)
    with contextlib.redirect_stdout(world.sink):
        call()
        logged = world.sink.written
        with counting(world.client) as consumed, _cpu() as cpu:
            for _ in range(count):
                call()
        logged = world.sink.written - logged
    return Call(
        write_units=sum(consumed.writes.values()) / count,
        read_units=sum(consumed.reads.values()) / count,
        store_calls=sum(consumed.calls.values()) / count,
        cpu_ms=cpu[0] / count * 1000,
        log_bytes=logged / count,
    )


def _page_share(world: BenchWorld, grants: Sequence[Grant]) -> float:
    """Read units of the due index for one row of a full page: what it holds of a row, read eventually."""
    with counting(world.client) as consumed:
        rows = sum(
            len(world.wiring.grants.due(shard, before=2**40, limit=1000)) for shard in range(world.wiring.due_shards)
        )
    if rows < len(grants):
        raise RuntimeError("the index does not show what was saved")
    return sum(consumed.reads.values()) / rows


def _stored(world: BenchWorld, grant: Grant) -> Item:
    key = key_item(keys.grant(grant.connection_id, grant.name))
    item: Item = world.client.get_item(TableName=world.grants_table, Key=key, ConsistentRead=True)["Item"]
    return item


def _connection(world: BenchWorld, grant: Grant) -> Item:
    key = key_item(keys.connection(grant.connection_id))
    item: Item = world.client.get_item(TableName=world.grants_table, Key=key, ConsistentRead=True)["Item"]
    return item


def _entry(world: BenchWorld, grant: Grant) -> Item:
    """The audit entry of the generation that was just saved."""
    condition, values = "pk = :pk", {":pk": {"S": f"CONNECTION#{grant.connection_id}"}}
    found = world.client.query(
        TableName=world.env["AUDIT_TABLE"],
        KeyConditionExpression=condition,
        ExpressionAttributeValues=values,
        ConsistentRead=True,
    )["Items"]
    if len(found) != 1:
        raise RuntimeError("a refresh has one entry in the trail")
    item: Item = found[0]
    return item


def _change(table: str, old: Item | None, new: Item) -> dict[str, Any]:
    """A record of the stream of a table, as Lambda delivers it."""
    images = {"NewImage": new} | ({} if old is None else {"OldImage": old})
    return {
        "eventName": "INSERT" if old is None else "MODIFY",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:111122223333:table/{table}/stream/1",
        "dynamodb": {"Keys": {name: new[name] for name in ("pk", "sk")}, "SequenceNumber": "1", **images},
    }


@contextlib.contextmanager
def _cpu() -> Iterator[list[float]]:
    """Processor seconds of this process in the block, all threads together."""
    used: list[float] = []
    started = time.process_time()
    yield used
    used.append(time.process_time() - started)


def _each(units: Mapping[str, float], count: int) -> dict[str, float]:
    return {name: value / count for name, value in units.items() if value}


def _mean(items: Sequence[Item]) -> float:
    return sum(map(item_size, items)) / len(items)
