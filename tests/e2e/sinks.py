"""Every place of the deployed stack where a secret could come to rest, and how it could be spelled there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.stack import Stack

Sink = tuple[str, bytes]
PREFIX = 16  # half a secret in a log is a leak as well


def function_logs(stack: Stack) -> Iterator[Sink]:
    """CloudWatch: what every function and the API wrote."""
    logs = stack.aws("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        token: dict[str, str] = {}
        for _ in range(100):
            page = logs.filter_log_events(logGroupName=name, **token)
            yield f"log {name}", "\n".join(event["message"] for event in page["events"]).encode()
            if not page.get("nextToken"):
                break
            token = {"nextToken": page["nextToken"]}


def queue_bodies(stack: Stack, urls: Iterable[str] | None = None) -> Iterator[Sink]:
    """SQS: what waits in the queues, dead letters included; it is left there."""
    sqs = stack.aws("sqs")
    for url in stack.queues.values() if urls is None else urls:
        seen: set[str] = set()
        for _ in range(20):
            found = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=0,
                WaitTimeSeconds=0,
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if all(message["MessageId"] in seen for message in found):
                break
            for message in found:
                seen.add(message["MessageId"])
                yield f"queue {url.rpartition('/')[2]}", json.dumps(message).encode()


def table_items(stack: Stack) -> Iterator[Sink]:
    """DynamoDB: every attribute of every item of every table, as stored."""
    dynamodb = stack.aws("dynamodb")
    for table in stack.tables.values():
        for item in _scan(dynamodb, table):
            name = f"{table} {item['pk']['S']} {item['sk']['S']}"
            yield name, b"\n".join(_leaves(item))


def variables(stack: Stack) -> Iterator[Sink]:
    """Lambda: the functions' environment variables."""
    functions = stack.aws("lambda")
    for name in stack.functions.values():
        found = functions.get_function_configuration(FunctionName=name).get("Environment", {})
        yield f"variables of {name}", json.dumps(found).encode()


def log_files(stack: Stack) -> Iterator[Sink]:
    """The local run's own log files: the emulator's, the peers', the failures of functions."""
    for file in sorted(Path(stack.facts["state_dir"], "logs").rglob("*")):
        if file.is_file():
            yield f"file {file.name}", file.read_bytes()


def spellings(secret: str) -> dict[str, bytes]:
    """How a secret may be written: as it is, its beginning, URL- or JSON-encoded, hex, base64 at any alignment."""
    raw = secret.encode()
    found = {
        "raw": raw,
        "beginning": raw[:PREFIX],
        "url": quote(secret, safe="").encode(),
        "json": json.dumps(secret)[1:-1].encode(),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "reversed": raw[::-1],
    }
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        # the characters at both ends also depend on the neighbours
        core = encoded[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
        found[f"base64+{shift}"] = core
        found[f"base64url+{shift}"] = core.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def leaks(secrets: Mapping[str, str], sinks: Iterable[Sink]) -> list[str]:
    """Where which secret occurs, in which spelling; the secrets themselves are not repeated."""
    assert all(len(secret) >= 12 for secret in secrets.values()), "a short one is found anywhere"
    wanted = [(name, how, text) for name, secret in secrets.items() for how, text in spellings(secret).items()]
    return sorted(
        {f"{name} ({how}) in {place}" for place, content in sinks for name, how, text in wanted if text in content}
    )


def owners(stack: Stack) -> dict[str, str]:
    """Users and connections there are: partition key → id."""
    dynamodb = stack.aws("dynamodb")
    return {
        item["pk"]["S"]: item["pk"]["S"].partition("#")[2]
        for item in _scan(dynamodb, stack.tables["GrantsTable"])
        if item["sk"]["S"] in ("USER", "META", "GRANT#main") or item["sk"]["S"].startswith("PENDING#")
    }


def audit_events(stack: Stack) -> list[dict[str, str]]:
    """The audit trail: the text attributes of its events."""
    dynamodb = stack.aws("dynamodb")
    return [
        {name: value["S"] for name, value in item.items() if "S" in value}
        for item in _scan(dynamodb, stack.tables["AuditTable"])
    ]


def _scan(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    start: dict[str, Any] = {}
    for _ in range(1000):
        page = dynamodb.scan(TableName=table, ConsistentRead=True, **start)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _leaves(value: Any) -> Iterator[bytes]:
    """Keys and values, however deep, in bytes."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield str(name).encode()
            yield from _leaves(part)
    elif isinstance(value, (list, tuple, set)):
        for part in value:
            yield from _leaves(part)
    else:
        yield str(value).encode()
