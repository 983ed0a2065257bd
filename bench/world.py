"""
A deployment for benches: the real functions and stores, real botocore and HTTP, doubles only for KMS, SQS and SSM.

KMS is the tests' double behind the methods of a client, so that its calls are counted and cost nothing: with warm
keys there are none.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import batched
from types import ModuleType, SimpleNamespace
from typing import Any

from bench.answers import SHAPES, answer_of, text_of
from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey, Binding, Grant
from grantkeeper.oauth.token_response import sealable
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.stores.connection_item import connection_item
from grantkeeper.stores.grant_item import due_shard, grant_item
from grantkeeper.stores.keys import consent
from grantkeeper.stores.table import key_item
from tests.doubles.aws import InMemoryAws
from tests.doubles.refresh_world import CLIENT, LASTING, STRICT, RefreshWorld
from tests.doubles.tables import create_tables
from tests.support.functions import Function, http_event

HOUR = 3600
USERS = 64  # so that every bucket of branch keys is used
RULES = {"strict": STRICT, "lasting": LASTING}
TOKEN_ROUTE = "GET /v1/connections/{id}/token"
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "POWERTOOLS_METRICS_NAMESPACE": "Grantkeeper",
    "POWERTOOLS_SERVICE_NAME": "bench",
}


class _Clock:
    """The real one, as a world wants it."""

    time, sleep = staticmethod(time.time), staticmethod(time.sleep)

    @property
    def now(self) -> float:
        return time.time()

    def skip(self, _seconds: float) -> None:
        """Nobody waits."""


class CountingSink(io.StringIO):
    """Where a function's log goes: counted, not kept."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def write(self, text: str, /) -> int:
        """Count."""
        self.written += len(text)
        return len(text)


class BenchWorld:
    """One deployment over a table server and a provider, and functions in execution environments of their own."""

    def __init__(self, table_url: str, *, provider_url: str, rule: str = "strict", shape: str = "google") -> None:
        """Args: rule: `strict` or `lasting`; shape: of the provider's answers, see SHAPES."""
        os.environ.update(ENVIRONMENT)
        self.shape, self.table_url = shape, table_url
        self.aws = _aws(table_url)
        client, names = self.aws.dynamodb, create_tables(self.aws.dynamodb, prefix=f"b{secrets.token_hex(3)}-")
        self.client = client
        self.env = {**names, "LOCAL_RUN": "1", "DUE_SHARDS": "16"}
        self.world = RefreshWorld(
            rule=RULES[rule], clock=_Clock(), aws=self.aws, env=self.env, token_endpoint=f"{provider_url}/token"
        )
        self.wiring = self._wiring()
        self.sink = CountingSink()
        ensure_keys(
            key_maker=self.wiring.key_maker,
            signing_keys=self.wiring.signing_keys,
            branch_keys=self.wiring.branch_keys,
            now=int(time.time()),
        )
        found = self.wiring.connections.get(self.world.connection_id)
        if found is None:
            raise RuntimeError("the world has no connection")
        client_id, scopes = self._register(), SHAPES[shape].scopes
        self._connection = replace(found, credentials_id=client_id, scopes=scopes, requested_scopes=scopes)
        self._grant = replace(self.world.grant(), credentials_id=client_id, scopes=scopes)

    def _register(self) -> str:
        """Register ourselves at the provider under a client id of the shape's length."""
        client_id = text_of(SHAPES[self.shape].client_id)
        self.wiring.provider_items.put(
            "example",
            record=None,
            registrations=[{"client_id": client_id, "secret_parameter": "/grantkeeper/example", "state": "active"}],
            disabled=None,
            audit=self.world.event("provider.changed"),
        )
        return client_id

    @property
    def grants_table(self) -> str:
        """The name of the table Grants."""
        return self.env["GRANTS_TABLE"]

    @property
    def kms_calls(self) -> int:
        """How often KMS was asked so far."""
        return len(self.aws.kms.faults.calls)

    def function(self, name: str) -> ModuleType:
        """A function in an execution environment of its own; what it logs goes into `sink`."""
        before, sys.stdout = sys.stdout, self.sink
        try:
            return Function(name, self._wiring()).module
        finally:
            sys.stdout = before

    def api_key(self) -> str:
        """A key of the client that may use every connection here."""
        made, now = new_api_key(), int(time.time())
        stored = ApiKey(made.key_id, made.secret_hash, ("connections:token",), now, now + 86_400, CLIENT)
        self.wiring.api_keys.put(stored, audit=self.world.event("api_key.created"))
        return made.text

    def load(self, count: int, *, due: bool) -> list[Grant]:
        """
        Make connections of many users, active, used today, sealed under branch keys.

        Args:
            due: Due now, an hour after their last refresh; else fresh.
        """
        now = int(time.time())
        refreshed_at = now - HOUR + 200 if due else now
        made = []
        plaintext = sealable(
            answer_of(self.shape).replace("{n}", "00000000").encode(),
            provider=self.world.records["example"],
            previous=None,
            received_at=refreshed_at,
        )
        for at in range(count):
            grant = replace(
                self._grant,
                connection_id=ids.new_id("con"),
                sub=f"usr_{at % USERS:028d}",
                grant_id=ids.new_id("grant"),
                refreshed_at=refreshed_at,
                expires_at=refreshed_at + HOUR,
                due_at=refreshed_at + HOUR - 400,
                write_id=ids.new_id("w"),
                caused_by="sweep",
                actor="system:worker",
                previous_refresh_token_hash=ids.digest("before"),
                n=7,
                generation=7,
            )
            binding = Binding.of(grant)
            key = self.wiring.vault.prepare(binding, sealed=self._grant.sealed)
            made.append(replace(grant, sealed=key.seal(plaintext, binding=binding)))
        self._write(made)
        return made

    def _write(self, grants: Sequence[Grant]) -> None:
        today = time.strftime("%Y-%m-%d", time.gmtime())
        items = []
        for grant in grants:
            owner = replace(self._connection, id=grant.connection_id, sub=grant.sub, used_day=today)
            allowed = key_item(consent(grant.sub, CLIENT, grant.connection_id))
            items += [
                grant_item(grant, due_shards=16),
                connection_item(owner, write_id=ids.new_id("w")),
                allowed | {"granted_at": {"N": str(int(time.time()))}},
            ]
        put(self.client, self.grants_table, items)

    def hold(self, count: int, *, due_at: int, spread: int) -> None:
        """Rows of the due index without a grant behind them: the index holds no more of a row than this."""
        rows = ({**_held_row(), "due_at": {"N": str(due_at + at % max(spread, 1))}} for at in range(count))
        put(self.client, self.grants_table, rows)

    def _wiring(self) -> Any:
        wiring = self.world.full_wiring()
        wiring.__dict__["provider_http"] = Httpx2ProviderHttp(allow_private_addresses=True)
        return wiring


def _held_row() -> dict[str, Any]:
    connection_id = ids.new_id("con")
    return {
        "pk": {"S": f"CONNECTION#{connection_id}"},
        "sk": {"S": "GRANT#main"},
        "due_shard": {"S": due_shard(connection_id, 16)},
        "provider": {"S": "example"},
        "generation": {"N": "7"},
    }


def put(client: Any, table: str, items: Iterable[dict[str, Any]]) -> None:
    """Write many items, 25 at a time."""
    for some in batched(items, 25, strict=False):
        left: Any = {table: [{"PutRequest": {"Item": item}} for item in some]}
        for _ in range(10):
            left = client.batch_write_item(RequestItems=left).get("UnprocessedItems")
            if not left:
                break
        else:
            raise RuntimeError("the table does not take the rows")


def _aws(table_url: str) -> Any:
    """Doubles for all but DynamoDB, whose client is the one of the functions."""
    from grantkeeper.stores.aws import Aws

    doubles = InMemoryAws()
    real = Aws({"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": table_url})
    return SimpleNamespace(
        dynamodb=real.dynamodb,
        kms=doubles.kms,
        sqs=doubles.sqs,
        rescue_sqs=doubles.sqs,
        ssm=doubles.ssm,
        events=doubles.events,
    )


def token_event(connection_id: str, key: str) -> dict[str, Any]:
    """What API Gateway makes of a token call."""
    return http_event(TOKEN_ROUTE, headers={"x-api-key": key}, path_parameters={"id": connection_id})


def batch_event(grants: Sequence[Grant], *, lanes: int, per_message: int = 25) -> dict[str, Any]:
    """What SQS hands to the worker: messages of the sweeper."""
    messages = [
        {"kind": "refresh", "provider": "example", "ids": [[g.connection_id, g.generation] for g in some]}
        | ({"lanes": lanes} if lanes < 25 else {})
        for some in batched(grants, per_message, strict=False)
    ]
    return {"Records": [{"messageId": str(at), "body": json.dumps(m)} for at, m in enumerate(messages)]}
