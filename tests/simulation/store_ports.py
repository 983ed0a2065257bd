"""
The tables as one simulated process calls them: each call gives way to the scheduler, may meet a fault, and has its
effect at once.

    call ── scheduler ── fault? ── effect (atomic) ── fault? ── answer
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.lease_policy import SAVE_NEEDS
from tests.simulation.hub import Killed
from tests.simulation.port import Port

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
    "connections.postpone_discard": ("write", 3.0),
    "connections.confirm": ("write", 3.0),
    "connections.disconnect": ("write", 3.0),
    "connections.erase": ("write", 3.0),
    "connections.update_profile": ("write", 3.0),
    "connections.update_scopes": ("write", 3.0),
    "connections.touch": ("write", 0.5),
    "connections.update_forecast": ("write", 3.0),
    "connections.update_metadata": ("write", 3.0),
    "connections.unerased": ("read", 3.0),
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

    def call(self: Port, *args: Any, **kwargs: Any) -> Any:
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
    self: Port, fault: str, name: str, effect: Any, args: Any, kwargs: Any, *, patience: float, once: bool,
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


class GrantsPort(Port):
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


class ConnectionsPort(Port):
    """`ports.Connections`."""

    __slots__ = ()


for _name in OPERATIONS:
    _port = GrantsPort if _name.startswith("grants.") else ConnectionsPort
    setattr(_port, "due_of_first" if _name == "grants.due" else _name.partition(".")[2], _method(_name))
