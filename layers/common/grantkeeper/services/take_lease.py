"""Taking the lease, giving it back, and waiting for whoever holds it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.lease_policy import (
    LEASE_SECONDS,
    RESCUE_HORIZON,
    Found,
    Wait,
    may_spend_twice,
    new_lease,
    standing,
)
from grantkeeper.services.refresh_run import RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import Grant, Lease
    from grantkeeper.providers.record import RefreshRule

PATIENCE = 10.0  # seconds a caller waits for another caller's refresh
RESERVE = 1.0  # seconds a waiter keeps for its own answer
FIRST_POLL = 0.1
LONGEST_POLL = 1.5
MOST_POLLS = 100
TRIES = 2


@dataclass(frozen=True, slots=True)
class Held:
    """The lease is ours; `orphan` is the dead holder's whose place we took."""

    lease: Lease
    orphan: Lease | None = None


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A later generation has a lease already: what we read is old, or the row was put back."""

    generation: int


def take_lease(
    grant: Grant, *, token: str, rule: RefreshRule, ports: RefreshPorts, run: Run
) -> Held | Wait | Overtaken:
    """
    Take the right to refresh `grant` at its generation.

    Args:
        grant: As read.
        token: The token about to be sent to the provider.
        rule: Says when an orphan's place may be taken.

    Raises:
        StoreUnavailable: Nobody may refresh without a lease; what was written, if anything, is given back.
    """
    owner = run.new_id("run")
    for _ in range(TRIES):
        now = run.clock()
        lease = new_lease(grant, token=token, owner=owner, write_id=run.new_id("w"), now=now)
        try:
            held = ports.grants.take_lease(lease)
        except StoreUnavailable:
            _release(lease, ports=ports)
            raise
        if held is None:
            return Held(lease)
        if held.lease.generation > grant.generation and not may_spend_twice(rule):
            return Overtaken(held.lease.generation)
        verdict = standing(held.lease, grant=grant, rule=rule, now=now)
        if isinstance(verdict, Wait):
            return verdict
        if isinstance(verdict, Found):
            found = replace(verdict.orphan, seen_at=now, write_id=run.new_id("w"))
            ports.grants.take_over(found, orphan=verdict.orphan)  # of any number who found it, one notes it
            return Wait(RESCUE_HORIZON, orphan=True)
        # Where a token can be spent twice, a row that was put back heals; the lease's generation does not fall for it.
        lease = new_lease(grant, token=token, owner=owner, write_id=run.new_id("w"), now=now, orphan=verdict.orphan)
        lease = replace(lease, generation=max(lease.generation, verdict.orphan.generation))
        if ports.grants.take_over(lease, orphan=verdict.orphan):
            return Held(lease, verdict.orphan)
    return Wait(LEASE_SECONDS)


def let_go(held: Held, *, ports: RefreshPorts, run: Run) -> None:
    """
    Give the lease back: nothing was spent under it, or what became of it is known. Best effort; expiry does it
    otherwise.

    An orphan's place is left as it was found, so that what its holder may have spent is not forgotten.
    """
    if held.orphan is None:
        _release(held.lease, ports=ports)
        return
    with contextlib.suppress(StoreUnavailable):
        ports.grants.take_over(replace(held.orphan, write_id=run.new_id("w")), orphan=held.lease)


def close_lease(held: Held, *, ports: RefreshPorts) -> None:
    """Clear the intent: the outcome is known, an orphan's included. Best effort."""
    _release(held.lease, ports=ports)


def wait_for_generation(grant: Grant, *, patience: float, ports: RefreshPorts, run: Run) -> Grant | None:
    """
    Poll for what a refresh by somebody else changes: the generation, or the status.

    The generation and not the lock: a holder that failed or died has nothing to serve.

    Args:
        grant: As read before.
        patience: Seconds to wait at most; less when the run ends sooner.

    Returns:
        The newer grant; None when the patience ran out, or the provider has refused meanwhile.
    """
    waited, pause = 0.0, FIRST_POLL
    for _ in range(MOST_POLLS):
        left = min(patience - waited, run.remaining - RESERVE)
        if left <= 0:
            return None
        nap = min(left, pause / 2 + run.jitter(pause / 2))
        run.sleep(nap)
        waited, pause = waited + nap, min(pause * 2, LONGEST_POLL)
        with contextlib.suppress(StoreUnavailable):
            current = ports.grants.get(grant.connection_id, grant.name)
            if current is None or current.generation != grant.generation or current.status != grant.status:
                return current
            if current.strike_at != grant.strike_at:
                return None  # the provider refused: nothing newer will come of this lease
    return None


def _release(lease: Lease, *, ports: RefreshPorts) -> None:
    with contextlib.suppress(StoreUnavailable):
        ports.grants.release_lease(lease)
