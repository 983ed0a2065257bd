"""SQS and EventBridge: ids only, whole batches, refusals told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper.errors import BadRequest, StoreUnavailable
from grantkeeper.model import Work
from grantkeeper.stores.queues import read_work, rescued_grant
from tests.stores.records import grant


def work(count: int, *, kind: str = "refresh", provider: str = "google") -> Work:
    return Work(kind, provider, tuple((f"con_{n}", n + 1) for n in range(count)), request_id="req_1")  # type: ignore[arg-type]


def sent(memory: Any) -> list[Work]:
    return [read_work(body) for body in memory.aws.sqs.bodies(memory.env["WORK_QUEUE_URL"])]


def test_work_travels_as_ids_in_messages_of_at_most_25(memory: Any) -> None:
    """Every id once, in order, grouped by provider; nothing but ids."""
    memory.work_queue.send([work(60), work(1, kind="revoke", provider="github")])
    messages = sent(memory)
    assert [len(message.ids) for message in messages] == [25, 25, 10, 1]
    assert tuple(pair for message in messages[:3] for pair in message.ids) == work(60).ids
    assert messages[3] == work(1, kind="revoke", provider="github")
    entries = [e for _, request in memory.aws.sqs.faults.calls for e in request["Entries"]]
    assert [e["MessageGroupId"] for e in entries] == ["google"] * 3 + ["github"]
    assert set(json.loads(entries[0]["MessageBody"])) == {"kind", "provider", "ids", "request_id"}


def test_no_work_sends_nothing(memory: Any) -> None:
    """An empty sweep costs no call."""
    memory.work_queue.send([])
    memory.work_queue.send([work(0)])
    assert memory.aws.sqs.faults.calls == []


def test_a_delay_is_cut_at_what_sqs_takes(memory: Any) -> None:
    """15 minutes; longer waits are the due index's."""
    memory.work_queue.send([work(1)], delay=100_000)
    ((_, request),) = memory.aws.sqs.faults.calls
    assert request["Entries"][0]["DelaySeconds"] == 900


def test_entries_refused_alone_are_sent_again(memory: Any) -> None:
    """SQS refuses parts of a batch; the others are not sent twice."""
    memory.aws.sqs.reject_entries = 3
    memory.work_queue.send([work(250)])
    messages = sent(memory)
    assert sorted(pair for message in messages for pair in message.ids) == sorted(work(250).ids)


def test_work_refused_to_the_end_is_told(memory: Any) -> None:
    """Entry by entry, or as a whole."""
    memory.aws.sqs.reject_entries = 999
    with pytest.raises(StoreUnavailable):
        memory.work_queue.send([work(1)])
    memory.aws.sqs.reject_entries = 0
    memory.aws.sqs.faults.throttle("send_message_batch", times=99, code="RequestThrottled")
    with pytest.raises(StoreUnavailable):
        memory.work_queue.send([work(1)])


def test_depth_counts_what_waits_and_what_is_in_flight(memory: Any) -> None:
    """The sweeper sends no more than the workers can do."""
    memory.work_queue.send([work(1), work(1), work(1)])
    memory.aws.sqs.receive_message(QueueUrl=memory.env["WORK_QUEUE_URL"], MaxNumberOfMessages=2)
    assert memory.work_queue.depth() == 3


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '{"kind":"refresh"}',
        '{"kind":"format","provider":"google","ids":[["con_1",1]]}',
        '{"kind":"refresh","provider":"google","ids":[]}',
        '{"kind":"refresh","provider":"google","ids":[["con_1"]]}',
        '{"kind":"refresh","provider":"google","ids":[["con_1","x"]]}',
        json.dumps({"kind": "refresh", "provider": "google", "ids": [["con_1", 1]] * 26}),
    ],
)
def test_d16_a_poison_message_is_known_as_one(body: str) -> None:
    """Typed, so that it alone goes to the dead letters."""
    with pytest.raises(BadRequest):
        read_work(body)


def test_a_parked_answer_comes_back_byte_for_byte(memory: Any) -> None:
    """Every field of the grant, and its set sealed as it was."""
    parked = grant(
        generation=7, sealed=bytes(range(256)), variables=(("tenant", "t"),), strikes=1, due_at=None, reason=None
    )
    memory.rescue_queue.park(parked)
    (body,) = memory.aws.sqs.bodies(memory.env["RESCUE_QUEUE_URL"])
    assert rescued_grant(body) == parked
    assert rescued_grant(json.dumps({**json.loads(body), "added_by_a_later_version": 1})) == parked


def test_f16_parking_that_fails_is_told_soon(memory: Any) -> None:
    """The caller has another store to try."""
    memory.aws.sqs.faults.unreachable("send_message", times=99)
    with pytest.raises(StoreUnavailable):
        memory.rescue_queue.park(grant(generation=2))


@pytest.mark.parametrize(
    "change", [{"sealed": "not base64!"}, {"generation": 0}, {"generation": "2"}, {"status": "new"}, {"scopes": None}]
)
def test_d16_what_is_no_parked_grant_is_refused(memory: Any, change: dict[str, Any]) -> None:
    """Nothing half-read is ever saved."""
    memory.rescue_queue.park(replace(grant(), generation=2))
    (body,) = memory.aws.sqs.bodies(memory.env["RESCUE_QUEUE_URL"])
    with pytest.raises(BadRequest):
        rescued_grant(json.dumps({**json.loads(body), **change}))
    with pytest.raises(BadRequest):
        rescued_grant("{}")


# --- events ---


def test_d24_events_are_published_ten_at_a_time_and_refused_ones_again(memory: Any) -> None:
    """EventBridge takes ten entries and may refuse some of them."""
    memory.aws.events.reject_entries = 4
    memory.event_bus.publish([("Connection Activated", {"id": f"evt_{n}"}) for n in range(23)])
    published = memory.aws.events.published
    assert sorted(json.loads(e["Detail"])["id"] for e in published) == sorted(f"evt_{n}" for n in range(23))
    assert {(e["Source"], e["DetailType"], e["EventBusName"]) for e in published} == {
        ("grantkeeper", "Connection Activated", "grantkeeper")
    }


def test_d24_an_event_refused_to_the_end_is_told(memory: Any) -> None:
    """Never ignored: the stream delivers the batch again."""
    memory.aws.events.reject_entries = 999
    with pytest.raises(StoreUnavailable):
        memory.event_bus.publish([("Connection Revoked", {"id": "evt_1"})])


def test_publishing_nothing_calls_nobody(memory: Any) -> None:
    """An empty list is no call."""
    memory.event_bus.publish([])
    assert memory.aws.events.faults.calls == []
