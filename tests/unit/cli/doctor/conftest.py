"""A healthy deployment on MiniStack, made anew for each test, with an issuer that answers."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cli import operator
from cli.doctor.command import FAMILIES, FIRST
from cli.doctor.examine import examine
from cli.doctor.findings import Family, Finding
from cli.doctor.patient import Patient
from cli.stack import Stack
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey, Client, Identity, ShardMark, User
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.wiring import Wiring
from tests.support import bare_stack, ministack

NUMBERS = itertools.count(1)
DAY = 86_400
PROVIDERS = ("google", "spotify")


@dataclass
class Ward:
    """A deployment, and the hands to spoil it with."""

    stack: Stack
    url: str
    outputs: dict[str, str]
    told: dict[str, Any] = field(default_factory=dict)  # what the issuer answers, by path
    now: int = field(default_factory=operator.now)
    hands: dict[str, Any] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)  # the doctor's

    @property
    def wiring(self) -> Any:
        return self.stack.wiring

    def aws(self, service: str) -> Any:
        if service not in self.hands:
            self.hands[service] = ministack.client(service, self.url)
        return self.hands[service]

    def physical(self, logical: str) -> str:
        answer = self.aws("cloudformation").describe_stack_resource(
            StackName=self.stack.name, LogicalResourceId=logical
        )
        return answer["StackResourceDetail"]["PhysicalResourceId"]

    def type(self, command: str) -> None:
        """Do what a command of the AWS CLI says: its words are the names of operation and parameters, in kebab case."""
        _, service, operation, *words = shlex.split(command, comments=True)
        request: dict[str, Any] = {}
        for option, value in itertools.batched(words, 2, strict=False):
            if option == "--cli-input-json":
                request |= json.loads(value)
            else:
                request[_pascal(option.removeprefix("--"))] = _value(value)
        getattr(self.aws(service), operation.replace("-", "_"))(**request)

    def look(self, *families: Family) -> list[Finding]:
        """What the doctor says to somebody who comes anew, of all families or of some: nothing is remembered."""
        known = self.wiring
        fresh = Wiring(dict(known.env))
        fresh.__dict__["aws"] = known.aws  # clients remember nothing, and making them takes longer than a look
        patient = Patient(Stack(self.stack.name, _wiring=fresh), now=self.now)
        patient._clients = self.clients
        patient.__dict__["env"] = known.env
        return examine(patient, families=families or (FIRST, *FAMILIES))


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def _value(text: str) -> Any:
    """JSON, the CLI's shorthand of one structure, or a plain text."""
    if text.startswith(("{", "[")):
        return json.loads(text)
    return dict([text.split("=")]) if "=" in text else text


@pytest.fixture(scope="session")
def issuer():
    """An issuer on loopback; what it answers is in `documents`."""
    documents: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = documents.get(self.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", documents
    server.shutdown()
    server.server_close()


@pytest.fixture
def ward(issuer, monkeypatch):
    address, documents = issuer
    name = f"doctor-{os.getpid()}-{next(NUMBERS)}"
    url, outputs = bare_stack.deploy(name, public_url=address)
    for variable, value in (
        ("AWS_ENDPOINT_URL", url), ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("LOCAL_RUN", ""),
    ):  # fmt: skip
        monkeypatch.setenv(variable, value)
    made = Ward(Stack(name), url, dict(outputs), told=documents)
    _inhabit(made, address)
    return made


def _inhabit(ward: Ward, address: str) -> None:
    """What `init`, a first sweep, a first admin, a provider and two clients leave behind."""
    wiring, now = ward.wiring, ward.now
    ensure_keys(key_maker=wiring.key_maker, signing_keys=wiring.signing_keys, branch_keys=wiring.branch_keys, now=now)
    wiring.shard_mark.replace(ShardMark(high_water=16), expected=ShardMark())
    ward.aws("cloudwatch").put_metric_data(
        Namespace="Grantkeeper",
        MetricData=[
            {"MetricName": "OldestDueAge", "Value": 3.0, "Timestamp": datetime.fromtimestamp(now - 60, UTC),
             "Dimensions": [{"Name": "service", "Value": ward.stack.name}]}
        ],
    )  # fmt: skip
    for provider in PROVIDERS:
        register(ward, provider, f"our-id-at-{provider}")
    console = Client("console", "Console", (f"{address}/console",), now, scopes=("openid", "admin:read"))
    for client in (console, Client("app", "App", ("https://app.example.com/cb",), now)):
        wiring.clients.put(client, audit=operator.event("client.registered"))
    admin = User(sub="usr_admin", created_at=now, updated_at=now, role="admin", email="admin@example.com")
    identity = Identity("https://idp.example", "admin", admin.sub, provider="google", linked_at=now)
    wiring.users.provision(admin, identity, audit=operator.event("user.provisioned"))
    text = new_api_key()
    key = ApiKey(text.key_id, text.secret_hash, ("connections:token",), now, now + 90 * DAY, client_id="app")
    wiring.api_keys.put(key, audit=operator.event("api_key.created"))
    ward.told.clear()
    kids = [{"kid": key.kid} for key in wiring.signing_keys.public()]
    ward.told["/jwks"] = {"keys": kids}
    ward.told["/.well-known/openid-configuration"] = {"issuer": address, "jwks_uri": f"{address}/jwks"}


def register(ward: Ward, provider: str, client_id: str) -> str:
    """Our registration at a provider, as `providers configure` stores it; returns its secret's parameter."""
    parameter = f"{ward.outputs['ParameterPrefix']}/providers/{provider}/1"
    ward.wiring.secrets.put(parameter, "a secret")
    entry = {"client_id": client_id, "secret_parameter": parameter, "state": "active"}
    event = operator.event("provider.configured", provider=provider)
    ward.wiring.provider_items.put(provider, record=None, registrations=[entry], disabled=None, audit=event)
    return parameter
