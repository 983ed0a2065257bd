"""
SQS: work, as ids and nothing else, and the answers that DynamoDB refused.

A message of work is `{kind, provider, ids: [[connection, generation], … at most 25], request_id, lanes}`; its message
group is the provider, so that one slow provider does not hold up the others (fair queues). A rescue message is a whole
grant, its set sealed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from itertools import batched
from typing import TYPE_CHECKING, Any, get_args

from grantkeeper.errors import BadRequest, StoreUnavailable
from grantkeeper.model import Grant, GrantStatus, Work
from grantkeeper.stores.retrying import call

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

MAX_IDS = 25
MAX_ENTRIES = 10
MAX_DELAY = 900
ROUNDS = 5
PARK_BUDGET = 0.3  # seconds until the last attempt to park starts; with the attempt itself within `PARK_NEEDS`
KINDS = ("refresh", "revoke", "erase", "reseal")


class SqsWorkQueue:
    """`ports.WorkQueue`."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._url = queue_url

    def send(self, work: Iterable[Work], *, delay: int = 0) -> None:
        """
        Send work, in messages of at most 25 ids.

        Args:
            work: Any number of pieces.
            delay: Seconds before it is delivered, at most 900; a piece may name a longer one of its own.

        Raises:
            StoreUnavailable: SQS refused some of it to the end.
        """
        messages = [
            {
                "MessageBody": _body(piece, ids),
                "MessageGroupId": piece.provider,
                **({"DelaySeconds": wait} if (wait := min(max(delay, piece.delay), MAX_DELAY)) else {}),
            }
            for piece in work
            for ids in batched(piece.ids, MAX_IDS, strict=False)
        ]
        for some in batched(messages, MAX_ENTRIES, strict=False):
            self._send_batch([{"Id": str(at), **message} for at, message in enumerate(some)])

    def depth(self) -> int:
        """Approximate number of messages waiting, delayed and in flight."""
        names = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        answer = call(self._client.get_queue_attributes, QueueUrl=self._url, AttributeNames=list(names))
        return sum(int(answer["Attributes"].get(name, 0)) for name in names)

    def _send_batch(self, entries: list[dict[str, Any]]) -> None:
        """Send up to ten entries; those that fail alone are sent again, a few times."""
        for _ in range(ROUNDS):
            answer = call(self._client.send_message_batch, QueueUrl=self._url, Entries=entries)
            failed = {failure["Id"] for failure in answer.get("Failed", [])}
            entries = [entry for entry in entries if entry["Id"] in failed]
            if not entries:
                return
        raise StoreUnavailable("The queue refused a part of the work.", retry_after=1)


class SqsRescueQueue:
    """`ports.RescueQueue`."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        """Args: client: `Aws.rescue_sqs`, which gives up in time for another try elsewhere."""
        self._client = client
        self._url = queue_url

    def park(self, successor: Grant) -> None:
        """
        Park a sealed answer.

        Raises:
            StoreUnavailable: SQS refuses as well.
        """
        body = json.dumps(
            {**asdict(successor), "sealed": base64.b64encode(successor.sealed).decode()}, separators=(",", ":")
        )
        call(self._client.send_message, budget=PARK_BUDGET, QueueUrl=self._url, MessageBody=body)


class SqsDeadLetters:
    """`ports.DeadLetters`."""

    def __init__(self, client: SQSClient, queue_url: str) -> None:
        self._client = client
        self._url = queue_url

    def park(self, facts: Mapping[str, str]) -> None:
        """
        Park what leads to a record: ids, never its content.

        Raises:
            StoreUnavailable: SQS refuses.
        """
        call(self._client.send_message, QueueUrl=self._url, MessageBody=json.dumps(dict(facts), separators=(",", ":")))


def rescued_grant(body: str) -> Grant:
    """
    Read a rescue message.

    Raises:
        BadRequest: It is not one.
    """
    try:
        parked = _object(body)
        known = {field.name: parked[field.name] for field in fields(Grant) if field.name in parked}
        grant = Grant(
            **{
                **known,
                "sealed": base64.b64decode(parked["sealed"], validate=True),
                "scopes": tuple(parked["scopes"]),
                "variables": tuple((str(name), str(value)) for name, value in parked.get("variables", ())),
            }
        )
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise BadRequest("The message is not a parked grant.") from None
    if grant.status not in get_args(GrantStatus) or not isinstance(grant.generation, int) or grant.generation < 1:
        raise BadRequest("The message is not a parked grant.")
    return grant


def read_work(body: str) -> Work:
    """
    Read a message of work.

    Raises:
        BadRequest: It is not one.
    """
    try:
        message = _object(body)
        ids = tuple((str(connection), int(generation)) for connection, generation in message["ids"])
        lanes = min(max(int(message.get("lanes", MAX_IDS)), 1), MAX_IDS)
        asked_by = str(message.get("request_id", ""))
        work = Work(message["kind"], str(message["provider"]), ids, request_id=asked_by, lanes=lanes)
    except (KeyError, TypeError, ValueError):
        raise BadRequest("The message is not work.") from None
    if work.kind not in KINDS or not 1 <= len(ids) <= MAX_IDS:
        raise BadRequest("The message is not work.")
    return work


def _body(work: Work, ids: Iterable[tuple[str, int]]) -> str:
    message: dict[str, Any] = {"kind": work.kind, "provider": work.provider, "ids": list(ids)}
    message["request_id"] = work.request_id
    if work.lanes < MAX_IDS:
        message["lanes"] = work.lanes
    return json.dumps(message, separators=(",", ":"))


def _object(body: str) -> Mapping[str, Any]:
    message = json.loads(body)
    if not isinstance(message, dict):
        raise TypeError("not an object")
    return message
