"""EventBridge: what happened, for whoever wants to know."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.retrying import call

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient

SOURCE = "grantkeeper"
MAX_ENTRIES = 10
ROUNDS = 4


class EventBridgeBus:
    """`ports.EventBus`."""

    def __init__(self, client: EventBridgeClient, bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def publish(self, events: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """
        Publish events, ten at a time; entries refused alone are sent again, a few times.

        Raises:
            StoreUnavailable: Some entry was refused to the end. Others may be published: consumers go by event id.
        """
        entries = [
            {
                "Source": SOURCE,
                "DetailType": detail_type,
                "Detail": json.dumps(detail, separators=(",", ":")),
                "EventBusName": self._bus_name,
            }
            for detail_type, detail in events
        ]
        for some in batched(entries, MAX_ENTRIES, strict=False):
            self._put(list(some))

    def _put(self, entries: list[dict[str, str]]) -> None:
        for _ in range(ROUNDS):
            answer = call(self._client.put_events, Entries=entries)
            if not answer["FailedEntryCount"]:
                return
            shown = zip(entries, answer["Entries"], strict=True)
            entries = [entry for entry, result in shown if "ErrorCode" in result]
        raise StoreUnavailable("The event bus refused a part of the events.", retry_after=1)
