"""Upstream revocation: under the lease, within the radius rule, to the end; and a revoke at every step of a refresh."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import GrantkeeperError, ProviderMisconfigured, ProviderUnavailable, RefreshPending
from grantkeeper.model import CONFIRM_SLACK, Pending, Work
from grantkeeper.providers.record import RevocationRule
from grantkeeper.services.discard_tokens import discard_tokens
from grantkeeper.services.lease_policy import LEASE_SECONDS, RESCUE_HORIZON
from grantkeeper.services.refresh_run import Cause
from grantkeeper.services.rescue import rescue
from grantkeeper.services.revoke_upstream import RECORDS_KNOWN_AFTER, THE_END, revoke_upstream
from grantkeeper.services.work import work_through
from grantkeeper.stores.queues import rescued_grant
from tests.doubles.refresh_world import GRACE, LASTING, STRICT, RefreshWorld, grant_write

HOUR = 3600
RULES = {"strict": STRICT, "grace": GRACE, "lasting": LASTING}
RFC7009 = RevocationRule(kind="rfc7009", effect="grant")
CAUSE = Cause("sweep", "system", "req")


@pytest.fixture(params=RULES)
def world(request, monkeypatch):
    return RefreshWorld(monkeypatch, rule=RULES[request.param], revocation=RFC7009)


def world_with(monkeypatch, **rule):
    return RefreshWorld(monkeypatch, rule=STRICT, revocation=replace(RFC7009, **rule))


def revoke(world, connection_id=None, *, wiring=None):
    return revoke_upstream(
        connection_id or world.connection_id, cause=CAUSE, ports=world.ports(wiring), run=world.run()
    )


def in_one_thread(tasks):
    for task in tasks:
        task()


def work(world, kind="revoke"):
    """The worker gets a message for the connection as it stands."""
    message = Work(kind, "example", ((world.connection_id, world.grant().generation),))
    return work_through([message], ports=world.ports(), run=world.run(), parallel=in_one_thread)


# --- the plain way ---


def test_a_disconnected_grant_is_revoked_at_its_provider_and_erased(world):
    """The provider is told, the secrets go, the tombstone stays."""
    token = world.tokens().refresh_token
    world.disconnect()

    assert revoke(world) == "revoked"

    assert world.provider.revoked_tokens == [token]
    assert world.grant().sealed == b""
    assert world.grant().status == "revoked"
    assert world.grant().due_at is None
    assert "grant.erased" in world.actions()
    assert revoke(world) == "nothing"


def test_a_record_that_this_environment_does_not_know_yet_loses_no_revocation(world):
    """Records are looked at once a minute: what is unknown just after a disconnect is new, and the token would live."""
    token = world.tokens().refresh_token
    world.disconnect()
    record = world.records.pop("example")

    with pytest.raises(ProviderUnavailable):
        revoke(world)
    assert world.grant().sealed

    world.records["example"] = record
    assert revoke(world) == "revoked"
    assert world.provider.revoked_tokens == [token]


def test_a_record_that_was_removed_leaves_nobody_to_tell(world):
    """Minutes after the disconnect it is still not there: the secrets go."""
    world.disconnect()
    world.records.pop("example")
    world.pass_time(RECORDS_KNOWN_AFTER)

    assert revoke(world) == "not_supported"
    assert world.grant().sealed == b""


def test_a_live_connection_is_left_alone(world):
    """The user connected again, or never disconnected: nobody cuts him off."""
    assert revoke(world) == "nothing"
    assert world.provider.requests == []
    assert world.grant().sealed


def test_c58_a_token_unknown_upstream_is_revoked_enough(world):
    """400 invalid_token: it is gone; the secrets go too."""
    world.disconnect()
    answers(world, 400, {"error": "invalid_token"})

    assert revoke(world) == "gone"
    assert world.grant().sealed == b""


@pytest.mark.parametrize("error", ["unsupported_token_type", "unsupported_response_type"])
def test_c58_a_provider_that_cannot_is_not_asked_for_ever(world, error):
    """RFC 7009 section 2.2.1: asking again changes nothing."""
    world.disconnect()
    answers(world, 400, {"error": error})

    assert revoke(world) == "not_supported"
    assert world.grant().sealed == b""


@pytest.mark.parametrize("status", [429, 500, 503])
def test_c58_a_provider_in_trouble_is_asked_again(world, status):
    """The local revoke stands; the secrets stay until the provider has answered."""
    world.disconnect()
    answers(world, status, {})

    with pytest.raises(ProviderUnavailable):
        revoke(world)
    assert world.grant().sealed

    world.pass_time(HOUR)
    assert revoke(world) == "revoked"


def test_c58_an_answer_that_never_comes_is_asked_for_again(world):
    """Revoking twice is harmless, so the lease is free for it."""
    world.disconnect()
    answers(world, ProviderUnavailable("slow", outcome_unknown=True))

    with pytest.raises(ProviderUnavailable):
        revoke(world)

    assert revoke(world, wiring=world.container()) == "revoked"


def test_our_registration_refused_keeps_the_secrets(world):
    """C-53: an operator must act, and then it is done."""
    world.disconnect()
    answers(world, 401, {"error": "invalid_client"})

    with pytest.raises(ProviderMisconfigured):
        revoke(world)

    assert world.grant().sealed
    assert world.grant().status == "revoked"
    assert world.container().breakers.misconfigured(world.grant().provider)
    assert len(world.reports.of("provider_misconfigured")) == 1


def test_the_end_comes_after_a_week(world):
    """An unreachable provider is given up, told to the operator, and the secrets go."""
    world.disconnect()
    world.pass_time(THE_END)
    answers(world, 500, {})

    assert revoke(world) == "abandoned"
    assert world.grant().sealed == b""
    assert world.reports.of("revocation_abandoned")


def test_a_provider_without_revocation_is_not_called(monkeypatch):
    """Erased here; the user may be told where to go."""
    world = RefreshWorld(monkeypatch, revocation=RevocationRule(kind="none"))
    world.disconnect()

    assert revoke(world) == "not_supported"
    assert world.provider.requests == []
    assert world.grant().sealed == b""


# --- the radius ---


@pytest.mark.parametrize("effect", ["grant", "installation", "project_user"])
def test_another_live_connection_is_not_cut_off(monkeypatch, effect):
    """Revoking would reach it, so the secrets are erased here and the provider is not told."""
    world = world_with(monkeypatch, effect=effect)
    other = world.connect(service="example-mail")
    world.disconnect()

    assert revoke(world) == "shared_grant_kept"

    assert world.provider.revoked_tokens == []
    assert world.grant().sealed == b""
    assert world.grant(other).sealed
    assert world.wiring.connections.get(other).status == "active"


def test_a_revocation_of_one_token_only_reaches_nobody_else(monkeypatch):
    """effect = token."""
    world = world_with(monkeypatch, effect="token")
    world.connect(service="example-mail")
    world.disconnect()

    assert revoke(world) == "revoked"


def test_a_user_who_connected_again_meanwhile_is_not_cut_off(world):
    """The radius is looked at when the work runs, not when it was asked for."""
    world.disconnect()
    again = world.connect()

    assert revoke(world) == "shared_grant_kept"
    assert world.tokens(world.grant(again)).refresh_token in world.provider.live_refresh_tokens


def test_the_last_one_out_revokes(world):
    """Two connections share the grant; when both are gone nobody is cut off."""
    other = world.connect(service="example-mail")
    world.disconnect()
    revoke(world)
    world.disconnect(other)

    assert revoke(world, other) == "revoked"


# --- live access tokens ---


def test_a_provider_that_revokes_live_tokens_only_gets_a_fresh_one(monkeypatch):
    """GitHub, Dropbox: refreshed first, stored before it is used, then revoked and erased."""
    world = world_with(monkeypatch, requires_live_access_token=True, token_hint="access_token")
    before = world.tokens().access_token
    world.disconnect()
    world.pass_time(2 * HOUR)

    assert revoke(world) == "revoked"

    assert world.refreshes == 1
    assert world.provider.revoked_tokens
    assert before not in world.provider.revoked_tokens
    assert world.grant().status == "revoked"
    assert world.grant().sealed == b""


def test_what_cannot_be_refreshed_any_more_is_gone(monkeypatch):
    """A dead answer while making a live token: there is nothing left to revoke."""
    world = world_with(monkeypatch, requires_live_access_token=True)
    world.disconnect()
    world.provider.revoke_everything()
    world.pass_time(2 * HOUR)

    assert revoke(world) == "gone"


def test_one_refusal_before_a_revocation_is_not_believed(monkeypatch):
    """A provider that errs once would keep the refresh token alive for ever: it is told before the set is erased."""
    world = world_with(monkeypatch, requires_live_access_token=True)
    world.disconnect()
    world.pass_time(2 * HOUR)
    world.provider.answer_next(400, {"error": "invalid_grant"})

    assert revoke(world) == "gone"
    assert world.provider.live_refresh_tokens == []
    assert world.grant().sealed == b""


def test_a_refresh_before_a_revocation_that_ends_unknown_keeps_its_lease(monkeypatch):
    """As with any refresh."""
    world = world_with(monkeypatch, requires_live_access_token=True)
    world.disconnect()
    world.pass_time(2 * HOUR)
    for _ in range(2):
        world.provider.fail_next(ProviderUnavailable("slow", outcome_unknown=True))

    with pytest.raises(ProviderUnavailable):
        revoke(world)
    assert world.lease().intent is not None
    with pytest.raises(RefreshPending):
        revoke(world)

    world.pass_time(LEASE_SECONDS)
    with pytest.raises(RefreshPending):
        revoke(world)
    world.pass_time(RESCUE_HORIZON)
    assert revoke(world) == "revoked"


def test_i2_a_refresh_before_a_revocation_is_no_loss_when_dynamodb_refuses_it(monkeypatch):
    """The fresh set is parked like any other and told to the provider from memory: its grant does not live on."""
    world = world_with(monkeypatch, requires_live_access_token=True)
    world.disconnect()
    world.pass_time(2 * HOUR)
    world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)

    assert revoke(world) == "revoked"

    assert world.provider.live_refresh_tokens == []
    assert len(world.parked()) == 1


# --- races ---


def test_i5_tokens_that_come_late_are_not_erased_before_they_are_revoked(monkeypatch):
    """The rescue queue delivers them while their predecessors are being revoked: they are next."""
    world = RefreshWorld(monkeypatch, rule=STRICT, revocation=replace(RFC7009, effect="token"))
    world.pass_time(HOUR)
    world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
    world.refresh()
    world.aws.dynamodb.faults.clear()
    [late] = world.provider.live_refresh_tokens
    world.disconnect()
    for wait in (LEASE_SECONDS, RESCUE_HORIZON):
        world.pass_time(wait)
        work(world)
        if wait == LEASE_SECONDS:
            world.provider_http.during = lambda: rescue(rescued_grant(world.parked()[0]), grants=world.wiring.grants)

    assert late not in world.provider.revoked_tokens
    assert world.grant().sealed
    world.pass_time(HOUR)
    work(world)

    assert late in world.provider.revoked_tokens
    assert world.grant().sealed == b""


def test_a_revocation_waits_for_the_refresh_in_flight(world):
    """The same lease: the tokens under way are revoked, not their predecessors."""
    world.pass_time(HOUR)
    pending = []

    def meanwhile():
        world.disconnect()
        with pytest.raises(RefreshPending) as error:
            revoke(world, wiring=world.container())
        pending.append(error.value.retry_after)

    world.provider_http.during = meanwhile
    with pytest.raises(GrantkeeperError):
        world.refresh()

    assert pending[0] > 0
    newest = world.tokens().refresh_token
    assert revoke(world) == "revoked"
    assert world.provider.revoked_tokens == [newest]
    assert world.provider.live_refresh_tokens == []


@pytest.mark.parametrize("rule", RULES)
def test_f27_a_revoke_at_every_point_of_a_refresh_leaves_nothing_alive(monkeypatch, rule):
    """I5: before and after every call to AWS and to the provider, the disconnect wins and the provider forgets."""
    point = 0
    while True:
        world = RefreshWorld(monkeypatch, rule=RULES[rule], revocation=RFC7009)
        world.pass_time(HOUR)
        if not refresh_with_revoke_at(world, point):
            break
        for wait in (LEASE_SECONDS, RESCUE_HORIZON + 60):
            world.pass_time(wait)
            assert work(world) == frozenset()

        assert world.grant().status == "revoked", point
        assert world.grant().sealed == b"", point
        assert world.provider.live_refresh_tokens == [], point
        with pytest.raises(GrantkeeperError):
            world.read()
        point += 1
    assert point > 6


def refresh_with_revoke_at(world, point):
    """Disconnect before the call number `point` of a token call; False when there are not so many."""
    state = {"left": point, "done": False}

    def step(_operation=None, _kwargs=None):
        if state["done"]:
            return
        if state["left"] == 0:
            state["done"] = True
            world.disconnect()
        state["left"] -= 1

    world.aws.dynamodb.faults.yield_point = step
    world.provider_http.before = step
    world.provider_http.during = step
    try:
        world.read(wiring=world.container())
    except GrantkeeperError:
        pass
    finally:
        world.aws.dynamodb.faults.yield_point = None
    return state["done"]


# --- tokens nobody confirmed ---


def waiting(world, *, account_id="carol", connection_id="con_new", replaces=False):
    """Unconfirmed tokens whose time runs out in ten minutes."""
    connection = replace(
        world.wiring.connections.get(world.connection_id),
        id=connection_id,
        account_id=account_id,
        status="pending",
    )
    grant = replace(world.new_grant(connection), generation=0)
    from grantkeeper.model import ConnectSession

    session = ConnectSession(
        id=f"cs_{account_id}",
        client_id="backend",
        sub=connection.sub,
        service=connection.service,
        provider="example",
        scopes=connection.scopes,
        redirect_uri="https://app.example/connected",
        ticket_hash=f"hash-{account_id}",
        created_at=world.now,
        expires_at=world.now + 600,
    )
    world.wiring.connect_sessions.put(session, audit=world.event("connect_session.opened"))
    pending = Pending(session.id, connection, (grant,), world.now + 600, replaces=replaces)
    world.wiring.connections.authorize(
        pending,
        replace(session, confirmation_hash="c", pending_connection_id=connection.id),
        now=world.now,
        audit=world.event("connection.authorized"),
    )
    return pending


def discard(world, connection_id):
    return discard_tokens(connection_id, cause=CAUSE, ports=world.ports(), run=world.run())


def test_unconfirmed_tokens_go_when_their_time_is_over(world):
    """Not before; then revoked upstream and deleted."""
    pending = waiting(world)
    assert discard(world, "con_new") == 0
    world.pass_time(600)
    assert discard(world, "con_new") == 0, "somebody whose clock is behind may be confirming"
    world.pass_time(CONFIRM_SLACK)

    assert discard(world, "con_new") == 1

    assert len(world.provider.revoked_tokens) == 1
    assert world.wiring.connections.unconfirmed("con_new") == []
    assert world.wiring.connections.pending("con_new", pending.session_id, now=world.now) is None


def test_an_unconfirmed_reconnect_does_not_cut_off_what_it_would_have_replaced(world):
    """The same account, still connected: its grant upstream stays."""
    waiting(world, account_id="alice", connection_id=world.connection_id, replaces=True)
    world.pass_time(600 + CONFIRM_SLACK)

    assert discard(world, world.connection_id) == 1

    assert world.provider.revoked_tokens == []
    assert world.tokens().refresh_token in world.provider.live_refresh_tokens


def test_unconfirmed_tokens_stay_while_the_provider_is_down(world):
    """Due until they are gone."""
    waiting(world)
    world.pass_time(600 + CONFIRM_SLACK)
    answers(world, 503, {})

    with pytest.raises(ProviderUnavailable):
        discard(world, "con_new")
    assert world.wiring.connections.unconfirmed("con_new")

    world.pass_time(THE_END)
    answers(world, 503, {})
    assert discard(world, "con_new") == 1


def answers(world, status, body=None):
    """The next request to the provider, whatever it is, gets this."""
    import json

    from grantkeeper.model import HttpResponse

    provider, send = world.provider, world.provider.send

    def once(request, *, budget=8.0):
        provider.send = send
        if isinstance(status, Exception):
            raise status
        return HttpResponse(status, {"content-type": "application/json"}, json.dumps(body).encode())

    provider.send = once
