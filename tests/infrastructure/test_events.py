"""events/: one payload per trigger, of exactly the shape AWS documents; tests and `sam local invoke` share them."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from grantkeeper import ids
from grantkeeper.api_key_format import parse_api_key
from grantkeeper.edge.http import parse_event
from grantkeeper.stores.audit_item import audit_items, event_of
from grantkeeper.stores.grant_item import read_grant
from grantkeeper.stores.queues import read_work, rescued_grant
from tests.infrastructure.template import ROOT
from tests.infrastructure.test_api import ROUTES

EVENTS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}
HTTP = {name for name, event in EVENTS.items() if "routeKey" in event}
FUNCTION_OF = {
    "account": "AccountFunction",
    "admin": "AdminFunction",
    "admin-stats": "AdminStatsFunction",
    "authorize": "AuthorizeFunction",
    "avatar": "AccountFunction",
    "callback": "CallbackFunction",
    "connections": "ConnectionsFunction",
    "console": "ConsoleFunction",
    "discovery": "DiscoveryFunction",
    "refresh": "RefreshFunction",
    "token": "SessionFunction",
}


def plain(image: dict) -> dict:
    """A stream image as the stores know it: binary values decoded."""

    def value(node: dict) -> dict:
        ((kind, content),) = node.items()
        if kind == "B":
            return {"B": base64.b64decode(content, validate=True)}
        if kind == "M":
            return {"M": {name: value(member) for name, member in content.items()}}
        if kind == "L":
            return {"L": [value(member) for member in content]}
        return node

    return {name: value(member) for name, member in image.items()}


def test_there_is_a_payload_for_every_trigger():
    """Each function can be invoked from a file named after it, or after what it answers."""
    others = {"refresh-batch", "rescue", "sweeper", "reconcile", "erasure", "projector-grants", "projector-audit"}

    assert set(EVENTS) == set(FUNCTION_OF) | others
    assert set(FUNCTION_OF) == HTTP


@pytest.mark.parametrize("name", sorted(HTTP))
def test_requests_match_a_route_of_their_function(name):
    """Route key, method, path and path parameters agree with each other and with the template."""
    event = EVENTS[name]
    method, _, pattern = event["routeKey"].partition(" ")
    filled = re.sub(r"\{(\w+)\}", lambda variable: event["pathParameters"][variable[1]], pattern)

    assert event["routeKey"] in ROUTES[FUNCTION_OF[name]]
    assert event["requestContext"]["routeKey"] == event["routeKey"]
    assert event["requestContext"]["http"]["method"] == method
    assert event["rawPath"] == event["requestContext"]["http"]["path"] == filled


@pytest.mark.parametrize("name", sorted(HTTP))
def test_requests_are_payload_two(name):
    """Version 2.0, lower-case headers, cookies in a list of their own, forms in base64 as HTTP API sends them."""
    event = EVENTS[name]
    request = parse_event(event)

    assert event["version"] == "2.0"
    assert all(header == header.lower() for header in event["headers"])
    assert "cookie" not in event["headers"]
    assert set(event["requestContext"]) >= {"accountId", "apiId", "domainName", "requestId", "stage", "time"}
    assert request.request_id
    assert event["isBase64Encoded"] == (request.headers.get("content-type") == "application/x-www-form-urlencoded")
    if "content-length" in request.headers:
        assert int(request.headers["content-length"]) == len(request.body)


def test_api_keys_in_payloads_have_the_form_of_ours():
    """So that they reach the stores instead of failing at the door."""
    keys = [event["headers"]["x-api-key"] for event in EVENTS.values() if "x-api-key" in event.get("headers", {})]

    assert keys
    assert all(parse_api_key(key) for key in keys)


def test_the_token_request_answers_the_challenge_of_the_authorization_request():
    """The pair of RFC 7636, appendix B: the two payloads belong to one sign-in."""
    verifier = parse_event(EVENTS["token"]).form()["code_verifier"]

    assert ids.digest(verifier) == parse_event(EVENTS["authorize"]).one("code_challenge")


def test_work_messages_read_as_work():
    """What the worker is invoked with is what the queue's own reader takes."""
    records = EVENTS["refresh-batch"]["Records"]
    work = [read_work(record["body"]) for record in records]

    assert [piece.kind for piece in work] == ["refresh", "revoke"]
    assert all(ids.is_id(connection) for piece in work for connection, _ in piece.ids)
    assert [record["attributes"]["MessageGroupId"] for record in records] == [piece.provider for piece in work]


@pytest.mark.parametrize("name", ["refresh-batch", "rescue"])
def test_queue_records_are_whole(name):
    """The digest of a body is its own, and every field AWS documents is there."""
    for record in EVENTS[name]["Records"]:
        assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
        assert record["eventSource"] == "aws:sqs"
        assert {"messageId", "receiptHandle", "attributes", "messageAttributes", "eventSourceARN"} <= set(record)


def test_a_rescue_message_reads_as_a_sealed_grant():
    """The parked answer carries everything the conditional write needs, and no token in clear."""
    (record,) = EVENTS["rescue"]["Records"]
    grant = rescued_grant(record["body"])

    assert (grant.generation, grant.status) == (7, "active")
    assert len(grant.sealed) > 0


def test_the_grants_stream_shows_a_refresh_and_a_change_that_is_none():
    """One record moves the generation, the other counts a strike: the projector has to tell them apart."""
    images = [
        (read_grant(plain(r["dynamodb"]["OldImage"])), read_grant(plain(r["dynamodb"]["NewImage"])))
        for r in EVENTS["projector-grants"]["Records"]
    ]

    assert [new.generation - old.generation for old, new in images] == [1, 0]


def test_the_audit_stream_shows_an_entry_and_its_end_by_ttl():
    """A new entry stands under user and connection; the one that expired went by DynamoDB's own hand."""
    *added, removed = EVENTS["projector-audit"]["Records"]
    events = [event_of(plain(record["dynamodb"]["NewImage"])) for record in added]

    assert [record["eventName"] for record in added] == ["INSERT"] * len(audit_items(events[0]))
    assert {event.id for event in events} == {events[0].id}
    assert removed["eventName"] == "REMOVE"
    assert removed["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@pytest.mark.parametrize("name", ["projector-audit", "projector-grants"])
def test_stream_records_name_the_keys_of_their_images(name):
    """Keys and images agree, as DynamoDB has it."""
    for record in EVENTS[name]["Records"]:
        change = record["dynamodb"]
        image = change.get("NewImage") or change["OldImage"]

        assert change["Keys"] == {"pk": image["pk"], "sk": image["sk"]}
        assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_a_tick_is_what_the_scheduler_sends():
    """EventBridge Scheduler's own notification; its time is the minute it stands for."""
    for name in ("sweeper", "reconcile", "erasure"):
        assert EVENTS[name]["source"] == "aws.scheduler"
        assert EVENTS[name]["detail-type"] == "Scheduled Event"
        assert EVENTS[name]["detail"] == "{}"
