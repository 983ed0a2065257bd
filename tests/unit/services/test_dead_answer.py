"""I7: a grant is dead after two refusals well apart, for the current generation, and after nothing else."""

from __future__ import annotations

import pytest

from grantkeeper.errors import (
    ReauthorizationRequired,
    RefreshPending,
)
from grantkeeper.providers.record import TokenResponseRule
from grantkeeper.services.lease_policy import LEASE_SECONDS
from tests.doubles.refresh_world import CLIENT, LASTING, STRICT, RefreshWorld, assert_works
from tests.unit.services.test_revoke_upstream import waiting

HOUR = 3600


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
        strict.outwait_orphan()
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


def connect_again(world):
    """The user consents anew to the account he is connected with."""
    pending = waiting(world, account_id="alice", connection_id=world.connection_id, replaces=True)
    event = world.event("connection.activated")
    world.wiring.connections.confirm(pending, consent_client_id=CLIENT, now=world.now, audit=event)


def dead(world):
    """Refused twice, well apart."""
    world.provider.revoke_everything()
    with pytest.raises(RefreshPending):
        world.refresh()
    world.pass_time(60)
    with pytest.raises(ReauthorizationRequired):
        world.refresh()


def test_i7_a_connection_that_was_dead_begins_anew_when_it_is_connected_again(world):
    """Active, due, without the strikes of its former life; one refusal is one strike again."""
    dead(world)
    assert world.grant().due_at is None

    connect_again(world)

    grant = world.grant()
    assert (grant.status, grant.generation, grant.strikes, grant.reason) == ("active", 2, 0, None)
    assert world.now < grant.due_at < grant.expires_at
    assert world.wiring.connections.get(world.connection_id).status == "active"
    world.pass_time(HOUR)
    world.provider.answer_next(400, {"error": "invalid_grant"})
    with pytest.raises(RefreshPending):
        world.refresh()
    assert world.grant().status == "active"
    world.pass_time(60)
    world.refresh()
    assert_works(world, generation=3)


def test_i7_a_strike_of_the_grant_before_does_not_count_for_the_new_one(world):
    """Connected again between the two refusals, while a refused call was still under way."""
    world.provider.answer_next(400, {"error": "invalid_grant"})
    with pytest.raises(RefreshPending):
        world.refresh()
    world.pass_time(60)
    world.provider.answer_next(400, {"error": "invalid_grant"})
    world.provider_http.during = lambda: connect_again(world)

    done = world.refresh()

    assert done.grant.generation == 2
    assert (world.grant().status, world.grant().strikes) == ("active", 0)
    assert_works(world, generation=2)


def test_c52_a_probe_and_a_refusal_are_two_strikes_for_one_generation(monkeypatch):
    """A token without successor, reported twice: what refused it is told by the one that decided."""
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.provider.issues_refresh_tokens = False
    world.connection_id = world.connect(account_id="bob")
    world.pass_time(120)
    world.provider.revoke_everything()
    for _ in range(2):
        with pytest.raises((RefreshPending, ReauthorizationRequired)) as error:
            world.read(rejected_generation=1)
        world.pass_time(41)

    assert error.value.extensions["reason"] == "credentials_rejected"
    assert world.grant().strikes == 1, "the second one is the declaration"


def test_c51_f29_the_same_refresh_token_again_is_the_current_one(lasting):
    """A provider that repeats it in every answer: nothing is replaced, nothing is lost, and it is spent again."""
    before = lasting.tokens().refresh_token
    lasting.provider.extra_token_fields = {"refresh_token": before}
    for generation in (2, 3):
        lasting.refresh()
        assert_works(lasting, generation=generation)
        assert lasting.tokens().refresh_token == before
        lasting.pass_time(HOUR)


def test_f29_a_refresh_token_that_lives_shorter_than_the_one_before_is_kept_with_its_own_end(monkeypatch):
    """Its end replaces the old one's, in either direction."""
    rule = TokenResponseRule(refresh_token_expires_in="/refresh_token_expires_in")
    world = RefreshWorld(monkeypatch, rule=STRICT, token_response=rule)
    for lifetime in (90 * 24 * HOUR, 2 * HOUR, 30 * 24 * HOUR):
        world.pass_time(HOUR)
        world.provider.extra_token_fields = {"refresh_token_expires_in": lifetime}
        world.refresh()
        assert world.tokens().refresh_token_expires_at == pytest.approx(world.now + lifetime, abs=2)
        assert world.tokens().refresh_token in world.provider.live_refresh_tokens
