"""What goes wrong, drawn per call of a port from the run's own source of randomness."""

from __future__ import annotations

from random import Random

# How much of each fault there is in a class of calls, when there is one at all.
KINDS: dict[str, tuple[tuple[str, int], ...]] = {
    "read": (("refused", 4), ("killed", 1), ("paused", 1), ("slow", 1)),
    "write": (
        ("refused", 4),
        ("acknowledged late", 3),
        ("unacknowledged", 3),
        ("killed", 1),
        ("killed after", 1),
        ("paused", 1),
        ("slow", 1),
    ),
    "kms": (("refused", 5), ("killed", 1), ("paused", 1), ("slow", 1)),
    "queue": (("refused", 4), ("unacknowledged", 2), ("killed", 1), ("killed after", 1)),
    "provider": (
        ("connect refused", 3),
        ("no answer", 3),
        ("answer lost", 4),
        ("500", 2),
        ("500 after", 2),
        ("503", 2),
        ("429", 2),
        ("dead once", 2),
        ("garbled", 1),
        ("killed", 1),
        ("killed in call", 2),
        ("killed with answer", 2),
        ("paused", 2),
        ("slow", 2),
    ),
}
KINDS["endpoint"] = tuple(each for each in KINDS["provider"] if each[0] not in ("dead once", "garbled"))
_DRAWERS = {name: [kind for kind, weight in kinds for _ in range(weight)] for name, kinds in KINDS.items()}
OUTAGES = ("table", "queue", "kms")
MORE = 6  # times as likely at the provider: there is one call of it among twenty


class Faults:
    """The faults of one run."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        draw = rng.random()
        self.rate = 0.0 if draw < 0.12 else 0.012 if draw < 0.45 else 0.045 if draw < 0.85 else 0.12
        self.on = True
        self.counts: dict[str, int] = {}
        self.dead_once = False  # a provider that says dead twice, well apart, is to be believed
        self.rescue_kills = 0
        # An outage begins with the first save, which is where it hurts.
        self.outages: dict[str, float] = {}
        self.planned: dict[str, float] = {}
        if rng.random() < 0.12:
            self.planned["table"] = rng.choice((2.0, 6.0, 15.0, 40.0, 200.0, 450.0))
            if rng.random() < 0.3:
                self.planned["queue"] = rng.choice((2.0, 6.0, 15.0, 40.0))
        elif rng.random() < 0.03:
            self.planned["kms"] = rng.choice((5.0, 40.0))

    def begin_outage(self, now: float) -> None:
        """The first save is about to be made."""
        if self.planned and self.on:
            for what, seconds in self.planned.items():
                self.outages[what] = now + seconds
                self.count(f"outage of the {what}")
            self.planned = {}

    def draw(self, kind: str, *, now: float, rescuing: bool) -> str | None:
        """The fault of this call, if it has one."""
        if not self.on:
            return None
        if self.outages:
            outage = {"read": "table", "write": "table", "kms": "kms", "queue": "queue"}.get(kind)
            if outage is not None and self.outages.get(outage, 0.0) > now:
                return "refused"
        if self.rng.random() >= (self.rate * MORE if kind in ("provider", "endpoint") else self.rate):
            return None
        kinds = _DRAWERS[kind]
        fault = kinds[int(self.rng.random() * len(kinds))]
        if fault == "dead once":
            if self.dead_once:
                return None
            self.dead_once = True
        if rescuing and fault in ("killed", "killed after"):
            self.rescue_kills += 1
            if self.rescue_kills > 1:
                return None
        self.count(f"{kind}: {fault}")
        return fault

    def stop(self) -> None:
        """From now on all is well."""
        self.on = False
        self.outages = {}

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
