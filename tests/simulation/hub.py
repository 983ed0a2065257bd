"""
The seeded scheduler: who runs next, and what time it is.

Each task is a greenlet of a process (one invocation of a function, with its own clock and its hard end). A task gives
way at every call of a port and when it sleeps, and nowhere else; so a run is exactly the sequence of the scheduler's
draws, and the same seed is the same run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

NEVER = float("inf")
HARD_LIMIT = 20.0  # seconds until Lambda kills an invocation
MOST_STEPS = 4000


class Killed(BaseException):
    """The process is gone; what is left of it may unwind and has no effect any more."""


class Livelock(Exception):
    """A run that does not end is a finding of its own."""


class Process:
    """One invocation: its tasks live and die together."""

    __slots__ = (
        "calls",
        "dead",
        "deadline",
        "died",
        "ended",
        "holding",
        "kill_at",
        "kind",
        "marks",
        "name",
        "open",
        "reports",
        "skew",
        "started",
    )

    def __init__(self, name: str, kind: str, *, started: float, skew: int, limit: float = HARD_LIMIT) -> None:
        self.name = name
        self.kind = kind
        self.started = started
        self.skew = skew  # seconds its clock is ahead
        self.deadline = started + limit
        self.kill_at = self.deadline
        self.dead = False
        self.died = ""
        self.ended = False
        self.open = 1  # tasks that have not ended
        self.holding: dict[str, None] = {}  # refresh tokens a provider has answered it with
        self.marks: dict[str, int] = {}  # what befell it, for the oracle: refused saves, refused parkings, pauses
        self.calls = 0
        self.reports: list[str] = []

    def mark(self, what: str) -> None:
        self.marks[what] = self.marks.get(what, 0) + 1

    @property
    def alive(self) -> bool:
        return not (self.dead or self.ended)


class Task:
    """One thread of a process."""

    __slots__ = ("children", "glet", "name", "number", "parent", "process", "wake")

    def __init__(self, name: str, number: int, process: Process, wake: float) -> None:
        self.name = name
        self.number = number
        self.process = process
        self.wake = wake
        self.glet: Any = None
        self.parent: Task | None = None
        self.children = 0


class Hub:
    """The scheduler of one run."""

    def __init__(self, rng: Random, *, now: float, sticky: float) -> None:
        """Args: sticky: how likely the task that ran last runs on, for runs with longer strides."""
        self.rng = rng
        self.now = now
        self.sticky = sticky
        self.tasks: list[Task] = []
        self.main = getcurrent()
        self.current: Task | None = None
        self.steps = 0
        self.spawned = 0
        self.after_step: Callable[[], None] = lambda: None
        self.on_end: Callable[[Process], None] = lambda process: None

    def spawn(self, process: Process, body: Callable[[], None], *, name: str | None = None) -> Task:
        """A task that starts when its process starts."""
        task = Task(name or process.name, self.spawned, process, max(process.started, self.now))
        self.spawned += 1

        def run() -> None:
            with contextlib.suppress(Killed):
                body()

        task.glet = greenlet(run, self.main)
        self.tasks.append(task)
        return task

    def pause(self, seconds: float) -> None:
        """Give way, and come back after `seconds` at the earliest; never, when the process dies meanwhile."""
        task = self.current
        assert task is not None
        process = task.process
        wake = self.now + seconds
        task.wake = min(process.kill_at, wake)
        self.main.switch()
        if process.dead:
            raise Killed

    def kill(self, process: Process, how: str) -> None:
        """From now on nothing of the process has an effect."""
        if process.dead:
            return
        process.dead = True
        process.died = how
        for task in self.tasks:
            if task.process is process:
                task.wake = self.now

    def parallel(self, bodies: Sequence[Callable[[], None]]) -> None:
        """Run bodies as threads of the calling task's process; return when all have ended."""
        parent = self.current
        assert parent is not None
        if len(bodies) == 1:
            bodies[0]()
            return
        for at, body in enumerate(bodies):
            child = self.spawn(parent.process, body, name=f"{parent.name}.{at}")
            child.wake = self.now
            child.parent = parent
            parent.process.open += 1
        parent.children = len(bodies)
        while parent.children:
            self.pause(NEVER)

    def run(self) -> None:
        """Until every task has ended."""
        tasks, rng = self.tasks, self.rng
        last: Task | None = None
        while tasks:
            first = min([task.wake for task in tasks])
            self.now = max(self.now, first)
            now = self.now
            ready = [task for task in tasks if task.wake <= now]
            if len(ready) == 1:
                task = ready[0]
            elif last in ready and rng.random() < self.sticky:
                task = last  # type: ignore[assignment]
            else:
                task = ready[int(rng.random() * len(ready))]
            last = task
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise Livelock(f"{MOST_STEPS} steps and no end; at it still: {[each.name for each in tasks]}")
            process = task.process
            if now >= process.kill_at and not process.dead:
                self.kill(process, "timeout")
            self.current = task
            task.glet.switch()
            if task.glet.dead:
                self._ended(task)
            self.after_step()

    def _ended(self, task: Task) -> None:
        self.tasks.remove(task)
        process = task.process
        if task.parent is not None:
            task.parent.children -= 1
            if not task.parent.children:
                task.parent.wake = self.now
        process.open -= 1
        if process.open == 0:
            process.ended = True
            self.on_end(process)
