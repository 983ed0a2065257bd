"""SQS batches: each message read and answered for by itself (ReportBatchItemFailures)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from grantkeeper.errors import BadRequest


@dataclass(frozen=True, slots=True)
class Batch[Message]:
    """A batch, taken apart: what could be read, and the ids of what could not."""

    messages: tuple[tuple[str, Message], ...]  # (message id, what it says)
    unreadable: tuple[str, ...]


def read_batch[Message](event: Mapping[str, Any], *, read: Callable[[str], Message]) -> Batch[Message]:
    """
    Read every message of an event.

    Args:
        read: Makes a message of a body; raises BadRequest when it is none.

    Raises:
        KeyError: The event is no SQS event: then all of it fails, as it must.
    """
    messages: list[tuple[str, Message]] = []
    unreadable: list[str] = []
    for record in event["Records"]:
        identifier = record["messageId"]
        try:
            messages.append((identifier, read(record["body"])))
        except BadRequest:
            unreadable.append(identifier)
    return Batch(tuple(messages), tuple(unreadable))


def batch_answer(failed: Iterable[str]) -> dict[str, Any]:
    """
    Tell SQS which messages to deliver again; the others are deleted.

    Only ids of the batch, each once, none empty: Lambda takes anything else for a failure of the whole batch.
    """
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in dict.fromkeys(failed)]}
