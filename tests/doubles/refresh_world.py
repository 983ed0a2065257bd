"""
A connection whose token runs out, its provider, and a clock that moves only when somebody waits.

    world = RefreshWorld(rotation="always")
    world.pass_time(3600)
    answer = world.read()                 # the token call
    world.provider.lose_next_answer()     # what goes wrong next
    world.provider_http.during = ...      # what happens while the provider is asked

Real stores, vault and oauth code over the doubles of AWS and a provider in the process.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from grantkeeper import ids
from grantkeeper.errors import GrantkeeperError, UnknownProvider
from grantkeeper.model import (
    AuditEvent,
    Binding,
    Client,
    Connection,
    Grant,
    HttpRequest,
    HttpResponse,
    Lease,
    Principal,
)
from grantkeeper.oauth.token_response import sealable, token_set
from grantkeeper.providers.record import Provider, RefreshRule
from grantkeeper.services.lease_policy import LEASE_SECONDS, RESCUE_HORIZON
from grantkeeper.services.read_token import TokenAnswer, TokenWanted, read_token
from grantkeeper.services.refresh import Refreshed, refresh
from grantkeeper.services.refresh_run import Cause, Run
from grantkeeper.services.schedule import due_at
from grantkeeper.stores import retrying
from grantkeeper.stores.breakers import DynamoBreakers
from grantkeeper.stores.grant_item import read_lease
from grantkeeper.wiring import Wiring
from tests.doubles.aws import InMemoryAws, memory_wiring
from tests.doubles.provider import NOON, FakeProvider

ALICE = "usr_alice"
CLIENT = "backend"
SCOPES = ("openid", "files.read", "offline_access")
KEY = Principal("api_key", frozenset({"connections:token"}), client_id=CLIENT, key_id="key1")
TIMEOUT = 20.0  # of the function, in seconds

STRICT = RefreshRule(rotation="always", previous_refresh_token="revoked")
GRACE = RefreshRule(rotation="always", previous_refresh_token="grace", grace_seconds=600, grace_answer="same")
LASTING = RefreshRule(rotation="none", previous_refresh_token="valid")
RULES = {"strict": STRICT, "grace": GRACE, "lasting": LASTING}


@dataclass
class WorldClock:
    """Time passes when somebody sleeps or calls a provider; `time` and `monotonic` serve in place of the module."""

    now: float = NOON

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    skip = sleep


class RealClock:
    """Real seconds from noon on, for races of real threads; skipping them is still free."""

    def __init__(self) -> None:
        self._ahead = NOON - time.monotonic()

    @property
    def now(self) -> float:
        return time.monotonic() + self._ahead

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def skip(self, seconds: float) -> None:
        self._ahead += seconds


class SlowProvider:
    """The provider on the network: calls take time, and things happen meanwhile."""

    def __init__(self, provider: FakeProvider, clock: Any) -> None:
        self.provider = provider
        self.clock = clock
        self.seconds = 0.2
        self.before: Callable[[], None] | None = None  # once, before the next call arrives
        self.during: Callable[[], None] | None = None  # once, between the provider's answer and its arrival
        self.budgets: list[float] = []

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        self.budgets.append(budget)
        before, self.before = self.before, None
        if before is not None:
            before()
        self.provider.now = int(self.clock.now)
        self.clock.sleep(min(self.seconds, budget))
        try:
            return self.provider.send(request, budget=budget)
        finally:
            during, self.during = self.during, None
            if during is not None:
                during()


@dataclass
class Reports:
    """What an operator was told."""

    events: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __call__(self, event: str, facts: Any) -> None:
        self.events.append((event, dict(facts)))

    def of(self, event: str) -> list[dict[str, str]]:
        return [facts for name, facts in self.events if name == event]


class RefreshWorld:
    """One deployment with one connection of Alice's, which the client `backend` may use."""

    def __init__(
        self,
        monkeypatch: Any = None,
        *,
        rule: RefreshRule = LASTING,
        clock: Any = None,
        aws: Any = None,
        env: dict[str, str] | None = None,
        **record: Any,
    ) -> None:
        """
        Args:
            monkeypatch: When given, the stores wait on the world's clock instead of the real one.
            rule: How the provider refreshes; the provider in the process behaves so.
            clock: A `RealClock` for races.
            aws: Clients, for instance one of DynamoDB Local.
            env: Environment variables beside those of the doubles.
            record: Other fields of its record.
        """
        self.clock = clock or WorldClock()
        self.env = env or {}
        self.provider = FakeProvider()
        self.provider.rotation = "none" if rule.rotation == "none" else "always"
        self.provider.previous_refresh_token = rule.previous_refresh_token
        self.provider.grace_seconds = rule.grace_seconds
        self.provider_http = SlowProvider(self.provider, self.clock)
        self.records: dict[str, Provider] = {"example": self.provider.record(refresh=rule, **record)}
        self.aws = aws or InMemoryAws()
        self.wiring = self.container()
        self.reports = Reports()
        self.deadline = self.clock.now + TIMEOUT
        if monkeypatch is not None:
            monkeypatch.setattr(retrying, "time", self.clock)
        self.wiring.clients.put(Client(CLIENT, "Backend", (), NOON), audit=self.event("client.changed"))
        self.wiring.secrets.put("/grantkeeper/example", self.provider.client_secret)
        self.wiring.provider_items.put(
            "example",
            record=None,
            registrations=[
                {"client_id": self.provider.client_id, "secret_parameter": "/grantkeeper/example", "state": "active"}
            ],
            disabled=None,
            audit=self.event("provider.changed"),
        )
        self.connection_id = self.connect()

    # --- what there is ---

    def container(self) -> Any:
        """Another execution environment, with caches of its own."""
        wiring = memory_wiring(aws=self.aws, **self.env)
        wiring.__dict__["provider_http"] = self.provider_http
        wiring.__dict__["breakers"] = DynamoBreakers(
            self.aws.dynamodb, wiring.env["GRANTS_TABLE"], clock=self.clock.time
        )
        return wiring

    def full_wiring(self) -> Any:
        """An execution environment for a function: its catalog knows the world's records."""
        wiring = _FunctionWiring({**self.wiring.env}, self)
        wiring.__dict__ |= {"aws": self.aws, "provider_http": self.provider_http}
        wiring.__dict__["breakers"] = DynamoBreakers(
            self.aws.dynamodb, wiring.env["GRANTS_TABLE"], clock=self.clock.time
        )
        return wiring

    @property
    def now(self) -> int:
        """Epoch seconds."""
        return int(self.clock.now)

    def event(self, action: str) -> AuditEvent:
        """An entry of somebody's trail."""
        return AuditEvent(ids.new_id("evt"), self.now, action, "test")

    def ports(self, wiring: Any = None) -> Any:
        """The wiring's ports, with the world's records for a catalog."""
        wiring = wiring or self.wiring
        names = "issuer grants connections audit vault breakers rate_limits credentials provider_http"
        catalog = SimpleNamespace(get=self._record)
        return SimpleNamespace(
            catalog=catalog, **{name: getattr(wiring, name) for name in (*names.split(), "rescue_queue", "work_queue")}
        )

    def _record(self, provider_id: str) -> Provider:
        if provider_id not in self.records:
            raise UnknownProvider("No such provider.")
        return self.records[provider_id]

    def run(self, *, seed: int = 7, skew: int = 0) -> Run:
        """A new invocation with the whole of its time before it; `skew`: how far its clock is ahead."""
        self.deadline = self.clock.now + TIMEOUT
        deadline = self.deadline
        return Run(
            clock=lambda: int(self.clock.now) + skew,
            sleep=self.clock.sleep,
            remaining_ms=lambda: int((deadline - self.clock.now) * 1000),
            rng=random.Random(seed),
            report=self.reports,
        )

    def connect(self, *, account_id: str = "alice", client_id: str = CLIENT, **changes: Any) -> str:
        """Another connection, active, its first generation sealed as the callback function seals it."""
        connection_id = ids.new_id("con")
        fields = {"kind": "oauth2", "service": "example-files", **changes}
        connection = Connection(
            id=connection_id,
            sub=ALICE,
            client_id=client_id,
            provider="example",
            account_id=account_id,
            credentials_id=self.provider.client_id,
            scopes=SCOPES,
            requested_scopes=SCOPES,
            status="active",
            created_at=self.now,
            updated_at=self.now,
            **fields,
        )
        grant = self.new_grant(connection)
        self.wiring.connections.add_api_key(
            connection, grant, consent_client_id=client_id, audit=self.event("connection.activated")
        )
        return connection_id

    def new_grant(self, connection: Connection, *, name: str = "main", answer: dict[str, Any] | None = None) -> Grant:
        """Sealed tokens of a fresh consent at the provider."""
        self.provider.now = self.now
        answer = answer or self.provider.grant(" ".join(SCOPES))
        record = self.records[connection.provider]
        plaintext = sealable(
            json.dumps(answer).encode(), provider=record, name=name, previous=None, received_at=self.now
        )
        tokens = token_set(plaintext, provider=record, name=name)
        refreshable = tokens.refresh_token is not None
        unsealed = Grant(
            connection_id=connection.id,
            name=name,
            sub=connection.sub,
            provider=connection.provider,
            service=connection.service,
            credentials_id=connection.credentials_id,
            grant_id=ids.new_id("grant"),
            n=1,
            generation=1,
            status="active",
            sealed=b"",
            scopes=connection.scopes,
            refreshed_at=self.now,
            write_id=ids.new_id("w"),
            kind=connection.kind,
            expires_at=tokens.expires_at,
            refreshable=refreshable,
            due_at=due_at(
                expires_at=tokens.expires_at, received_at=self.now, refreshable=refreshable, rng=random.Random(1)
            ),
        )
        return replace(unsealed, sealed=self.wiring.sealer.seal(plaintext, binding=Binding.of(unsealed)))

    # --- what happens ---

    def pass_time(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self.clock.skip(seconds)

    def read(
        self,
        connection_id: str | None = None,
        *,
        principal: Principal = KEY,
        wiring: Any = None,
        run: Run | None = None,
        **wanted: Any,
    ) -> TokenAnswer:
        """The token call."""
        ports = self.ports(wiring)
        return read_token(
            TokenWanted(connection_id or self.connection_id, **wanted),
            principal=principal,
            has_consent=ports.connections.has_consent,
            first_use=lambda *_: False,
            ports=ports,
            run=run or self.run(),
            request_id="req",
        )

    def refresh(self, *, wiring: Any = None, run: Run | None = None, patience: float = 10.0) -> Refreshed:
        """One pass of the protocol, as the worker makes it."""
        return refresh(
            self.grant(),
            cause=Cause("sweep", "system", "req"),
            ports=self.ports(wiring),
            run=run or self.run(),
            patience=patience,
        )

    def die_at(self, moment: str) -> None:
        """A container takes the lease, and dies: `before` the provider is called, or `after` it has obeyed."""
        http = self.provider_http
        setattr(http, {"before": "before", "after": "during"}[moment], _die)
        try:
            self.read(force=True)
        except Killed:
            return
        raise AssertionError("it lived")

    def outwait_orphan(self) -> None:
        """The lease runs out, the next sweep's worker finds it, and the rescue queue is given its time."""
        self.pass_time(LEASE_SECONDS)
        with contextlib.suppress(GrantkeeperError):
            self.refresh(wiring=self.container())
        self.pass_time(RESCUE_HORIZON)

    def disconnect(self, connection_id: str | None = None) -> None:
        """The user disconnects."""
        event = replace(self.event("connection.revoked"), connection_id=connection_id or self.connection_id)
        assert self.wiring.connections.disconnect(connection_id or self.connection_id, now=self.now, audit=event)

    # --- what can be seen ---

    def grant(self, connection_id: str | None = None, name: str = "main") -> Grant:
        """The grant as stored."""
        grant = self.wiring.grants.get(connection_id or self.connection_id, name)
        assert grant is not None
        return grant

    def plaintext(self, grant: Grant | None = None) -> bytes:
        """What is sealed."""
        grant = grant or self.grant()
        return self.wiring.vault.open(grant.sealed, binding=Binding.of(grant))

    def tokens(self, grant: Grant | None = None) -> Any:
        """The open token set."""
        grant = grant or self.grant()
        return token_set(self.plaintext(grant), provider=self.records[grant.provider], name=grant.name)

    def lease(self) -> Lease | None:
        """The lease as stored."""
        items = [item for item in self.aws.dynamodb.dump("grants") if item["sk"]["S"].startswith("LEASE#")]
        if not items:
            return None
        return read_lease(items[0])

    @property
    def refreshes(self) -> int:
        """How often the provider was asked to refresh."""
        return sum(1 for call in self.provider.token_calls if call["grant_type"] == "refresh_token")

    def actions(self, connection_id: str | None = None) -> list[str]:
        """What the connection's trail says, oldest first."""
        events, _ = self.wiring.audit.for_connection(connection_id or self.connection_id, limit=100)
        return [event.action for event in reversed(events)]

    def queued(self) -> list[dict[str, Any]]:
        """Messages of work."""
        return [json.loads(body) for body in self.aws.sqs.bodies(self.wiring.env["WORK_QUEUE_URL"])]

    def parked(self) -> list[str]:
        """Messages of the rescue queue."""
        return self.aws.sqs.bodies(self.wiring.env["RESCUE_QUEUE_URL"])


class _FunctionWiring(Wiring):
    """The real wiring with the world's catalog."""

    def __init__(self, env: dict[str, str], world: RefreshWorld) -> None:
        super().__init__(env)
        self._world = world

    @property
    def catalog(self) -> Any:
        return SimpleNamespace(get=self._world._record)


class Killed(BaseException):
    """The process is gone: nothing of it runs any more, no handler of errors either."""


def _die() -> None:
    raise Killed


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run tasks in threads that start at once; their results or errors, in order."""
    results: list[Any] = [None] * len(tasks)
    gate = threading.Barrier(len(tasks))

    def do(at: int) -> None:
        gate.wait()
        try:
            results[at] = tasks[at]()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[at] = error

    threads = [threading.Thread(target=do, args=(at,)) for at in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def lease_write(kwargs: Any) -> bool:
    """Match the put of a lease."""
    return kwargs["Item"]["sk"]["S"].startswith("LEASE#")


def grant_write(kwargs: Any) -> bool:
    """Match the put of a grant."""
    return kwargs["Item"]["sk"]["S"].startswith("GRANT#")


def assert_works(world: RefreshWorld, *, generation: int) -> None:
    """The stored generation is the expected one, and its refresh token is the provider's current one."""
    assert world.grant().status == "active"
    assert world.grant().generation == generation
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens
