"""What becomes of an answer that is saved and is no use to a caller: half a set, or somebody else's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grantkeeper.errors import GrantkeeperError, ReauthorizationRequired, RefreshPending, TooManyRequests
from grantkeeper.oauth.same_account import account_marks
from grantkeeper.oauth.token_response import sealable, token_set
from grantkeeper.providers.record import RevocationRule
from grantkeeper.services import spend_token
from grantkeeper.services import successor as successor_module
from grantkeeper.services.before_the_call import HOURLY_CAP
from grantkeeper.services.refresh_run import Cause
from grantkeeper.services.revoke_upstream import revoke_upstream
from tests.doubles.provider import Account
from tests.doubles.refresh_world import LASTING, STRICT, RefreshWorld, assert_works

HOUR = 3600
SPACING = 41  # seconds until a second look may be taken


def rotate_without_access_token(world, *, times=1):
    """The provider rotates and answers with the refresh token alone."""
    issue = world.provider._issue
    left = [times]

    def half(family, **how):
        body = issue(family, **how)
        if left[0]:
            left[0] -= 1
            del body["access_token"]
        return body

    world.provider._issue = half


# --- half a set ---


def test_f29_an_answer_without_access_token_is_saved_and_its_refresh_token_spent_next(strict):
    """At a strict provider it holds the only refresh token that is good: one call of the user's brings a whole set."""
    strict.pass_time(HOUR)
    rotate_without_access_token(strict)

    answer = strict.read()

    assert answer.generation == 3
    assert strict.refreshes == 2
    assert_works(strict, generation=3)


def test_f29_half_a_set_is_served_to_nobody_and_due_soon(strict):
    """It waits for its second half as a generation of its own."""
    strict.pass_time(HOUR)
    rotate_without_access_token(strict, times=100)

    with pytest.raises(GrantkeeperError):
        strict.read()

    grant = strict.grant()
    assert grant.status == "active"
    assert grant.rejected_generation == grant.generation > 1
    assert strict.now <= grant.due_at <= strict.now + 60
    assert strict.provider.live_refresh_tokens == [json.loads(strict.plaintext())["answer"]["refresh_token"]]


def test_f29_a_provider_that_never_completes_its_answers_is_asked_within_the_hours_cap(strict):
    """Callers cause no loop."""
    strict.pass_time(HOUR)
    rotate_without_access_token(strict, times=10_000)
    refused = []
    for _ in range(3 * HOURLY_CAP):
        with pytest.raises(GrantkeeperError) as error:
            strict.read()
        refused.append(type(error.value))

    assert strict.refreshes <= HOURLY_CAP + 1
    assert refused[-1] is TooManyRequests
    assert strict.grant().status == "active"


def test_f29_a_worker_completes_half_a_set(strict):
    """Without any caller."""
    rotate_without_access_token(strict)
    strict.refresh()
    assert strict.grant().generation == 2

    strict.pass_time(60)
    strict.refresh()

    assert_works(strict, generation=3)


def test_half_a_set_is_revoked_by_its_refresh_token(monkeypatch):
    """A disconnect finds no access token in it and leaves nothing alive upstream."""
    world = RefreshWorld(monkeypatch, rule=STRICT, revocation=RevocationRule(kind="rfc7009"))
    world.pass_time(3000)
    rotate_without_access_token(world)
    world.refresh()
    [kept] = world.provider.live_refresh_tokens
    world.disconnect()
    world.pass_time(HOUR)
    assert revoke_upstream(world.connection_id, cause=Cause("sweep", "t"), ports=world.ports(), run=world.run()) == (
        "revoked"
    )
    assert world.provider.revoked_tokens == [kept]


@pytest.mark.parametrize("body", [{"refresh_token": "same"}, {"refresh_token": "new", "error": "server_error"}, {}])
def test_what_brings_no_new_refresh_token_or_tells_an_error_is_no_set(lasting, body):
    """The refresh token that was sent, or one beside an error: nothing is saved, the outcome is unknown."""
    if body.get("refresh_token") == "same":
        body = {"refresh_token": lasting.tokens().refresh_token}
    for _ in range(2):
        lasting.provider.answer_next(200, body)

    with pytest.raises(GrantkeeperError):
        lasting.refresh()

    assert lasting.grant().generation == 1


def test_f13_a_bug_while_an_answer_is_looked_at_costs_no_grant(strict, monkeypatch):
    """What came with a success is kept, for better code to read."""

    def broken(*_, **__):
        raise ZeroDivisionError

    strict.provider_http.during = lambda: monkeypatch.setattr(spend_token, "granted", broken)
    strict.refresh()
    monkeypatch.undo()

    assert_works(strict, generation=2)
    assert strict.tokens().refresh_token == strict.provider.live_refresh_tokens[-1]


@pytest.mark.parametrize("expires_in", [0, 3, "soon"])
def test_a_token_that_has_ended_as_it_comes_is_asked_for_within_the_hours_cap(strict, expires_in):
    """Whoever reads is not the cause of a refresh a call, nor a sweep of one a minute."""
    issue = strict.provider._issue
    strict.provider._issue = lambda family, **how: issue(family, **how) | {"expires_in": expires_in}
    strict.pass_time(2 * HOUR - strict.now % HOUR)

    for _ in range(40):
        with pytest.raises(GrantkeeperError):
            strict.read()
        strict.pass_time(20)

    assert strict.refreshes <= HOURLY_CAP + 1
    assert strict.grant().due_at >= strict.grant().refreshed_at + 300
    assert_works(strict, generation=strict.grant().generation)


def test_a_set_that_cannot_be_read_is_spent_within_the_hours_cap(strict, monkeypatch):
    """A bug of ours in reading it is no licence to ask the provider at every call."""

    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(successor_module, "plan", broken)
    strict.pass_time(2 * HOUR - strict.now % HOUR)
    for _ in range(40):
        with pytest.raises(GrantkeeperError):
            strict.read()
        strict.pass_time(20)

    assert strict.refreshes <= HOURLY_CAP + 1
    monkeypatch.undo()
    strict.pass_time(HOUR)
    assert strict.read().access_token


def test_i7_a_bug_after_a_probe_ends_no_token_that_cannot_be_refreshed(monkeypatch):
    """The provider knows the token: the set is the one there was, and so is its end."""
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.provider.issues_refresh_tokens = False
    world.connection_id = world.connect(account_id="bob")
    world.pass_time(120)
    ends = world.grant().expires_at

    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(successor_module, "plan", broken)
    assert world.read(rejected_generation=1).generation == 2
    world.pass_time(120)

    assert world.read().expires_at == ends
    assert (world.grant().status, world.grant().expires_at) == ("active", ends)


# --- somebody else's ---


@pytest.fixture
def bobs(strict):
    """From the second answer on the provider speaks of Bob."""
    strict.read(force=True)  # the first answer that tells whose it is
    strict.pass_time(HOUR)
    for family in strict.provider._families:
        family.account = Account("bob")
    return strict


def test_c81_f29_another_users_tokens_are_saved_and_served_to_nobody(bobs):
    """The refresh token among them may be the only good one; the access token is Bob's."""
    with pytest.raises(RefreshPending):
        bobs.read()
    calls = bobs.refreshes
    with pytest.raises(RefreshPending):
        bobs.read()

    assert bobs.refreshes == calls, "not asked again at once"
    grant = bobs.grant()
    assert (grant.status, grant.generation, grant.strikes) == ("active", 3, 1)
    assert "grant.tampering_detected" in bobs.actions()


def test_c81_a_second_answer_for_somebody_else_ends_the_grant(bobs):
    """Well apart, with a reason of its own."""
    with pytest.raises(RefreshPending):
        bobs.read()
    bobs.pass_time(SPACING)

    with pytest.raises(ReauthorizationRequired) as error:
        bobs.read()

    assert error.value.extensions["reason"] == "identity_changed"
    assert bobs.grant().status == "needs_reauth"
    assert bobs.wiring.connections.get(bobs.connection_id).status == "needs_reauth"


def test_c81_a_provider_that_was_mistaken_once_is_forgiven(bobs):
    """The next answer is for the right user: it is served, and nothing is held against it."""
    with pytest.raises(RefreshPending):
        bobs.read()
    for family in bobs.provider._families:
        family.account = Account("alice")
    bobs.pass_time(SPACING)

    answer = bobs.read()

    assert answer.generation == 4
    assert (bobs.grant().reason, bobs.grant().strikes) == (None, 0)
    assert_works(bobs, generation=4)


def test_c81_a_refusal_after_a_strangers_answer_tells_the_same_reason(bobs):
    """What is refused then is what came as the stranger's."""
    with pytest.raises(RefreshPending):
        bobs.read()
    bobs.provider.revoke_everything()
    bobs.pass_time(SPACING)

    with pytest.raises(ReauthorizationRequired) as error:
        bobs.read()

    assert error.value.extensions["reason"] == "identity_changed"


def test_c81_a_strangers_tokens_are_not_revoked_by_a_disconnect(monkeypatch):
    """They are erased: revoking them would cut off their owner."""
    world = RefreshWorld(monkeypatch, rule=STRICT, revocation=RevocationRule(kind="rfc7009"))
    world.pass_time(3000)
    world.refresh()
    world.pass_time(HOUR)
    for family in world.provider._families:
        family.account = Account("bob")
    with pytest.raises(RefreshPending):
        world.refresh()
    world.disconnect()
    world.pass_time(HOUR)

    revoke_upstream(world.connection_id, cause=Cause("sweep", "t"), ports=world.ports(), run=world.run())

    assert world.provider.revoked_tokens == []
    assert world.grant().sealed == b""


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ({"iss": "https://other.example"}, "iss"),
        ({"aud": "another-client"}, "aud"),
        ({"aud": ["another-client", "third"]}, "aud"),
        ({"azp": "another-client"}, "azp"),
        ({"sub": "bob"}, "sub"),
        ({"aud": ["our-client", "another"]}, None),
        ({"iss": None, "sub": None, "aud": None}, None),
        ({"iat": 1, "exp": 2, "nonce": "other"}, None),
    ],
)
def test_c81_the_claims_that_tell_whose_tokens_they_are(strict, override, told):
    """Absent ones say nothing; times and nonce are not compared."""
    strict.refresh()
    strict.pass_time(HOUR)
    strict.provider.id_token_overrides = override
    try:
        strict.refresh()
    except RefreshPending:
        assert told is not None
    assert json.loads(strict.plaintext()).get("suspect") == told


@pytest.mark.parametrize("token", ["x.y.z", "....", "", 7, None, "a.bm8.c", "a." + "A" * 70_000 + ".c"])
def test_c81_an_id_token_that_cannot_be_read_says_nothing(strict, token):
    """It never counted for a refresh, and a strike for it would end good grants."""
    strict.refresh()
    strict.pass_time(HOUR)
    strict.provider.extra_token_fields = {"id_token": token}

    strict.refresh()

    assert_works(strict, generation=3)


def test_c81_ids_in_the_token_response_are_compared_where_the_record_composes_the_account_of_them(strict):
    """Slack's team and user; what the answer leaves out is as before."""
    record = strict.records["example"]
    record = replace(
        record,
        token_response=replace(record.token_response, metadata=(("team_id", "/team/id"), ("plan", "/plan"))),
        profile=replace(record.profile, id_template="{metadata#/team_id}_{id_token#/sub}"),
    )

    def after(previous, answer):
        body = json.dumps({"access_token": "a", "refresh_token": "r", **answer}).encode()
        return token_set(sealable(body, provider=record, previous=previous, received_at=1), provider=record)

    first = after(None, {"team": {"id": "T1"}, "plan": "free"})
    assert after(first, {"team": {"id": "T1"}, "plan": "paid"}).suspect is None
    assert after(first, {}).suspect is None
    moved = after(first, {"team": {"id": "T2"}})
    assert moved.suspect == "team_id"
    assert moved.metadata["team_id"] == "T1", "what a stranger's answer says is not what the next is compared with"
    assert after(moved, {"team": {"id": "T1"}}).suspect is None


def test_c81_an_id_that_is_an_address_survives_a_renamed_host(strict):
    """Salesforce's `id` names organisation and user in its path."""
    record = strict.records["example"]
    record = replace(
        record,
        token_response=replace(record.token_response, metadata=(("id", "/id"),)),
        profile=replace(record.profile, map={"provider_user_id": ("metadata#/id",)}),
    )
    previous = replace(strict.tokens(), metadata={"id": "https://login.example/id/org/user"})

    same = {"id": "https://acme.example/id/org/user"}
    other = {"id": "https://login.example/id/org/other"}
    told = [account_marks(answer, provider=record, client_id=None, previous=previous) for answer in (same, other)]
    assert [marks.get("suspect") for marks in told] == [None, "id"]
