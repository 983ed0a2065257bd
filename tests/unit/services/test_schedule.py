"""When a grant is due (refresh.md, When)."""

import random

from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.model import TokenSet
from grantkeeper.providers.record import RefreshRule
from grantkeeper.services.schedule import due_at, reconnect_by, refreshable

NOON = 1_800_000_000
HOUR = 3600
DAY = 86_400


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


KEPT = TokenSet("at", expires_at=NOON + HOUR, refresh_token="rt", refresh_token_expires_at=NOON + 90 * DAY)


def test_a_grant_without_refresh_token_ends_with_its_access_token():
    """Its user has to come back then."""
    token_set = TokenSet("at", expires_at=NOON + HOUR)

    assert not refreshable(token_set, rule=RefreshRule())
    assert reconnect_by(token_set, rule=RefreshRule(), consented_at=NOON) == NOON + HOUR


def test_a_provider_that_never_refreshes_makes_no_grant_refreshable():
    """Whatever its answer holds."""
    assert not refreshable(KEPT, rule=RefreshRule(supported="never"))


def test_a_refresh_token_that_is_never_replaced_ends_when_it_says_so():
    """The forecast is the provider's own."""
    assert reconnect_by(KEPT, rule=RefreshRule(rotation="none"), consented_at=NOON) == NOON + 90 * DAY


def test_a_rotating_refresh_token_has_no_known_end():
    """Every refresh brings one with a life of its own; the keep-alive sees to it."""
    assert reconnect_by(KEPT, rule=RefreshRule(rotation="always", inactivity_days=90), consented_at=NOON) is None


def test_a_consent_that_ends_after_so_many_days_ends_whichever_comes_first():
    """The nearer end counts."""
    rule = RefreshRule(rotation="none", absolute_days=30)

    assert reconnect_by(KEPT, rule=rule, consented_at=NOON) == NOON + 30 * DAY
