"""`grantkeeper queues`: what waits, and dead letters back to work, over SQS in memory."""

from __future__ import annotations

import base64
import json

import pytest
from click.testing import CliRunner

from cli.main import cli
from cli.redrive import Outcome, queues, redrive, why_kept
from cli.stack import Stack
from grantkeeper.errors import StoreUnavailable
from grantkeeper.stores.queues import read_work, rescued_grant
from tests.doubles.aws import memory_wiring
from tests.stores.records import grant

SECRET = b"a sealed set nobody may see"
POISON = "not json: " + SECRET.decode()


@pytest.fixture
def wiring():
    return memory_wiring(LOCAL_RUN="1")


@pytest.fixture
def run(wiring, monkeypatch):
    monkeypatch.setattr(Stack, "wiring", wiring)
    monkeypatch.setattr(Stack, "environment", lambda _: dict(wiring.env))

    def invoke(*arguments):
        return CliRunner(mix_stderr=False).invoke(cli, ["queues", *arguments])

    return invoke


def work(generation=1):
    return json.dumps({"kind": "refresh", "provider": "google", "ids": [["con_1", generation]], "request_id": ""})


def parked(wiring):
    """A rescue message as the product writes it."""
    wiring.rescue_queue.park(grant(generation=2, sealed=SECRET))
    (body,) = wiring.aws.sqs.bodies(wiring.env["RESCUE_QUEUE_URL"])
    wiring.aws.sqs._queues.clear()
    return body


def dead(wiring, *bodies, queue="DEAD_LETTER_QUEUE_URL"):
    for body in bodies:
        wiring.aws.sqs.send_message(QueueUrl=wiring.env[queue], MessageBody=body)


def bodies(wiring, queue):
    return wiring.aws.sqs.bodies(wiring.env[queue])


def test_work_goes_back_under_its_provider(run, wiring):
    """Fair queues go on being fair; the bodies are as they were."""
    dead(wiring, *(work(n) for n in range(1, 26)))

    answer = run("redrive", "work")

    assert answer.exit_code == 0, answer.output
    assert "work: 25 sent back, 0 kept." in answer.stdout
    assert bodies(wiring, "DEAD_LETTER_QUEUE_URL") == []
    assert {read_work(body).ids for body in bodies(wiring, "WORK_QUEUE_URL")} == {(("con_1", n),) for n in range(1, 26)}
    assert {m.group for m in wiring.aws.sqs._queues[wiring.env["WORK_QUEUE_URL"]]} == {"google"}


def test_a_parked_answer_goes_back_to_the_rescue(run, wiring):
    """Byte for byte."""
    body = parked(wiring)
    dead(wiring, body, queue="RESCUE_DEAD_LETTER_QUEUE_URL")

    assert run("redrive").exit_code == 0

    assert bodies(wiring, "RESCUE_QUEUE_URL") == [body]
    assert rescued_grant(body).sealed == SECRET
    assert bodies(wiring, "RESCUE_DEAD_LETTER_QUEUE_URL") == []


def test_what_cannot_be_read_is_kept_and_told_in_a_sentence(run, wiring):
    """A tick, a parked record, a batch the stream forgot, and plain rubbish; the readable one among them goes."""
    strays = [
        json.dumps({"kind": "unreadable_record", "record": "AUDIT x", "event_id": "1"}),
        json.dumps({"kind": "uncountable_entry", "event_id": "evt_1"}),
        json.dumps({"DDBStreamBatchInfo": {"batchSize": 3}}),
        json.dumps({"source": "aws.scheduler", "detail-type": "Scheduled Event"}),
        json.dumps({"kind": "refresh", "provider": "google", "ids": []}),
        POISON,
        "[1]",
    ]
    dead(wiring, *strays, work())

    shown = json.loads(run("redrive", "--json").stdout)

    assert shown["moved"] == {"work": 1, "rescue": 0}
    assert [each["why"] for each in shown["kept"]] == [why_kept(stray) for stray in strays]
    assert len({each["why"] for each in shown["kept"]}) == 5
    assert bodies(wiring, "DEAD_LETTER_QUEUE_URL") == strays
    assert run("list").exit_code == 0
    assert json.loads(run("list", "--json").stdout)[0]["dead_letters"] == len(strays)  # given back at once: it shows


def test_l01_no_body_is_ever_printed(run, wiring):
    """A parked answer is sealed, and still nobody's to look at."""
    body = parked(wiring)
    dead(wiring, body, body[:-20] + "}", POISON, queue="RESCUE_DEAD_LETTER_QUEUE_URL")
    dead(wiring, POISON)

    for arguments in (["redrive", "--dry-run"], ["redrive", "--json"], ["redrive"], ["list"], ["list", "--json"]):
        answer = run(*arguments)
        said = answer.stdout + answer.stderr + repr(answer.exception)
        for secret in (SECRET.decode(), base64.b64encode(SECRET).decode(), "sealed", "not json"):
            assert secret not in said


def test_a_dry_run_moves_nothing(run, wiring):
    """And leaves every message where the next run finds it."""
    dead(wiring, work(), POISON)

    assert "work: 1 would go back, 1 kept." in run("redrive", "work", "--dry-run").stdout

    assert len(bodies(wiring, "DEAD_LETTER_QUEUE_URL")) == 2
    assert bodies(wiring, "WORK_QUEUE_URL") == []
    assert "work: 1 sent back" in run("redrive", "work").stdout


def test_a_limit_counts_over_all_queues(run, wiring):
    """What is not looked at is left for the next run."""
    dead(wiring, *(work(n) for n in range(1, 21)))
    dead(wiring, parked_body := parked_like(), queue="RESCUE_DEAD_LETTER_QUEUE_URL")

    shown = json.loads(run("redrive", "--limit", "13", "--json").stdout)

    assert shown["moved"] == {"work": 13}
    assert len(bodies(wiring, "DEAD_LETTER_QUEUE_URL")) == 7
    assert bodies(wiring, "RESCUE_DEAD_LETTER_QUEUE_URL") == [parked_body]


def parked_like():
    return parked(memory_wiring())


@pytest.mark.parametrize("operation", ["send_message", "delete_message"])
@pytest.mark.parametrize("after", [0, 7, 24])
def test_a_redrive_that_dies_loses_nothing(wiring, operation, after):
    """Killed before a send or before a delete: every message is in one of the two queues, or in both."""
    dead(wiring, *(work(n) for n in range(1, 26)))
    (queue, _) = queues(wiring.env)
    seen = 0

    def now_and_then(_):
        nonlocal seen
        seen += 1
        return seen > after

    wiring.aws.sqs.faults.fail(operation, KeyboardInterrupt(), when=now_and_then)

    with pytest.raises(KeyboardInterrupt):
        redrive(wiring.aws.sqs, queue, limit=100)

    everywhere = bodies(wiring, "DEAD_LETTER_QUEUE_URL") + bodies(wiring, "WORK_QUEUE_URL")
    assert set(everywhere) == {work(n) for n in range(1, 26)}
    wiring.aws.sqs.release_all(wiring.env["DEAD_LETTER_QUEUE_URL"])
    redrive(wiring.aws.sqs, queue, limit=100)
    assert bodies(wiring, "DEAD_LETTER_QUEUE_URL") == []
    assert set(bodies(wiring, "WORK_QUEUE_URL")) == {work(n) for n in range(1, 26)}


def test_a_queue_that_refuses_ends_it_and_what_was_in_hand_is_given_back(wiring):
    """At once, not when a time-out has passed."""
    dead(wiring, *(work(n) for n in range(1, 6)))
    (queue, _) = queues(wiring.env)
    refused = "AWS.SimpleQueueService.NonExistentQueue"
    wiring.aws.sqs.faults.throttle(
        "send_message", code=refused, when=lambda r: '"con_1",3' in r["MessageBody"].replace(" ", "")
    )

    with pytest.raises(StoreUnavailable):
        redrive(wiring.aws.sqs, queue, limit=100)

    assert len(bodies(wiring, "WORK_QUEUE_URL")) == 2
    assert redrive(wiring.aws.sqs, queue, limit=100).moved == 3


def test_progress_is_told(wiring):
    """Every ten, so that a long one is seen to move."""
    dead(wiring, *(work(n) for n in range(1, 36)))
    (queue, _) = queues(wiring.env)
    told: list[int] = []

    def tell(outcome: Outcome) -> None:
        told.append(outcome.moved)

    redrive(wiring.aws.sqs, queue, limit=100, progress=tell)

    assert told == [10, 20, 30]


def test_what_is_kept_can_be_deleted_by_its_id_and_nothing_else(run, wiring):
    """So that the alarm falls silent; a letter that could be sent back is refused, and so is a stranger."""
    dead(wiring, POISON, work(), "[1]")
    kept = {each["message_id"] for each in json.loads(run("redrive", "work", "--dry-run", "--json").stdout)["kept"]}
    url = wiring.env["DEAD_LETTER_QUEUE_URL"]
    good = next(m.id for m in wiring.aws.sqs._queues[url] if m.id not in kept)
    one = min(kept)

    answer = run("drop", "work", one, good, "nobody", "--yes")

    assert "work: 1 deleted." in answer.stdout
    assert answer.exit_code == 1
    assert good in answer.stderr
    assert "nobody" in answer.stderr
    assert [m.id for m in wiring.aws.sqs._queues[url]] == sorted({*kept, good} - {one})
    assert json.loads(run("list", "--json").stdout)[0]["dead_letters"] == 2
    assert run("drop", "work", good).exit_code == 1  # not confirmed


def test_the_list_tells_depths_and_age(run, wiring):
    """In a table for people, in JSON for scripts; looking changes nothing."""
    wiring.aws.sqs.send_message(QueueUrl=wiring.env["WORK_QUEUE_URL"], MessageBody=work())
    dead(wiring, work())
    wiring.aws.sqs._queues[wiring.env["DEAD_LETTER_QUEUE_URL"]][0].sent_at -= 500

    rows = json.loads(run("list", "--json").stdout)

    assert rows[0] == {
        "queue": "work",
        "waiting": 1,
        "in_flight": 0,
        "delayed": 0,
        "dead_letters": 1,
        "oldest_dead_letter_seconds": pytest.approx(500, abs=5),
    }
    assert rows[1]["queue"] == "rescue"
    assert rows[1]["oldest_dead_letter_seconds"] is None
    assert json.loads(run("list", "--json").stdout)[0]["dead_letters"] == 1
    assert "oldest_dead_letter" in run("list").stdout


def test_a_stack_of_an_older_template_is_told_so(run, wiring, monkeypatch):
    """It has no output for its dead letters."""
    env = {name: value for name, value in wiring.env.items() if "DEAD_LETTER" not in name}
    monkeypatch.setattr(Stack, "environment", lambda _: env)

    answer = run("list")

    assert answer.exit_code == 1
    assert "deploy this version" in answer.stderr
