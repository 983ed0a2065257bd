"""When a grant is due (refresh.md, When)."""

import random

from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.services.schedule import due_at

NOON = 1_800_000_000
HOUR = 3600


class Still:
    """No jitter."""

    def random(self):
        return 0.0


def test_an_hour_long_token_is_due_six_minutes_before_it_expires():
    """Ten percent of an hour is more than five minutes."""
    assert due_at(expires_at=NOON + HOUR, received_at=NOON, refreshable=True, rng=Still()) == NOON + HOUR - 360


def test_a_short_token_is_due_at_half_its_life():
    """Five minutes before the end of a four-minute token would be before its beginning."""
    assert due_at(expires_at=NOON + 240, received_at=NOON, refreshable=True, rng=Still()) == NOON + 120


def test_a_twenty_minute_token_keeps_five_minutes():
    """Ten percent would be two minutes, too few for a sweep and a retry."""
    assert due_at(expires_at=NOON + 1200, received_at=NOON, refreshable=True, rng=Still()) == NOON + 900


def test_what_does_not_say_when_it_expires_is_never_due():
    """Nothing is refreshed on a guess; a reported 401 speaks for it."""
    assert due_at(expires_at=None, received_at=NOON, refreshable=True, rng=Still()) is None


def test_what_cannot_be_refreshed_is_due_when_it_expires():
    """Its user must be told, and no sooner."""
    assert due_at(expires_at=NOON + HOUR, received_at=NOON, refreshable=False, rng=Still()) == NOON + HOUR


def test_grants_of_one_second_are_not_due_in_one_second():
    """A crowd that connects together does not refresh together."""
    rng = random.Random(7)
    due = {due_at(expires_at=NOON + HOUR, received_at=NOON, refreshable=True, rng=rng) for _ in range(200)}

    assert len(due) > 30


@given(lifetime=st.integers(-10, 10**8), seed=st.integers(), refreshable=st.booleans())
def test_due_lies_between_receipt_and_expiry(lifetime, seed, refreshable):
    """Whatever a provider says of lifetimes, nothing is due in the past or after its end."""
    due = due_at(expires_at=NOON + lifetime, received_at=NOON, refreshable=refreshable, rng=random.Random(seed))

    assert NOON <= due <= max(NOON, NOON + lifetime)
