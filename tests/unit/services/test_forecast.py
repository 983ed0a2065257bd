"""When a user has to connect again, when he is told, and when an idle grant is kept alive."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.model import Grant, TokenSet
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.record import RefreshRule
from grantkeeper.services.forecast import NOTICE, keepalive_at, keepalive_of, plan, warn_at, warning_of
from grantkeeper.services.schedule import due_at, overdue, refreshable

NOON, HOUR, DAY = 1_800_000_000, 3600, 86_400
KEPT = TokenSet("at", expires_at=NOON + HOUR, refresh_token="rt", refresh_token_expires_at=NOON + 90 * DAY)
ROTATING = RefreshRule(rotation="always")
FIXED = RefreshRule(rotation="none")
ROW = Grant("con", "main", "usr", "p", "s", "c", "g", 1, 1, "active", b"", (), NOON, "w", consented_at=NOON)

RULES = st.builds(
    RefreshRule,
    rotation=st.sampled_from(["none", "optional", "always"]),
    absolute_days=st.none() | st.integers(1, 1000),
    inactivity_days=st.none() | st.integers(1, 1000),
)
SETS = st.builds(
    TokenSet,
    st.just("at"),
    expires_at=st.none() | st.integers(NOON - 10, NOON + 10**8),
    refresh_token=st.none() | st.just("rt"),
    refresh_token_expires_at=st.none() | st.integers(NOON, NOON + 10**8),
)


def at_consent(tokens, rule, *, now=NOON):
    can = refreshable(tokens, rule=rule)
    return plan(tokens, rule=rule, refreshable=can, consented_at=now, received_at=now, rng=random.Random(1))


def after(row, tokens, rule, *, now):
    facts = {"rule": rule, "refreshable": True, "consented_at": row.consented_at, "received_at": now, "before": row}
    return plan(tokens, rng=random.Random(1), **facts)


def stored(planned, **changes):
    return replace(ROW, **{name: getattr(planned, name) for name in planned.__slots__}, **changes)


def test_a_grant_without_refresh_token_ends_with_its_access_token():
    """Its user has to come back then."""
    assert at_consent(TokenSet("at", expires_at=NOON + HOUR), RefreshRule()).reconnect_by == NOON + HOUR


def test_a_provider_that_never_refreshes_makes_no_grant_refreshable():
    """Whatever its answer holds."""
    assert not refreshable(KEPT, rule=RefreshRule(supported="never"))


def test_a_refresh_token_that_is_never_replaced_ends_when_it_says_so():
    """The forecast is the provider's own."""
    assert at_consent(KEPT, FIXED).reconnect_by == NOON + 90 * DAY


def test_a_rotating_refresh_token_has_no_known_end():
    """Every refresh brings one with a life of its own; the keep-alive sees to it."""
    assert at_consent(KEPT, RefreshRule(rotation="always", inactivity_days=90)).reconnect_by is None


def test_a_consent_that_ends_after_so_many_days_ends_whichever_comes_first():
    """The nearer end counts."""
    assert at_consent(KEPT, RefreshRule(rotation="none", absolute_days=30)).reconnect_by == NOON + 30 * DAY


def test_an_end_that_every_refresh_moves_is_no_forecast():
    """A rotated token has a life of its own, told again each time."""
    row = stored(at_consent(KEPT, ROTATING))
    moved = replace(KEPT, expires_at=NOON + 2 * HOUR, refresh_token_expires_at=NOON + HOUR + 90 * DAY)

    assert after(row, moved, ROTATING, now=NOON + HOUR).reconnect_by is None


def test_an_end_that_stands_though_the_token_is_rotated_is_the_forecast():
    """Some providers replace the token and keep the end of the consent: the answers tell, not the record."""
    row = stored(at_consent(KEPT, ROTATING))

    assert (
        after(row, replace(KEPT, expires_at=NOON + 2 * HOUR), ROTATING, now=NOON + HOUR).reconnect_by == NOON + 90 * DAY
    )


def test_an_end_that_slides_though_the_token_stays_is_no_forecast_any_more():
    """The record said that nothing moves; the answer does."""
    row = stored(at_consent(KEPT, FIXED))
    moved = replace(KEPT, refresh_token_expires_at=NOON + DAY + 90 * DAY)

    assert after(row, moved, FIXED, now=NOON + DAY).reconnect_by is None


def test_seconds_of_rounding_move_no_forecast():
    """`refresh_token_expires_in` counts whole seconds from whenever the answer came in."""
    row = stored(at_consent(KEPT, FIXED))
    told = after(row, replace(KEPT, refresh_token_expires_at=NOON + 90 * DAY + 3), FIXED, now=NOON + HOUR)

    assert told.reconnect_by == NOON + 90 * DAY


def test_the_consent_counts_and_not_the_refresh_where_a_provider_ends_consents():
    """365 days after it, however often the grant was refreshed."""
    rule = RefreshRule(rotation="always", absolute_days=365)
    row = stored(at_consent(replace(KEPT, refresh_token_expires_at=None), rule), refreshed_at=NOON + 100 * DAY)
    later = NOON + 101 * DAY

    tokens = TokenSet("at", expires_at=later + HOUR, refresh_token="rt2")
    assert after(row, tokens, rule, now=later).reconnect_by == NOON + 365 * DAY


@pytest.mark.parametrize(
    ("life", "notice"), [(365 * DAY, 7 * DAY), (60 * DAY, 7 * DAY), (8 * DAY, 2 * DAY), (HOUR, 900)]
)
def test_users_are_told_a_week_before_and_of_short_times_in_their_last_quarter(life, notice):
    """Time to act, and no alarm about what lives for an hour from its first minute on."""
    assert warn_at(NOON + life, since=NOON) == NOON + life - notice


def test_a_row_comes_up_for_its_warning_though_nothing_is_to_be_refreshed():
    """Sixty days of access token without refresh token: due on the fifty-third."""
    assert at_consent(TokenSet("at", expires_at=NOON + 60 * DAY), FIXED).due_at == NOON + 53 * DAY


def test_a_warning_that_fell_between_two_generations_is_due_at_once():
    """A read refreshed the grant in the minute in which the sweeper would have found it."""
    rule = RefreshRule(rotation="always", absolute_days=365)
    before = stored(
        at_consent(TokenSet("at", expires_at=NOON + 60 * DAY, refresh_token="rt"), rule), refreshed_at=NOON + 357 * DAY
    )
    now = NOON + 358 * DAY + 10

    assert after(before, TokenSet("at", expires_at=now + 60 * DAY, refresh_token="rt"), rule, now=now).due_at == now


def test_a_long_access_token_does_not_outlive_an_idle_limit():
    """Due by the keep-alive, sixty days before the access token would be."""
    rule = RefreshRule(rotation="none", inactivity_days=60, keepalive_days=20)

    assert at_consent(TokenSet("at", expires_at=NOON + 90 * DAY, refresh_token="rt"), rule).due_at == NOON + 20 * DAY


def test_a_rotating_token_with_a_life_of_its_own_is_kept_alive_half_way_through_it():
    """A provider that names no idle limit has one all the same."""
    row = stored(at_consent(KEPT, ROTATING))

    assert keepalive_of(row, rule=ROTATING) == NOON + 45 * DAY


def test_a_fixed_end_calls_for_no_keep_alive():
    """Refreshing does not move it, so it is not refreshed for its sake."""
    assert keepalive_of(stored(at_consent(KEPT, FIXED)), rule=FIXED) is None


@pytest.mark.parametrize("provider", [p for p in Catalog().all() if p.refresh.inactivity_days], ids=lambda p: p.id)
def test_every_record_with_an_idle_limit_keeps_grants_well_inside_it(provider):
    """At most half of it; GitHub's OAuth tokens cannot be refreshed, and their year without use is forecast instead."""
    rule = provider.refresh
    if rule.supported == "never":
        unused = at_consent(TokenSet("at"), rule)
        assert unused.reconnect_by == NOON + rule.inactivity_days * DAY
        assert unused.due_at == unused.reconnect_by - NOTICE
        return
    for tokens in (replace(KEPT, refresh_token_expires_at=None), TokenSet("at", refresh_token="rt")):
        row = stored(at_consent(tokens, rule), expires_at=tokens.expires_at)
        assert keepalive_of(row, rule=rule) <= NOON + rule.inactivity_days * DAY // 2
        assert row.due_at <= NOON + rule.inactivity_days * DAY // 2


@given(rule=RULES, tokens=SETS, seed=st.integers())
def test_nothing_is_due_after_what_it_is_due_for(rule, tokens, seed):
    """Whatever a provider says: never before its receipt, never after an end that refreshing could have moved."""
    can = refreshable(tokens, rule=rule)
    planned = plan(tokens, rule=rule, refreshable=can, consented_at=NOON, received_at=NOON, rng=random.Random(seed))

    ends = [tokens.expires_at]
    ends += [NOON + rule.inactivity_days * DAY // 2] if can and rule.inactivity_days else []
    ends += [tokens.refresh_token_expires_at] if can and rule.rotation != "none" else []
    ends += [planned.reconnect_by]
    known = [end for end in ends if end is not None]
    assert (planned.due_at is None) == (not known)
    if known:
        assert NOON <= planned.due_at <= max(NOON, min(known))


@given(rule=RULES, tokens=SETS, passed=st.integers(60, 10**7), jump=st.integers(-5, 5))
def test_a_forecast_that_stands_is_the_same_number_after_every_refresh(rule, tokens, passed, jump):
    """One forecast is one event, whatever clocks and roundings do."""
    if tokens.refresh_token is None:
        return
    first = at_consent(tokens, rule)
    second = after(stored(first), tokens, rule, now=NOON + passed)
    wobbling = replace(
        tokens,
        refresh_token_expires_at=None if (end := tokens.refresh_token_expires_at) is None else max(end + jump, NOON),
    )
    third = after(stored(second, refreshed_at=NOON + passed), wobbling, rule, now=NOON + 2 * passed)

    if second.reconnect_by is not None and second.reconnect_by > NOON + 2 * passed:
        assert third.reconnect_by == second.reconnect_by
    assert warning_of(stored(third)) is None or warning_of(stored(third)) <= third.reconnect_by


@given(lifetime=st.integers(600, 10**7), seeds=st.lists(st.integers(), min_size=60, max_size=60, unique=True))
def test_jitter_spreads_a_crowd_over_a_fifth_of_the_margin(lifetime, seeds):
    """Tokens of one second are not refreshed in one second, and none of them late."""
    due = [due_at(expires_at=NOON + lifetime, received_at=NOON, refreshable=True, rng=random.Random(s)) for s in seeds]
    margin = min(lifetime / 2, max(300, lifetime / 10))

    assert max(due) - min(due) >= margin * 0.2 * 0.5
    assert NOON + lifetime - 1.2 * margin - 1 <= min(due) <= max(due) <= NOON + lifetime - margin


@given(rule=RULES, gap=st.integers(-(10**6), 10**9))
def test_a_keep_alive_is_never_before_the_refresh_it_follows(rule, gap):
    """Whatever end a token names, past or absurd."""
    keep = keepalive_at(rule, refreshed_at=NOON, token_ends=NOON + gap)

    assert keep >= NOON


@given(now=st.integers(0, 4 * NOON), lifetime=st.none() | st.integers(-10, 10**9))
def test_how_long_a_grant_is_overdue_is_never_negative(now, lifetime):
    """By clocks that jump as well."""
    assert overdue(replace(ROW, expires_at=None if lifetime is None else NOON + lifetime), now=now) >= 0
