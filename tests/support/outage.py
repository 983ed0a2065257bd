"""
A deployment at work minute by minute: sweeps, queue, workers and providers on one virtual clock.

    load = Load(world, budget_per_minute=3000, workers=10)
    load.down("example", NOON, NOON + 7200)
    load.go_on(minutes=150)
    load.upstream["example"].calls        # when each call arrived

The services, stores, breakers and messages are the real ones; DynamoDB and SQS are the doubles. What a queue and
Lambda do to time is played here: a message waits out its delay and for a free worker, and lanes of one message run
side by side.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from grantkeeper import ids
from grantkeeper.errors import GrantkeeperError, ProviderUnavailable
from grantkeeper.model import Connection, HttpRequest, HttpResponse
from grantkeeper.services.kindness import budgets_of
from grantkeeper.services.sweep import SweepReport, sweep
from grantkeeper.services.work import work_through
from grantkeeper.stores import keys
from grantkeeper.stores.connection_item import connection_item
from grantkeeper.stores.grant_item import grant_item
from grantkeeper.stores.queues import MAX_IDS, read_work
from grantkeeper.stores.table import key_item
from tests.doubles.refresh_world import ALICE, CLIENT, TIMEOUT, RefreshWorld

TICK = 60
LATENCY = 0.2  # seconds of a call


@dataclass
class Upstream:
    """A strict token endpoint: a refresh token is good once, and a spent one is invalid_grant."""

    host: str
    clock: Any
    dies_from: float = 0.0
    dies_until: float = 0.0
    calls: list[float] = field(default_factory=list)
    refused: int = 0
    _current: set[str] = field(default_factory=set)
    _made: int = 0

    def token_set(self) -> dict[str, Any]:
        self._made += 1
        refresh_token = f"{self.host}-rt-{self._made}"
        self._current.add(refresh_token)
        return {
            "access_token": f"{self.host}-at-{self._made}",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": refresh_token,
            "scope": "files.read",
        }

    def send(self, request: HttpRequest) -> HttpResponse:
        """Down in all the ways there are: refused connections, 503, and silence until the caller gives up."""
        self.calls.append(self.clock.now)
        if self.dies_from <= self.clock.now < self.dies_until:
            way = len(self.calls) % 3
            if way == 0:
                raise ProviderUnavailable("The connection was refused.", outcome_unknown=False)
            if way == 1:
                self.clock.sleep(8.0)
                raise ProviderUnavailable("The provider did not answer.", outcome_unknown=True)
            return HttpResponse(503, {"content-type": "text/html"}, b"<h1>Service Unavailable</h1>")
        self.clock.sleep(LATENCY)
        spent = parse_qs((request.body or b"").decode())["refresh_token"][0]
        if spent not in self._current:
            self.refused += 1
            return HttpResponse(400, {"content-type": "application/json"}, b'{"error": "invalid_grant"}')
        self._current.discard(spent)
        return HttpResponse(200, {"content-type": "application/json"}, json.dumps(self.token_set()).encode())


@dataclass
class Minute:
    """What one sweep saw, by provider."""

    at: float
    report: SweepReport
    oldest_due: dict[str, int]


class Load:
    """Many connections of several providers, and the functions that keep them."""

    def __init__(self, world: RefreshWorld, *, providers: Sequence[str], workers: int) -> None:
        self.world = world
        self.clock = world.clock
        self.workers = workers
        self.upstream = {name: Upstream(f"{name}.example", self.clock) for name in providers}
        self.minutes: list[Minute] = []
        self.connections: dict[str, list[str]] = defaultdict(list)
        self.reads: Counter[str] = Counter()
        self._rng = random.Random(5)
        self._free = [0.0] * workers
        self._waiting: list[tuple[float, int, Any]] = []
        self._sent = 0
        world.wiring.__dict__["provider_http"] = self

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """`ports.ProviderHttp`: the provider that the host names."""
        host = urlsplit(request.url).hostname or ""
        return self.upstream[host.partition(".")[0]].send(request)

    def connect(self, provider: str, count: int, *, over: int) -> None:
        """Connections made one after the other, `over` seconds from now on."""
        began = self.clock.now
        for at in range(count):
            self.clock.now = began + at * over / count
            connection = Connection(
                id=ids.new_id("con"),
                sub=ALICE,
                client_id=CLIENT,
                provider=provider,
                service=f"{provider}-files",
                account_id=f"{provider}-{at}",
                credentials_id=self.world.provider.client_id,
                scopes=("files.read",),
                requested_scopes=("files.read",),
                status="active",
                created_at=self.world.now,
                updated_at=self.world.now,
            )
            grant = self.world.new_grant(connection, answer=self.upstream[provider].token_set())
            consent = keys.consent(ALICE, CLIENT, connection.id)
            shards = self.world.wiring.due_shards
            for item in (
                connection_item(connection, write_id="made"),
                grant_item(grant, due_shards=shards),
                key_item(consent) | {"client_id": {"S": CLIENT}, "connection_id": {"S": connection.id}},
            ):
                self.world.aws.dynamodb.restore("grants", item)
            self.connections[provider].append(connection.id)
        self.clock.now = began

    def go_on(self, *, minutes: int, until: Callable[[], bool] = lambda: False, reads: str = "") -> int:
        """
        Let minutes pass, each with its sweep.

        Args:
            reads: A provider of whom ten random tokens are read every minute.

        Returns:
            How many it were: `until` may be true before.
        """
        for minute in range(minutes):
            if until():
                return minute
            began = self.clock.now
            self._sweep()
            self._work(until=began + TICK)
            for at in range(10 if reads else 0):
                self.clock.now = began + at * TICK / 10
                self._read(self._rng.choice(self.connections[reads]))
            self.clock.now = began + TICK
        return minutes

    def _sweep(self) -> None:
        wiring = self.world.wiring
        report = sweep(
            grants=wiring.grants,
            breakers=wiring.breakers,
            work_queue=wiring.work_queue,
            due_shards=wiring.shard_mark,
            shards=wiring.due_shards,
            workers=self.workers,
            budgets=budgets_of(lambda: self.world.ports().catalog),
            run=self._run(seconds=50.0),
        )
        self.minutes.append(Minute(self.clock.now, report, self._oldest_due()))
        queue = self.world.aws.sqs._queues.setdefault(wiring.env["WORK_QUEUE_URL"], [])
        known = {id(message) for *_, message in self._waiting}
        for message in queue:
            if id(message) not in known:
                self._sent += 1
                heapq.heappush(self._waiting, (self.clock.now + message.delay, self._sent, message))

    def _oldest_due(self) -> dict[str, int]:
        """By provider, in seconds: the worst of what waits."""
        now, worst = int(self.clock.now), dict.fromkeys(self.upstream, 0)
        for provider in worst:
            due = (int(row["due_at"]["N"]) for row in self._grants(provider) if "due_at" in row)
            worst[provider] = max(0, now - min(due, default=now))
        return worst

    def _work(self, *, until: float) -> None:
        """Every message whose time comes before `until`, by the first worker that is free."""
        queue = self.world.aws.sqs._queues[self.world.wiring.env["WORK_QUEUE_URL"]]
        while self._waiting:
            begins = max(self._waiting[0][0], min(self._free))
            if begins >= until:
                return
            *_, message = heapq.heappop(self._waiting)
            heapq.heappop(self._free)
            self.clock.now = begins
            work = read_work(message.body)
            again = work_through(
                [replace(work, lanes=MAX_IDS)],
                ports=self.world.ports(),
                run=self._run(),
                parallel=lambda tasks, width=work.lanes: self._side_by_side(tasks, width),
            )
            assert again == frozenset()
            heapq.heappush(self._free, self.clock.now)
            queue.remove(message)

    def _side_by_side(self, tasks: Sequence[Callable[[], None]], width: int) -> None:
        """Every task in the lane that is free first, as the worker's threads take them."""
        lanes = [self.clock.now] * width
        for task in tasks:
            self.clock.now = heapq.heappop(lanes)
            task()
            heapq.heappush(lanes, self.clock.now)
        self.clock.now = max(lanes)

    def _read(self, connection_id: str) -> None:
        try:
            self.world.read(connection_id, run=self._run())
            self.reads["served"] += 1
        except GrantkeeperError as error:
            self.reads[error.slug] += 1

    def _run(self, *, seconds: float = TIMEOUT) -> Any:
        run = self.world.run(seed=self._rng.randrange(2**32))
        self.world.deadline = self.clock.now + seconds
        ends = self.world.deadline
        object.__setattr__(run, "remaining_ms", lambda: int((ends - self.clock.now) * 1000))
        return run

    # --- what can be seen ---

    def statuses(self, provider: str) -> Counter[str]:
        """Status → connections."""
        return Counter(row["status"]["S"] for row in self._grants(provider))

    def fresh(self, provider: str) -> int:
        """Connections whose token is good now."""
        return sum(int(row["expires_at"]["N"]) > self.clock.now for row in self._grants(provider))

    def _grants(self, provider: str) -> list[Any]:
        dynamodb = self.world.aws.dynamodb
        return [dynamodb.peek("grants", f"CONNECTION#{each}", "GRANT#main") for each in self.connections[provider]]

    def per_second(self, provider: str, *, since: float = 0.0) -> Counter[int]:
        """Second → calls."""
        return Counter(int(at) for at in self.upstream[provider].calls if at >= since)
