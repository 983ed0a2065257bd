"""The token call: who gets a token, which one, and what he is told when there is none."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from grantkeeper.errors import (
    ConnectionRevoked,
    ConsentRequired,
    Forbidden,
    GrantkeeperError,
    GrantUnreadable,
    NotFound,
    ProviderNotConfigured,
    ProviderUnavailable,
    ReauthorizationRequired,
    RefreshPending,
    StoreUnavailable,
    TooManyRequests,
)
from grantkeeper.model import Principal
from grantkeeper.services.lease_policy import LEASE_SECONDS
from grantkeeper.services.note_use import is_idle
from grantkeeper.services.read_token import TokenWanted, read_token
from grantkeeper.services.remembered import FirstUses, RememberedConsents
from grantkeeper.services.rotate_keys import ensure_keys
from tests.doubles.refresh_world import ALICE, CLIENT, GRACE, KEY, LASTING, SCOPES, STRICT, RefreshWorld

HOUR = 3600
TOKEN = frozenset({"connections:token"})
RULES = {"strict": STRICT, "grace": GRACE, "lasting": LASTING}


@pytest.fixture(params=RULES)
def world(request, monkeypatch):
    return RefreshWorld(monkeypatch, rule=RULES[request.param])


@pytest.fixture
def lasting(monkeypatch):
    return RefreshWorld(monkeypatch, rule=LASTING)


@pytest.fixture
def strict(monkeypatch):
    return RefreshWorld(monkeypatch, rule=STRICT)


def down(world):
    """The provider is gone for good."""
    for _ in range(50):
        world.provider.fail_next(ProviderUnavailable("refused", outcome_unknown=False))


# --- which token ---


def test_a_fresh_token_is_served_as_it_is_with_one_read(lasting):
    """The hot path: one GetItem for the grant and one for the consent, and no word to the provider."""
    lasting.read()
    lasting.aws.dynamodb.faults.calls.clear()

    answer = lasting.read()

    assert answer.access_token == lasting.tokens().access_token
    assert answer.as_json() == {
        "kind": "oauth2",
        "access_token": answer.access_token,
        "token_type": "Bearer",
        "expires_at": lasting.now + HOUR,
        "scopes": list(SCOPES),
        "generation": 1,
        "connection_id": lasting.connection_id,
    }
    assert lasting.provider.requests == []
    assert answer.access_token not in repr(answer)


def test_the_hot_path_reads_grant_and_consent_and_nothing_else(lasting):
    """What every call costs."""
    lasting.read()
    lasting.aws.dynamodb.faults.calls.clear()

    lasting.read()

    keys = [kwargs["Key"]["sk"]["S"].partition("#")[0] for _, kwargs in lasting.aws.dynamodb.faults.calls]
    assert keys == ["GRANT", "CONSENT"]


def test_a_token_with_less_than_min_ttl_is_refreshed_first(world):
    """I8: what is handed out is good for as long as was asked."""
    world.pass_time(HOUR - 61)
    assert world.read(min_ttl=60).generation == 1

    world.pass_time(2)
    answer = world.read(min_ttl=60)

    assert answer.generation == 2
    assert answer.expires_at - world.now >= 60


def test_nobody_can_ask_for_more_than_a_token_can_live(world):
    """A min_ttl beyond the lifetime does not refresh at every call."""
    for _ in range(10):
        assert world.read(min_ttl=100_000).expires_at
        world.pass_time(30)

    assert world.refreshes == 0


def test_a_short_lived_token_younger_than_a_minute_is_served_with_the_truth(world):
    """I8: less than min_ttl is left, and `expires_at` says so."""
    world.pass_time(120)
    world.provider.expires_in = 50
    world.read(force=True)
    world.pass_time(20)

    answer = world.read(min_ttl=60)

    assert answer.expires_at - world.now == pytest.approx(30, abs=1)
    assert world.refreshes <= 1


def test_a_token_that_lives_ten_seconds_is_replaced_when_they_are_over(world):
    """Half its life is its youth: a minute would leave every caller without a token."""
    world.pass_time(120)
    world.provider.expires_in = 10
    before = world.read(force=True).generation
    world.pass_time(11)

    answer = world.read(min_ttl=1)

    assert answer.generation == before + 1
    assert answer.expires_at > world.now


def test_a_token_without_expiry_is_served_until_it_is_reported(world):
    """Providers without expires_in refresh on a reported 401 only."""
    world.provider.expires_in = None
    world.connection_id = world.connect(account_id="bob")
    world.pass_time(400 * 86_400)

    assert world.read().expires_at is None
    assert world.refreshes == 0
    assert world.read(rejected_generation=1).generation == 2


# --- reports of 401 ---


def test_a_rejected_generation_is_never_served_again(world):
    """The report refreshes, and who does not report gets the new one too."""
    world.pass_time(120)

    assert world.read(rejected_generation=1).generation == 2
    assert world.read().generation == 2


def test_a_rejected_generation_is_not_served_even_when_the_provider_is_down(world):
    """Better no token than one that does not work."""
    world.pass_time(120)
    down(world)

    with pytest.raises(ProviderUnavailable):
        world.read(rejected_generation=1)
    with pytest.raises((ProviderUnavailable, RefreshPending)):
        world.read()


def test_however_many_report_a_generation_one_refresh_follows(world):
    """Late reports of an old generation get the new token."""
    world.pass_time(120)

    generations = {world.read(rejected_generation=1).generation for _ in range(32)}

    assert generations == {2}
    assert world.refreshes == 1


def test_reports_that_come_while_the_refresh_runs_wait_for_it(world):
    """Fifty callers with the same 401, in the middle of the call."""
    world.pass_time(120)

    def meanwhile():
        with pytest.raises(RefreshPending):
            world.read(rejected_generation=1, wiring=world.container())

    world.provider_http.during = meanwhile
    assert world.read(rejected_generation=1).generation == 2
    assert world.refreshes == 1


def test_a_generation_younger_than_a_minute_is_not_refreshed_for_a_report(world):
    """It is not served either: the caller is told when to come back."""
    world.pass_time(120)
    world.read(force=True)
    world.pass_time(10)

    with pytest.raises(RefreshPending) as young:
        world.read(rejected_generation=2)
    assert 0 < young.value.retry_after <= 60
    assert world.refreshes == 1

    world.pass_time(young.value.retry_after)
    assert world.read().generation == 3


def test_a_report_of_a_generation_that_never_was_changes_nothing(world):
    """Neither of the future nor of the past."""
    world.pass_time(120)

    for generation in (0, 7, -1):
        assert world.read(rejected_generation=generation).generation == 1
    assert world.refreshes == 0


def test_a_report_that_cannot_be_stored_is_not_ignored(world):
    """503 instead of the rejected token."""
    world.pass_time(120)
    world.aws.dynamodb.faults.throttle("update_item", times=50)

    with pytest.raises(StoreUnavailable):
        world.read(rejected_generation=1)

    assert world.refreshes == 0
    assert world.grant().status == "active"


# --- when the refresh fails ---


def test_a_valid_token_is_served_although_the_refresh_just_failed(world):
    """Ninety seconds are left and the provider is down: the truth is better than nothing."""
    world.pass_time(HOUR - 90)
    down(world)

    answer = world.read(min_ttl=300)

    assert answer.generation == 1
    assert answer.expires_at - world.now <= 90


def test_a_valid_token_is_served_while_somebody_else_refreshes(world):
    """Waiters with a good token wait two seconds, not ten."""
    world.pass_time(HOUR - 90)
    served = []

    def meanwhile():
        started = world.clock.now
        served.append((world.read(min_ttl=300, wiring=world.container()), world.clock.now - started))

    world.provider_http.during = meanwhile
    world.read(min_ttl=300)

    assert served[0][0].generation == 1
    assert served[0][1] < 3


@pytest.mark.parametrize("trouble", ["waiting", "provider"])
def test_what_was_reported_or_revoked_while_a_caller_waited_is_not_served_to_him(world, trouble):
    """His own copy of the row is as old as his patience."""
    world.pass_time(HOUR - 90)

    def reported():
        world.wiring.grants.reject(world.grant())

    def waited():
        world.clock.sleep, sleep = (lambda seconds: (sleep(seconds), reported())), world.clock.sleep
        with pytest.raises(RefreshPending):
            world.read(min_ttl=300, wiring=world.container())
        world.clock.sleep = sleep

    if trouble == "waiting":
        world.provider_http.during = waited
        with contextlib.suppress(GrantkeeperError):
            world.read(min_ttl=300)
    else:
        world.provider.answer_next(503)
        world.provider_http.during = reported
        with pytest.raises(ProviderUnavailable):
            world.read(min_ttl=300)


def test_f11_a_valid_token_is_served_while_an_orphan_waits_for_its_horizon(strict):
    """The refresh token is not touched before the rescue queue had its time; the access token still works."""
    strict.pass_time(HOUR - 900)
    strict.die_at("after")
    strict.pass_time(LEASE_SECONDS + 10)

    assert strict.read(min_ttl=3000).generation == 1
    assert strict.refreshes == 1


def test_an_expired_token_and_a_provider_that_is_down_is_503_with_a_time(world):
    """Infrastructure trouble has a Retry-After and changes no status."""
    world.pass_time(HOUR)
    down(world)

    with pytest.raises(ProviderUnavailable) as error:
        world.read()

    assert error.value.status == 503
    assert error.value.retry_after > 0
    assert world.grant().status == "active"


def test_an_outage_of_dynamodb_is_503(world):
    """Not even the grant can be read."""
    world.aws.dynamodb.faults.throttle("get_item", times=100)

    with pytest.raises(StoreUnavailable) as error:
        world.read()

    assert error.value.retry_after


def test_an_outage_of_kms_is_503_and_nothing_else(world):
    """A container without the key in memory cannot serve; the status stays."""
    world.aws.kms.disable()

    with pytest.raises(StoreUnavailable):
        world.read(wiring=world.container())

    assert world.grant().status == "active"


def test_a_short_call_does_not_begin_a_refresh(world):
    """What is left of the invocation would not do for call and save."""
    world.pass_time(HOUR)
    run = world.run()
    world.pass_time(15)

    with pytest.raises(RefreshPending):
        world.read(run=run)

    assert world.refreshes == 0


# --- the status of the connection ---


def test_a_revoked_connection_is_409_and_final(world):
    """Not one token after the disconnect, fresh as it may be."""
    world.disconnect()

    with pytest.raises(ConnectionRevoked) as error:
        world.read()
    assert error.value.status == 409


def test_a_dead_connection_is_409_with_its_typed_reason(world):
    """The client can tell its user why."""
    world.pass_time(HOUR)
    world.provider.revoke_everything()
    with pytest.raises(RefreshPending) as one:
        world.read()
    world.pass_time(one.value.retry_after)

    for _ in range(2):
        with pytest.raises(ReauthorizationRequired) as error:
            world.read()
        assert error.value.status == 409
        assert error.value.extensions["reason"] == "revoked_by_user"


def test_scopes_the_caller_needs_and_the_user_did_not_grant_are_listed(world):
    """409 scopes_missing, with the list in the order asked."""
    with pytest.raises(ReauthorizationRequired) as error:
        world.read(scopes=("files.write", "files.read", "admin"))

    assert error.value.extensions == {"reason": "scopes_missing", "scopes_missing": ["files.write", "admin"]}


def test_c48_a_refresh_that_lost_scopes_says_so(world):
    """The answer shows what the token can do now."""
    world.pass_time(HOUR)
    world.provider.granted_scope = "openid"

    assert world.read().scopes == ("openid", "offline_access")
    with pytest.raises(ReauthorizationRequired):
        world.read(scopes=("files.read",))


# --- who may ask ---


def test_the_user_himself_may_ask_at_a_client_he_allows(world):
    """A signed-in user at the consented client."""
    alice = Principal("user", TOKEN, client_id=CLIENT, sub=ALICE)

    assert world.read(principal=alice).generation == 1


def test_another_user_is_told_that_there_is_no_such_connection(world):
    """Not his: as if it had never been given out."""
    bob = Principal("user", TOKEN, client_id=CLIENT, sub="usr_bob")

    with pytest.raises(NotFound):
        world.read(principal=bob)


def test_the_user_at_a_client_without_consent_is_told_of_the_consent(world):
    """He may know of his connection; this client may not use it."""
    alice = Principal("user", TOKEN, client_id="other", sub=ALICE)

    with pytest.raises(ConsentRequired):
        world.read(principal=alice)


def test_another_clients_key_learns_nothing(world):
    """T-02: the same error and the same reads as for an id that was never given out."""
    other = Principal("api_key", TOKEN, client_id="other", key_id="key2")
    seen = []
    for connection_id in (world.connection_id, "con_unknown"):
        world.aws.dynamodb.faults.calls.clear()
        with pytest.raises(NotFound) as error:
            world.read(connection_id, principal=other)
        seen.append((str(error.value), [operation for operation, _ in world.aws.dynamodb.faults.calls]))
    assert seen[0] == seen[1]


def test_a_client_whose_consent_was_withdrawn_is_told_so(world):
    """It connected the account itself: no secret in that."""
    with pytest.raises(ConsentRequired):
        read_token(
            TokenWanted(world.connection_id),
            principal=KEY,
            has_consent=lambda *_: False,
            first_use=lambda *_: False,
            ports=world.ports(),
            run=world.run(),
        )


def test_an_operators_key_gets_no_tokens(world):
    """Admin scopes only, never tokens."""
    with pytest.raises(Forbidden):
        world.read(principal=Principal("api_key", TOKEN, client_id=None, key_id="key3"))


@pytest.mark.parametrize("identifier", ["", "a#b", "x" * 65, "con/../x", "con id"])
def test_what_cannot_be_an_id_is_not_looked_up(world, identifier):
    """Neither as a connection nor as a token's name."""
    world.aws.dynamodb.faults.calls.clear()
    with pytest.raises(NotFound):
        world.read(identifier or "?")
    with pytest.raises(NotFound):
        world.read(name=identifier)
    reads = [kwargs["Key"]["pk"]["S"] for op, kwargs in world.aws.dynamodb.faults.calls if op == "get_item"]
    assert not any(key.startswith("CONNECTION#") for key in reads)


def test_a_removed_provider_record_is_no_reason_to_deny_the_connection(world):
    """409 provider-not-configured: the operator's doing, and the status stays."""
    world.records.clear()

    with pytest.raises(ProviderNotConfigured):
        world.read()
    assert world.grant().status == "active"


def test_an_unknown_token_name_is_404(world):
    """Slack has `bot` and `user`, most have `main`."""
    with pytest.raises(NotFound):
        world.read(name="bot")


def test_a_tampered_grant_fails_closed(world):
    """Edited rows hand out nothing."""
    [row] = [i for i in world.aws.dynamodb.dump("grants") if i["sk"]["S"] == "GRANT#main"]
    sealed = bytearray(row["sealed"]["B"])
    sealed[-1] ^= 1
    world.aws.dynamodb.restore("grants", row | {"sealed": {"B": bytes(sealed)}})

    with pytest.raises(GrantUnreadable):
        world.read()
    assert "grant.tampering_detected" in world.actions()


# --- beside the answer ---


def test_a_grant_sealed_by_kms_comes_under_the_branch_key_at_its_first_read(lasting):
    """From then on a warm container calls no KMS, and the set is the same."""
    ensure_keys(
        key_maker=lasting.wiring.key_maker,
        signing_keys=lasting.wiring.signing_keys,
        branch_keys=lasting.wiring.branch_keys,
        now=lasting.now,
    )
    container = lasting.container()
    first = lasting.read(wiring=container)
    assert lasting.grant().generation == 1
    lasting.aws.kms.disable()

    assert lasting.read(wiring=container).access_token == first.access_token


def test_use_is_noted_once_a_day_and_brings_an_idle_grant_back(lasting):
    """What is used is refreshed ahead again."""
    grant = lasting.grant()
    lasting.wiring.grants.postpone(grant.connection_id, "main", generation=1, due_at=None)
    first_use, calls = FirstUses(), lasting.aws.dynamodb.faults

    for _ in range(3):
        read_token(
            TokenWanted(lasting.connection_id),
            principal=KEY,
            has_consent=lambda *_: True,
            first_use=first_use,
            ports=lasting.ports(),
            run=lasting.run(),
        )

    assert lasting.wiring.connections.get(lasting.connection_id).used_day == "2027-01-15"
    assert lasting.grant().due_at < lasting.grant().expires_at
    assert calls.count("update_item", when=lambda k: k["Key"]["sk"]["S"] == "META") == 1


def test_noting_use_fails_no_request(lasting):
    """Best effort."""
    lasting.aws.dynamodb.faults.throttle("update_item", times=100)

    answer = read_token(
        TokenWanted(lasting.connection_id),
        principal=KEY,
        has_consent=lambda *_: True,
        first_use=lambda *_: True,
        ports=lasting.ports(),
        run=lasting.run(),
    )
    assert answer.generation == 1


def test_idle_is_unused_today_and_yesterday(lasting):
    """A connection made today is not idle, whatever its use."""
    connection, now = lasting.wiring.connections.get(lasting.connection_id), lasting.now

    assert not is_idle(connection, now=now)
    assert is_idle(connection, now=now + 3 * 86_400)
    assert not is_idle(replace(connection, used_day="2027-01-17"), now=now + 3 * 86_400)


def test_consent_is_remembered_for_thirty_seconds_and_a_refusal_not_at_all():
    """A withdrawn consent ends within half a minute; a new one counts at once."""
    answers, asked, now = {"con": True}, [], [1000]

    def has_consent(_sub, _client, connection):
        asked.append(connection)
        return answers.get(connection, False)

    remembered = RememberedConsents(has_consent, clock=lambda: now[0])
    assert remembered("s", "c", "con")
    answers["con"] = False
    now[0] += 29
    assert remembered("s", "c", "con")
    now[0] += 1
    assert not remembered("s", "c", "con")
    answers["con"] = True
    assert remembered("s", "c", "con")
    assert not remembered("s", "other", "new")
    assert asked == ["con"] * 3 + ["new"]


def test_a_forced_refresh_is_one_refresh(world):
    """And asked again at once it is none."""
    world.pass_time(120)

    assert world.read(force=True).generation == 2
    assert world.read(force=True).generation == 2
    assert world.refreshes == 1


def test_forced_refreshes_have_a_cap_and_the_token_is_served_all_the_same(lasting):
    """30 an hour; the valid token is no victim of the cap."""
    lasting.clock.now = (lasting.clock.now // HOUR + 1) * HOUR
    for _ in range(30):
        lasting.read(force=True)
        lasting.pass_time(61)

    with pytest.raises(TooManyRequests) as capped:
        lasting.read(force=True)
    assert 0 < capped.value.retry_after <= HOUR
    assert lasting.refreshes == 30
    assert lasting.read().generation == 31


def test_a_forced_refresh_that_fails_is_told(world):
    """Who forces one wants to know; who reads is served the token that still works."""
    world.pass_time(120)
    down(world)

    with pytest.raises(ProviderUnavailable):
        world.read(force=True)
    assert world.read().generation == 1
