"""
How much one provider is asked for: a budget by its record, a ramp after an outage, and an even pace.

    outage ──▶ open ──▶ half open ──▶ closed
                 0        5 a sweep     10, 20, 40 … a sweep, up to the budget

The numbers bound what the schedule does. Users come first: a refresh in a token call obeys the breaker and nothing
of this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantkeeper.errors import StoreUnavailable, UnknownProvider
from grantkeeper.providers.record import RefreshRule
from grantkeeper.services.refresh_run import ProviderRecords

if TYPE_CHECKING:
    from grantkeeper.model import BreakerState

TICK = 60  # seconds from one sweep to the next
PROBES = 5  # ids sent in a sweep for a provider whose breaker has just run out
MOST_IDS = 25  # of a message
LEAST_IDS = 5  # of a message, however small the budget: smaller ones cost more than they spread
LONGEST_RAMP = 20 * TICK  # by then any budget is reached


@dataclass(frozen=True, slots=True)
class Budget:
    """What the schedule may ask of one provider: refreshes a minute, and how many at once."""

    per_minute: int
    concurrent: int

    @classmethod
    def of(cls, rule: RefreshRule) -> Budget:
        """The budget of a record."""
        return cls(rule.max_per_minute, rule.max_concurrent)


Budgets = Callable[[str], Budget]
DEFAULT = Budget.of(RefreshRule())


def budgets_of(catalog: Callable[[], ProviderRecords]) -> Budgets:
    """
    Look up budgets by provider id. A provider without a record has the default one, and so has everyone while the
    records cannot be read: a sweep that is less exact is better than none.
    """

    def budget(provider_id: str) -> Budget:
        try:
            return Budget.of(catalog().get(provider_id).refresh)
        except (UnknownProvider, StoreUnavailable):
            return DEFAULT

    return budget


def allowance(state: BreakerState, *, budget: Budget, now: int) -> int:
    """
    How many ids one sweep may send: none while the breaker is open, a few probes when it has run out.

    After the success that closed it the number doubles from sweep to sweep, so that a provider that is only half well
    meets no crowd, and a crowd that waited for hours is worked off at no more than the budget.
    """
    if state.open_until > now:
        return 0
    if state.open_until:
        return min(PROBES, budget.per_minute)
    since_closed = now - state.closed_at
    if not 0 <= since_closed < LONGEST_RAMP:
        return budget.per_minute
    return int(min(budget.per_minute, PROBES * 2 ** (1 + since_closed // TICK)))


def ids_per_message(rate: int) -> int:
    """What a second of `rate` (ids a minute) allows, so that a message is no burst; 5 to 25."""
    return max(LEAST_IDS, min(MOST_IDS, rate // 60))


def delay_of(position: int, *, rate: int) -> int:
    """Seconds after which a message leaves whose first id is the `position`-th of its provider in this sweep."""
    return position * 60 // max(rate, 1)


def lanes(budget: Budget, *, workers: int) -> int:
    """
    How many ids of a provider one worker may have under way, so that all workers together keep within the budget.

    One at the least: a budget under the number of workers is kept on average, by the pace, not at every moment.
    """
    return max(1, budget.concurrent // max(workers, 1))
