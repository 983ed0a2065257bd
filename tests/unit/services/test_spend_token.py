"""What a provider answers, loses or never gets; and what cannot be refreshed at all."""

from __future__ import annotations

import pytest

from grantkeeper.errors import (
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshPending,
)
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import (
    RULES,
    RefreshWorld,
    assert_works,
)

HOUR = 3600


def test_f08_a_request_that_never_left_frees_the_lease(world):
    """Connection refused: nothing was spent, anybody may try again at once."""
    world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))

    with pytest.raises(ProviderUnavailable):
        world.refresh()
    assert world.lease().intent is None

    world.refresh(wiring=world.container())
    assert_works(world, generation=2)


def test_f09_an_unknown_outcome_is_asked_once_more_within_the_lease(world):
    """A gateway answers 502 and nothing was done: the second call with the same token obeys."""
    world.provider.answer_next(502)

    world.refresh()

    assert_works(world, generation=2)
    assert world.refreshes == 1


def test_f09_after_two_unknown_outcomes_the_lease_stays(world):
    """Never released on an unknown outcome: the next holder must know."""
    for _ in range(2):
        world.provider.fail_next(ProviderUnavailable("slow", outcome_unknown=True))

    with pytest.raises(ProviderUnavailable) as error:
        world.refresh()

    assert error.value.outcome_unknown
    assert world.lease().intent is not None
    assert world.grant().status == "active"
    with pytest.raises(RefreshPending):
        world.refresh(patience=0)


def test_f09_no_second_call_without_time_for_its_save(world):
    """The retry is part of the budget."""
    world.provider_http.seconds = 13
    world.provider.fail_next(ProviderUnavailable("slow", outcome_unknown=True))
    run = world.run()
    world.pass_time(5)

    with pytest.raises(ProviderUnavailable):
        world.refresh(run=run)

    assert len(world.provider_http.budgets) == 1


@pytest.mark.parametrize("rule", ["lasting", "grace"])
def test_f10_an_answer_lost_after_the_provider_obeyed_is_given_again(monkeypatch, rule):
    """The retry inside the lease gets a working set: 0 lost."""
    world = RefreshWorld(monkeypatch, rule=RULES[rule])
    world.pass_time(HOUR)
    world.provider.lose_next_answer()

    world.refresh()

    assert_works(world, generation=2)


def test_f10_an_answer_lost_at_a_strict_provider_is_suspected_before_it_is_declared(strict):
    """The refusal of the retry is strike one; only the next refusal, 30 s on, ends it, with the reason that is true."""
    strict.provider.lose_next_answer()

    with pytest.raises(RefreshPending) as suspected:
        strict.refresh()
    assert strict.grant().status == "active"
    assert strict.refreshes == 2

    strict.pass_time(29)
    with pytest.raises(RefreshPending):
        strict.refresh()
    assert strict.refreshes == 2

    strict.pass_time(suspected.value.retry_after)
    with pytest.raises(ReauthorizationRequired) as declared:
        strict.refresh()
    assert declared.value.extensions["reason"] == "rotation_outcome_unknown"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_c54_overload_and_outages_never_end_a_grant(world, status):
    """A day of errors, with whatever code in the body: the connection is as it was."""
    for _ in range(24):
        for _ in range(2):
            world.provider.answer_next(status, {"error": "invalid_grant"})
        with pytest.raises((ProviderUnavailable, RefreshPending)):
            world.refresh()
        world.pass_time(HOUR)
    assert world.grant().status == "active"
    assert world.grant().strikes == 0

    world.provider._faults.clear()
    world.refresh()
    assert_works(world, generation=2)


def test_c54_retry_after_is_passed_on_and_obeyed(world):
    """The provider says when; the breaker keeps everybody to it."""
    world.provider.answer_next(429, b"", retry_after="120")

    with pytest.raises(ProviderUnavailable) as throttled:
        world.refresh()
    assert throttled.value.retry_after == 120

    world.pass_time(60)
    with pytest.raises(ProviderUnavailable):
        world.refresh()
    assert world.refreshes == 0
    world.pass_time(61)
    world.refresh()
    assert_works(world, generation=2)


def test_c46_an_error_in_a_200_is_an_error(world):
    """Nothing is stored of an answer without a token; a code the record lists as dead is a strike."""
    world.provider.answer_next(200, {"ok": False, "error": "invalid_grant"})

    with pytest.raises(RefreshPending):
        world.refresh()

    assert world.grant().generation == 1
    assert world.grant().strikes == 1


def test_the_word_error_in_a_good_answer_costs_no_grant(world):
    """A field called error beside a token: the token counts."""
    world.provider.extra_token_fields = {"error": "", "warning": "error: deprecated", "error_description": "none"}

    world.refresh()

    assert_works(world, generation=2)


def test_c47_a_page_in_place_of_an_answer_is_no_generation(grace):
    """200 with HTML: unknown outcome, asked again; the grace provider repeats itself."""
    grace.provider.answer_next(200, b"<html>maintenance</html>")

    grace.refresh()

    assert_works(grace, generation=2)


def test_c48_a_narrower_scope_is_what_is_stored(world):
    """The granted scopes are those of the answer; what is never returned stays."""
    world.provider.granted_scope = "openid"

    world.refresh()

    assert world.grant().scopes == ("openid", "offline_access")
    connection = world.wiring.connections.get(world.connection_id)
    assert connection.scopes == ("openid", "offline_access")
    assert connection.missing_scopes == ("files.read",)
    assert "connection.scopes_changed" in world.actions()


def test_c50_f29_no_refresh_token_in_the_answer_keeps_the_old_one(lasting):
    """RFC 6749 section 6: the old one lives on, through two refreshes."""
    before = lasting.tokens().refresh_token
    for generation in (2, 3):
        lasting.refresh()
        assert lasting.tokens().refresh_token == before
        assert_works(lasting, generation=generation)
        lasting.pass_time(HOUR)


def test_c51_f29_a_new_refresh_token_replaces_the_old_one(strict):
    """Atomically, with its access token and its end."""
    before = strict.tokens()

    strict.refresh()

    after = strict.tokens()
    assert after.refresh_token != before.refresh_token
    assert after.access_token != before.access_token
    assert_works(strict, generation=2)


def test_c45_f29_an_answer_without_or_with_odd_expiry_is_saved(world):
    """What cannot be read does not stop the save."""
    world.provider.expires_in = None
    world.refresh()
    assert world.grant().expires_at is None
    assert_works(world, generation=2)

    world.pass_time(61)
    world.provider.extra_token_fields = {"expires_in": "soon"}
    world.refresh()
    assert world.grant().expires_at <= world.now
    assert_works(world, generation=3)


# --- what cannot be refreshed ---


@pytest.fixture
def unrefreshable(monkeypatch):
    world = RefreshWorld(monkeypatch)
    world.provider.issues_refresh_tokens = False
    world.connection_id = world.connect(account_id="bob")
    world.pass_time(120)
    return world


def test_c49_a_token_without_successor_ends_when_it_expires(unrefreshable):
    """Its own reason, and no call to the provider."""
    world = unrefreshable
    assert world.refresh().grant.generation == 1

    world.pass_time(HOUR)
    with pytest.raises(ReauthorizationRequired) as error:
        world.refresh()

    assert error.value.extensions["reason"] == "expired_no_refresh_token"
    assert world.grant().status == "needs_reauth"
    assert world.provider.requests == []


def test_a_report_is_checked_with_the_provider_before_it_counts(unrefreshable):
    """The provider knows the token: the same one is kept as a new generation, and the rejected one stays rejected."""
    world = unrefreshable
    before = world.tokens().access_token
    world.wiring.grants.reject(world.grant())

    done = world.refresh()

    assert done.grant.generation == 2
    assert world.tokens().access_token == before
    assert world.grant().expires_at == pytest.approx(NOON + HOUR, abs=2)


def test_a_report_and_two_failed_probes_end_it(unrefreshable):
    """401 to our probe, twice, 30 s apart."""
    world = unrefreshable
    world.provider.revoke_everything()
    world.wiring.grants.reject(world.grant())

    with pytest.raises(RefreshPending) as one:
        world.refresh()
    world.pass_time(one.value.retry_after)
    with pytest.raises(ReauthorizationRequired) as two:
        world.refresh()

    assert two.value.extensions["reason"] == "credentials_rejected"


@pytest.mark.parametrize("kind", ["api_key", "oauth1"])
def test_an_api_key_is_never_refreshed(monkeypatch, kind):
    """There is nobody to ask: only a report, confirmed by time, ends it."""
    world = RefreshWorld(monkeypatch)
    world.connection_id = world.connect(account_id="key", kind=kind)
    world.pass_time(120)
    assert world.refresh().grant.generation == 1

    world.wiring.grants.reject(world.grant())
    with pytest.raises(RefreshPending) as one:
        world.refresh()
    world.pass_time(one.value.retry_after)
    with pytest.raises(ReauthorizationRequired):
        world.refresh()
    assert world.provider.requests == []
