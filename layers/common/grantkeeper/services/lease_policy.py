"""
Who may refresh, and when: the rules of the lease, pure.

    lease taken                    until     found         found + horizon
    |---- provider call and save ----|---------|-- rescue queue --|
    others wait                       an orphan: see `standing`

A lease outlives its holder's invocation (hard timeout 20 s) by more than the
clocks of two containers can differ, so it is only ever taken from the dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantkeeper import ids
from grantkeeper.model import Lease

if TYPE_CHECKING:
    from grantkeeper.model import Grant
    from grantkeeper.providers.record import RefreshRule

LEASE_SECONDS = 30  # hard function timeout 20 s + what two clocks may differ
CALL_BUDGET = 8.0  # one call to a provider
SAVE_NEEDS = 4.5  # a save that DynamoDB leaves hanging to the end
PARK_NEEDS = 2.1  # a try at the rescue queue that hangs to the end, its client made first
SAVE_RESERVE = 7.0  # what a call leaves: one of each, and the sealing
START_NEEDS = CALL_BUDGET + SAVE_RESERVE  # seconds that must be left before the provider is called
SECOND_CALL_NEEDS = SAVE_RESERVE + 2.0  # the same for the one retry after an unknown outcome
CLOCK_SKEW = 5
RESCUE_HORIZON = 300  # once the table takes writes, an answer parked in the rescue queue is stored by then
STRIKE_SPACING = 30
YOUNG = 60  # a generation is not refreshed again before it is this old
REDELIVERY = 180  # lease + sweep period + queue: how late a retry may come


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else's lease stands; `seconds` until it can be looked at again."""

    seconds: int
    orphan: bool = False


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The holder died between the provider and the save: its place may be taken."""

    orphan: Lease


@dataclass(frozen=True, slots=True)
class Found:
    """Nobody has noted this orphan yet: note when it was found, then wait for the rescue queue."""

    orphan: Lease


def new_lease(grant: Grant, *, token: str, owner: str, write_id: str, now: int, orphan: Lease | None = None) -> Lease:
    """
    Make the lease for refreshing `grant`, with its intent.

    Args:
        grant: As read; the lease is for its generation.
        token: The token about to be sent to the provider; only its hash is kept.
        owner: Who takes it, for operators to read.
        write_id: Recognises our own write.
        now: Epoch seconds.
        orphan: The lease it takes over from.
    """
    return Lease(
        connection_id=grant.connection_id,
        name=grant.name,
        generation=grant.generation,
        owner=owner,
        until=now + LEASE_SECONDS,
        intent=ids.digest(token),
        attempt=1 if orphan is None else orphan.attempt + 1,
        write_id=write_id,
        taken_at=now,
    )


def standing(lease: Lease, *, grant: Grant, rule: RefreshRule, now: int) -> Wait | TakeOver | Found:
    """
    Judge the lease that stands in our way.

    While it lives, wait. An orphan of a provider where a token can be spent twice is taken over at once. Where it
    cannot, the successor may be waiting in the rescue queue: not before the horizon has passed, unless the orphan's
    own call is known to have been answered with a refusal. The horizon counts from when the orphan was noted, since
    that is when the table is known to take writes again: an outage may have outlasted any time counted from the lease.
    """
    if now < lease.until:
        return Wait(min(lease.until - now, LEASE_SECONDS))
    if lease.intent is None or may_spend_twice(rule) or refused_since(grant, lease.taken_at):
        return TakeOver(lease)
    if not lease.seen_at:
        return Found(lease)
    horizon = lease.seen_at + RESCUE_HORIZON
    return TakeOver(lease) if now >= horizon else Wait(horizon - now, orphan=True)


def may_spend_twice(rule: RefreshRule) -> bool:
    """
    Tell whether a refresh token survives its own use long enough for a retry after a crash, and costs nothing by it.

    A provider that answers a replay with another token makes the first answer void, which may be waiting in the rescue
    queue: there the retry comes after the horizon, as long as it is still in the grace.
    """
    if rule.rotation == "none" or rule.previous_refresh_token == "valid":
        return True
    repeats = rule.previous_refresh_token == "grace" and rule.grace_answer == "same"
    return repeats and rule.grace_seconds > REDELIVERY


def is_strict(rule: RefreshRule) -> bool:
    """Tell whether a refresh token that was spent is worth nothing and spending it again may cost the family."""
    return rule.rotation != "none" and rule.previous_refresh_token != "valid"


def refused_since(grant: Grant, when: int) -> bool:
    """Tell whether a dead answer for the current generation was stored at or after `when`."""
    return has_strike(grant) and grant.strike_at >= when


def has_strike(grant: Grant) -> bool:
    """Tell whether a dead answer for the current generation is stored."""
    return grant.strikes > 0 and grant.strike_generation == grant.generation


def until_next_strike(grant: Grant, *, now: int) -> int:
    """
    Seconds before a second dead answer may count, 0 when it may now.

    The two stand at least 30 s apart also when they were seen by two containers whose clocks differ.
    """
    if not has_strike(grant):
        return 0
    spacing = STRIKE_SPACING + 2 * CLOCK_SKEW
    return max(0, spacing - max(now - grant.strike_at, 0))


def until_grown(grant: Grant, *, now: int) -> int:
    """
    Seconds before this generation may be refreshed again, 0 when it may now. A clock far behind blocks nothing.

    That is a minute, or half its life for a token that lives less than two: it could never be replaced in time.
    """
    age = now - grant.refreshed_at
    young = YOUNG if grant.expires_at is None else max(0, min(YOUNG, (grant.expires_at - grant.refreshed_at) // 2))
    return 0 if abs(age) >= young else young - max(age, 0)
