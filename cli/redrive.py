"""
Dead letters, one by one: back to the queue they fell out of, or away.

SQS's own StartMessageMoveTask moves all or nothing: it cannot leave behind what nobody can read, takes no limit, tries
nothing dry, and is not made for dead letters that never were in a queue, as parked records and lost ticks. So each
message is received, read, sent and only then deleted: killed at any moment, it is there once or twice, never not at
all. Twice is harmless, since work and parked answers have one effect however often they come.

No body leaves this module: a parked answer holds a sealed set.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grantkeeper.errors import BadRequest, StoreUnavailable
from grantkeeper.stores.queues import read_work, rescued_grant
from grantkeeper.stores.retrying import call

HIDDEN = 600  # seconds that a message in hand is hidden from others; a process that dies gives it back after that
WAIT = 1  # seconds a receive waits: long polling asks all of SQS's servers, short polling only some
AT_ONCE = 10
COUNTS = {
    "waiting": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue and its dead letters; `parameters` reads a body and says how it is sent again."""

    name: str
    url: str
    dead_letters_url: str
    parameters: Callable[[str], Mapping[str, Any]]  # raises BadRequest for what is none of this queue's


@dataclass(slots=True)
class Outcome:
    """What became of the dead letters looked at: how many went back, and why which stayed (message id, sentence)."""

    moved: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)


def queues(env: Mapping[str, str]) -> list[Queue]:
    """
    The queues of a stack that have dead letters.

    Raises:
        KeyError: The stack's outputs do not name them.
    """
    return [
        Queue("work", env["WORK_QUEUE_URL"], env["DEAD_LETTER_QUEUE_URL"], _work),
        Queue("rescue", env["RESCUE_QUEUE_URL"], env["RESCUE_DEAD_LETTER_QUEUE_URL"], _rescue),
    ]


def depths(sqs: Any, url: str) -> dict[str, int]:
    """Approximate numbers of messages. Raises StoreUnavailable when SQS does not answer."""
    answer = call(sqs.get_queue_attributes, QueueUrl=url, AttributeNames=list(COUNTS.values()))
    return {name: int(answer["Attributes"].get(attribute, 0)) for name, attribute in COUNTS.items()}


def oldest_age(sqs: Any, url: str) -> int | None:
    """Age in seconds of the oldest of up to ten dead letters, counted from when it was first sent; None without any."""
    now = time.time()
    sent = [_sent_at(message) for message in _receive(sqs, url, hidden=0, most=AT_ONCE)]
    return max(0, int(now - min(sent))) if sent else None


def redrive(
    sqs: Any, queue: Queue, *, limit: int, dry_run: bool = False, progress: Callable[[Outcome], None] | None = None
) -> Outcome:
    """
    Move dead letters back; what cannot be read stays where it is.

    Args:
        sqs: A client.
        queue: Whose dead letters.
        limit: Messages looked at, at most.
        dry_run: Send and delete nothing; `moved` is what would go.
        progress: Told after every batch.

    Raises:
        StoreUnavailable: SQS refuses; what was not sent is still among the dead letters.
    """
    outcome = Outcome()
    with _in_hand(sqs, queue) as in_hand:
        for message in _each(sqs, queue.dead_letters_url, limit=limit, in_hand=in_hand):
            parameters = _readable(queue, message["Body"])
            if parameters is None:
                outcome.kept.append((message["MessageId"], why_kept(message["Body"])))
            else:
                if not dry_run:
                    call(sqs.send_message, QueueUrl=queue.url, MessageBody=message["Body"], **parameters)
                    _delete(sqs, queue, message, in_hand=in_hand)
                outcome.moved += 1
            if progress is not None and (outcome.moved + len(outcome.kept)) % AT_ONCE == 0:
                progress(outcome)
    return outcome


def drop(sqs: Any, queue: Queue, message_ids: Collection[str], *, limit: int) -> list[str]:
    """
    Delete dead letters that no queue takes back, by their ids; returns those deleted.

    What can be read is never deleted: it can be sent back, and a parked answer is a grant.

    Raises:
        StoreUnavailable: SQS refuses.
    """
    dropped: list[str] = []
    with _in_hand(sqs, queue) as in_hand:
        for message in _each(sqs, queue.dead_letters_url, limit=limit, in_hand=in_hand):
            if message["MessageId"] not in message_ids or _readable(queue, message["Body"]) is not None:
                continue
            _delete(sqs, queue, message, in_hand=in_hand)
            dropped.append(message["MessageId"])
    return dropped


def why_kept(body: str) -> str:
    """One sentence on a dead letter that no queue takes back; nothing of its content."""
    try:
        message = json.loads(body)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        return "It cannot be read."
    if message.get("kind") == "unreadable_record":
        return "A stream record nobody could read was parked; the item itself is still in its table."
    if message.get("kind") == "uncountable_entry":
        return "An entry of the trail could not be counted and was parked; it is still in the trail."
    if "DDBStreamBatchInfo" in message:
        return "A stream forgot a batch before it could be projected; the trail has its entries, the counters may not."
    if message.get("source") == "aws.scheduler":
        return "A tick reached no sweeper; the next one did its work."
    return "It cannot be read."


def _readable(queue: Queue, body: str) -> Mapping[str, Any] | None:
    """How a body is sent to the queue again; None for what is none of its messages."""
    try:
        return queue.parameters(body)
    except BadRequest:
        return None


def _delete(sqs: Any, queue: Queue, message: Mapping[str, Any], *, in_hand: dict[str, str]) -> None:
    call(sqs.delete_message, QueueUrl=queue.dead_letters_url, ReceiptHandle=message["ReceiptHandle"])
    in_hand[message["MessageId"]] = ""


@contextlib.contextmanager
def _in_hand(sqs: Any, queue: Queue) -> Iterator[dict[str, str]]:
    """Message id → receipt, empty once deleted; the rest is given back at the end, so that the alarm sees it."""
    in_hand: dict[str, str] = {}
    try:
        yield in_hand
    finally:
        with contextlib.suppress(StoreUnavailable):  # they come back by themselves when their time is over
            for receipt in filter(None, in_hand.values()):
                call(
                    sqs.change_message_visibility,
                    QueueUrl=queue.dead_letters_url,
                    ReceiptHandle=receipt,
                    VisibilityTimeout=0,
                )


def _each(sqs: Any, url: str, *, limit: int, in_hand: dict[str, str]) -> Iterator[Mapping[str, Any]]:
    """Every message once, noted as in hand before it is told; ends when a receive brings nothing new."""
    seen = 0
    while seen < limit:
        fresh = [
            message
            for message in _receive(sqs, url, hidden=HIDDEN, most=min(AT_ONCE, limit - seen))
            if message["MessageId"] not in in_hand
        ]
        if not fresh:
            return
        seen += len(fresh)
        in_hand.update({message["MessageId"]: message["ReceiptHandle"] for message in fresh})
        yield from fresh


def _receive(sqs: Any, url: str, *, hidden: int, most: int) -> list[Mapping[str, Any]]:
    answer = call(
        sqs.receive_message,
        QueueUrl=url,
        MaxNumberOfMessages=most,
        VisibilityTimeout=hidden,
        WaitTimeSeconds=WAIT,
        AttributeNames=["SentTimestamp"],
    )
    return list(answer.get("Messages", []))


def _sent_at(message: Mapping[str, Any]) -> float:
    return int(message["Attributes"]["SentTimestamp"]) / 1000


def _work(body: str) -> Mapping[str, Any]:
    return {"MessageGroupId": read_work(body).provider}


def _rescue(body: str) -> Mapping[str, Any]:
    rescued_grant(body)
    return {}
