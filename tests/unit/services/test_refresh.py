"""The refresh protocol over real stores: every fault of security.md section 3.3 that one process can show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import (
    ConnectionRevoked,
    GrantUnreadable,
    ProviderMisconfigured,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshPending,
    StoreUnavailable,
    TooManyRequests,
)
from grantkeeper.model import Profile
from grantkeeper.providers.record import ErrorRule
from grantkeeper.services.lease_policy import CALL_BUDGET, LEASE_SECONDS, RESCUE_HORIZON, START_NEEDS
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause
from grantkeeper.services.rescue import rescue
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.stores.queues import rescued_grant
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import GRACE, LASTING, SCOPES, STRICT, Killed, RefreshWorld

HOUR = 3600
RULES = {"strict": STRICT, "grace": GRACE, "lasting": LASTING}


@pytest.fixture(params=RULES)
def world(request, monkeypatch):
    """A connection whose token ends in ten minutes, at every kind of provider."""
    world = RefreshWorld(monkeypatch, rule=RULES[request.param])
    world.pass_time(HOUR - 600)
    return world


@pytest.fixture
def strict(monkeypatch):
    world = RefreshWorld(monkeypatch, rule=STRICT)
    world.pass_time(HOUR - 600)
    return world


@pytest.fixture
def grace(monkeypatch):
    world = RefreshWorld(monkeypatch, rule=GRACE)
    world.pass_time(HOUR - 600)
    return world


@pytest.fixture
def lasting(monkeypatch):
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.pass_time(HOUR - 600)
    return world


def lease_write(kwargs):
    return kwargs["Item"]["sk"]["S"].startswith("LEASE#")


def grant_write(kwargs):
    return kwargs["Item"]["sk"]["S"].startswith("GRANT#")


def assert_works(world, *, generation):
    """The stored generation is the expected one and its refresh token is the provider's current one."""
    assert world.grant().status == "active"
    assert world.grant().generation == generation
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens


# --- the plain way ---


def test_refresh_saves_the_next_generation(world):
    """One call to the provider, one generation more, and what was answered is what is stored."""
    done = world.refresh()

    assert world.refreshes == 1
    assert done.grant == world.grant()
    assert_works(world, generation=2)
    assert world.grant().n == 2
    assert world.grant().expires_at == pytest.approx(world.now + HOUR, abs=2)
    assert world.grant().due_at < world.grant().expires_at
    assert (world.grant().caused_by, world.grant().actor, world.grant().request_id) == ("sweep", "system", "req")


def test_a_generation_younger_than_a_minute_is_not_refreshed_again(world):
    """Whoever asks again at once gets what was just made."""
    world.refresh()
    world.pass_time(59)

    assert world.refresh().grant.generation == 2
    assert world.refreshes == 1

    world.pass_time(2)
    assert world.refresh().grant.generation == 3


def test_the_provider_is_called_within_its_budget_and_only_when_time_is_left(world):
    """A call that could not be followed by its save is not begun."""
    run = world.run()
    world.pass_time(20 - START_NEEDS + 0.5)

    with pytest.raises(RefreshPending):
        world.refresh(run=run)
    assert world.refreshes == 0
    assert world.lease() is None

    world.refresh()
    assert max(world.provider_http.budgets) <= CALL_BUDGET


def test_the_lease_records_its_intent_before_the_provider_is_called(strict):
    """The hash of the token about to be spent is stored, the token is not."""
    spent = strict.tokens().refresh_token
    seen = []
    strict.provider_http.before = lambda: seen.append(strict.lease())

    strict.refresh()

    assert seen[0].intent
    assert spent not in str(strict.aws.dynamodb.dump("grants"))
    assert seen[0].until - seen[0].taken_at == LEASE_SECONDS


# --- who may ask ---


def test_f02_an_old_read_never_reaches_the_provider(world):
    """A caller that read the generation before finds that it moved and serves the new one."""
    old = world.grant()
    world.refresh()
    world.pass_time(61)

    done = refresh(old, cause=Cause("read", "x"), ports=world.ports(), run=world.run())

    assert done.grant.generation == 2
    assert world.refreshes == 1


def test_f03_a_lease_that_cannot_be_had_means_no_call(world):
    """Refreshing without the lock is how others lose grants; lock trouble changes no status either."""
    world.aws.dynamodb.faults.throttle("put_item", times=50, when=lease_write)

    with pytest.raises(StoreUnavailable):
        world.refresh()
    assert world.refreshes == 0
    assert world.grant().status == "active"

    world.aws.dynamodb.faults.clear()
    world.refresh()
    assert_works(world, generation=2)


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_f04_a_lost_acknowledgement_of_the_lease_is_recognised(world, fault):
    """The lease is ours although the condition of the repeated write failed: no stall of 30 seconds."""
    started = world.now
    getattr(world.aws.dynamodb.faults, fault)("put_item", when=lease_write)

    world.refresh()

    assert_works(world, generation=2)
    assert world.now - started < 5


def test_f25_others_wait_while_one_asks(world):
    """Whoever comes during the call waits for the generation, and never asks the provider himself."""
    waited = []

    def meanwhile():
        with pytest.raises(RefreshPending) as pending:
            world.refresh(wiring=world.container(), patience=3)
        waited.append(pending.value.retry_after)

    world.provider_http.during = meanwhile
    world.refresh()

    assert world.refreshes == 1
    assert 0 < waited[0] <= LEASE_SECONDS
    assert_works(world, generation=2)


def test_waiters_see_what_the_winner_saved_even_at_the_last_moment(world):
    """The last thing a waiter does is look: it does not time out beside a success."""
    run = world.run()
    slept = world.clock.sleep

    def winner_saves(seconds):
        slept(seconds)
        if world.clock.now - started >= 9.9 and world.grant().generation == 1:
            current = world.grant()
            world.wiring.grants.save(replace(current, generation=2, n=2, write_id="winner"))

    started = world.clock.now
    world.provider_http.during = lambda: results.append(
        refresh(
            world.grant(),
            cause=Cause("read", "x"),
            ports=world.ports(world.container()),
            run=replace(run, sleep=winner_saves),
        )
    )
    results: list = []
    world.refresh()

    assert results[0].grant.generation == 2


# --- crashes ---


@pytest.mark.parametrize("moment", ["before", "after"])
def test_f05_f07_f11_nobody_takes_the_lease_of_the_living(world, moment):
    """A holder that died is waited for until its lease has run out: until then it may only be slow."""
    world.die_at(moment)
    calls = world.refreshes
    world.pass_time(LEASE_SECONDS - 12)

    with pytest.raises(RefreshPending):
        world.refresh()

    assert world.refreshes == calls
    assert world.grant().generation == 1


@pytest.mark.parametrize("rule", ["lasting", "grace"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_f05_f11_an_orphan_is_resolved_at_once_where_a_token_can_be_spent_twice(monkeypatch, rule, moment):
    """The next holder spends the same token again; the provider obeys or repeats itself: nothing is lost."""
    world = RefreshWorld(monkeypatch, rule=RULES[rule])
    world.pass_time(HOUR - 600)
    world.die_at(moment)
    world.pass_time(LEASE_SECONDS)

    world.refresh()

    assert_works(world, generation=2)


def test_f05_a_strict_orphan_that_never_spent_is_saved_after_the_horizon(strict):
    """Not before the rescue queue had its time; then the retry obeys and nothing is lost."""
    strict.die_at("before")
    strict.pass_time(LEASE_SECONDS + RESCUE_HORIZON - 30)
    with pytest.raises(RefreshPending) as pending:
        strict.refresh()
    assert strict.refreshes == 0
    assert pending.value.retry_after <= 31

    strict.pass_time(pending.value.retry_after)
    strict.refresh()
    assert_works(strict, generation=2)


def test_f11_f12_a_strict_orphan_that_spent_ends_with_the_reason_that_is_ours(strict):
    """Two refusals, 30 s apart, after the horizon: rotation_outcome_unknown, and the lease's lineage is remembered."""
    strict.die_at("after")
    strict.pass_time(LEASE_SECONDS + RESCUE_HORIZON + 1)

    with pytest.raises(RefreshPending) as strike_one:
        strict.refresh()
    assert strict.grant().strikes == 1
    assert strict.grant().status == "active"

    strict.pass_time(strike_one.value.retry_after)
    with pytest.raises(ReauthorizationRequired) as strike_two:
        strict.refresh()

    assert strike_two.value.extensions["reason"] == "rotation_outcome_unknown"
    assert strict.grant().status == "needs_reauth"
    assert strict.wiring.connections.get(strict.connection_id).reason == "rotation_outcome_unknown"
    assert strict.actions().count("connection.needs_reauth") == 1


def test_f12_killed_between_answer_and_save_costs_nothing_where_the_provider_repeats_itself(grace):
    """The window of loss: an answer received and not written. A grace provider gives it again."""

    def kill(operation, kwargs):
        if operation == "put_item" and grant_write(kwargs):
            raise Killed

    grace.aws.dynamodb.faults.yield_point = kill
    with pytest.raises(Killed):
        grace.refresh()
    grace.aws.dynamodb.faults.yield_point = None
    grace.pass_time(LEASE_SECONDS)

    grace.refresh()
    assert_works(grace, generation=2)


def test_an_orphan_met_by_a_store_fault_is_still_an_orphan(strict):
    """A take-over that stops before the provider leaves the orphan as it found it."""
    strict.die_at("after")
    orphan = strict.lease()
    strict.pass_time(LEASE_SECONDS + RESCUE_HORIZON)
    strict.aws.dynamodb.faults.throttle("query", times=20)

    with pytest.raises(StoreUnavailable):
        strict.refresh()
    strict.aws.dynamodb.faults.clear()

    left = strict.lease()
    assert (left.intent, left.until, left.attempt) == (orphan.intent, orphan.until, orphan.attempt)


def test_f22_a_lease_that_could_not_be_given_back_runs_out(lasting):
    """An error path that cannot write either: expiry frees the lease."""
    lasting.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))
    lasting.aws.dynamodb.faults.throttle("update_item", times=100)

    with pytest.raises(ProviderUnavailable):
        lasting.refresh()
    lasting.aws.dynamodb.faults.clear()
    lasting.pass_time(LEASE_SECONDS)

    lasting.refresh()
    assert_works(lasting, generation=2)


@pytest.mark.parametrize("skew", [-5, 5])
def test_f24_a_clock_that_is_off_steals_no_lease(lasting, skew):
    """Five seconds either way, and a holder at the end of its invocation is still not robbed."""
    robbed = []

    def late():
        lasting.pass_time(19)
        try:
            lasting.refresh(wiring=lasting.container(), run=lasting.run(skew=skew), patience=0)
        except RefreshPending:
            return
        robbed.append(True)

    lasting.provider_http.during = late
    lasting.refresh()

    assert not robbed
    assert lasting.refreshes == 1


def test_f24_a_clock_an_hour_back_loses_nothing(world):
    """Times in the future do not confuse the rules: one refresh, one generation."""
    world.refresh(run=world.run(skew=-HOUR))

    assert_works(world, generation=2)
    assert world.refreshes == 1


# --- before the provider is called ---


def test_f06_a_branch_key_that_does_not_open_means_no_call_and_no_lease(world):
    """The key for the save is had before anything is spent."""
    ensure_keys(
        key_maker=world.wiring.key_maker,
        signing_keys=world.wiring.signing_keys,
        branch_keys=world.wiring.branch_keys,
        now=world.now,
    )
    fresh = world.container()
    world.aws.kms.faults.throttle(
        "decrypt",
        times=20,
        code="ThrottlingException",
        when=lambda kwargs: kwargs["EncryptionContext"]["purpose"] == "branch",
    )

    with pytest.raises(StoreUnavailable):
        world.refresh(wiring=fresh)

    assert world.refreshes == 0
    assert world.lease().intent is None
    assert world.grant().status == "active"


def test_no_kms_call_stands_between_the_answer_and_the_save(world):
    """KMS goes down while the provider answers, and the answer is saved."""
    world.provider_http.during = world.aws.kms.disable

    world.refresh()

    assert world.grant().generation == 2


def test_f28_our_secret_changed_midway_and_no_connection_is_touched(world):
    """C-53: invalid_client is an operator's business; it is audited once, and fixed without a user."""
    world.wiring.secrets.put("/grantkeeper/example", "wrong")
    for _ in range(2):
        with pytest.raises(ProviderMisconfigured):
            world.refresh(wiring=world.container())
    assert world.grant().status == "active"
    assert world.grant().strikes == 0
    audited = [i for i in world.aws.dynamodb.dump("audit") if i["action"]["S"] == "provider.misconfigured"]
    assert len(audited) == 1
    assert len(world.reports.of("provider_misconfigured")) == 2

    world.wiring.secrets.put("/grantkeeper/example", world.provider.client_secret)
    world.refresh(wiring=world.container())
    assert_works(world, generation=2)


def test_an_open_breaker_spares_the_provider(world):
    """No call while it is open; the caller learns when it will be tried again."""
    for _ in range(5):
        world.wiring.breakers.record_failure("example", now=world.now)

    with pytest.raises(ProviderUnavailable) as refused:
        world.refresh()

    assert refused.value.retry_after > 0
    assert world.refreshes == 0
    assert world.lease() is None


# --- what the provider does ---


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


def test_c52_a_dead_grant_takes_two_refusals_well_apart(world):
    """I7: one invalid_grant proves nothing; the second, 30 s later, does; the event is told once."""
    world.provider.revoke_everything()

    with pytest.raises(RefreshPending) as strike_one:
        world.refresh()
    assert world.grant().status == "active"
    assert world.wiring.connections.get(world.connection_id).status == "active"

    for _ in range(3):  # impatient callers neither ask the provider nor count
        with pytest.raises(RefreshPending):
            world.refresh()
    assert world.refreshes == 1

    world.pass_time(strike_one.value.retry_after)
    with pytest.raises(ReauthorizationRequired) as strike_two:
        world.refresh()
    assert strike_two.value.extensions["reason"] == "revoked_by_user"
    assert world.grant().status == "needs_reauth"
    assert world.grant().due_at is None
    assert world.refreshes == 2
    with pytest.raises(ReauthorizationRequired):
        world.read()
    assert world.actions().count("connection.needs_reauth") == 1


def test_i7_a_success_between_two_refusals_starts_anew(world):
    """Strikes belong to a generation."""
    world.provider.answer_next(400, {"error": "invalid_grant"})
    with pytest.raises(RefreshPending):
        world.refresh()
    world.pass_time(60)
    world.refresh()
    assert world.grant().strikes == 0

    world.pass_time(HOUR)
    world.provider.answer_next(400, {"error": "invalid_grant"})
    with pytest.raises(RefreshPending):
        world.refresh()
    assert world.grant().status == "active"


def test_i7_a_dead_answer_after_the_generation_moved_on_is_a_lost_race(strict):
    """The loser of a race is refused for the token the winner spent; it does not destroy the winner's grant."""

    def other_holder_wins():
        strict.pass_time(LEASE_SECONDS + RESCUE_HORIZON + 1)
        strict.refresh(wiring=strict.container())

    strict.provider_http.before = other_holder_wins

    done = strict.refresh()

    assert done.grant.generation == 2
    assert strict.grant().strikes == 0
    assert strict.grant().status == "active"


def test_i7_a_second_refusal_under_a_lease_that_ran_out_declares_nothing(world):
    """Another holder may be saving at that moment."""
    world.provider.revoke_everything()
    with pytest.raises(RefreshPending):
        world.refresh()
    world.pass_time(60)
    world.provider_http.during = lambda: world.pass_time(LEASE_SECONDS)

    with pytest.raises(RefreshPending):
        world.refresh()

    assert world.grant().status == "active"


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


# --- the save ---


def test_f14_a_throttled_save_is_repeated_and_the_provider_not_asked_again(world):
    """The answer is in hand; only the store is tried again."""
    world.aws.dynamodb.faults.throttle("put_item", times=6, when=grant_write)

    world.refresh()

    assert world.refreshes == 1
    assert_works(world, generation=2)


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_f15_a_lost_acknowledgement_of_the_save_is_our_success(world, fault):
    """The condition fails on our own write_id."""
    getattr(world.aws.dynamodb.faults, fault)("put_item", when=grant_write)

    done = world.refresh()

    assert done.grant.generation == 2
    assert world.refreshes == 1
    assert_works(world, generation=2)


def test_a_transaction_on_the_same_item_is_waited_out(world):
    """TransactionConflict passes by itself."""
    world.aws.dynamodb.faults.conflict("put_item", times=3, when=grant_write)

    world.refresh()

    assert_works(world, generation=2)


def test_f16_an_answer_that_dynamodb_refuses_is_rescued(world):
    """Sealed in the rescue queue within the deadline, and applied from there: nothing is lost."""
    world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    run = world.run()

    done = world.refresh(run=run)

    assert run.remaining > 0
    assert done.grant.generation == 2  # the caller is served what the provider gave
    assert world.grant().generation == 1
    [body] = world.parked()
    for secret in world.provider.live_refresh_tokens:
        assert secret not in body

    world.aws.dynamodb.faults.clear()
    assert rescue(rescued_grant(body), grants=world.wiring.grants) == "saved"
    assert rescue(rescued_grant(body), grants=world.wiring.grants) == "saved"
    assert_works(world, generation=2)


def test_f16_a_loss_is_told_and_without_the_secret(strict):
    """Both stores refuse until the end: the highest alarm, ids only."""
    strict.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    strict.aws.sqs.faults.throttle("send_message", times=1000, code="RequestThrottled")
    run = strict.run()

    strict.refresh(run=run)

    assert run.remaining > 0
    [lost] = strict.reports.of("token_set_lost")
    assert lost["connection_id"] == strict.connection_id
    assert not any(token in str(strict.reports.events) for token in strict.provider.live_refresh_tokens)
    assert strict.grant().status == "active"


def test_f16_the_parked_answer_comes_before_any_retry_at_a_strict_provider(strict):
    """Nobody spends the old token while its successor may be in the rescue queue."""
    strict.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    strict.refresh()
    strict.aws.dynamodb.faults.clear()
    strict.pass_time(LEASE_SECONDS + 100)

    with pytest.raises(RefreshPending):
        strict.refresh()
    assert strict.refreshes == 1

    rescue(rescued_grant(strict.parked()[0]), grants=strict.wiring.grants)
    assert_works(strict, generation=2)


def test_f17_a_late_holder_drops_what_another_has_replaced(grace):
    """Its lease ran out, the next holder saved: the generation decides, and the caller gets the newer one."""

    def other_holder():
        grace.pass_time(LEASE_SECONDS + 1)
        grace.refresh(wiring=grace.container())

    grace.provider_http.during = other_holder

    done = grace.refresh()

    assert done.grant == grace.grant()
    assert grace.grant().generation == 2


def test_f17_a_late_holder_whose_token_is_still_current_saves(strict):
    """Fenced on the generation, not on the lease: it holds the only valid successor."""

    def lease_runs_out_and_is_taken():
        strict.pass_time(LEASE_SECONDS + RESCUE_HORIZON + 1)
        orphan = strict.lease()
        assert strict.wiring.grants.take_over(replace(orphan, write_id="thief", owner="thief"), orphan=orphan)

    strict.provider_http.during = lease_runs_out_and_is_taken

    strict.refresh()

    assert_works(strict, generation=2)


def test_i3_a_stale_writer_changes_nothing(world):
    """A successor of an older generation is refused, however late it comes."""
    stale = replace(world.grant(), generation=2, n=2, write_id="stale")
    world.refresh()
    current = world.grant()

    assert world.wiring.grants.save(stale).outcome == "moved"
    assert world.grant() == current


def test_unrelated_writes_meanwhile_touch_no_grant(world):
    """Profile, use and a report are written while the provider answers; the rotated token is stored all the same."""

    def meanwhile():
        world.wiring.connections.touch(world.connection_id, day="2027-01-15")
        profile = Profile("alice", name="Alice")
        assert world.wiring.connections.update_profile(
            world.connection_id, profile, now=world.now, audit=world.event("profile.synced")
        )
        assert world.wiring.grants.reject(world.grant())

    world.provider_http.during = meanwhile

    world.refresh()

    assert_works(world, generation=2)


def test_the_caller_going_away_after_the_answer_loses_nothing(world, monkeypatch):
    """The save comes first: whatever happens afterwards happens to a stored generation."""

    def gone(_provider):
        raise Killed

    monkeypatch.setattr(world.wiring.breakers, "record_success", gone)
    with pytest.raises(Killed):
        world.refresh()

    assert_works(world, generation=2)


# --- revoked meanwhile ---


def test_f18_tokens_that_arrive_after_a_revoke_wait_for_their_revocation(world):
    """I5: nothing is revived; the new set, sealed, and an id in the queue are all there is."""
    world.provider_http.during = world.disconnect

    with pytest.raises(ConnectionRevoked):
        world.refresh()

    assert world.grant().status == "revoked"
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens
    assert world.queued()[-1]["kind"] == "revoke"
    assert not any(token in str(world.queued()) for token in world.provider.live_refresh_tokens)


def test_f18_and_when_dynamodb_refuses_they_are_rescued_first(world):
    """Revoked and store down: the rescue keeps them for the worker."""

    def meanwhile():
        world.disconnect()
        world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)

    world.provider_http.during = meanwhile
    world.refresh()
    world.aws.dynamodb.faults.clear()

    assert rescue(rescued_grant(world.parked()[0]), grants=world.wiring.grants) == "revoked"
    assert world.grant().status == "revoked"
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens
    assert world.grant().due_at is not None


# --- rows put back, moved, edited ---


def put_back(world):
    """A whole old row is restored after the connection was refreshed, as the trail knows."""
    [row] = [i for i in world.aws.dynamodb.dump("grants") if i["sk"]["S"] == "GRANT#main"]
    world.refresh()
    event = world.event("grant.refreshed")
    details = {"name": "main", "generation": "2"}
    world.wiring.audit.record(replace(event, connection_id=world.connection_id, details=details))
    world.aws.dynamodb.restore("grants", row)
    world.pass_time(HOUR)


def test_an_outlived_token_of_a_strict_provider_is_never_spent(strict):
    """The trail knows a later generation: tampering is audited and the user asked to connect again."""
    put_back(strict)

    with pytest.raises(ReauthorizationRequired) as error:
        strict.refresh()

    assert error.value.extensions["reason"] == "spent_elsewhere"
    assert strict.refreshes == 1
    assert "grant.tampering_detected" in strict.actions()


def test_an_outlived_token_that_lasts_heals_itself(lasting):
    """Where the old refresh token still works, a restored row is simply refreshed."""
    put_back(lasting)

    lasting.refresh()

    assert_works(lasting, generation=2)


def test_a_row_that_does_not_open_is_told_once_and_spends_nothing(world):
    """Swapped between two connections: audited as tampering, once however many ask."""
    other = world.connect(account_id="bob")
    rows = {i["pk"]["S"]: i for i in world.aws.dynamodb.dump("grants") if i["sk"]["S"] == "GRANT#main"}
    mine, theirs = rows[f"CONNECTION#{world.connection_id}"], rows[f"CONNECTION#{other}"]
    world.aws.dynamodb.restore("grants", mine | {"sealed": theirs["sealed"]})

    for _ in range(3):
        with pytest.raises(GrantUnreadable):
            world.refresh()

    assert world.refreshes == 0
    assert world.actions().count("grant.tampering_detected") == 1


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


# --- limits and separation ---


def test_reports_and_forced_refreshes_are_capped_by_the_hour(world):
    """A caller in a loop neither burns the provider's quota nor keeps the lease."""
    world.clock.now = NOON + 10 * HOUR
    for _ in range(30):
        world.read(force=True)
        world.pass_time(61)

    with pytest.raises(TooManyRequests):
        world.read(force=True)

    assert world.refreshes == 30
    assert world.lease().intent is None


def test_two_connections_in_a_warm_process_keep_their_own_tokens(world):
    """Nothing of one user is left lying for the next."""
    other = world.connect(account_id="bob")
    first, second = world.read(force=True), world.read(other, force=True)
    world.pass_time(61)
    again = world.read(force=True), world.read(other, force=True)

    tokens = {answer.access_token for answer in (first, second, *again)}
    assert len(tokens) == 4
    assert world.tokens(world.grant(other)).access_token == again[1].access_token
    assert first.scopes == SCOPES


def test_a_provider_with_rules_of_its_own_is_judged_by_its_record(monkeypatch):
    """A code the record lists as transient is never a strike, whatever RFC 6749 calls it."""
    rule = ErrorRule("transient", error="invalid_grant", error_code="50196")
    world = RefreshWorld(monkeypatch, errors=(rule,))
    world.pass_time(HOUR)
    world.provider.answer_next(400, {"error": "invalid_grant", "error_codes": [50196]})

    with pytest.raises(ProviderUnavailable):
        world.refresh()

    assert world.grant().strikes == 0
