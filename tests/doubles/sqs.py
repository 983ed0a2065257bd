"""SQS in memory, behind the methods of a botocore client."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.doubles.dynamodb_values import client_error
from tests.doubles.faults import Faults

MAX_MESSAGE_BYTES = 1024 * 1024


@dataclass
class Message:
    """A message, and whether somebody holds it."""

    id: str
    body: str
    group: str | None
    delay: int
    receipt: str | None = None
    received: int = 0
    sent_at: float = field(default_factory=time.time)


@dataclass
class InMemorySqs:
    """Queues by URL; `reject_entries` makes the next entries of a batch fail one by one."""

    faults: Faults = field(default_factory=Faults)
    reject_entries: int = 0
    _queues: dict[str, list[Message]] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send_message(self, **kwargs: Any) -> dict[str, Any]:
        """SendMessage."""
        return self.faults.call("send_message", self._send, kwargs)

    def send_message_batch(self, **kwargs: Any) -> dict[str, Any]:
        """SendMessageBatch: at most ten entries, each may fail alone."""
        return self.faults.call("send_message_batch", self._send_batch, kwargs)

    def receive_message(self, **kwargs: Any) -> dict[str, Any]:
        """ReceiveMessage: messages not held by anybody; only a time-out of 0 is heeded, delays are not waited for."""
        return self.faults.call("receive_message", self._receive, kwargs)

    def delete_message(self, **kwargs: Any) -> dict[str, Any]:
        """DeleteMessage."""
        return self.faults.call("delete_message", self._delete, kwargs)

    def change_message_visibility(self, **kwargs: Any) -> dict[str, Any]:
        """ChangeMessageVisibility: 0 gives the message back at once, anything else holds it."""
        return self.faults.call("change_message_visibility", self._change_visibility, kwargs)

    def get_queue_attributes(self, **kwargs: Any) -> dict[str, Any]:
        """GetQueueAttributes: the three approximate counts."""
        return self.faults.call("get_queue_attributes", self._attributes, kwargs)

    def bodies(self, queue_url: str) -> list[str]:
        """All bodies in a queue, for assertions."""
        return [m.body for m in self._queues.get(queue_url, [])]

    def release_all(self, queue_url: str) -> None:
        """Let every visibility timeout pass: what was held is delivered again."""
        for message in self._queues.get(queue_url, []):
            message.receipt = None

    def _add(self, url: str, entry: dict[str, Any]) -> str:
        if len(entry["MessageBody"].encode()) > MAX_MESSAGE_BYTES:
            raise client_error("SendMessage", "InvalidParameterValue", "message too long")
        if not 0 <= entry.get("DelaySeconds", 0) <= 900:
            raise client_error("SendMessage", "InvalidParameterValue", "DelaySeconds")
        with self._lock:
            message = Message(
                str(next(self._ids)), entry["MessageBody"], entry.get("MessageGroupId"), entry.get("DelaySeconds", 0)
            )
            self._queues.setdefault(url, []).append(message)
        return message.id

    def _send(self, **kwargs: Any) -> dict[str, Any]:
        return {"MessageId": self._add(kwargs["QueueUrl"], kwargs)}

    def _send_batch(self, **kwargs: Any) -> dict[str, Any]:
        entries = kwargs["Entries"]
        if not 1 <= len(entries) <= 10 or len({e["Id"] for e in entries}) != len(entries):
            raise client_error("SendMessageBatch", "TooManyEntriesInBatchRequest", "1 to 10 distinct entries")
        done, failed = [], []
        for entry in entries:
            if self.reject_entries > 0:
                self.reject_entries -= 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                done.append({"Id": entry["Id"], "MessageId": self._add(kwargs["QueueUrl"], entry)})
        return {"Successful": done, "Failed": failed} if failed else {"Successful": done}

    def _receive(self, **kwargs: Any) -> dict[str, Any]:
        taken = []
        with self._lock:
            for message in self._queues.get(kwargs["QueueUrl"], []):
                if message.receipt is None and len(taken) < kwargs.get("MaxNumberOfMessages", 1):
                    message.received += 1
                    message.receipt = f"{message.id}.{message.received}"
                    taken.append(message)
        shown = [
            {
                "MessageId": m.id,
                "Body": m.body,
                "ReceiptHandle": m.receipt,
                "Attributes": {
                    "ApproximateReceiveCount": str(m.received),
                    "SentTimestamp": str(int(m.sent_at * 1000)),
                },
            }
            for m in taken
        ]
        if kwargs.get("VisibilityTimeout") == 0:
            for message in taken:
                message.receipt = None
        return {"Messages": shown} if shown else {}

    def _delete(self, **kwargs: Any) -> dict[str, Any]:
        with self._lock:
            queue = self._queues.get(kwargs["QueueUrl"], [])
            queue[:] = [m for m in queue if m.receipt != kwargs["ReceiptHandle"]]
        return {}

    def _change_visibility(self, **kwargs: Any) -> dict[str, Any]:
        with self._lock:
            held = [m for m in self._queues.get(kwargs["QueueUrl"], []) if m.receipt == kwargs["ReceiptHandle"]]
            if not held:
                raise client_error("ChangeMessageVisibility", "ReceiptHandleIsInvalid", "")
            if kwargs["VisibilityTimeout"] == 0:
                held[0].receipt = None
        return {}

    def _attributes(self, **kwargs: Any) -> dict[str, Any]:
        messages = self._queues.get(kwargs["QueueUrl"], [])
        held = sum(1 for m in messages if m.receipt is not None)
        counts = {
            "ApproximateNumberOfMessages": str(len(messages) - held),
            "ApproximateNumberOfMessagesNotVisible": str(held),
            "ApproximateNumberOfMessagesDelayed": "0",
        }
        return {"Attributes": {name: counts[name] for name in kwargs.get("AttributeNames", counts) if name in counts}}
