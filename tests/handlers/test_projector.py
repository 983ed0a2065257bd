"""The function `projector`: streams as Lambda delivers them."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.items import to_item
from tests.doubles.aws import memory_wiring
from tests.stores.records import connected, event
from tests.support.functions import CONTEXT, Function

ROOT = Path(__file__).parents[2]
GRANTS_ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/grants/stream/2026-11-21T00:00:00.000"
AUDIT_ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/audit/stream/2026-11-21T00:00:00.000"


@pytest.fixture
def world():
    return memory_wiring()


@pytest.fixture
def function(world, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    return Function("projector", world).module


def wire(item):
    """An item as the stream's JSON carries it: bytes in base64."""
    return {name: _wire(value) for name, value in item.items()}


def _wire(value):
    ((kind, content),) = value.items()
    return {kind: base64.b64encode(content).decode()} if kind == "B" else value


def record(new, old=None, *, arn, number=1, kind=None):
    images = {"NewImage": wire(new)} if new else {}
    images |= {"OldImage": wire(old)} if old else {}
    item = new or old
    return {
        "eventID": f"{number:032d}",
        "eventName": kind or ("MODIFY" if old else "INSERT"),
        "eventSourceARN": arn,
        "dynamodb": {"Keys": {"pk": item["pk"], "sk": item["sk"]}, "SequenceNumber": str(number), **images},
    }


def parked_messages(world):
    answer = world.aws.sqs.receive_message(QueueUrl=world.env["DEAD_LETTER_QUEUE_URL"], MaxNumberOfMessages=10)
    return answer.get("Messages", [])


def grant_row(world):
    return next(i for i in world.aws.dynamodb.dump("grants") if i["sk"]["S"] == "GRANT#main")


def saved_generation(world):
    """A refresh, as the stream of Grants tells it."""
    connected(world)
    before = grant_row(world)
    current = world.grants.get("con_1")
    saved = replace(
        current, generation=2, n=2, write_id="w_save", sealed=b"next", caused_by="sweep", actor="system:sweeper"
    )
    assert world.grants.save(saved).outcome == "saved"
    return record(grant_row(world), before, arn=GRANTS_ARN)


def trail_records(world):
    rows = world.aws.dynamodb.dump("audit")
    return [record(row, arn=AUDIT_ARN, number=number) for number, row in enumerate(rows, start=1)]


def test_a_saved_generation_becomes_one_audit_entry_however_often_it_is_told(world, function):
    """Its id follows from connection, token and generation."""
    told = saved_generation(world)

    for _ in range(3):
        assert function.handler({"Records": [told]}, CONTEXT) == {"batchItemFailures": []}

    refreshes = [e for e in world.audit.for_connection("con_1", limit=50)[0] if e.action == "grant.refreshed"]
    assert [e.id for e in refreshes] == ["evt_con_1.main.2"]
    assert world.audit.generation_recorded("con_1", "main", 2)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 1, 2, 0, 1, 2), (1, 2, 0, 2), (2, 1, 0)])
def test_f21_generations_told_again_or_out_of_turn_stand_once_and_in_order(world, function, order):
    """Their place in the trail follows from the generation, not from when the stream told it."""
    connected(world)
    told = []
    for generation in (2, 3, 4):
        before, current = grant_row(world), world.grants.get("con_1")
        write = {"generation": generation, "n": generation, "write_id": f"w_{generation}", "caused_by": "sweep"}
        after = replace(current, **write, refreshed_at=current.refreshed_at + 60)
        assert world.grants.save(after).outcome == "saved"
        told.append(record(grant_row(world), before, arn=GRANTS_ARN, number=generation))

    for at in order:
        assert function.handler({"Records": [told[at]]}, CONTEXT) == {"batchItemFailures": []}

    trail = [e for e in world.audit.for_connection("con_1", limit=50)[0] if e.action == "grant.refreshed"]
    assert [e.details["generation"] for e in trail] == ["4", "3", "2"]
    assert world.audit.generation_recorded("con_1", "main", 4)
    assert not world.audit.generation_recorded("con_1", "main", 5)


def test_a_change_that_saves_no_generation_makes_no_entry(world, function):
    """A postponement is nobody's business."""
    connected(world)
    before = grant_row(world)
    world.grants.postpone("con_1", "main", generation=1, due_at=5)

    function.handler({"Records": [record(grant_row(world), before, arn=GRANTS_ARN)]}, CONTEXT)

    assert not world.audit.generation_recorded("con_1", "main", 1)


def test_an_entry_is_published_and_counted_once_though_it_stands_in_two_places(world, function):
    """Under its user and under its connection."""
    world.audit.record(
        event("connection.activated", sub="usr_1", connection_id="con_1", provider="google", details={"from": "none"})
    )
    records = trail_records(world)
    assert len(records) == 2

    function.handler({"Records": records}, CONTEXT)

    assert world.counters.totals() == {"connections/google/active": 1, "connected": 1}
    assert [e["DetailType"] for e in world.aws.events.published] == ["Connection Activated"]


def test_a_store_that_does_not_answer_sends_the_whole_batch_back(world, function):
    """From its first record, so that it comes again as the same batch."""
    world.audit.record(event("user.signed_in", sub="usr_1"))
    world.aws.events.reject_entries = 100

    answer = function.handler({"Records": trail_records(world)}, CONTEXT)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert world.counters.totals() == {}


def three_generations(world):
    """Records of one shard: the generations 2, 3 and 4."""
    told = [saved_generation(world)]
    for generation in (3, 4):
        told.append(copy.deepcopy(told[-1]))
        images = told[-1]["dynamodb"]
        images["OldImage"], images["SequenceNumber"] = copy.deepcopy(images["NewImage"]), str(generation)
        images["NewImage"]["generation"] = {"N": str(generation)}
    return told


def recorded(world):
    return sum(row["sk"]["S"].startswith("generation#") for row in world.aws.dynamodb.dump("audit"))


def test_a_store_so_slow_that_a_batch_takes_too_long_still_brings_the_shard_further(world, function):
    """A batch that always began anew would end with its function for as long as the store is slow."""
    told = three_generations(world)
    left = iter((8_000,))  # milliseconds, asked for after the first

    answer = function.handler({"Records": told}, SimpleNamespace(get_remaining_time_in_millis=lambda: next(left)))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "3"}]}
    assert recorded(world) == 1
    assert function.handler({"Records": told[1:]}, CONTEXT) == {"batchItemFailures": []}
    assert recorded(world) == 3


def test_what_was_recorded_before_the_store_failed_does_not_come_again(world, function, monkeypatch):
    """The batch goes on with the record that failed."""
    told, works = three_generations(world), function.app_wiring.audit.record

    def fails_at_the_last(entry):
        if entry.details["generation"] == "4":
            raise StoreUnavailable("The store did not answer in time.")
        works(entry)

    monkeypatch.setattr(function.app_wiring.audit, "record", fails_at_the_last)

    assert function.handler({"Records": told}, CONTEXT) == {"batchItemFailures": [{"itemIdentifier": "4"}]}
    assert recorded(world) == 2


@pytest.mark.parametrize("damage", ["no image", "wrong type"])
def test_d16_a_poison_record_is_parked_and_the_rest_goes_on(world, function, damage):
    """Parked by its keys: the item itself is still in its table, and no content leaves it."""
    poison = saved_generation(world)
    good = copy.deepcopy(poison)
    if damage == "no image":
        poison["dynamodb"]["NewImage"] = {"pk": {"S": "x"}, "sk": {"S": "y"}}
    else:
        poison["dynamodb"]["NewImage"]["generation"] = {"S": "two"}
        poison["dynamodb"]["NewImage"]["n"] = {"N": "NaN"}

    assert function.handler({"Records": [poison, good]}, CONTEXT) == {"batchItemFailures": []}

    parked = json.loads(parked_messages(world)[0]["Body"])
    assert parked["record"] == "CONNECTION#con_1 GRANT#main"
    assert set(parked) == {"kind", "record", "event_id"}
    assert world.audit.generation_recorded("con_1", "main", 2)


@pytest.mark.parametrize(("kind", "identity"), [("MODIFY", None), ("REMOVE", None), ("REMOVE", "AROAEXAMPLE")])
def test_t12_a_changed_entry_of_the_trail_raises_the_alarm(world, function, capsys, kind, identity):
    """The trail is only ever added to."""
    world.audit.record(event("user.signed_in", sub="usr_1"))
    row = world.aws.dynamodb.dump("audit")[0]
    changed = record(row, row, arn=AUDIT_ARN, kind=kind)
    if identity:
        changed["userIdentity"] = {"principalId": identity, "type": "User"}

    function.handler({"Records": [changed]}, CONTEXT)

    assert '"TamperingDetected"' in capsys.readouterr().out


def test_retention_may_remove_entries(world, function, capsys):
    """DynamoDB's own deletions carry its name."""
    world.audit.record(event("user.signed_in", sub="usr_1"))
    removed = record(None, world.aws.dynamodb.dump("audit")[0], arn=AUDIT_ARN, kind="REMOVE")
    removed["userIdentity"] = {"principalId": "dynamodb.amazonaws.com", "type": "Service"}

    function.handler({"Records": [removed]}, CONTEXT)

    assert '"TamperingDetected"' not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["projector-grants", "projector-audit"])
def test_the_committed_events_are_understood(world, function, name):
    """What `sam local invoke` sends."""
    told = json.loads((ROOT / "events" / f"{name}.json").read_text())
    for each in told["Records"]:
        each["eventSourceARN"] = AUDIT_ARN if "audit" in name else GRANTS_ARN

    assert function.handler(told, CONTEXT) == {"batchItemFailures": []}
    assert parked_messages(world) == []


@pytest.mark.parametrize(
    "strange",
    [
        {"provider": None},
        {"provider": "gOOgle"},
        {"provider": "x" * 200},
        {"reason": "a b\n", "action": "connection.needs_reauth"},
        {"details": {"from": "¿?"}},
        {"time": 10**20},
    ],
    ids=str,
)
def test_f21_an_entry_that_cannot_be_counted_is_parked_and_blocks_nobody(world, function, strange):
    """Between two good ones; a batch that comes again counts nothing twice, and parks it once more at worst."""
    good = {"action": "connection.activated", "provider": "google"}
    connected(world)
    row = next(r for r in trail_records(world) if "day_pk" in r["dynamodb"]["NewImage"])

    def entry(told):
        made = copy.deepcopy(row)
        image = made["dynamodb"]["NewImage"]
        image |= wire(to_item(told))
        return made

    first, last = entry(event(**good)), entry(event(**good))
    odd = event(**{"action": "connection.activated", "provider": "google", **strange})
    records = {"Records": [first, entry(odd), last]}

    for _ in range(2):
        assert function.handler(records, CONTEXT) == {"batchItemFailures": []}

    assert world.counters.totals()["connections/google/active"] == 2
    assert {json.loads(m["Body"])["event_id"] for m in parked_messages(world)} == {odd.id}


@pytest.mark.parametrize(
    "strange",
    [
        {"action": {"M": {}}},
        {"id": {"N": "1"}},
        {"id": {"NULL": True}},
        {"actor": {"S": "x" * 300_000}},
        {"sub": {"B": b"x"}},
        {"time": {"N": "1.5"}},
        {"details": {"S": "x"}},
    ],
    ids=lambda strange: next(iter(strange)),
)
def test_f21_an_entry_of_other_types_is_parked_and_blocks_nobody(world, function, strange):
    """DynamoDB takes any type under any name; the entries behind it are counted all the same."""
    connected(world)
    row = next(r for r in trail_records(world) if "day_pk" in r["dynamodb"]["NewImage"])
    odd, good = copy.deepcopy(row), copy.deepcopy(row)
    odd["dynamodb"]["NewImage"] |= {"action": {"S": "connection.activated"}, **strange}
    good["dynamodb"]["NewImage"] |= wire(to_item(event(action="connection.activated", provider="google")))

    assert function.handler({"Records": [odd, good]}, CONTEXT) == {"batchItemFailures": []}

    assert world.counters.totals()["connections/google/active"] == 1
    assert [json.loads(message["Body"])["kind"] for message in parked_messages(world)] == ["unreadable_record"]


def test_r03_an_old_row_put_back_rings_the_alarm_at_once(world, function, capsys):
    """Not at the next refresh: the stream shows a generation that falls, which no writer of ours makes."""
    forward = saved_generation(world)
    back = copy.deepcopy(forward)
    images = back["dynamodb"]
    images["OldImage"], images["NewImage"] = images["NewImage"], images["OldImage"]
    capsys.readouterr()

    assert function.handler({"Records": [forward]}, CONTEXT) == {"batchItemFailures": []}
    assert "TamperingDetected" not in capsys.readouterr().out

    before = len(world.aws.dynamodb.dump("audit"))
    assert function.handler({"Records": [back]}, CONTEXT) == {"batchItemFailures": []}
    assert "TamperingDetected" in capsys.readouterr().out
    assert len(world.aws.dynamodb.dump("audit")) == before


@pytest.mark.parametrize("strange", [{"refreshed_at": {"N": str(10**20)}}, {"actor": {"N": "7"}}], ids=str)
def test_f21_a_generation_that_makes_no_entry_is_parked_and_blocks_nobody(world, function, strange):
    """A row nobody of ours wrote; the refresh that follows it in the stream still reaches the trail."""
    good = saved_generation(world)
    odd = copy.deepcopy(good)
    odd["dynamodb"]["NewImage"] |= strange

    assert function.handler({"Records": [odd, good]}, CONTEXT) == {"batchItemFailures": []}

    assert len(parked_messages(world)) == 1
    assert any(row["sk"]["S"].startswith("generation#") for row in world.aws.dynamodb.dump("audit"))


def test_f21_an_entry_dynamodb_will_never_take_is_parked(world, function):
    """It says so in a word of its own; any other refusal sends the batch back."""
    good = saved_generation(world)
    world.aws.dynamodb.faults.throttle("put_item", code="ValidationException")

    assert function.handler({"Records": [good]}, CONTEXT) == {"batchItemFailures": []}
    assert len(parked_messages(world)) == 1

    world.aws.dynamodb.faults.throttle("put_item", code="AccessDeniedException")
    assert function.handler({"Records": [good]}, CONTEXT)["batchItemFailures"]
