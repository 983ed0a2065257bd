"""How much a provider is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import StoreUnavailable, UnknownProvider
from grantkeeper.model import BreakerState, DueGrant
from grantkeeper.services.choose_due import Limits, choose, messages
from grantkeeper.services.kindness import DEFAULT, PROBES, Budget, allowance, budgets_of, lanes

NOON = 1_800_000_000
BUDGET = Budget(per_minute=3000, concurrent=50)


def test_an_open_breaker_allows_nothing_and_a_half_open_one_a_handful():
    """Half open is a time that has passed."""
    assert allowance(BreakerState(open_until=NOON + 1), budget=BUDGET, now=NOON) == 0
    assert allowance(BreakerState(open_until=NOON), budget=BUDGET, now=NOON) == PROBES
    assert allowance(BreakerState(), budget=BUDGET, now=NOON) == 3000


def test_after_an_outage_each_sweep_may_send_twice_as_many():
    """Until the budget is reached."""
    sent = [allowance(BreakerState(closed_at=NOON), budget=BUDGET, now=NOON + minute * 60) for minute in range(11)]

    assert sent == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3000, 3000]


@given(
    open_until=st.integers(0, 2 * NOON),
    closed_at=st.integers(0, 2 * NOON),
    rate=st.integers(1, 10**6),
    now=st.integers(0, 2 * NOON),
)
def test_no_state_and_no_clock_allows_more_than_the_budget(open_until, closed_at, rate, now):
    """Nor less than nothing, when clocks of two containers disagree."""
    state = BreakerState(open_until, closed_at)

    assert 0 <= allowance(state, budget=Budget(rate, 1), now=now) <= rate


def test_budgets_come_from_the_record_and_are_the_default_when_it_cannot_be_read():
    """A sweep that is less exact is better than none."""

    def gone():
        raise StoreUnavailable("down")

    class Nobody:
        def get(self, provider_id):
            raise UnknownProvider("No such provider.")

    assert budgets_of(gone)("example") == DEFAULT
    assert budgets_of(Nobody)("example") == DEFAULT


@given(count=st.integers(1, 2000), rate=st.integers(1, 6000))
def test_messages_of_a_sweep_keep_the_pace_of_the_budget(count, rate):
    """In no second more ids than a second of the budget, or one message of five."""
    due = [DueGrant(f"con_{at}", "main", "example", 1, NOON + at) for at in range(count)]
    limits = {"example": Limits(rate)}
    sent = list(messages(choose(due, capacity=10**6, limits=limits), limits=limits))

    in_second = {}
    for work in sent:
        in_second[work.delay] = in_second.get(work.delay, 0) + len(work.ids)
    assert sum(in_second.values()) == min(count, rate)
    assert max(in_second) < 60
    size = Limits(rate).size
    assert max(in_second.values()) <= max(rate / 60 + size, 2 * size)


@pytest.mark.parametrize(("concurrent", "workers", "each"), [(50, 2, 25), (50, 10, 5), (3, 10, 1), (50, 0, 50)])
def test_workers_share_what_may_be_under_way_at_once(concurrent, workers, each):
    """One each at the least."""
    assert lanes(Budget(1, concurrent), workers=workers) == each
