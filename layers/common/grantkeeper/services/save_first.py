"""
The save that comes before everything else: what a provider has answered is never lost while the process lives.

The answer is sealed as it came and written in one conditional write, fenced on the generation. DynamoDB is tried
until the deadline is near, then the sealed answer is parked in the rescue queue, then both in turn until the last
moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Work
from grantkeeper.services.lease_policy import PARK_NEEDS, SAVE_NEEDS
from grantkeeper.services.refresh_run import RefreshPorts, Run

if TYPE_CHECKING:
    from grantkeeper.model import Grant

ROUND_NEEDS = SAVE_NEEDS + PARK_NEEDS  # seconds for a save that hangs and a place in the rescue queue after it
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
MOST_ROUNDS = 200  # the deadline ends the rounds; this ends them should the clock stand still


@dataclass(frozen=True, slots=True)
class Kept:
    """
    Where a successor is now.

    `saved` and `parked` are ours; `moved`: the generation went on without us; `revoked`: the connection was
    disconnected meanwhile and the tokens wait for the worker that revokes them; `lost`: both stores refused until the
    end.
    """

    where: Literal["saved", "parked", "moved", "revoked", "lost"]
    current: Grant | None = None


def save_first(successor: Grant, *, ports: RefreshPorts, run: Run) -> Kept:
    """
    Put generation g + 1 in safety.

    Never raises for a store that is down; a loss is reported as `token_set_lost`.

    Args:
        successor: Sealed, complete, with a write_id of its own.
    """
    for _ in range(MOST_ROUNDS):
        kept = _try_save(successor, ports=ports, run=run)
        if kept is not None:
            return kept
        if run.remaining <= LONGEST_PAUSE + ROUND_NEEDS:
            break
        _pause(run)
    return _rescue(successor, ports=ports, run=run)


def keep_revoked(successor: Grant, *, ports: RefreshPorts, run: Run) -> bool:
    """
    Hand tokens that arrived after a revoke to the worker that revokes upstream.

    They are stored sealed, on the tombstone, and a message without any secret asks for their revocation; the worker
    looks at the radius when it runs. When the message cannot be sent, the due index remembers.

    Returns:
        False when the grant is not revoked, or another successor is stored already.

    Raises:
        StoreUnavailable: DynamoDB refused; nothing is stored.
    """
    if not ports.grants.keep_for_revocation(successor):
        return False
    ids = ((successor.connection_id, successor.generation),)
    try:
        ports.work_queue.send([Work("revoke", successor.provider, ids, request_id=successor.request_id)])
    except StoreUnavailable:
        run.report("revocation_not_queued", {"connection_id": successor.connection_id})
    return True


def _try_save(successor: Grant, *, ports: RefreshPorts, run: Run) -> Kept | None:
    """One round against DynamoDB; None when it refused, or a bug of ours did: there is another place to put it."""
    try:
        saved = ports.grants.save(successor)
        if saved.outcome == "revoked":
            keep_revoked(successor, ports=ports, run=run)
        return Kept(saved.outcome, saved.current)
    except StoreUnavailable:
        return None
    except Exception as error:  # noqa: BLE001 - its text may quote the request, which holds the sealed set
        run.report("save_failed", _facts(successor) | {"error": type(error).__name__})
        return None


def _rescue(successor: Grant, *, ports: RefreshPorts, run: Run) -> Kept:
    """The rescue queue first, then both in turn for as long as a try can end before the kill."""
    run.report("token_set_at_risk", _facts(successor))  # said now: a kill leaves no time to say it
    for _ in range(MOST_ROUNDS):
        if _parked(successor, ports=ports, run=run):
            run.report("token_set_parked", _facts(successor))
            return Kept("parked", successor)
        if run.remaining > ROUND_NEEDS:
            kept = _try_save(successor, ports=ports, run=run)
            if kept is not None:
                return kept
        if run.remaining <= PARK_NEEDS:
            break
    run.report("token_set_lost", _facts(successor))
    return Kept("lost", successor)


def _parked(successor: Grant, *, ports: RefreshPorts, run: Run) -> bool:
    try:
        ports.rescue_queue.park(successor)
    except StoreUnavailable:
        return False
    except Exception as error:  # noqa: BLE001 - as above: the other place may still take it
        run.report("park_failed", _facts(successor) | {"error": type(error).__name__})
        return False
    return True


def _pause(run: Run) -> None:
    run.sleep(FIRST_PAUSE + run.jitter(LONGEST_PAUSE - FIRST_PAUSE))


def _facts(grant: Grant) -> dict[str, str]:
    return {
        "connection_id": grant.connection_id,
        "token": grant.name,
        "generation": str(grant.generation),
        "provider": grant.provider,
    }
