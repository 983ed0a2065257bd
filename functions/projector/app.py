"""Streams in: saved generations become audit entries, audit entries events and counters, failed refreshes counters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from grantkeeper import wiring
from grantkeeper.counter_names import Counted
from grantkeeper.edge.reports import Reports
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services.project import project
from grantkeeper.services.what_counts import countable
from grantkeeper.stores.stream import (
    UnreadableRecord,
    failed_attempt,
    goes_back,
    keys_of,
    new_entry,
    new_generation,
    tampers,
)

ONE_NEEDS = 10_000  # milliseconds: an entry with all its attempts, and the way to the dead-letter queue
NEVER_TAKEN = "ValidationException"  # DynamoDB's word for what it will refuse at every try

Record = Mapping[str, Any]

logger = Logger()
metrics = Metrics()
reports = Reports(logger, metrics)
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("audit", "counters", "event_bus")


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """
    Project one batch of one stream.

    A record that cannot be read is parked in the dead-letter queue and the rest goes on. A store that does not answer
    sends a batch of the trail back from its first record, and one of generations from the record it was at, as does
    the end of the time: however slow the store is, every invocation brings the shard further. Whatever comes again, in
    the same batch or another, is counted once.
    """
    records: Sequence[Record] = event.get("Records", [])
    try:
        left = _project_trail(records) if _of_trail(records) else _record_generations(records, context)
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()
    return {"batchItemFailures": [{"itemIdentifier": each["dynamodb"]["SequenceNumber"]} for each in left[:1]]}


def _project_trail(records: Sequence[Record]) -> Sequence[Record]:
    """All of them together; what is left is all or nothing."""
    try:
        _tell(records)
    except StoreUnavailable as error:
        return _sent_back(records, error.slug)
    return ()


def _tell(records: Sequence[Record]) -> None:
    for record in records:
        if tampers(record):
            reports("tampering_detected", {"record": keys_of(record), "change": str(record.get("eventName"))})
    events = _read(records, new_entry)
    for event in project(events, bus=app_wiring.event_bus, counters=app_wiring.counters, now=_now()):
        facts = {"kind": "uncountable_entry", "event_id": event.id}
        app_wiring.dead_letters.park(facts)
        logger.error("uncountable entry parked", extra=facts)
    for event in events:
        if event.action == "session.reuse_detected":
            reports.count("ReuseDetected")


def _record_generations(records: Sequence[Record], context: Any) -> Sequence[Record]:
    """One after the other; what is left begins with the one that failed, or that there is no time for."""
    done = 0
    try:
        failed = [attempt for record in records if (attempt := failed_attempt(record))]
        if failed:
            _count_failures(failed)
        for record in records:
            if done and context.get_remaining_time_in_millis() < ONE_NEEDS:
                return _sent_back(records[done:], "out_of_time")
            _record_generation(record)
            done += 1
    except StoreUnavailable as error:
        return _sent_back(records[done:], error.slug)
    return ()


def _record_generation(record: Record) -> None:
    if goes_back(record):
        reports("tampering_detected", {"record": keys_of(record), "change": "generation went back"})
    for event in _read([record], new_generation):
        try:
            app_wiring.audit.record(event)
        except StoreUnavailable as error:
            if error.extensions.get("code") != NEVER_TAKEN:
                raise
            _park(record)
        except Exception:  # noqa: BLE001 - a row no writer of ours made: it must not hold up the others for a day
            _park(record)


def _sent_back(records: Sequence[Record], why: str) -> Sequence[Record]:
    logger.warning("batch sent back", extra={"records": len(records), "error": why})
    return records


def _count_failures(attempts: Sequence[Counted]) -> None:
    """Each once; a name or a time nobody of ours writes is dropped with a word, lest it hold up the others."""
    sound = [each for each in attempts if countable(each)]
    for odd in attempts:
        if odd not in sound:
            logger.error("uncountable attempt", extra={"attempt": odd.id})
    app_wiring.counters.add_once(sound, now=_now())


def _read(records: Sequence[Record], reader: Callable[[Record], AuditEvent | None]) -> list[AuditEvent]:
    events = []
    for record in records:
        try:
            event = reader(record)
        except UnreadableRecord:
            _park(record)
            continue
        if event is not None:
            events.append(event)
    return events


def _park(record: Record) -> None:
    """Keep the keys of what could not be read: the item itself is still in its table."""
    facts = {"kind": "unreadable_record", "record": keys_of(record), "event_id": str(record.get("eventID", ""))}
    app_wiring.dead_letters.park(facts)
    logger.error("unreadable record parked", extra=facts)


def _now() -> int:
    return int(time.time())


def _of_trail(records: Sequence[Record]) -> bool:
    source = str(records[0].get("eventSourceARN", "")) if records else ""
    return f":table/{app_wiring.env['AUDIT_TABLE']}/" in source
