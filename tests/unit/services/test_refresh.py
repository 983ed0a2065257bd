"""The refresh protocol as a whole: one refresh, one generation, nobody beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import (
    ProviderMisconfigured,
    ProviderUnavailable,
    RefreshPending,
    StoreUnavailable,
    TooManyRequests,
)
from grantkeeper.providers.record import ErrorRule
from grantkeeper.services.lease_policy import CALL_BUDGET, LEASE_SECONDS, START_NEEDS
from grantkeeper.services.note_use import day_of
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause
from grantkeeper.services.rotate_keys import ensure_keys
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import (
    LASTING,
    SCOPES,
    RefreshWorld,
    assert_works,
    lease_write,
)

HOUR = 3600


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


def test_slow_stores_before_the_call_leave_it_its_whole_budget_or_keep_it_from_beginning(strict):
    """A call cut short has an unknown outcome, and the refresh token it may have spent was in no danger before."""

    def slow(operation, kwargs):
        if operation == "update_item" and kwargs["TableName"] == "requests":
            strict.clock.sleep(5)

    strict.aws.dynamodb.faults.yield_point = slow
    run = strict.run()
    strict.pass_time(20 - START_NEEDS - 1)

    with pytest.raises(RefreshPending):
        strict.read(rejected_generation=1, run=run)

    assert strict.refreshes == 0
    assert strict.lease().intent is None


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
    assert world.container().breakers.misconfigured(world.grant().provider)

    world.wiring.secrets.put("/grantkeeper/example", world.provider.client_secret)
    world.refresh(wiring=world.container())
    assert not world.container().breakers.misconfigured(world.grant().provider)
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


@pytest.mark.parametrize(("throttled", "closed"), [("application", True), ("connection", False)])
def test_a_429_that_speaks_of_one_connection_closes_nobody_elses(monkeypatch, throttled, closed):
    """Slack counts by workspace: its Retry-After is for the connection that met it."""
    rule = replace(LASTING, throttled=throttled)
    world = RefreshWorld(monkeypatch, rule=rule)
    world.pass_time(HOUR)
    world.provider.answer_next(429, b"", retry_after="300")

    with pytest.raises(ProviderUnavailable) as refused:
        world.refresh()

    assert refused.value.retry_after == 300
    assert (world.wiring.breakers.open_until("example") > world.now) is closed


def test_an_outage_and_its_end_are_told_once(monkeypatch):
    """For whoever is paged, and as events: the turn of the breaker that all functions share."""
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.pass_time(HOUR)
    world.provider.answer_next(503, b"", retry_after="60")
    with pytest.raises(ProviderUnavailable):
        world.refresh()
    world.pass_time(61)
    world.refresh()

    events, _ = world.wiring.audit.day(day_of(world.now), limit=100)
    turns = [
        (event.action, event.provider)
        for event in sorted(events, key=lambda each: each.time)
        if event.action.startswith("provider.")
    ]
    assert turns[-2:] == [("provider.degraded", "example"), ("provider.recovered", "example")]
    assert len(world.reports.of("provider_degraded")) == len(world.reports.of("provider_recovered")) == 1


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b"", "unavailable"),
        (429, b"", "throttled"),
        (401, {"error": "invalid_client"}, "misconfigured"),
        (418, {"error": "a_word_of_its_own"}, "refused"),
    ],
)
def test_a_failure_is_told_with_its_reason_and_no_word_of_the_providers(world, status, body, reason):
    """What metrics go by is one of four words; a dead answer is no failure but a finding of its own."""
    world.pass_time(HOUR)
    for _ in range(2):
        world.provider.answer_next(status, body)

    with pytest.raises((ProviderUnavailable, ProviderMisconfigured)):
        world.refresh()

    assert world.reports.of("refresh_failed") == [{"provider": "example", "reason": reason}]
