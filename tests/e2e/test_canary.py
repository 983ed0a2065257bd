"""
The canary (L-01): no secret comes to rest where it could be read.

A whole trip is made, every secret of it is kept: ours, the client's, the
provider's. Then every place where something could have been written down is
searched for each of them, in every spelling.
"""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from grantkeeper import ids
from tests.e2e.browser import query_of, relying_party
from tests.e2e.conftest import eventually
from tests.e2e.sinks import function_logs, leaks, log_files, queue_bodies, spellings, table_items, variables
from tests.support.stack import ROTATING


def stacked(test):
    """The search needs no stack to be tested; the rest does."""
    return pytest.mark.stack(pytest.mark.xdist_group("canary")(test))


# --- the search itself ---------------------------------------------------------------------------------------------

SECRET = "canary-+/ü=.~Qm4tNzL0cXv9Rk2YbW7pHs5d"  # fixed: the names of tests may not differ between workers


@pytest.mark.parametrize(
    "written",
    [
        SECRET.encode(),
        SECRET[:20].encode(),
        quote(SECRET, safe="").encode(),
        json.dumps({"token": SECRET}).encode(),
        SECRET.encode().hex().encode(),
        SECRET.encode().hex().upper().encode(),
        SECRET.encode()[::-1],
        *(base64.b64encode(b"x" * before + SECRET.encode() + b"behind") for before in range(6)),
        *(base64.urlsafe_b64encode(b"x" * before + SECRET.encode()) for before in range(6)),
        base64.b64encode(f"client:{SECRET}".encode()),
    ],
)
def test_a_planted_secret_is_found_however_it_is_written(written):
    """The search can fail: were it blind for a spelling, the test below would be worth nothing."""
    assert leaks({"planted": SECRET}, [("a log", b"before " + written + b" after")])


def test_what_is_no_secret_is_not_found():
    """A digest of it, or another secret of the same kind."""
    sinks = [("a log", ids.digest(SECRET).encode() + b" canary-" + secrets.token_urlsafe(24).encode())]

    assert leaks({"planted": SECRET}, sinks) == []
    assert all(len(text) > 10 for text in spellings(SECRET).values())


# --- on the stack --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bus_queue(stack):
    """A queue that gets every event of the bus from now on."""
    sqs, events = stack.aws("sqs"), stack.aws("events")
    name = f"canary-{secrets.token_hex(4)}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = stack.facts["bus"]
    events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [{"prefix": ""}]}))
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "canary", "Arn": arn}])
    yield url
    events.remove_targets(Rule=name, EventBusName=bus, Ids=["canary"])
    events.delete_rule(Name=name, EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture
def held_work(stack):
    """The worker does not take from the work queue meanwhile, so that what is in it can be read."""
    functions = stack.aws("lambda")
    queue = stack.queues["WorkQueue"].rpartition("/")[2]
    mapping = next(
        m["UUID"]
        for m in functions.list_event_source_mappings()["EventSourceMappings"]
        if m["EventSourceArn"].endswith(f":{queue}")
    )
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    yield
    functions.update_event_source_mapping(UUID=mapping, Enabled=True)


def all_sinks(stack, bus_queue):
    yield from function_logs(stack)
    yield from queue_bodies(stack, [*stack.queues.values(), bus_queue])
    yield from variables(stack)
    yield from log_files(stack)


@stacked
def test_l01_a_secret_planted_in_any_sink_is_found_there(stack, bus_queue):
    """Each sink is really read: a canary put into it sings."""
    planted = secrets.token_urlsafe(32)
    logs, sqs = stack.aws("logs"), stack.aws("sqs")
    group = next(g["logGroupName"] for g in logs.describe_log_groups()["logGroups"] if "Session" in g["logGroupName"])
    logs.create_log_stream(logGroupName=group, logStreamName=planted[:8])
    line = {"timestamp": 1_700_000_000_000, "message": f"token={planted}"}
    logs.put_log_events(logGroupName=group, logStreamName=planted[:8], logEvents=[line])
    dead = sqs.send_message(QueueUrl=stack.queues["DeadLetterQueue"], MessageBody=planted)["MessageId"]
    event = {"Source": "test", "DetailType": "planted", "Detail": json.dumps({"x": planted})}
    stack.aws("events").put_events(Entries=[event | {"EventBusName": stack.facts["bus"]}])
    item = {"pk": {"S": f"RL#{planted[:8]}"}, "sk": {"S": "0"}, "m": {"M": {"b": {"B": planted.encode()}}}}
    stack.aws("dynamodb").put_item(TableName=stack.tables["RequestsTable"], Item=item | {"ttl": {"N": "1"}})
    file = Path(stack.facts["state_dir"], "logs", "planted.log")
    file.write_text(planted)

    def found():
        sinks = [*all_sinks(stack, bus_queue), *table_items(stack)]
        places = {text.rpartition(" in ")[2] for text in leaks({"planted": planted}, sinks)}
        queues = {f"queue {url.rpartition('/')[2]}" for url in (bus_queue, stack.queues["DeadLetterQueue"])}
        table = f"{stack.tables['RequestsTable']} {item['pk']['S']} 0"
        return {f"log {group}", "file planted.log", table, *queues} <= places

    try:
        eventually(found)
    finally:
        file.unlink()
        stack.aws("dynamodb").delete_item(
            TableName=stack.tables["RequestsTable"], Key={"pk": item["pk"], "sk": item["sk"]}
        )
        for message in sqs.receive_message(QueueUrl=stack.queues["DeadLetterQueue"]).get("Messages", []):
            if message["MessageId"] == dead:
                sqs.delete_message(QueueUrl=stack.queues["DeadLetterQueue"], ReceiptHandle=message["ReceiptHandle"])


@stacked
def test_l01_no_secret_of_a_whole_trip_is_readable_anywhere(
    stack, oidc_provider, api, backend, new_browser, walk_through, bus_queue, held_work
):
    """Sign in, refresh, connect, confirm, read and refresh a token, disconnect; then look everywhere."""
    issued_before = len(issued(oidc_provider))
    browser, login = new_browser(), f"canary-{secrets.token_hex(4)}"
    found = {
        "the client's API key": stack.client_api_key[-46:],
        "the operator's API key": stack.admin_api_key[-46:],
        "the provider's client secret": oidc_provider.client_secret,
    }

    # a sign-in and a refresh
    scope = "openid email offline_access connections:read connections:write"
    started = relying_party("start", stack.api_url, stack.client_id, stack.redirect_uri, scope, ROTATING)
    back = browser.open(started["url"], until=stack.redirect_uri, login=login)
    session = relying_party("finish", stack.api_url, stack.client_id, back, given=started)
    refreshed = relying_party("refresh", stack.api_url, stack.client_id, given=session)
    found |= {"our code": query_of(back)["code"], "the client's verifier": started["verifier"]}
    found |= {f"our first {kind}": tail(session[kind]) for kind in TOKENS}
    found |= {f"our second {kind}": tail(refreshed[kind]) for kind in TOKENS if kind in refreshed}

    # a connection, from its link to its end
    user = {"authorization": f"Bearer {refreshed['access_token']}"}
    body = {"service": ROTATING, "redirect_uri": stack.connect_redirect_uri}
    opened = api.post("/v1/connect-sessions", headers=user, json=body).json()
    told = walk_through(browser, opened["connect_url"], login)
    url = f"/v1/connect-sessions/{told['connect_session']}/complete"
    connection = api.post(url, headers=user, json={"confirmation": told["confirmation"]}).json()
    tokens = [backend.get(f"/v1/connections/{connection['id']}/token", params={"min_ttl": ttl}) for ttl in (1, 60)]
    assert [token.status_code for token in tokens] == [200, 200], [token.text for token in tokens]
    assert api.get("/v1/admin/stats", headers={"x-api-key": stack.admin_api_key}).status_code == 200
    assert api.delete(f"/v1/connections/{connection['id']}", headers=user).status_code == 200
    found |= {"ticket": opened["connect_url"].rpartition("/")[2], "confirmation": told["confirmation"]}
    found |= {"the browser's cookie": browser.http.cookies["gk_browser"]}
    found |= {f"token {n} as handed out": token.json()["access_token"] for n, token in enumerate(tokens)}

    # what went between us and the provider: codes and states in its redirects, the rest from its own records
    callbacks = [query_of(url) for url in browser.visited if "/oauth2/callback/" in url]
    assert len(callbacks) == 2
    for number, query in enumerate(callbacks):
        found |= {f"state {number}": query["state"], f"the provider's code {number}": query["code"]}
    theirs = issued(oidc_provider)[issued_before:]
    assert tokens[1].json()["access_token"] in {exchange["answer"]["access_token"] for exchange in theirs}
    for number, exchange in enumerate(theirs):
        found |= {f"sent {number} {kind}": value for kind, value in exchange["sent"].items() if value}
        found |= {
            f"issued {number} {kind}": tail(exchange["answer"][kind]) for kind in TOKENS if kind in exchange["answer"]
        }

    # everything has reached its place: the message about the provider's tokens, the events on the bus
    def bodies(url):
        return b"".join(content for _, content in queue_bodies(stack, [url]))

    eventually(lambda: connection["id"].encode() in bodies(stack.queues["WorkQueue"]))
    eventually(lambda: b"Connection Revoked" in bodies(bus_queue) and connection["id"].encode() in bodies(bus_queue))
    eventually(lambda: connection["id"].encode() in b"".join(content for _, content in function_logs(stack)))

    assert len(found) > 25
    assert leaks(found, table_items(stack)) == []
    # a client's own state and nonce come back to it, so the tables keep them; nobody else has to see them
    found |= {"the client's state": started["state"], "the client's nonce": started["nonce"]}
    assert leaks(found, all_sinks(stack, bus_queue)) == []


TOKENS = ("access_token", "refresh_token", "id_token")


def tail(token):
    """What makes a token secret: a JWT's signature, the end of ours that names its family in the clear."""
    return token.rpartition(".")[2][-43:] if token.startswith(("eyJ", "gkr_")) else token


def issued(oidc_provider):
    """What the provider got and gave at its token endpoint, since it runs."""
    return httpx2.get(f"{oidc_provider.issuer}/test/issued", trust_env=False).json()
