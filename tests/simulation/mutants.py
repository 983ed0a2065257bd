"""
The protocol with one thing left out: each mutant is the real code, or a port of it, with one name replaced.

A simulation that lets one of them live has no teeth.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from grantkeeper.errors import ConnectionRevoked, ReauthorizationRequired, StoreUnavailable
from grantkeeper.model import Saved
from grantkeeper.services import (
    dead_answer,
    lease_policy,
    read_token,
    refresh,
    rescue,
    revoke_upstream,
    save_first,
    spend_token,
    take_lease,
    work,
    work_of_ends,
)
from tests.simulation import memory, side_ports

Patch = tuple[Any, str, Any]


@dataclass(frozen=True)
class Mutant:
    """One thing left out. `breaks`: the invariants whose oracle may notice it."""

    name: str
    patches: Callable[[], list[Patch]]
    most_seeds: int = 10_000


MUTANTS: dict[str, Mutant] = {}


def mutant(name: str) -> Callable[[Callable[[], list[Patch]]], Callable[[], list[Patch]]]:
    def register(patches: Callable[[], list[Patch]]) -> Callable[[], list[Patch]]:
        MUTANTS[name] = Mutant(name, patches)
        return patches

    return register


@contextlib.contextmanager
def applied(name: str) -> Iterator[None]:
    """The code with the mutant in it; without it again afterwards."""
    patches = (MUTANTS | EQUIVALENT)[name].patches()
    before = [(where, what, where.__dict__[what]) for where, what, _ in patches]
    for where, what, instead in patches:
        setattr(where, what, instead)
    try:
        yield
    finally:
        for where, what, value in before:
            setattr(where, what, value)


def _everywhere(instead: Any) -> list[Patch]:
    return [(refresh, "take_lease", instead), (revoke_upstream, "take_lease", instead)]


def _held(grant: Any, token: str, run: Any) -> take_lease.Held:
    lease = lease_policy.new_lease(grant, token=token, owner="x", write_id=run.new_id("w"), now=run.clock())
    return take_lease.Held(lease)


@mutant("no lease")
def _no_lease() -> list[Patch]:
    return _everywhere(lambda grant, *, token, rule, ports, run: _held(grant, token, run))


@mutant("refresh when the lease cannot be had")
def _on_trouble() -> list[Patch]:
    real = refresh.take_lease

    def instead(grant: Any, *, token: str, rule: Any, ports: Any, run: Any) -> Any:
        try:
            return real(grant, token=token, rule=rule, ports=ports, run=run)
        except StoreUnavailable:
            return _held(grant, token, run)

    return _everywhere(instead)


@mutant("waiters that refresh themselves")
def _impatient() -> list[Patch]:
    real = refresh.take_lease

    def instead(grant: Any, *, token: str, rule: Any, ports: Any, run: Any) -> Any:
        taken = real(grant, token=token, rule=rule, ports=ports, run=run)
        if isinstance(taken, lease_policy.Wait) and not taken.orphan:
            newer = take_lease.wait_for_generation(grant, patience=3.0, ports=ports, run=run)
            return _held(grant, token, run) if newer is None else taken
        return taken

    return _everywhere(instead)


@mutant("lease shorter than the call")
def _short_lease() -> list[Patch]:
    return [(lease_policy, "LEASE_SECONDS", 4)]


@mutant("orphan retried at once at a strict provider")
def _hasty() -> list[Patch]:
    return [(lease_policy, "may_spend_twice", lambda _rule: True)]


@mutant("lease released on an unknown outcome")
def _released() -> list[Patch]:
    real = refresh._refused

    def instead(grant: Any, refused: Any, *, job: Any, held: Any, ports: Any, run: Any) -> Any:
        if refused.uncertain and refused.kind != "dead":
            take_lease.let_go(held, ports=ports, run=run)
        return real(grant, refused, job=job, held=held, ports=ports, run=run)

    return [(refresh, "_refused", instead)]


@mutant("no generation fence")
def _no_fence() -> list[Patch]:
    def save(self: Any, successor: Any) -> Saved:
        key = (successor.connection_id, successor.name)
        row = self._t.rows.get(key)
        if row is None or row.status == "revoked":
            return Saved("revoked", row)
        self._t.rows[key] = successor
        return Saved("saved", successor)

    return [(memory.MemoryGrants, "save", save)]


@mutant("revoked row revived by a late save")
def _revived() -> list[Patch]:
    def save(self: Any, successor: Any) -> Saved:
        key = (successor.connection_id, successor.name)
        row = self._t.rows[key]
        if row.generation != successor.generation - 1:
            return Saved("saved" if row.write_id == successor.write_id else "moved", row)
        self._t.rows[key] = successor
        return Saved("saved", successor)

    return [(memory.MemoryGrants, "save", save)]


@mutant("torn write")
def _torn() -> list[Patch]:
    real = save_first.save_first

    def instead(successor: Any, *, ports: Any, run: Any) -> Any:
        row = ports.grants.get(successor.connection_id, successor.name)
        if row is not None and row.generation == successor.generation - 1 and row.status == "active":
            half = replace(row, sealed=successor.sealed, generation=successor.generation, write_id="half")
            with contextlib.suppress(StoreUnavailable):
                if ports.grants.save(half).outcome == "saved":
                    whole = replace(successor, generation=successor.generation + 1)
                    return real(whole, ports=ports, run=run)
        return real(successor, ports=ports, run=run)

    return [(refresh, "save_first", instead)]


@mutant("write_id not recognised")
def _not_own() -> list[Patch]:
    return [(memory.MemoryGrants, "is_own", staticmethod(lambda _stored, _write_id: False))]


@mutant("give up when the table throttles")
def _gives_up() -> list[Patch]:
    def instead(successor: Any, *, ports: Any, run: Any) -> Any:
        kept = save_first._try_save(successor, ports=ports, run=run)
        return kept or save_first.Kept("lost", successor)

    return [(refresh, "save_first", instead), (revoke_upstream, "save_first", instead)]


@mutant("no rescue queue")
def _no_rescue() -> list[Patch]:
    return [(save_first, "_rescue", lambda successor, *, ports, run: save_first.Kept("lost", successor))]


@mutant("KMS call between answer and save")
def _kms_late() -> list[Patch]:
    real = refresh.successor

    def instead(*args: Any, **kwargs: Any) -> Any:
        side_ports.VaultPort(*_caller()).prepare(None, sealed=b"")  # type: ignore[arg-type]
        return real(*args, **kwargs)

    return [(refresh, "successor", instead)]


_WORLD: list[Any] = []


def _caller() -> tuple[Any, Any]:
    world = _WORLD[-1]
    return world.hub.current.process, world


def enter(world: Any) -> None:
    """Mutants that need a port where the code has none find it by the world that runs."""
    _WORLD[:] = [world]


@mutant("eager dead: one strike")
def _eager() -> list[Patch]:
    return [
        (dead_answer, "has_strike", lambda _grant: True),
        (dead_answer, "until_next_strike", lambda _grant, *, now: 0),
    ]


@mutant("strikes need no time between them")
def _quick() -> list[Patch]:
    return [(lease_policy, "STRIKE_SPACING", -10)]


@mutant("storage error treated as death")
def _storage_death() -> list[Patch]:
    real = refresh._under_lease

    def instead(job: Any, held: Any, *, refreshable: bool, ports: Any, run: Any) -> Any:
        try:
            return real(job, held, refreshable=refreshable, ports=ports, run=run)
        except StoreUnavailable:
            with contextlib.suppress(ReauthorizationRequired, ConnectionRevoked):
                dead_answer.declare(job.grant, reason="revoked_by_user", cause=job.cause, ports=ports, run=run)
            raise

    return [(refresh, "_under_lease", instead)]


@mutant("lost race not re-read")
def _not_reread() -> list[Patch]:
    def strike(self: Any, grant: Any, *, now: int) -> Any:
        key = (grant.connection_id, grant.name)
        row = self._t.rows[key]
        if row.status != "active":
            return None
        struck = replace(row, strikes=row.strikes + 1, strike_generation=row.generation, strike_at=now, due_at=now + 45)
        self._t.rows[key] = struck
        return struck

    def mark(self: Any, grant: Any, reason: Any, *, now: int, audit: Any) -> bool:
        key = (grant.connection_id, grant.name)
        row, meta = self._t.rows[key], self._t.metas[grant.connection_id]
        if row.status == "active" and meta.status != "revoked":
            self._t.rows[key] = replace(row, status="needs_reauth", reason=reason, due_at=None)
            self._t.metas[meta.id] = replace(meta, status="needs_reauth", reason=reason)
        return True

    def instead(grant: Any, *, lease: Any, reason: Any, cause: Any, ports: Any, run: Any) -> Any:
        if not lease_policy.has_strike(grant):
            ports.grants.strike(grant, now=run.clock())
            raise dead_answer._undecided(40)
        return dead_answer.declare(grant, reason=reason, cause=cause, ports=ports, run=run)

    return [
        (memory.MemoryGrants, "strike", strike),
        (memory.MemoryGrants, "mark_needs_reauth", mark),
        (refresh, "dead_answer", instead),
    ]


@mutant("refresh token missing from the answer erases the old one")
def _erases() -> list[Patch]:
    real = spend_token.sealable

    def instead(body: bytes, *, previous: Any, **how: Any) -> bytes:
        return real(body, previous=replace(previous, refresh_token=None), **how)

    return [(spend_token, "sealable", instead)]


@mutant("rejected generation served")
def _rejected() -> list[Patch]:
    def serves(grant: Any, *, now: int) -> bool:
        return grant.expires_at is None or grant.expires_at > now + lease_policy.CLOCK_SKEW

    return [(read_token, "_serves", serves)]


@mutant("revoke erases without telling the provider")
def _silent() -> list[Patch]:
    def instead(target: Any, *, cause: Any, ports: Any, run: Any) -> Any:
        return revoke_upstream._Done("revoked", target.grant.write_id)

    return [(revoke_upstream, "_revoke", instead)]


@mutant("tokens that arrive after a revoke are forgotten")
def _forgotten() -> list[Patch]:
    return [(save_first, "keep_revoked", lambda successor, *, ports, run: False)]


@mutant("revocation without a look at the radius")
def _no_radius() -> list[Patch]:
    return [(revoke_upstream, "reaches_others", lambda _provider, _others: False)]


@mutant("rescue that drops what it cannot save")
def _drops() -> list[Patch]:
    real = rescue.rescue

    def instead(parked: Any, *, grants: Any) -> Any:
        try:
            return real(parked, grants=grants)
        except StoreUnavailable:
            return "dropped"

    return [(rescue, "rescue", instead)]


@mutant("failed work falls off the index")
def _off_index() -> list[Patch]:
    def instead(grant: Any, due_at: Any, *, ports: Any, **_: Any) -> None:
        revoked = grant.status == "revoked"
        ports.grants.postpone(
            grant.connection_id, grant.name, generation=grant.generation, due_at=None, revoked=revoked
        )

    return [(work, "postpone", instead), (work_of_ends, "postpone", instead)]


@mutant("the intent is the refresh token itself")
def _plain_intent() -> list[Patch]:
    real = lease_policy.new_lease

    def instead(grant: Any, *, token: str, **how: Any) -> Any:
        return replace(real(grant, token=token, **how), intent=token)

    return [(take_lease, "new_lease", instead)]


def _lease_fence(self: Any, successor: Any) -> Saved:
    """A save that only the holder of the lease may make, whatever the generation it read."""
    key = (successor.connection_id, successor.name)
    row, lease, process, world = self._t.rows.get(key), self._t.leases.get(key), *_caller()
    if row is None or row.status == "revoked":
        return Saved("revoked", row)
    if row.write_id == successor.write_id:
        return Saved("saved", row)
    holder = None if lease is None else world.holders.get(lease.write_id)
    if (holder is not process and process.kind != "rescue") or row.generation >= successor.generation:
        return Saved("moved", row)
    self._t.rows[key] = successor
    return Saved("saved", successor)


# Equivalent to the generation fence as long as no lease ends before its holder: see test_pauses.py.
EQUIVALENT = {"fence on the lease": Mutant("fence on the lease", lambda: [(memory.MemoryGrants, "save", _lease_fence)])}
