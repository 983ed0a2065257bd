"""Every night: do the counters say what the trail and the tables say? It reports and corrects nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from grantkeeper import wiring
from grantkeeper.edge.reports import Reports
from grantkeeper.services.reconcile import reconcile

logger = Logger()
metrics = Metrics()
reports = Reports(logger, metrics)
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("counters", "recount_records", "recount_notes")


def handler(_event: Mapping[str, Any], context: Any) -> dict[str, str]:
    """
    Go on with the recount as far as the time allows; the next tick goes on from there.

    An event that comes twice, late or while another run is under way does no harm.
    """
    outcome, found = reconcile(
        counters=app_wiring.counters,
        records=app_wiring.recount_records,
        notes=app_wiring.recount_notes,
        now=int(time.time()),
        remaining=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    facts: dict[str, Any] = {"outcome": outcome}
    if found is not None:
        facts |= {"day": found.day, "drift": dict(found.drift)}
        reports.count("CounterDrift", found.all_drift)
        metrics.flush_metrics()
    (logger.error if outcome == "differs" else logger.info)("recounted", extra=facts)
    return {"outcome": outcome}
