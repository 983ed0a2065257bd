"""Applies sealed answers that DynamoDB refused. No key of the vault, no provider."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics

from grantkeeper import wiring
from grantkeeper.edge.batches import batch_answer, read_batch
from grantkeeper.edge.reports import Reports
from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.lease_policy import SAVE_NEEDS
from grantkeeper.services.rescue import rescue
from grantkeeper.stores.queues import rescued_grant

ONE_NEEDS = 2 * 1000 * SAVE_NEEDS  # milliseconds: a save, and for a revoked connection another

logger = Logger()
metrics = Metrics()
reports = Reports(logger, metrics)
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("grants")


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Save what was parked; what cannot be saved yet, or not before the time is up, stays in the queue."""
    batch = read_batch(event, read=rescued_grant)
    failed = list(batch.unreadable)
    for identifier in batch.unreadable:
        logger.critical("a parked answer cannot be read", extra={"message_id": identifier})
    for identifier, parked in batch.messages:
        facts = {"connection_id": parked.connection_id, "token": parked.name, "generation": parked.generation}
        if context.get_remaining_time_in_millis() < ONE_NEEDS:
            failed.append(identifier)
            continue
        try:
            outcome = rescue(parked, grants=app_wiring.grants)
        except StoreUnavailable:
            logger.warning("a parked answer waits on", extra=facts)
            failed.append(identifier)
        except Exception as error:  # noqa: BLE001 - one that cannot be saved must not wear out those delivered with it
            logger.critical("a parked answer cannot be saved", extra=facts | {"error": type(error).__name__})
            failed.append(identifier)
        else:
            logger.info("a parked answer was looked after", extra=facts | {"outcome": outcome})
            reports.count("Rescued")
    if metrics.metric_set:
        metrics.flush_metrics()
    return batch_answer(failed)
