"""The rules of the lease, as pure functions of time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.model import Grant
from grantkeeper.providers.record import RefreshRule
from grantkeeper.services.lease_policy import (
    CALL_BUDGET,
    CLOCK_SKEW,
    LEASE_SECONDS,
    RESCUE_HORIZON,
    STRIKE_SPACING,
    YOUNG,
    Found,
    TakeOver,
    Wait,
    is_strict,
    may_spend_twice,
    new_lease,
    standing,
    until_grown,
    until_next_strike,
)

NOW = 1_800_000_000
FUNCTION_TIMEOUT = 20  # template.yaml

GRANT = Grant(
    connection_id="con",
    name="main",
    sub="usr",
    provider="example",
    service="files",
    credentials_id="our-client",
    grant_id="grant",
    n=3,
    generation=7,
    status="active",
    sealed=b"sealed",
    scopes=(),
    refreshed_at=NOW - 1000,
    write_id="w",
)
STRICT = RefreshRule()
LASTING = RefreshRule(rotation="none")
GRACE = RefreshRule(rotation="always", previous_refresh_token="grace", grace_seconds=600, grace_answer="same")
MICROSOFT = RefreshRule(rotation="always", previous_refresh_token="valid")


def lease(**changes):
    return replace(new_lease(GRANT, token="rt", owner="run", write_id="w1", now=NOW), **changes)


def test_a_lease_outlives_its_holder_and_the_clocks_between_them():
    """No container can take it from one that still runs: that alone gives one refresh in flight."""
    assert LEASE_SECONDS >= FUNCTION_TIMEOUT + 2 * CLOCK_SKEW
    assert LEASE_SECONDS > CALL_BUDGET


def test_the_living_are_waited_for():
    """And never longer than a lease lasts, whatever a clock says."""
    assert standing(lease(), grant=GRANT, rule=LASTING, now=NOW) == Wait(LEASE_SECONDS)
    assert standing(lease(), grant=GRANT, rule=LASTING, now=NOW + 29) == Wait(1)
    assert standing(lease(), grant=GRANT, rule=LASTING, now=NOW - 3600) == Wait(LEASE_SECONDS)


@pytest.mark.parametrize(
    "rule",
    [LASTING, MICROSOFT, GRACE],
)
def test_an_orphan_that_may_be_spent_twice_is_taken_at_once(rule):
    """The retry gets the same or a working successor."""
    assert may_spend_twice(rule)
    assert standing(lease(), grant=GRANT, rule=rule, now=NOW + 30) == TakeOver(lease())


@pytest.mark.parametrize(
    "rule",
    [STRICT, replace(GRACE, grace_seconds=60), replace(GRACE, grace_answer="another")],
)
def test_a_strict_orphan_waits_for_the_rescue(rule):
    """A grace shorter than lease, sweep and queue together is none."""
    found_at = NOW + 4000  # the table was down for an hour
    found = replace(lease(), seen_at=found_at)

    assert not may_spend_twice(rule)
    assert standing(lease(), grant=GRANT, rule=rule, now=NOW + 30) == Found(lease())
    assert standing(lease(), grant=GRANT, rule=rule, now=found_at) == Found(lease())
    assert standing(found, grant=GRANT, rule=rule, now=found_at) == Wait(RESCUE_HORIZON, orphan=True)
    assert standing(found, grant=GRANT, rule=rule, now=found_at + 299) == Wait(1, orphan=True)
    assert standing(found, grant=GRANT, rule=rule, now=found_at + 300) == TakeOver(found)


def test_an_orphan_known_to_be_refused_waits_for_nothing_more():
    """Its holder stored the strike: nothing of it can be in the rescue queue."""
    struck = replace(GRANT, strikes=1, strike_generation=7, strike_at=NOW + 2)

    assert standing(lease(), grant=struck, rule=STRICT, now=NOW + 45) == TakeOver(lease())


def test_an_older_strike_says_nothing_of_this_orphan():
    """It was refused before; what this one spent is unknown."""
    struck = replace(GRANT, strikes=1, strike_generation=7, strike_at=NOW - 100)

    assert standing(lease(), grant=struck, rule=STRICT, now=NOW + 45) == Found(lease())


def test_a_plain_rfc_6749_server_is_taken_for_strict():
    """The safe side: assume that a rotated token dies at once."""
    assert is_strict(RefreshRule())
    assert not is_strict(LASTING)
    assert not is_strict(MICROSOFT)


def test_two_strikes_are_thirty_seconds_apart_by_any_two_clocks():
    """Skew added on top; strikes of other generations do not count."""
    struck = replace(GRANT, strikes=1, strike_generation=7, strike_at=NOW)

    assert until_next_strike(struck, now=NOW) == STRIKE_SPACING + 2 * CLOCK_SKEW
    assert until_next_strike(struck, now=NOW + STRIKE_SPACING) > 0
    assert until_next_strike(struck, now=NOW + STRIKE_SPACING + 2 * CLOCK_SKEW) == 0
    assert until_next_strike(struck, now=NOW - 3600) <= STRIKE_SPACING + 2 * CLOCK_SKEW
    assert until_next_strike(replace(struck, generation=8), now=NOW) == 0


def test_a_generation_grows_up_in_a_minute():
    """A clock far behind blocks nothing."""
    fresh = replace(GRANT, refreshed_at=NOW, expires_at=NOW + 3600)

    assert until_grown(fresh, now=NOW) == YOUNG
    assert until_grown(replace(fresh, expires_at=None), now=NOW) == YOUNG
    assert until_grown(replace(fresh, expires_at=NOW + 10), now=NOW + 2) == 3
    assert until_grown(replace(fresh, expires_at=NOW + 10), now=NOW + 5) == 0
    assert until_grown(replace(fresh, expires_at=NOW - 10), now=NOW) == 0
    assert until_grown(fresh, now=NOW + 59) == 1
    assert until_grown(fresh, now=NOW + 60) == 0
    assert until_grown(fresh, now=NOW - 5) == YOUNG
    assert until_grown(fresh, now=NOW - 3600) == 0


def test_a_lease_names_what_it_spends_by_hash_and_counts_attempts():
    """The lineage of an orphan is kept."""
    orphan = lease()
    successor = new_lease(GRANT, token="rt", owner="run2", write_id="w2", now=NOW + 40, orphan=orphan)

    assert (orphan.attempt, successor.attempt) == (1, 2)
    assert orphan.intent == successor.intent != "rt"
    assert successor.until == NOW + 40 + LEASE_SECONDS
