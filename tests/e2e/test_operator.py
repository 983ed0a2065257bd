"""The operator's command against the deployed stack: what it writes, the functions obey."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import eventually
from tests.e2e.sinks import queue_bodies

pytestmark = pytest.mark.stack


def test_a_key_made_by_the_operator_opens_what_its_scopes_say(grantkeeper, api):
    """And nothing else."""
    made = json.loads(grantkeeper("api-keys", "create", "--name", "scraper", "--scope", "metrics:read", "--json"))
    key = {"x-api-key": made["api_key"]}

    assert api.get("/metrics", headers=key).status_code == 200
    assert api.get("/v1/admin/stats", headers=key).status_code == 403


def test_a_client_registered_by_the_operator_may_sign_users_in(grantkeeper, api):
    """Its redirect URI is exact from the first request on."""
    made = json.loads(
        grantkeeper("clients", "register", "--name", "Web", "--redirect-uri", "https://app.example/cb", "--json")
    )
    asked = {
        "client_id": made["client_id"],
        "response_type": "code",
        "scope": "openid",
        "state": "s",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }

    assert api.get("/oauth2/authorize", params=asked | {"redirect_uri": "https://app.example/cb"}).status_code == 200
    assert api.get("/oauth2/authorize", params=asked | {"redirect_uri": "https://app.example/cb/"}).status_code == 400


def test_keys_and_providers_are_told(grantkeeper):
    """`init` repeats without harm; the list says what is configured."""
    assert "already" in grantkeeper("init")
    states = {row["provider"]: row["state"] for row in json.loads(grantkeeper("providers", "list", "--json"))}
    assert states["demo"] == states["rotating"] == "available"
    assert states["spotify"] == "not configured"


def test_poison_becomes_a_dead_letter_the_alarm_sees_and_a_redrive_sorts(grantkeeper, stack):
    """What the worker cannot read stays with a sentence; what it can is sent back and done."""
    sqs, queues = stack.aws("sqs"), stack.queues
    work, dead = queues["WorkQueue"], queues["DeadLetterQueue"]
    attributes = sqs.get_queue_attributes(QueueUrl=work, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=work, Attributes={"VisibilityTimeout": "1"})  # five deliveries, not ten minutes
    try:
        poison = sqs.send_message(QueueUrl=work, MessageBody="no work at all")["MessageId"]
        eventually(lambda: poison in kept(grantkeeper))
    finally:
        sqs.set_queue_attributes(QueueUrl=work, Attributes=attributes)
    body = {"kind": "refresh", "provider": "demo", "ids": [["con_gone", 7]], "request_id": "redriven"}
    sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(body))
    assert watched(stack, dead) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0)
    assert row(grantkeeper, "work")["oldest_dead_letter_seconds"] >= 0  # others' may be older

    dry = json.loads(grantkeeper("queues", "redrive", "work", "--dry-run", "--json"))
    done = json.loads(grantkeeper("queues", "redrive", "work", "--json"))

    # others' may go back as well: while the time-out is short, what takes longer than that is delivered again
    assert dry["moved"]["work"] >= 1
    assert done["moved"]["work"] >= 1
    assert dry["dry_run"] is True
    assert done["dry_run"] is False
    assert why_kept(dry, poison) == why_kept(done, poison) == "It cannot be read."
    assert "no work at all" not in grantkeeper("queues", "redrive", "work")
    eventually(lambda: all_done(sqs, work), every=0.2)
    assert body["request_id"] not in str(queue_bodies(stack, [dead]))
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=eventually(lambda: handle_of(sqs, dead, poison)))


def all_done(sqs, queue_url):
    """Whether nothing waits in a queue, nor is under way, at this moment."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return all(told[name] == "0" for name in names)


def handle_of(sqs, queue_url, message_id):
    """By which one letter can be deleted; others' may lie there as well."""
    letters = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=1).get("Messages", [])
    return next((letter["ReceiptHandle"] for letter in letters if letter["MessageId"] == message_id), None)


def kept(grantkeeper):
    """What a redrive would leave where it is."""
    told = json.loads(grantkeeper("queues", "redrive", "work", "--dry-run", "--json"))
    return {each["message_id"] for each in told["kept"]}


def why_kept(told, message_id):
    """What a redrive says of one letter; others' may come and go between two looks, in any order."""
    return {each["message_id"]: each["why"] for each in told["kept"]}[message_id]


def row(grantkeeper, name):
    """A queue's line in the operator's list."""
    return next(row for row in json.loads(grantkeeper("queues", "list", "--json")) if row["queue"] == name)


def watched(stack, queue_url):
    """What the deployed alarm on a queue compares with which number."""
    alarms = stack.aws("cloudwatch").describe_alarms()["MetricAlarms"]
    dimensions = [{"Name": "QueueName", "Value": queue_url.rpartition("/")[2]}]
    [alarm] = [alarm for alarm in alarms if alarm.get("Dimensions") == dimensions]
    return alarm["Namespace"], alarm["MetricName"], int(alarm["Threshold"])
