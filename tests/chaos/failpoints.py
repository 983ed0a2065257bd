"""
Named points of a worker's way, and what may happen there; the product knows nothing of them.

    FAILPOINT=after_provider:kill
    FAILPOINT=before_save:throttle:2
    FAILPOINT=before_read#2:stop          the second read, which is the one under the lease

Every call to AWS has a name (see `name_of`) and so two points, `before_<name>` and `after_<name>`: after means that
AWS has done it and its acknowledgement is in the process, but nobody has looked at it yet. Around the provider there
are `before_provider` (the deadline of the call is set, no connection is made), `provider_committed` (the provider has
answered, the first byte is not read), `after_provider` (the last byte is) and `sealed`; revocations have
`before_revocation` and `after_revocation`.

What may happen: `kill` and `stop` (the process, by itself: SIGKILL, SIGSTOP), and at calls to AWS `throttle`, `deny`,
`refuse` (no connection), `hang` (nothing comes, and the time-out passes), each as often as a number says or for ever;
after a call `lost_ack` and `hang`: it was done, its answer never came. At `before_provider`: `refuse`.
"""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.awsrequest
import botocore.httpsession
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from grantkeeper import provider_http, provider_wire, vault

ALIASES = {"lease_applied": "after_lease", "save_applied": "after_save", "rescue_sent": "after_rescue"}
FOR_EVER = 1_000_000
THROTTLED = {"dynamodb": "ProvisionedThroughputExceededException", "sqs": "RequestThrottled"}
TIMEOUTS = {"dynamodb": 2.0, "rescue": 1.0}  # seconds a hanging call costs; the others 3
CLOSED_PORT = 1


@dataclass
class Failpoint:
    """One thing that happens at one point."""

    point: str
    action: str
    nth: int = 1  # at which visit it begins
    times: int = FOR_EVER

    @classmethod
    def parse(cls, text: str) -> Failpoint:
        """Read `point[#n]:action[:times]`."""
        place, action, *times = text.split(":")
        point, _, nth = place.partition("#")
        often = int(times[0]) if times else FOR_EVER
        return cls(ALIASES.get(point, point), action, int(nth or 1), often)


@dataclass
class Failpoints:
    """What is armed in this process, and what it has seen."""

    announce: Callable[[str], None] = lambda _: None
    advance: Callable[[float], None] = lambda _: None
    armed: list[Failpoint] = field(default_factory=list)
    visits: Counter[str] = field(default_factory=Counter)
    windows: list[tuple[float, float, float]] = field(default_factory=list)  # see `_measured`
    last_byte: tuple[float, float] | None = None  # of a provider's answer: when, and the thread's processor time
    last_sent: tuple[float, float] = (0.0, 0.0)  # of a request to AWS

    def arm(self, text: str) -> None:
        """Arm what a `FAILPOINT` says, instead of what was."""
        self.armed = [Failpoint.parse(each) for each in text.split(",") if each]
        self.visits.clear()

    def visit(self, point: str) -> str:
        """Be at a point. Returns what the caller has to make happen; kill and stop happen here."""
        self.visits[point] += 1
        for each in self.armed:
            due = each.nth <= self.visits[point] < each.nth + each.times
            if each.point != point or not due:
                continue
            if each.action in ("kill", "stop"):
                if self.visits[point] == each.nth:
                    self.announce(point)
                    os.kill(os.getpid(), signal.SIGKILL if each.action == "kill" else signal.SIGSTOP)
                return ""
            return each.action
        return ""

    def install(self) -> None:
        """Put the points into this process, around the classes of the adapters."""
        _around_aws(self)
        _around_provider(self)
        _around_sealing(self)


def name_of(target: str, body: Mapping[str, Any]) -> str:
    """The name of a call to AWS, by what it does in the protocol."""
    service, _, operation = target.partition(".")
    if service.startswith("DynamoDB"):
        return _table_call(operation, body)
    names = {
        "Decrypt": "kms",
        "GenerateDataKey": "kms",
        "GetParameter": "secret",
        "SendMessage": "rescue",
        "SendMessageBatch": "enqueue",
        "GetQueueAttributes": "depth",
        "PutEvents": "bus",
    }
    return names.get(operation, operation.lower())


def _table_call(operation: str, body: Mapping[str, Any]) -> str:
    if operation == "TransactWriteItems":
        marks = {"connection.revoked": "disconnect", "needs_reauth": "declare", "grant.erased": "erase"}
        return _marked(marks, json.dumps(body), "transaction")
    if "audit" in body.get("TableName", ""):
        return "trail" if operation in ("Query", "GetItem") else "record"
    if operation == "Query":
        return "due" if body.get("IndexName") == "due" else "query"
    sort_key = (body.get("Key") or body.get("Item") or {}).get("sk", {}).get("S", "")
    kind = sort_key.partition("#")[0]
    if operation == "GetItem":
        return {"GRANT": "read", "BRANCH": "branch_key", "META": "meta"}.get(kind, kind.lower() or "get")
    return _item_write(operation, kind, body)


def _item_write(operation: str, kind: str, body: Mapping[str, Any]) -> str:
    if kind == "LEASE":
        return "lease" if operation == "PutItem" else "release"
    if kind != "GRANT":
        return f"{kind.lower()}_write"
    if operation == "PutItem":
        return "keep" if body["Item"]["status"] == {"S": "revoked"} else "save"
    marks = {"#strikes": "strike", "#rejected": "reject", "#due_at": "postpone", "#sealed": "reseal"}
    return _marked(marks, body.get("UpdateExpression", ""), "mark")


def _marked(marks: Mapping[str, str], text: str, otherwise: str) -> str:
    return next((name for mark, name in marks.items() if mark in text), otherwise)


def _around_aws(points: Failpoints) -> None:
    """Every call of botocore goes through `send` of its session, once per attempt."""
    session, connection = botocore.httpsession.URLLib3Session, botocore.awsrequest.AWSConnection
    send, write = session.send, connection.send

    @functools.wraps(send)
    def sending(self: Any, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target", "")
        target = target.decode() if isinstance(target, bytes) else target
        name = name_of(target, json.loads(request.body or b"{}"))
        service = target.partition("_")[0].lower().replace("amazonsqs", "sqs").partition(".")[0]
        act = points.visit(f"before_{name}")
        if act:
            return _refused(act, request, name, service, points)
        answer = send(self, request)
        if name == "save" and points.last_byte is not None:
            points.windows.append(_measured(points.last_byte, points.last_sent))
            points.last_byte = None
        act = points.visit(f"after_{name}")
        if act == "hang":
            points.advance(TIMEOUTS.get(name, TIMEOUTS.get(service, 3.0)))
            raise ReadTimeoutError(endpoint_url=request.url)
        if act:
            raise ConnectionClosedError(endpoint_url=request.url)
        return answer

    @functools.wraps(write)
    def writing(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return write(self, *args, **kwargs)
        finally:
            points.last_sent = _moment()

    session.send, connection.send = sending, writing


def _moment() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()


def _measured(answered: tuple[float, float], sent: tuple[float, float]) -> tuple[float, float, float]:
    """
    The excused instant, in milliseconds: from the provider's last byte to the save's last byte, which on a loopback is
    its arrival; the same to DynamoDB's answer; and the processor time of the first, which no neighbour can lengthen.
    """
    now = time.perf_counter()
    return (sent[0] - answered[0]) * 1000, (now - answered[0]) * 1000, (sent[1] - answered[1]) * 1000


def _refused(action: str, request: Any, name: str, service: str, points: Failpoints) -> Any:
    """What AWS, or the way to it, answers instead."""
    if action == "refuse":
        raise EndpointConnectionError(endpoint_url=request.url)
    if action == "hang":
        points.advance(TIMEOUTS.get(name, TIMEOUTS.get(service, 3.0)))
        raise ReadTimeoutError(endpoint_url=request.url)
    code = "AccessDeniedException" if action == "deny" else THROTTLED.get(service, "ThrottlingException")
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "injected"}
    answer = botocore.awsrequest.AWSResponse(request.url, 400, headers, None)
    answer._content = json.dumps({"__type": f"com.amazonaws.injected#{code}", "message": "injected"}).encode()
    return answer


def _around_provider(points: Failpoints) -> None:
    http, wire, backend = provider_http.Httpx2ProviderHttp, provider_wire.Wire, provider_wire.Backend
    send, read, connect = http.send, wire.read, backend.connect_tcp
    state = {"asks": False, "waits": False}  # of the one call to a token endpoint this process makes at a time

    @functools.wraps(send)
    def sending(self: Any, request: Any, *, budget: float = 8.0) -> Any:
        name = {"token": "provider", "revoke": "revocation"}.get(request.url.rpartition("/")[2], "profile")
        state["asks"] = state["waits"] = name == "provider"
        if name != "provider":
            points.visit(f"before_{name}")
        answer = send(self, request, budget=budget)
        points.visit(f"after_{name}")
        return answer

    @functools.wraps(read)
    def reading(self: Any, max_bytes: int, timeout: float | None = None) -> bytes:
        if state["waits"]:
            state["waits"] = False
            select.select([self._wire], [], [], 5)  # the provider has obeyed when there is something to read
            points.visit("provider_committed")
        data = read(self, max_bytes, timeout)
        points.last_byte = _moment()
        return data

    @functools.wraps(connect)
    def connecting(self: Any, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        refused = state["asks"] and points.visit("before_provider") == "refuse"
        state["asks"] = False
        return connect(self, host, CLOSED_PORT if refused else port, *args, **kwargs)

    http.send, wire.read, backend.connect_tcp = sending, reading, connecting


def _around_sealing(points: Failpoints) -> None:
    prepare = vault.KmsVault.prepare

    class Key:
        """The key in hand, and a point after its use."""

        def __init__(self, key: Any) -> None:
            self._key = key

        def seal(self, *args: Any, **kwargs: Any) -> bytes:
            sealed: bytes = self._key.seal(*args, **kwargs)
            points.visit("sealed")
            return sealed

    @functools.wraps(prepare)
    def preparing(self: Any, *args: Any, **kwargs: Any) -> Any:
        return Key(prepare(self, *args, **kwargs))

    vault.KmsVault.prepare = preparing
