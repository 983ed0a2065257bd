"""The vault, the queues, the trail, the breaker and the smaller ports of one simulated process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from grantkeeper.errors import GrantUnreadable, KeyServiceUnavailable, StoreUnavailable
from grantkeeper.model import AuditEvent, Binding, BreakerState, Grant, ProviderCredentials, ShardMark, Work
from grantkeeper.services.lease_policy import PARK_NEEDS
from grantkeeper.stores.breakers import FIRST_PAUSE, THRESHOLD
from tests.simulation.hub import Killed
from tests.simulation.port import Port
from tests.simulation.provider import CLIENT_ID, CLIENT_SECRET

if TYPE_CHECKING:
    from tests.simulation.world import World


class VaultPort(Port):
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


class AuditPort(Port):
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


class BreakersPort(Port):
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


class DueShardsPort(Port):
    """`ports.DueShards`: one shard, and everybody knows."""

    __slots__ = ()

    def mark(self) -> ShardMark:
        return ShardMark(high_water=1, write_id="start")

    def replace(self, mark: ShardMark, *, expected: ShardMark) -> ShardMark | None:
        return mark


class AvatarsPort(Port):
    """`ports.Avatars`: no simulated provider has pictures that only a token opens."""

    __slots__ = ()

    def of_connection(self, _connection_id: str) -> None:
        return None


class RateLimitsPort(Port):
    """`ports.RateLimits`."""

    __slots__ = ()

    def hit(self, key: str, *, limit: int, window: int, now: int) -> int:
        if self.process.dead:
            raise Killed
        hits = self.world.hits
        start = (key, now - now % window)
        hits[start] = hits.get(start, 0) + 1
        return 0 if hits[start] <= limit else max(1, start[1] + window - now)


class WorkQueuePort(Port):
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


class RescueQueuePort(Port):
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


class CredentialsPort(Port):
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
