"""Back from the provider: sealed, unconfirmed, and nothing usable yet."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.errors import ConnectSessionExpired, GrantUnreadable, ProviderUnavailable
from grantkeeper.model import Binding
from grantkeeper.services.complete_connect import connect_failed
from tests.doubles.connect_world import ALICE, BOB, ConnectWorld
from tests.doubles.provider import Account


@pytest.fixture
def world():
    return ConnectWorld()


def pending_of(world, back):
    session = world.wiring.connect_sessions.get(back.session, now=world.now)
    return world.wiring.connections.pending(session.pending_connection_id, back.session, now=world.now)


def test_a_trip_that_comes_back_brings_a_confirmation_to_the_browser(world):
    """And the client's own state, unchanged."""
    back = world.come_back(world.follow(world.open(state="a&b=c")))

    assert back.state == "a&b=c"
    assert len(back.confirmation) == 43


def test_the_confirmation_is_stored_as_a_hash_only(world):
    """Who reads the tables cannot confirm."""
    back = world.come_back(world.follow(world.open()))

    session = world.wiring.connect_sessions.get(back.session, now=world.now)
    assert session.confirmation_hash == ids.digest(back.confirmation)
    dump = repr([world.wiring.aws.dynamodb.dump(name) for name in ("grants", "requests", "audit")])
    assert back.confirmation not in dump


def test_no_token_is_stored_in_clear(world):
    """Nor in the audit trail, nor in a queue."""
    back = world.come_back(world.follow(world.open()))
    world.confirm(back)

    dump = repr([world.wiring.aws.dynamodb.dump(name) for name in ("grants", "requests", "audit")])
    for token in (*world.provider.live_refresh_tokens, world.provider._families[0].access_tokens[0]):
        assert token not in dump


def test_nothing_is_usable_before_the_confirmation(world):
    """The connection does not exist, and its grant neither."""
    back = world.come_back(world.follow(world.open()))

    pending = pending_of(world, back)
    assert world.wiring.connections.get(pending.connection.id) is None
    assert world.wiring.grants.get(pending.connection.id) is None
    assert world.wiring.connections.list_for_user("usr_alice") == []


def test_unconfirmed_tokens_are_gone_after_ten_minutes(world):
    """Nobody confirms later, whatever the TTL has done."""
    back = world.come_back(world.follow(world.open()))
    world.now += 600

    with pytest.raises(ConnectSessionExpired):
        world.confirm(back)


def test_a_session_that_came_back_late_can_still_be_confirmed(world):
    """The ten minutes to confirm begin when the tokens arrive."""
    trip = world.follow(world.open())
    world.now += 590
    back = world.come_back(trip)
    world.now += 60

    assert world.confirm(back).status == "active"


def test_the_confirmed_grant_opens_for_its_own_record(world):
    """Sealed here, moved byte for byte, opened by the vault."""
    connection = world.connect()

    assert world.tokens_of(connection.id) == world.provider._families[0].access_tokens[0]


def test_the_id_token_is_not_kept(world):
    """It was for us, at that moment."""
    connection = world.connect()
    grant = world.wiring.grants.get(connection.id)

    plaintext = world.wiring.vault.open(grant.sealed, binding=Binding.of(grant))
    assert "id_token" not in json.loads(plaintext)["answer"]


def test_a_connection_says_what_was_granted_and_what_is_missing(world):
    """Users untick scopes; the provider's answer counts."""
    world.provider.granted_scope = "openid email files.read"

    connection = world.connect(access="write")

    assert connection.missing_scopes == ("files.write",)
    assert "offline_access" in connection.scopes  # never listed in an answer, says the record


def test_a_connection_is_of_the_providers_stable_account_id(world):
    """Never of an e-mail address."""
    connection = world.connect(account=Account("subject-1", {"email": "alice@example.com"}))

    assert connection.account_id == "subject-1"


def test_the_same_account_again_is_the_same_connection(world):
    """One connection per account, whatever the client knows of it; the generation goes on."""
    first = world.connect()
    second = world.connect()

    assert second.id == first.id
    assert world.wiring.grants.get(first.id).generation == 2
    assert world.tokens_of(first.id) == world.provider._families[1].access_tokens[0]


def test_two_accounts_are_two_connections(world):
    """A private mailbox and a business one."""
    one = world.connect(account=Account("one", {"email": "a@example.com"}))
    two = world.connect(account=Account("two", {"email": "b@example.com"}))

    assert one.id != two.id


def test_c106_the_same_account_of_two_users_is_two_connections(world):
    """Each has his own; neither learns of the other."""
    alices = world.connect(ALICE)
    bobs = world.connect(BOB)

    assert alices.id != bobs.id
    assert world.tokens_of(alices.id) != world.tokens_of(bobs.id)


def test_a_reconnect_leaves_the_old_grant_untouched_until_confirmed(world):
    """Who turns back halfway loses nothing."""
    connection = world.connect()
    before = world.wiring.grants.get(connection.id)

    back = world.come_back(world.follow(world.open(connection_id=connection.id)))

    assert world.wiring.grants.get(connection.id) == before
    world.confirm(back)
    assert world.wiring.grants.get(connection.id).generation == before.generation + 1


def test_a_reconnect_with_another_account_is_refused(world):
    """`account_mismatch`: the old grant is untouched, the session is over, the tokens are on their way out."""
    connection = world.connect(account=Account("one", {"email": "a@example.com"}))
    before = world.wiring.grants.get(connection.id)
    opened = world.open(connection_id=connection.id)

    back = world.come_back(world.follow(opened), account=Account("two", {"email": "b@example.com"}))

    assert (back.error, back.confirmation) == ("account_mismatch", None)
    assert world.wiring.grants.get(connection.id) == before
    assert "account_mismatch" in {event.reason for event in world.trail()}
    with pytest.raises(ConnectSessionExpired):
        world.follow(opened)


def test_the_tokens_of_another_account_wait_for_their_revocation_and_nobody_can_confirm_them(world):
    """Stored sealed under a connection of their own, due at once."""
    connection = world.connect(account=Account("one", {"email": "a@example.com"}))
    back = world.come_back(
        world.follow(world.open(connection_id=connection.id)), account=Account("two", {"email": "b@example.com"})
    )

    left_over = world.queued()[-1]["ids"][0][0]
    assert left_over != connection.id
    (pending,) = world.wiring.connections.unconfirmed(left_over)
    assert pending.session_id == back.session
    assert world.wiring.connections.pending(left_over, back.session, now=world.now) is None


def test_a_connection_disconnected_while_its_user_was_away_stays_revoked(world):
    """Revoked is final; what arrives is thrown away."""
    connection = world.connect()
    trip = world.follow(world.open(connection_id=connection.id))
    world.disconnect(connection.id)

    back = world.come_back(trip)

    assert back.error == "connection_revoked"
    assert world.wiring.connections.get(connection.id).status == "revoked"


def test_a_new_connect_after_a_disconnect_is_a_new_connection(world):
    """The tombstone keeps its id for ever."""
    first = world.connect()
    world.disconnect(first.id)

    second = world.connect()

    assert second.id != first.id
    assert world.wiring.connections.get(first.id).status == "revoked"


def test_the_second_of_two_tabs_finds_the_session_over(world):
    """One session, one set of tokens."""
    opened = world.open()
    first, second = world.follow(opened), world.follow(opened)
    world.come_back(first)

    with pytest.raises(ConnectSessionExpired):
        world.come_back(second)


def test_a_profile_that_cannot_be_read_connects_nothing_and_the_link_still_works(world, monkeypatch):
    """Without an account id there is no connection; trouble of the provider is told as such."""
    opened = world.open()
    send = world.provider.send

    def no_profile(request, **kwargs):
        if request.url.endswith("/userinfo"):
            raise ProviderUnavailable("down")
        return send(request, **kwargs)

    monkeypatch.setattr(world.provider, "send", no_profile)
    assert world.come_back(world.follow(opened)).error == "temporarily_unavailable"
    monkeypatch.undo()
    assert world.come_back(world.follow(opened)).confirmation


def test_a_token_set_that_is_too_large_is_refused_before_any_write(world):
    """An item of DynamoDB has an end, and so has patience."""
    world.provider.extra_token_fields = {"padding": "x" * 17_000}

    assert world.come_back(world.follow(world.open())).error == "server_error"


def test_kms_being_down_connects_nothing(world):
    """Nothing is ever stored unsealed."""
    trip = world.follow(world.open())
    world.wiring.aws.kms.faults.unreachable("generate_data_key", times=20)

    assert world.come_back(trip).error == "temporarily_unavailable"


def test_named_tokens_are_grants_of_their_own(world):
    """One consent, a bot's token and a user's (Slack): each sealed alone, neither holding the other's."""
    world = ConnectWorld(
        token_response={
            "tokens": [
                {"name": "bot", "access_token": "/access_token"},
                {
                    "name": "user",
                    "access_token": "/authed_user/access_token",
                    "refresh_token": "/authed_user/refresh_token",
                    "expires_in": "/authed_user/expires_in",
                    "scope": "/authed_user/scope",
                    "token_type": "/authed_user/token_type",
                    "optional": True,
                },
            ]
        }
    )
    world.provider.extra_token_fields = {"authed_user": {"access_token": "users-token", "scope": "openid files.write"}}

    connection = world.connect(access="write")

    assert connection.token_names == ("bot", "user")
    assert set(world.wiring.grants.names(connection.id)) == {"bot", "user"}
    assert world.tokens_of(connection.id, "user") == "users-token"
    bot = world.wiring.grants.get(connection.id, "bot")
    assert b"users-token" not in world.wiring.vault.open(bot.sealed, binding=Binding.of(bot))
    assert bot.refreshable
    assert not world.wiring.grants.get(connection.id, "user").refreshable


def test_another_accounts_tokens_are_revoked_at_the_provider(world):
    """After an `account_mismatch`, once the worker has run; the old grant works on."""
    connection = world.connect(account=Account("one", {"email": "a@example.com"}))
    kept = world.provider.live_refresh_tokens
    world.come_back(
        world.follow(world.open(connection_id=connection.id)), account=Account("two", {"email": "b@example.com"})
    )

    world.work()

    assert world.provider.live_refresh_tokens == kept


def test_a_moved_pending_grant_does_not_open_for_another_connection(world):
    """What is sealed is bound to its connection, user and consent."""
    alices, bobs = world.connect(ALICE), world.connect(BOB)
    grant, other = world.wiring.grants.get(alices.id), world.wiring.grants.get(bobs.id)

    with pytest.raises(GrantUnreadable):
        world.wiring.vault.open(grant.sealed, binding=Binding.of(other))


def test_a_refused_consent_is_told_to_the_client_and_the_link_still_works(world):
    """The user may change his mind."""
    opened = world.open(state="s")
    trip = world.follow(opened)
    request = world.wiring.authorization_requests.redeem(ids.digest(trip.state), now=world.now)

    location = connect_failed(
        request=request,
        error="access_denied",
        clients=world.wiring.clients,
        connect_sessions=world.wiring.connect_sessions,
        audit=world.wiring.audit,
        now=world.now,
        request_id="req",
    )

    query = parse_qs(urlsplit(location).query)
    assert query == {"connect_session": [opened.id], "error": ["access_denied"], "state": ["s"]}
    assert "connect_session.failed" in world.actions()
    assert world.confirm(world.come_back(world.follow(opened))).status == "active"


def test_a_providers_own_words_never_reach_the_redirect(world):
    """Only registered codes do (RFC 6749 section 4.1.2.1)."""
    trip = world.follow(world.open())
    request = world.wiring.authorization_requests.redeem(ids.digest(trip.state), now=world.now)

    location = connect_failed(
        request=request,
        error="<script>",
        clients=world.wiring.clients,
        connect_sessions=world.wiring.connect_sessions,
        audit=world.wiring.audit,
        now=world.now,
        request_id="req",
    )

    assert "error=server_error" in location
    assert "script" not in location


def test_w01_a_disabled_client_is_sent_nobody(world):
    """Switched off while its user was at the provider: a page of ours, the provider's code is not spent."""
    trip = world.follow(world.open())
    world.add_client("app", status="disabled")

    with pytest.raises(ConnectSessionExpired):
        world.come_back(trip)
    assert world.provider.token_calls == []


@pytest.mark.parametrize("deny", [None, "access_denied"])
def test_w01_a_redirect_uri_that_was_withdrawn_is_not_followed(world, deny):
    """Neither with a confirmation nor with an error: nobody answers for that page any more."""
    trip = world.follow(world.open())
    world.add_client("app", redirect_uris=("https://app.example/elsewhere",))

    with pytest.raises(ConnectSessionExpired):
        world.call_back(world.provider.consent(trip.url, deny=deny), browser=trip.browser)
    assert world.provider.token_calls == []
