"""
One lane of chaos: tables, queues and a vault key of its own on the shared emulators, and its workers.

Scenarios of a lane run one after the other and lanes side by side, one per process of pytest.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import secrets
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.clock import SharedClock
from tests.chaos.providers import GRACE, PROFILES
from tests.support import dynamodb, ministack, processes, stack, tables
from tests.support.processes import free_port, listening, once_per_run, spawn, wait_for

ROOT = Path(__file__).parents[2]
SCENERY = ("CONNECTION", "ACCOUNT", "BREAKER", "USER")  # items that belong to a scenario
WORD = re.compile(r"[A-Za-z0-9_-]{20,}")
PATIENCE = 60  # seconds for anything a worker does
REFRESH_RULES = {
    "strict": {"rotation": "always", "previous_refresh_token": "revoked"},
    "grace": {"rotation": "always", "previous_refresh_token": "grace", "grace_seconds": GRACE, "grace_answer": "same"},
    "lasting": {"rotation": "none", "previous_refresh_token": "valid"},
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended: `answer`, `failed` (the function raised), `killed`, or `stopped` at a point."""

    kind: str
    value: Any = None
    points: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """Of an HTTP answer."""
        assert self.kind == "answer", self
        return int(self.value["status"])

    @property
    def body(self) -> Any:
        """Of an HTTP answer."""
        return self.value["body"]


class Worker:
    """A process of the lane, driven line by line."""

    def __init__(self, address: str, failpoint: str = "") -> None:
        self._wire = socket.socket(socket.AF_UNIX)
        self._wire.settimeout(PATIENCE)
        self._wire.connect(address)
        self._lines = self._wire.makefile("rw", encoding="utf-8", newline="\n")
        self.pid = int(self._read()["pid"])
        self._stops = False
        if failpoint:
            self.arm(failpoint)

    def arm(self, failpoint: str) -> None:
        """Arm other failpoints; none when empty."""
        self._stops = ":stop" in failpoint
        self.ask("arm", text=failpoint)

    def begin(self, do: str, **command: Any) -> None:
        """Give a command and do not wait."""
        try:
            self._lines.write(json.dumps({"do": do, **command}) + "\n")
            self._lines.flush()
        except OSError:
            raise AssertionError("a command to a worker that is dead") from None

    def ask(self, do: str, **command: Any) -> Outcome:
        """Give a command and see how it ends."""
        self.begin(do, **command)
        return self.outcome()

    def outcome(self) -> Outcome:
        """See how the command under way ends."""
        points: list[str] = []
        while (message := self._read()) is not None:
            if "at" in message:
                points.append(message["at"])
                if self._stops:
                    self._await_stop()
                    return Outcome("stopped", None, tuple(points))
            elif "failed" in message:
                return Outcome("failed", message, tuple(points))
            else:
                return Outcome("answer", message["answer"], tuple(points))
        return Outcome("killed", None, tuple(points))

    def resume(self) -> Outcome:
        """Wake a stopped process and see how its command ends."""
        self._stops = False
        os.kill(self.pid, signal.SIGCONT)
        return self.outcome()

    def kill(self) -> None:
        """End it, wherever it is."""
        self._lines.close()
        self._wire.close()
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _await_stop(self) -> None:
        place, ends = Path(f"/proc/{self.pid}/stat"), time.monotonic() + PATIENCE
        while place.read_text().rpartition(")")[2].split()[0] != "T":
            assert time.monotonic() < ends, "it said it would stop and did not"
            time.sleep(0.001)

    def _read(self) -> Any:
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line else None


@dataclass
class Lane:
    """What the scenarios of one process of pytest share."""

    name: str
    address: str
    log: Path
    clock: SharedClock
    dynamodb: Any
    sqs: Any
    kms: Any
    streams: Any
    names: Mapping[str, str]  # GRANTS_TABLE, WORK_QUEUE_URL, …
    front: str
    api_key: str = ""
    workers: list[Worker] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)  # of every message there was
    _iterators: list[str] = field(default_factory=list)

    def worker(self, failpoint: str = "") -> Worker:
        """A fresh process."""
        made = Worker(self.address, failpoint)
        self.workers.append(made)
        return made

    def end_one(self, worker: Worker) -> None:
        """End one process."""
        worker.kill()
        self.workers.remove(worker)

    def end_workers(self) -> None:
        """End every process of a scenario."""
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    def provider(self, path: str, /, **asked: Any) -> Any:
        """Ask the providers' front."""
        connection = http.client.HTTPConnection(self.front, timeout=PATIENCE)
        try:
            connection.request("POST", f"/test/{path}", body=json.dumps({"lane": self.name, **asked}))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def accepts(self, profile: str, access_token: str) -> bool:
        """Whether the provider takes an access token."""
        connection = http.client.HTTPConnection(self.front, timeout=PATIENCE)
        try:
            path = f"/{self.name}/{profile}/userinfo"
            connection.request("GET", path, headers={"authorization": f"Bearer {access_token}"})
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def clean(self) -> None:
        """Forget the last scenario: its processes, messages, faults, rows and time."""
        self.end_workers()
        self.provider("clear")
        self.clock.reset()
        for queue in ("WORK_QUEUE_URL", "RESCUE_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"):
            self.messages(queue)
        self.new_generations()
        table = self.names["GRANTS_TABLE"]
        items = self.dynamodb.scan(TableName=table, ProjectionExpression="pk, sk")["Items"]
        keys = [item for item in items if item["pk"]["S"].partition("#")[0] in SCENERY]
        for some in itertools.batched(keys, 25, strict=False):
            self.dynamodb.batch_write_item(RequestItems={table: [{"DeleteRequest": {"Key": key}} for key in some]})

    def row_of(self, connection_id: str, sort_key: str = "GRANT#main") -> dict[str, Any]:
        """A raw item of any connection; empty when there is none."""
        key = {"pk": {"S": f"CONNECTION#{connection_id}"}, "sk": {"S": sort_key}}
        answer = self.dynamodb.get_item(TableName=self.names["GRANTS_TABLE"], Key=key, ConsistentRead=True)
        item: dict[str, Any] = answer.get("Item", {})
        return item

    def disable_key(self) -> None:
        """The operator's mistake."""
        self.kms.disable_key(KeyId=self.names["VAULT_KEY_ARN"])

    def enable_key(self) -> None:
        """And its correction."""
        self.kms.enable_key(KeyId=self.names["VAULT_KEY_ARN"])

    def leaked(self) -> set[str]:
        """Tokens in clear in any log line or message of this lane (I10); there is none."""
        words = set(WORD.findall(self.log.read_text(errors="replace")))
        for body in self.bodies:
            words.update(WORD.findall(body))
        return words & set(self.provider("secrets"))

    def messages(self, queue: str) -> list[str]:
        """Take everything out of a queue, as Lambda's poller does."""
        taken: list[str] = []
        url = self.names[queue]
        while some := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in some:
                taken.append(message["Body"])
                self.bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def new_generations(self) -> list[dict[str, Any]]:
        """Records of the stream of Grants since the last time, as the filter of template.yaml lets them through."""
        records: list[dict[str, Any]] = []
        for at, iterator in enumerate(self._iterators):
            following: str | None = iterator
            while following:
                answer = self.streams.get_records(ShardIterator=following, Limit=1000)
                records += answer["Records"]
                following = answer.get("NextShardIterator")
                if following:
                    self._iterators[at] = following
                if not answer["Records"]:
                    break
        kept = [r for r in records if r["eventName"] == "MODIFY" and r["dynamodb"]["Keys"]["sk"]["S"][:6] == "GRANT#"]
        return [_as_lambda_sends(record) for record in kept]

    def open_stream(self) -> None:
        """Read the stream from now on."""
        arn = self.dynamodb.describe_table(TableName=self.names["GRANTS_TABLE"])["Table"]["LatestStreamArn"]
        shards = self.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        self._iterators = [
            self.streams.get_shard_iterator(StreamArn=arn, ShardId=s["ShardId"], ShardIteratorType="LATEST")[
                "ShardIterator"
            ]
            for s in shards
        ]


def missing() -> str | None:
    """Why chaos cannot run here; None when it can."""
    return dynamodb.missing() or stack.missing_node()


def open_lane(name: str) -> Lane:
    """Make a lane on the emulators of this run."""
    ddb, mini = dynamodb.endpoint_url(), ministack.endpoint_url()
    front = _front()
    clocks = Path(front["clocks"])
    client, sqs, kms = dynamodb.client(ddb), ministack.client("sqs", mini), ministack.client("kms", mini)
    suffix = f"{name}-{secrets.token_hex(3)}"
    names = _create_tables(client, suffix)
    for variable in ("WORK_QUEUE_URL", "RESCUE_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"):
        names[variable] = sqs.create_queue(QueueName=f"{variable[:6]}-{suffix}")["QueueUrl"]
    names["VAULT_KEY_ARN"] = kms.create_key()["KeyMetadata"]["Arn"]
    environment = _environment(names, ddb, mini)
    address, log = str(processes.run_dir() / f"{name}.socket"), processes.run_dir() / f"chaos-{name}.log"
    pid = spawn(
        [sys.executable, "-m", "tests.chaos.worker", address, str(clocks / f"{name}.clock")],
        log=log,
        env=environment,
        cwd=ROOT,
    )
    wait_for(Path(address).exists, pid=pid, log=log, seconds=60)
    lane = Lane(
        name=name,
        address=address,
        log=log,
        clock=SharedClock(clocks / f"{name}.clock"),
        dynamodb=client,
        sqs=sqs,
        kms=kms,
        streams=_streams(ddb),
        names=names,
        front=front["front"],
    )
    desk = lane.worker()
    seeded = desk.ask("seed", records={profile: _record(front, name, profile) for profile in PROFILES})
    assert seeded.kind == "answer", seeded.value
    lane.api_key = seeded.value
    swept = desk.ask("sweep", keys=True)  # makes the branch keys, as it does every minute
    assert swept.kind == "answer", swept.value
    lane.end_workers()
    lane.open_stream()
    return lane


def _front() -> Mapping[str, Any]:
    """The providers, once per run: oidc-provider with long-lived access tokens, and the front before all three."""

    def start_oidc(log: Path) -> Mapping[str, Any]:
        port = free_port()
        pid = spawn(["node", str(stack.NODE / "oidc-provider.mjs"), str(port), "3600"], log=log, cwd=stack.NODE)
        wait_for(lambda: listening(port), pid=pid, log=log, seconds=60)
        return {"url": f"http://127.0.0.1:{port}"}

    def start_front(log: Path) -> Mapping[str, Any]:
        port, clocks = free_port(), log.parent / "clocks"
        clocks.mkdir(exist_ok=True)
        oidc = once_per_run("chaos-oidc-provider", start_oidc)["url"]
        command = [sys.executable, "-m", "tests.chaos.providers", str(port), oidc, str(clocks)]
        pid = spawn(command, log=log, cwd=ROOT, env={"PYTHONPATH": str(ROOT / "layers" / "common")})
        wait_for(lambda: listening(port), pid=pid, log=log, seconds=60)
        return {"front": f"127.0.0.1:{port}", "clocks": str(clocks), "oidc": oidc}

    return once_per_run("chaos-providers", start_front)


def _record(front: Mapping[str, Any], lane: str, profile: str) -> dict[str, Any]:
    """A provider's record, as a deployment's overlay writes it."""
    base = f"http://{front['front']}/{lane}/{profile}"
    return {
        "display_name": profile.title(),
        "issuer": front["oidc"] if profile == "strict" else base,  # what its ID tokens say
        "authorization_endpoint": f"{base}/auth",
        "token_endpoint": f"{base}/token",
        "userinfo_endpoint": f"{base}/userinfo",
        "jwks_uri": f"{base}/jwks",
        "revocation_endpoint": f"{base}/revoke",
        "pkce": "required",
        "refresh": REFRESH_RULES[profile],
        "revocation": {"kind": "rfc7009", "auth": "client_secret_basic", "effect": "grant"},
        "services": [
            {"id": f"{profile}-files", "display_name": f"{profile.title()} files", "access": {"read": ["openid"]}}
        ],
        "allow_private_addresses": True,
    }


def _environment(names: Mapping[str, str], ddb: str, mini: str) -> dict[str, str]:
    """What Lambda would set; each AWS service at its emulator, found by botocore itself."""
    endpoints = {f"AWS_ENDPOINT_URL_{service}": mini for service in ("KMS", "SQS", "SSM", "EVENTBRIDGE")}
    return {
        **names,
        **endpoints,
        "AWS_ENDPOINT_URL_DYNAMODB": ddb,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EVENT_BUS_NAME": "default",
        "ISSUER": "https://id.example.com",
        "PARAMETER_PREFIX": "/grantkeeper",
        "DUE_SHARDS": "2",
        "LOCAL_RUN": "1",
        "POWERTOOLS_METRICS_NAMESPACE": "Grantkeeper",
        "POWERTOOLS_SERVICE_NAME": "chaos",
        "PYTHONPATH": str(ROOT / "layers" / "common"),
    }


def _create_tables(client: Any, suffix: str) -> dict[str, str]:
    names = {}
    for key, definition in tables.definitions().items():
        name = f"{key}-{suffix}"
        stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
        client.create_table(TableName=name, **definition, **(stream if key == "grants" else {}))
        names[f"{key.upper()}_TABLE"] = name
    return names


def _streams(url: str) -> Any:
    import botocore.session

    return botocore.session.get_session().create_client(
        "dynamodbstreams",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def _as_lambda_sends(record: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no bytes: Lambda writes them in base64; the projector looks at none of them."""
    images = {
        image: {name: value for name, value in record["dynamodb"][image].items() if "B" not in value}
        for image in ("OldImage", "NewImage")
    }
    keys, number = record["dynamodb"]["Keys"], record["dynamodb"]["SequenceNumber"]
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/grants/stream/now",
        "dynamodb": {"Keys": keys, "SequenceNumber": number, **images},
    }
