"""A state change reaches an HTTP endpoint and a queue by the template's own webhook rule."""

from __future__ import annotations

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jsonschema
import pytest

from tests.e2e.conftest import eventually
from tests.infrastructure.template import source
from tests.support.stack import ROTATING

pytestmark = pytest.mark.stack

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"
TEMPLATE = source()


class Endpoint:
    """An operator's HTTP endpoint: keeps what it was sent, and answers 204."""

    def __init__(self):
        self.calls = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                calls.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/grantkeeper"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def webhook(stack, endpoint):
    """
    What `WebhookUrl` makes, from the template, beside a queue as a second target; the secret and the URL of the queue.

    Made by calls, since the emulator's CloudFormation knows neither connections nor API destinations.
    """
    events, sqs, name = stack.aws("events"), stack.aws("sqs"), f"webhook-{secrets.token_hex(4)}"
    secret = secrets.token_urlsafe(24)
    properties = {logical: TEMPLATE["Resources"][logical]["Properties"] for logical in
                  ("WebhookRule", "WebhookDestination", "WebhookConnection")}  # fmt: skip
    authorization = properties["WebhookConnection"]["AuthParameters"]["ApiKeyAuthParameters"]
    connection = events.create_connection(
        Name=name,
        AuthorizationType=properties["WebhookConnection"]["AuthorizationType"],
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": authorization["ApiKeyName"], "ApiKeyValue": secret}},
    )
    destination = events.create_api_destination(
        Name=name,
        ConnectionArn=connection["ConnectionArn"],
        InvocationEndpoint=endpoint.url,
        HttpMethod=properties["WebhookDestination"]["HttpMethod"],
        InvocationRateLimitPerSecond=properties["WebhookDestination"]["InvocationRateLimitPerSecond"],
    )
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus, pattern = stack.facts["bus"], dict(properties["WebhookRule"]["EventPattern"])
    pattern["detail-type"] = [each.strip() for each in TEMPLATE["Parameters"]["WebhookEvents"]["Default"].split(",")]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
    role = "arn:aws:iam::000000000000:role/webhook"
    put = events.put_targets(
        Rule=name,
        EventBusName=bus,
        Targets=[
            {"Id": "webhook", "Arn": destination["ApiDestinationArn"], "RoleArn": role},
            {"Id": "queue", "Arn": queue_arn},
        ],
    )
    assert put["FailedEntryCount"] == 0
    yield secret, queue
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["webhook", "queue"])
    events.delete_rule(Name=name, EventBusName=bus)
    events.delete_api_destination(Name=name)
    events.delete_connection(Name=name)
    sqs.delete_queue(QueueUrl=queue)


def test_o10_events_reach_a_webhook_and_a_queue_and_hold_no_token(
    stack, backend, new_browser, walk_through, webhook, endpoint
):
    """A connection comes and goes: both are told of both, with the header, in bodies that fit their schemas."""
    secret, queue = webhook
    user = {"user_id": f"hooked-{secrets.token_hex(4)}"}
    asked = {"service": ROTATING, "redirect_uri": stack.connect_redirect_uri, **user}
    opened = backend.post("/v1/connect-sessions", json=asked).json()
    told = walk_through(new_browser(), opened["connect_url"], user["user_id"])
    complete = f"/v1/connect-sessions/{opened['id']}/complete"
    connection = backend.post(complete, json={"confirmation": told["confirmation"], **user}).json()
    token = backend.get(f"/v1/connections/{connection['id']}/token").json()["access_token"]
    assert backend.delete(f"/v1/connections/{connection['id']}").status_code == 200

    def posted():
        ours = [call for call in list(endpoint.calls) if call[2]["detail"].get("connection_id") == connection["id"]]
        return (
            ours if {call[2]["detail-type"] for call in ours} == {"Connection Activated", "Connection Revoked"} else []
        )

    for path, headers, event in eventually(posted):
        assert path == "/grantkeeper"
        assert headers["X-Grantkeeper-Webhook"] == secret
        assert event["source"] == "grantkeeper"
        schema = json.loads((SCHEMAS / f"{event['detail']['action']}.schema.json").read_text())
        assert schema["title"] == event["detail-type"]
        jsonschema.validate(event["detail"], schema)
        assert token not in json.dumps(event)

    sqs, found = stack.aws("sqs"), set()

    def queued():
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            if event["detail"].get("connection_id") == connection["id"]:
                found.add(event["detail-type"])
        return found == {"Connection Activated", "Connection Revoked"}

    eventually(queued)
    assert not [call for call in endpoint.calls if call[2]["detail-type"] == "User Signed In"]
