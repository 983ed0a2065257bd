"""Every minute: what is due goes into the queue, and our own keys are rotated when their time has come."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from grantkeeper import wiring
from grantkeeper.edge.reports import Reports
from grantkeeper.errors import GrantkeeperError, StoreUnavailable
from grantkeeper.model import SigningKeyRing
from grantkeeper.services.kindness import budgets_of
from grantkeeper.services.refresh_run import Run
from grantkeeper.services.rotate_keys import ensure_keys, signing_key_age
from grantkeeper.services.sweep import sweep

logger = Logger()
metrics = Metrics()
reports = Reports(logger, metrics)
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up(
    "grants", "breakers", "work_queue", "provider_items", "shard_mark", "signing_keys", "branch_keys", "sweep_mark"
)


def handler(_event: Mapping[str, Any], context: Any) -> None:
    """
    Sweep, then see to the keys. Neither waits for the other's store; what failed fails the invocation at the end.

    An event that comes twice, late or while another sweep runs does no harm.
    """
    errors: list[GrantkeeperError] = []
    for step in (_sweep, _keys):
        try:
            step(context)
        except GrantkeeperError as error:
            reports.refused(error)
            facts = {"step": step.__name__, "error": error.slug}
            logger.error("a part of the sweep failed", extra=facts)  # noqa: TRY400 - typed: its stack says nothing
            errors.append(error)
    if metrics.metric_set:
        metrics.flush_metrics()
    if errors:
        raise errors[0]


def _sweep(context: Any) -> None:
    report = sweep(
        grants=app_wiring.grants,
        breakers=app_wiring.breakers,
        work_queue=app_wiring.work_queue,
        due_shards=app_wiring.shard_mark,
        shards=app_wiring.due_shards,
        workers=int(app_wiring.env.get("WORKER_MAXIMUM_CONCURRENCY", "2")),
        budgets=budgets_of(lambda: app_wiring.catalog),
        run=Run(_now, time.sleep, context.get_remaining_time_in_millis, report=reports),
    )
    logger.info("swept", extra=asdict(report))
    if report.shards_unread:
        reports.count("ShardsUnread", report.shards_unread)
    else:  # no figure rings the alarm as a high one does, and a low one might not be true
        reports.count("OldestDueAge", report.oldest_due, "Seconds")
    reports.count("Due", report.due)
    reports.count("Queued", report.sent)
    reports.count("HeldBack", report.held_back)
    reports.count("LeftOver", report.left)
    try:
        app_wiring.sweep_mark.put({"at": _now(), **asdict(report)})
    except StoreUnavailable as error:  # whoever asks is told that no sweep got through, and the next one may
        logger.warning("the sweep left no mark", extra={"error": error.slug})


def _keys(_context: Any) -> None:
    now = _now()
    changed = ensure_keys(
        key_maker=app_wiring.key_maker,
        signing_keys=app_wiring.signing_keys,
        branch_keys=app_wiring.branch_keys,
        now=now,
    )
    for event in changed:
        logger.info("key changed", extra={"action": event.action, **event.details})
    ring = SigningKeyRing(keys=tuple(app_wiring.signing_keys.public()))
    reports.count("SigningKeyAge", signing_key_age(ring, now=now), "Seconds")


def _now() -> int:
    return int(time.time())
