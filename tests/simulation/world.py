"""One run: tables, provider, queues and processes of one seed, from the first step until all is quiet again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import Binding, BreakerState, Grant, Work
from grantkeeper.services.refresh_run import Run
from tests.simulation.faults import Faults
from tests.simulation.hub import HARD_LIMIT, Hub, Process
from tests.simulation.judgement import read_set
from tests.simulation.memory import Tables
from tests.simulation.oracle import LossCounter, Oracle
from tests.simulation.ports import Ports
from tests.simulation.provider import Family, SimulatedProvider

NOON = 1_800_000_000
VISIBILITY = 130  # seconds until a message whose consumer failed is delivered again
MOST_SPAWNED = 14
MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Options:
    """
    Schedules beside the usual one.

    Args:
        zombies: No invocation is ended by its hard limit.
        longest_pause: Seconds a process may stand still.
        pause_rate: How likely it does so at a call of the provider, beside the usual faults.
        counting: Violations are counted, and do not end the run.
    """

    zombies: bool = False
    longest_pause: float = 19.0
    pause_rate: float = 0.0
    counting: bool = False


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, *, verbose: bool = False, tables: Any = None, options: Options | None = None) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.verbose = verbose
        self.options = options or Options()
        self.lines: list[str] = []
        self.hub = Hub(self.rng, now=float(NOON), sticky=self.rng.choice((0.0, 0.0, 0.6, 0.85)))
        self.faults = Faults(self.rng)
        self.tables = tables or Tables()
        self.provider: SimulatedProvider = None  # type: ignore[assignment]  # drawn by the scenario
        self.catalog: Any = None
        self.drawers: dict[bytes, tuple[Binding, bytes]] = {}
        self.parked: list[Grant] = []
        self.recorded: dict[tuple[str, str, int], float] = {}
        self.holders: dict[str, Process] = {}
        self.breaker = BreakerState()
        self.failures = 0
        self.hints: Any = ()
        self.hits: dict[tuple[str, int], int] = {}
        self.superseded: dict[int, None] = {}
        self.excused_from_start: dict[int, None] = {}
        self.outcomes: dict[str, int] = {}
        self.trace = 0
        self.scan = seed % 16 == 0
        self.oracle = LossCounter(self) if self.options.counting else Oracle(self)
        self.processes: list[Process] = []
        self.base_skew = self.rng.choice((-5, -2, 0, 0))
        self.spawned = 0
        self.scenario_trouble = False
        self.idle = False
        self.spared: dict[str, None] = {}  # connections whose provider was not told, for another's sake
        self.spared_consents: dict[int, None] = {}
        self.shared_when_told: dict[str, tuple[str, ...]] = {}
        self._claimed: dict[str, list[Callable[[Process], None]]] = {}
        self._ids = 0
        self._drawer = 0
        self.hub.after_step = self.oracle.after_step
        self.hub.on_end = self._ended
        self.rounds = 0
        self.scenario = ""

    # --- identities, seals, traces ---

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        made = f"{prefix}_{self._ids}"
        if prefix == "w" and self.hub.current is not None:
            self.holders[made] = self.hub.current.process
        return made

    def seal(self, plaintext: bytes, binding: Binding) -> bytes:
        self._drawer += 1
        handle = b"drawer %d" % self._drawer
        self.drawers[handle] = (binding, plaintext)
        return handle

    def note(self, code: int, fault: str | None) -> None:
        """One more step of the interleaving, for its fingerprint."""
        task = self.hub.current
        step = code * 64 + (0 if task is None else task.number) * 8192 + (0 if fault is None else len(fault) + 1)
        self.trace = (self.trace * 1_000_003 + step) & MASK

    def tell(self, process: Process | None, what: str, args: Any, kwargs: Any, answer: Any) -> None:
        """A line of the story, when somebody listens."""
        if not self.verbose:
            return
        task = self.hub.current
        who = "world" if process is None or task is None else task.name
        shown = " ".join(_short(each) for each in (*args, *kwargs.values()))
        told = "" if answer is None else f" → {_short(answer)}"
        self.lines.append(f"{self.hub.now - NOON:10.2f}  {who:<14} {what} {shown}{told}")

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    @property
    def troubled(self) -> bool:
        """Whether anything but plain service happened in this run so far."""
        return bool(self.faults.counts) or self.spawned > 1 or bool(self.excused_from_start) or self.scenario_trouble

    # --- processes ---

    def process(
        self, kind: str, body: Callable[[Ports, Run, Process], Any], *, at: float = 0.0, limit: float = HARD_LIMIT
    ) -> Process:
        """An invocation that begins in `at` seconds."""
        self.spawned += 1
        process = Process(
            f"{kind}{self.spawned}",
            kind,
            started=self.hub.now + at,
            skew=self.base_skew + int(self.rng.random() * 6),
            limit=limit,
        )
        if self.options.zombies:
            process.kill_at = float("inf")
        ports = Ports(process, self)
        run = self._run(process)

        def whole() -> None:
            try:
                said = body(ports, run, process)
            except GrantkeeperError as error:
                said = type(error).__name__
            self.count(f"{kind}: {said}")
            self.tell(process, "ends:", (said,), {}, None)

        self.processes.append(process)
        self.hub.spawn(process, whole)
        return process

    def _run(self, process: Process) -> Run:
        hub, skew, deadline = self.hub, process.skew, process.deadline

        def sleep(seconds: float) -> None:
            hub.pause(seconds)

        def report(event: str, facts: Mapping[str, str]) -> None:
            process.reports.append(event)
            if self.scan:
                self.oracle.look_for_secrets("report", facts)
            if self.verbose:
                self.tell(process, "reports", (event,), {}, None)

        return Run(
            clock=lambda: int(hub.now) + skew,
            sleep=sleep,
            remaining_ms=lambda: int((deadline - hub.now) * 1000),
            rng=self.rng,
            report=report,
            new_id=self.new_id,
        )

    def _ended(self, process: Process) -> None:
        self.oracle.dirty = True
        if process.died:
            self.count(f"{process.kind}: {process.died}")
            self.tell(process, "dies:", (process.died,), {}, None)
        for held in self._claimed.pop(process.name, ()):  # a consumer that died: its messages come back
            held(process)

    def family_of(self, row: Grant) -> Family | None:
        """The consent a row came of."""
        return next((family for family in self.provider.families if family.grant_id == row.grant_id), None)

    # --- queues ---

    def deliver(self, work: Work, *, delay: float = 0.0, receives: int = 1) -> None:
        """A message on its way to a worker; now and then twice, now and then late."""
        from tests.simulation.actors import worker

        if self.faults.on and self.spawned > MOST_SPAWNED:
            return
        copies = 2 if self.faults.on and self.rng.random() < 0.12 else 1
        if copies == 2:
            self.faults.count("queue: delivered twice")
        for _ in range(copies):
            late = 0.0
            if self.faults.on and self.rng.random() < 0.1:
                late = 60 * self.rng.random()
                self.faults.count("queue: delivered late")
            again = self.process(
                "worker", lambda p, r, me: worker(work, p, r, self), at=delay + late + self.rng.random()
            )
            if receives < 3:
                self._claimed.setdefault(again.name, []).append(self._again(work, receives))

    def _again(self, work: Work, receives: int) -> Callable[[Process], None]:
        def come_back(process: Process) -> None:
            if process.died or process.marks.get("message failed"):
                self.deliver(work, delay=VISIBILITY, receives=receives + 1)

        return come_back

    def park(self, successor: Grant) -> None:
        """A message in the rescue queue."""
        self.parked.append(successor)
        refresh = read_set(self.drawers[successor.sealed][1])[0]
        if refresh is not None and (made := self.provider.made.get(refresh)) is not None:
            made.parked = True
        self.count("parked")
        self.consume_parked(successor, delay=1 + 10 * self.rng.random())

    def consume_parked(self, successor: Grant, *, delay: float) -> None:
        """The rescue function gets the message, and again until it is done."""
        from tests.simulation.actors import rescuer

        consumer = self.process("rescue", lambda p, r, me: rescuer(successor, p, self), at=delay)

        def come_back(process: Process) -> None:
            if any(each is successor for each in self.parked):
                self.consume_parked(successor, delay=VISIBILITY)

        self._claimed.setdefault(consumer.name, []).append(come_back)

    def record_generation(self, connection_id: str, name: str, generation: int) -> None:
        """The stream brings the audit entry of a saved generation, soon."""
        late = 30.0 * self.rng.random() if self.rng.random() < 0.2 else 0.3
        self.recorded.setdefault((connection_id, name, generation), self.hub.now + late)


def _short(value: Any) -> str:
    if isinstance(value, Grant):
        told = f"g{value.generation} {value.status}"
        strikes = f" strikes {value.strikes}" if value.strikes else ""
        return f"<{value.connection_id}/{value.name} {told}{strikes} {value.sealed.decode()} due {_when(value.due_at)}>"
    if hasattr(value, "intent"):
        intent = "open" if value.intent else "closed"
        times = f"until {_when(value.until)} {value.write_id} seen {_when(value.seen_at)}"
        return f"<lease g{value.generation} {intent} {times}>"
    if hasattr(value, "lease"):
        return f"held by {_short(value.lease)}"
    if hasattr(value, "outcome"):
        return f"{value.outcome} {_short(value.current)}"
    if hasattr(value, "token_names"):
        return f"<{value.id} {value.status}>"
    return str(value)[:90]


def _when(time: int | None) -> str:
    return "-" if not time else f"{time - NOON:+d}"
