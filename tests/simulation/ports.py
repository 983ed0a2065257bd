"""
The ports of one simulated process: each call gives way to the scheduler, may meet a fault, and has its effect at once.

    call ── scheduler ── fault? ── effect (atomic) ── fault? ── answer
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import GrantUnreadable, KeyServiceUnavailable, ProviderUnavailable, StoreUnavailable
from grantkeeper.model import AuditEvent, Grant, ProviderCredentials, Work
from grantkeeper.ports import Binding, BreakerState, HttpRequest, HttpResponse, ShardMark
from grantkeeper.services.lease_policy import PARK_NEEDS, SAVE_NEEDS
from grantkeeper.stores.breakers import FIRST_PAUSE, THRESHOLD
from tests.simulation.hub import Killed, Process
from tests.simulation.provider import CLIENT_ID, CLIENT_SECRET, Issue

if TYPE_CHECKING:
    from tests.simulation.world import World

OPERATIONS = {  # port method → (class of call, seconds until a refusal is final)
    "grants.get": ("read", 3.0),
    "grants.names": ("read", 3.0),
    "grants.due": ("read", 3.0),
    "grants.take_lease": ("write", 3.0),
    "grants.take_over": ("write", 3.0),
    "grants.release_lease": ("write", 3.0),
    "grants.save": ("write", SAVE_NEEDS),
    "grants.keep_for_revocation": ("write", SAVE_NEEDS),
    "grants.reseal": ("write", 3.0),
    "grants.strike": ("write", 3.0),
    "grants.reject": ("write", 3.0),
    "grants.postpone": ("write", 3.0),
    "grants.mark_needs_reauth": ("write", 3.0),
    "connections.get": ("read", 3.0),
    "connections.sharing": ("read", 3.0),
    "connections.has_consent": ("read", 3.0),
    "connections.pending": ("read", 3.0),
    "connections.unconfirmed": ("read", 3.0),
    "connections.abandon": ("write", 3.0),
    "connections.discard": ("write", 3.0),
    "connections.confirm": ("write", 3.0),
    "connections.disconnect": ("write", 3.0),
    "connections.erase": ("write", 3.0),
    "connections.update_profile": ("write", 3.0),
    "connections.update_scopes": ("write", 3.0),
    "connections.touch": ("write", 0.5),
    "connections.update_forecast": ("write", 3.0),
    "connections.update_metadata": ("write", 3.0),
}
LAGGING = 0.1  # of the looks at the due index see it as it was at the look before
TRANSACTIONS = frozenset({
    "grants.mark_needs_reauth",
    "connections.discard",
    "connections.confirm",
    "connections.disconnect",
    "connections.erase",
    "connections.update_profile",
    "connections.update_scopes",
    "connections.update_forecast",
    "connections.update_metadata",
})  # fmt: skip
BEST_EFFORT = frozenset({"grants.release_lease", "connections.touch"})
CODES = {name: at + 1 for at, name in enumerate(OPERATIONS)}


def _method(name: str) -> Callable[..., Any]:
    kind, patience = OPERATIONS[name]
    port, _, attribute = name.partition(".")
    once, code = name in TRANSACTIONS, CODES[name]
    saves, quiet = name == "grants.save", name in BEST_EFFORT
    watched = name in ("connections.sharing", "connections.erase", "connections.discard")

    def call(self: _Store, *args: Any, **kwargs: Any) -> Any:
        process, world = self.process, self.world
        hub, faults = world.hub, world.faults
        if process.dead:
            raise Killed
        if saves and faults.planned:
            faults.begin_outage(hub.now)
        fault = faults.draw(kind, now=hub.now, rescuing=process.kind == "rescue")
        if world.scan:
            world.oracle.look_for_secrets(name, (args, kwargs))
        world.note(code, fault)
        effect = getattr(getattr(world.tables, port), attribute)
        if watched:
            effect = world.oracle.watching(name, effect)
        if fault is None:
            hub.pause(0.0)
            answer = effect(*args, **kwargs)
            if world.verbose:
                world.tell(process, name, args, kwargs, answer)
            return answer
        return _with_fault(
            self, fault, name, effect, args, kwargs, patience=patience, once=once, saves=saves, quiet=quiet
        )

    call.__name__ = attribute
    return call


def _with_fault(  # noqa: C901 - a table of faults
    self: _Store, fault: str, name: str, effect: Any, args: Any, kwargs: Any, *, patience: float, once: bool,
    saves: bool, quiet: bool,
) -> Any:  # fmt: skip
    process, world = self.process, self.world
    hub = world.hub
    answer = None
    if fault == "refused":
        hub.pause(patience)
    elif fault == "slow":
        hub.pause(patience * world.rng.random())
        answer = effect(*args, **kwargs)
    elif fault == "paused":
        process.mark("paused")
        hub.pause(1 + world.options.longest_pause * world.rng.random())
        answer = effect(*args, **kwargs)
    elif fault == "acknowledged late":  # the SDK asks again by itself; a transaction has its token
        hub.pause(0.0)
        answer = effect(*args, **kwargs)
        hub.pause(patience * world.rng.random())
        if not once:
            answer = effect(*args, **kwargs)
            world.oracle.recognised(name, args, answer)
    elif fault == "unacknowledged":
        hub.pause(0.0)
        effect(*args, **kwargs)
        world.tell(process, name, args, kwargs, "written, and not acknowledged")
        hub.pause(patience)
    else:
        hub.pause(0.0)
        if fault == "killed after":
            effect(*args, **kwargs)
        hub.kill(process, "killed")
        world.tell(process, name, args, kwargs, fault)
        raise Killed
    world.tell(process, name, args, kwargs, f"{fault}: {answer}" if answer is not None else fault)
    if fault in ("refused", "unacknowledged"):
        if saves:
            process.mark("save refused")
        if quiet:
            return None
        raise StoreUnavailable("simulated", retry_after=2)
    return answer


class _Store:
    __slots__ = ("process", "world")

    def __init__(self, process: Process, world: World) -> None:
        self.process = process
        self.world = world


class GrantsPort(_Store):
    """`ports.Grants`."""

    __slots__ = ()

    def due(self, shard: int, **kwargs: Any) -> Any:
        """The patrol over empty shards is not worth a step. The index gives hints: sometimes those of before."""
        if shard:
            return ()
        found, world = self.due_of_first(shard, **kwargs), self.world
        if world.faults.on and world.rng.random() < LAGGING:
            found, world.hints = world.hints, found
            world.faults.count("index: as it was before")
        else:
            world.hints = found
        return found


class ConnectionsPort(_Store):
    """`ports.Connections`."""

    __slots__ = ()


for _name in OPERATIONS:
    _port = GrantsPort if _name.startswith("grants.") else ConnectionsPort
    setattr(_port, "due_of_first" if _name == "grants.due" else _name.partition(".")[2], _method(_name))


class VaultPort(_Store):
    """`ports.Vault`: a set is sealed by being put in a drawer, whose number is stored and whose binding is checked."""

    __slots__ = ()

    def open(self, sealed: bytes, *, binding: Binding) -> bytes:
        self._kms(101)
        found = self.world.drawers.get(sealed)
        if found is None or found[0] != binding:
            raise GrantUnreadable("simulated")
        return found[1]

    def prepare(self, binding: Binding, *, sealed: bytes) -> KeyInHand:
        self._kms(102)
        return KeyInHand(self.world)

    def is_current(self, sealed: bytes, *, binding: Binding) -> bool:
        return True

    def _kms(self, code: int) -> None:
        process, world = self.process, self.world
        if process.dead:
            raise Killed
        fault = world.faults.draw("kms", now=world.hub.now, rescuing=False)
        world.note(code, fault)
        if fault is None:
            world.hub.pause(0.0)
            return
        name = "vault.open" if code == 101 else "vault.prepare"
        if fault == "killed":
            world.hub.pause(0.0)
            world.hub.kill(process, "killed")
            world.tell(process, name, (), {}, fault)
            raise Killed
        seconds = (
            3.0
            if fault == "refused"
            else world.options.longest_pause * world.rng.random()
            if fault == "paused"
            else world.rng.random()
        )
        if fault == "paused":
            process.mark("paused")
        world.hub.pause(seconds)
        world.tell(process, name, (), {}, fault)
        if fault == "refused":
            raise KeyServiceUnavailable("simulated", retry_after=2)


class KeyInHand:
    """`ports.SealingKey`: calls nobody."""

    __slots__ = ("world",)

    def __init__(self, world: World) -> None:
        self.world = world

    def seal(self, plaintext: bytes, *, binding: Binding) -> bytes:
        return self.world.seal(plaintext, binding)


class HttpPort(_Store):
    """`ports.ProviderHttp`: the way there, the provider's act, the way back."""

    __slots__ = ()

    def send(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        process, world = self.process, self.world
        if process.dead:
            raise Killed
        assert budget > 0, "a call without a deadline"
        token_call = request.url.endswith("/token")
        if world.scan and not (token_call or request.url.endswith("/revoke")):
            world.oracle.look_for_secrets("provider_http.send", (request.url, request.headers, request.body))
        fault = world.faults.draw("provider" if token_call else "endpoint", now=world.hub.now, rescuing=False)
        if fault is None and world.options.pause_rate and world.rng.random() < world.options.pause_rate:
            fault = "paused"
        world.note(110 if token_call else 111, fault)
        call = world.oracle.call_begins(process, request) if token_call else None
        try:
            response, issue = self._travel(request, fault, budget)
        finally:
            if call is not None and not process.dead:
                world.oracle.call_ends(call)
        if token_call and fault in (None, "slow", "paused", "503", "429", "dead once") and response.status >= 400:
            world.oracle.known_outcome(request)
        world.oracle.delivered(process, request, response, issue)
        world.tell(process, "provider_http.send", (request.url,), {}, f"{fault or ''} {response.status}")
        if fault == "killed with answer":
            world.hub.kill(process, "killed")
            raise Killed
        return response

    def _travel(  # noqa: C901, PLR0912 - a table of faults
        self, request: HttpRequest, fault: str | None, budget: float
    ) -> tuple[HttpResponse, Issue | None]:
        process, world = self.process, self.world
        hub, rng, tell = world.hub, world.rng, world.tell
        issue: Issue | None = None
        arrived = False
        try:
            latency = 0.05 + 0.3 * rng.random()
            if fault == "slow":
                latency = min(budget, 8.0 * rng.random())
            elif fault == "paused":
                process.mark("paused")
                latency = 1 + world.options.longest_pause * rng.random()
            if fault == "connect refused":
                hub.pause(min(2.0 * rng.random(), budget))
                if request.url.endswith("/token"):
                    world.oracle.known_outcome(request)
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise ProviderUnavailable("simulated")
            if fault == "no answer":
                hub.pause(budget)
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise ProviderUnavailable("simulated", outcome_unknown=True)
            if fault == "killed":
                hub.pause(latency)
                hub.kill(process, "killed")
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise Killed
            if fault in ("500", "503", "429", "dead once"):
                hub.pause(latency)
                return _refusal(fault), None

            share = rng.random()
            hub.pause(latency * share)
            response, issue = world.provider.answer(request, now=hub.now)
            if world.verbose:
                tell(process, "provider obeys", (request.url,), {}, response.status)
            if fault == "answer lost":
                hub.pause(budget)
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise ProviderUnavailable("simulated", outcome_unknown=True)
            if fault == "killed in call":
                hub.kill(process, "killed")
                tell(process, "provider_http.send", (request.url,), {}, fault)
                raise Killed
            hub.pause(latency * (1 - share))
            if fault == "500 after":
                return HttpResponse(502, {}, b"bad gateway"), None
            if fault == "garbled" and response.status == 200:
                return HttpResponse(200, {}, response.body[:20]), None
            arrived = True
            return response, issue
        finally:
            if issue is not None and not arrived:
                issue.fate = "lost"


def _refusal(fault: str) -> HttpResponse:
    if fault == "dead once":
        return HttpResponse(400, {"x-simulated": "1"}, b'{"error":"invalid_grant"}')
    if fault == "429":
        return HttpResponse(429, {"retry-after": "7"}, b"")
    return HttpResponse(int(fault), {}, b"trouble")


class AuditPort(_Store):
    """`ports.AuditTrail`: the trail follows the table by its stream, a little later."""

    __slots__ = ()

    def record(self, event: AuditEvent) -> None:
        self._store("audit.record", 121)
        self.world.tables.audit[event.id] = event

    def generation_recorded(self, connection_id: str, name: str, generation: int) -> bool:
        self._store("audit.generation_recorded", 122)
        at = self.world.recorded.get((connection_id, name, generation))
        return at is not None and at <= self.world.hub.now

    def _store(self, name: str, code: int) -> None:
        process, world = self.process, self.world
        if process.dead:
            raise Killed
        fault = world.faults.draw("read", now=world.hub.now, rescuing=False)
        world.note(code, fault)
        world.hub.pause(3.0 if fault == "refused" else 0.0)
        if fault is not None:
            world.tell(process, name, (), {}, fault)
        if fault == "killed":
            world.hub.kill(process, "killed")
            raise Killed
        if fault == "refused":
            raise StoreUnavailable("simulated", retry_after=2)


class BreakersPort(_Store):
    """`ports.Breakers`, shared by all processes: five failures in a row, or a Retry-After, open it. It never raises."""

    __slots__ = ()

    def open_until(self, _provider: str) -> int:
        return self.world.breaker.open_until

    def state(self, _provider: str) -> BreakerState:
        return self.world.breaker

    def record_failure(self, _provider: str, *, now: int, retry_after: int | None = None) -> bool:
        world = self.world
        if self.process.dead:
            raise Killed
        world.failures += 1
        pause = max(FIRST_PAUSE if world.failures >= THRESHOLD else 0, retry_after or 0)
        was = world.breaker
        if pause and now + pause > was.open_until:
            world.breaker = BreakerState(now + pause, was.closed_at)
        return not was.open_until and bool(pause)

    def record_success(self, _provider: str) -> bool:
        world = self.world
        if self.process.dead:
            raise Killed
        was, world.failures = world.breaker, 0
        if was.open_until:
            world.breaker = BreakerState(0, int(world.hub.now))
        return bool(was.open_until)

    def record_refusal(self, provider: str, *, error: str | None, now: int) -> None:
        """No simulated provider refuses our registration."""

    def misconfigured(self, _provider: str) -> bool:
        return False


class DueShardsPort(_Store):
    """`ports.DueShards`: one shard, and everybody knows."""

    __slots__ = ()

    def mark(self) -> ShardMark:
        return ShardMark(high_water=1, write_id="start")

    def replace(self, mark: ShardMark, *, expected: ShardMark) -> ShardMark | None:
        return mark


class AvatarsPort(_Store):
    """`ports.Avatars`: no simulated provider has pictures that only a token opens."""

    __slots__ = ()

    def of_connection(self, _connection_id: str) -> None:
        return None


class RateLimitsPort(_Store):
    """`ports.RateLimits`."""

    __slots__ = ()

    def hit(self, key: str, *, limit: int, window: int, now: int) -> int:
        if self.process.dead:
            raise Killed
        hits = self.world.hits
        start = (key, now - now % window)
        hits[start] = hits.get(start, 0) + 1
        return 0 if hits[start] <= limit else max(1, start[1] + window - now)


class WorkQueuePort(_Store):
    """`ports.WorkQueue`: what is sent becomes workers, sometimes twice and sometimes late."""

    __slots__ = ()

    def send(self, work: Iterable[Work], *, delay: int = 0) -> None:
        process, world = self.process, self.world
        if process.dead:
            raise Killed
        messages = list(work)
        if not messages:
            return
        if world.scan:
            world.oracle.look_for_secrets("work_queue.send", messages)
        fault = world.faults.draw("queue", now=world.hub.now, rescuing=False)
        world.note(131, fault)
        world.hub.pause(3.0 if fault in ("refused", "unacknowledged") else 0.0)
        world.tell(process, "work_queue.send", tuple(messages), {}, fault)
        if fault not in ("refused", "killed"):
            for message in messages:
                world.deliver(message, delay=delay)
        if fault in ("killed", "killed after"):
            world.hub.kill(process, "killed")
            raise Killed
        if fault is not None:
            raise StoreUnavailable("simulated", retry_after=2)

    def depth(self) -> int:
        if self.process.dead:
            raise Killed
        return 0


class RescueQueuePort(_Store):
    """`ports.RescueQueue`."""

    __slots__ = ()

    def park(self, successor: Grant) -> None:
        process, world = self.process, self.world
        if process.dead:
            raise Killed
        fault = world.faults.draw("queue", now=world.hub.now, rescuing=False)
        world.note(132, fault)
        world.hub.pause(PARK_NEEDS if fault in ("refused", "unacknowledged") else 0.0)
        world.tell(process, "rescue_queue.park", (), {}, fault)
        if fault not in ("refused", "killed"):
            world.park(successor)
        if fault in ("killed", "killed after"):
            world.hub.kill(process, "killed")
            raise Killed
        if fault is not None:
            process.mark("parking refused")
            raise StoreUnavailable("simulated", retry_after=2)


_CREDENTIALS = ProviderCredentials("example", CLIENT_ID, CLIENT_SECRET)


class CredentialsPort(_Store):
    """`ports.Credentials`: kept in memory for minutes, and refused like a read when they are not."""

    __slots__ = ()

    def by_client_id(self, provider: str, client_id: str) -> ProviderCredentials:
        process, world = self.process, self.world
        if process.dead:
            raise Killed
        fault = world.faults.draw("kms", now=world.hub.now, rescuing=False)
        world.note(141, fault)
        if fault == "refused":
            world.hub.pause(3.0)
            world.tell(process, "credentials.by_client_id", (), {}, fault)
            raise StoreUnavailable("simulated", retry_after=2)
        return _CREDENTIALS


class Ports:
    """All ports of one process; what `services.refresh_run.RefreshPorts` asks for, and the connect side's."""

    __slots__ = (
        "audit",
        "avatars",
        "breakers",
        "catalog",
        "connections",
        "credentials",
        "due_shards",
        "grants",
        "issuer",
        "provider_http",
        "rate_limits",
        "rescue_queue",
        "vault",
        "work_queue",
    )

    def __init__(self, process: Process, world: World) -> None:
        self.issuer = "https://id.example.com"
        self.catalog = world.catalog
        self.grants: Any = GrantsPort(process, world)
        self.connections: Any = ConnectionsPort(process, world)
        self.audit: Any = AuditPort(process, world)
        self.vault: Any = VaultPort(process, world)
        self.avatars: Any = AvatarsPort(process, world)
        self.breakers: Any = BreakersPort(process, world)
        self.due_shards: Any = DueShardsPort(process, world)
        self.rate_limits: Any = RateLimitsPort(process, world)
        self.credentials: Any = CredentialsPort(process, world)
        self.provider_http: Any = HttpPort(process, world)
        self.rescue_queue: Any = RescueQueuePort(process, world)
        self.work_queue: Any = WorkQueuePort(process, world)
