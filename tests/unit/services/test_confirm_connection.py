"""Confirming: only the session's user, by the session's client, with what came back to his browser."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from grantkeeper.errors import BadRequest, ConfirmationRefused, ConnectSessionExpired, GrantkeeperError
from grantkeeper.services.confirm_connection import Confirmation
from tests.doubles.connect_world import ALICE, BACKEND, BOB, ConnectWorld


@pytest.fixture
def world():
    return ConnectWorld()


def test_a_confirmed_connection_is_active_and_its_client_may_use_it(world):
    """Consent is what the user gave by connecting at this client."""
    connection = world.connect()

    assert connection.status == "active"
    assert world.wiring.connections.get(connection.id) == connection
    assert world.wiring.connections.has_consent("usr_alice", "app", connection.id)
    assert not world.wiring.connections.has_consent("usr_alice", "other", connection.id)
    assert "connection.activated" in world.actions()


def test_confirming_again_with_the_same_values_is_the_same_answer(world):
    """A client that lost the first answer asks again."""
    back = world.come_back(world.follow(world.open()))
    first = world.confirm(back)
    generation = world.wiring.grants.get(first.id).generation

    assert world.confirm(back) == first
    assert world.wiring.grants.get(first.id).generation == generation
    assert world.actions().count("connection.activated") == 1


def test_racing_confirmations_activate_once(world):
    """However often a client's page is submitted."""
    back = world.come_back(world.follow(world.open()))

    with ThreadPoolExecutor(8) as pool:
        confirmed = list(pool.map(lambda _: world.confirm(back), range(16)))

    assert {c.id for c in confirmed} == {confirmed[0].id}
    assert world.wiring.grants.get(confirmed[0].id).generation == 1
    assert world.actions().count("connection.activated") == 1


def test_a_confirmation_that_comes_between_another_s_reads_is_told_the_same(world):
    """The session was read before it was confirmed, its tokens are looked for afterwards."""
    back = world.come_back(world.follow(world.open()))
    faults, first = world.wiring.aws.dynamodb.faults, []

    def interrupt(operation, request):
        if operation == "get_item" and request["Key"]["sk"]["S"].startswith("PENDING#") and not first:
            first.append(None)
            first.append(world.confirm(back))

    faults.yield_point = interrupt
    second = world.confirm(back)

    assert second == first[1]
    assert second.status == "active"


def test_after_a_refusal_the_right_user_comes_too_late(world):
    """A mismatch ends the session for good."""
    back = world.come_back(world.follow(world.open()))
    with pytest.raises(ConfirmationRefused):
        world.confirm(back, BOB)

    with pytest.raises(ConnectSessionExpired):
        world.confirm(back, ALICE)
    assert world.wiring.connections.list_for_user("usr_alice") == []


def test_a_refusal_is_audited_with_its_reason_and_queued_for_upstream_revocation(world):
    """The trail knows what the answer does not say."""
    back = world.come_back(world.follow(world.open()))
    with pytest.raises(ConfirmationRefused):
        world.confirm(back, BOB)

    (event,) = [e for e in world.trail() if e.action == "connect_session.refused"]
    assert (event.reason, event.actor) == ("other_user", "user:usr_bob")
    assert world.queued()[-1]["kind"] == "erase"


def test_a_refusal_survives_a_queue_that_is_down(world):
    """The unconfirmed item is due by itself; the message is only for speed."""
    back = world.come_back(world.follow(world.open()))
    session = world.wiring.connect_sessions.get(back.session, now=world.now)
    world.wiring.aws.sqs.faults.unreachable("send_message_batch", times=50)
    world.wiring.aws.sqs.faults.unreachable("send_message", times=50)

    with pytest.raises(ConfirmationRefused):
        world.confirm(back, BOB)

    due = [d for shard in range(4) for d in world.wiring.grants.due(shard, before=world.now + 1, limit=10)]
    assert session.pending_connection_id in {d.connection_id for d in due}


def test_every_refusal_reads_the_same(world):
    """Wrong user, wrong value, wrong client, too early: one body, so nothing is learned (C-32)."""
    world.open(BACKEND, user_id="42")

    def refused(change, principal, **names):
        back = change(world.come_back(world.follow(world.open())))
        with pytest.raises(GrantkeeperError) as error:
            world.confirm(back, principal, **names)
        return type(error.value), error.value.detail, error.value.extensions

    def same(back):
        return back

    def guessed(back):
        return replace(back, confirmation="g" * 43)

    def too_early(back):
        return replace(back, session=world.open().id)

    answers = {
        repr(refused(same, BOB)),
        repr(refused(guessed, ALICE)),
        repr(refused(too_early, ALICE)),
        repr(refused(same, BACKEND, user_id="42")),
        repr(refused(same, BACKEND, user_id="never seen")),
        repr(refused(same, BACKEND, user_sub="usr_bob")),
        repr(refused(same, replace(BACKEND, client_id="other"), user_sub="usr_alice")),
    }
    assert len(answers) == 1


def test_a_clients_key_names_the_user_who_is_signed_in(world):
    """By its own id, or by our sub."""
    connection = world.connect(BACKEND, names={"user_id": "42"})

    assert world.wiring.users.find("client:app", "42").sub == connection.sub


def test_a_key_that_names_nobody_consumes_nothing(world):
    """A malformed request is no mismatch."""
    back = world.come_back(world.follow(world.open()))
    with pytest.raises(BadRequest):
        world.confirm(back, BACKEND)

    assert world.confirm(back, ALICE).status == "active"


def test_a_user_suspended_meanwhile_gets_no_connection(world):
    """Checked when it counts."""
    back = world.come_back(world.follow(world.open()))
    user = world.wiring.users.get("usr_alice")
    world.wiring.users.update(
        replace(user, status="suspended"), expected_version=user.version, audit=world.event("user.suspended")
    )

    with pytest.raises(ConfirmationRefused):
        world.confirm(back)


def test_a_mismatch_on_a_confirmed_session_is_refused_and_harms_nothing(world):
    """The connection is its user's already."""
    back = world.come_back(world.follow(world.open()))
    connection = world.confirm(back)

    with pytest.raises(ConfirmationRefused):
        world.confirm(back, BOB)
    assert world.wiring.connections.get(connection.id).status == "active"
    assert world.confirm(back) == connection


def test_two_sessions_of_one_account_racing_leave_one_connection(world):
    """The second becomes the next generation of the first, or is refused; there are never two."""
    backs = [world.come_back(world.follow(world.open())) for _ in range(2)]

    def confirm(back):
        try:
            return world.confirm(back).id
        except GrantkeeperError as error:
            return error.slug

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(confirm, backs))

    assert len(world.wiring.connections.list_for_user("usr_alice")) == 1


@pytest.mark.parametrize("session_id", ["cs_unknown", "", "../x", "ä", "a" * 65])
def test_an_unknown_session_is_an_expired_one(world, session_id):
    """Two answers would tell which ids exist."""
    back = world.come_back(world.follow(world.open()))

    with pytest.raises(ConnectSessionExpired):
        world.confirm(replace(back, session=session_id))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"confirmation": ""},
        {"confirmation": 1},
        {"confirmation": "c", "sub": "usr_bob"},
        {"confirmation": "c", "user_id": 1},
        {"confirmation": "c", "user_id": "a", "user_sub": "b"},
    ],
)
def test_t06_a_confirmation_is_read_strictly(body):
    """Nothing is guessed from a malformed body."""
    with pytest.raises(BadRequest):
        Confirmation.parse(body)


def test_a_confirmation_does_not_show_its_value():
    """Not in a log, not in a traceback."""
    assert "s3cret" not in repr(Confirmation.parse({"confirmation": "s3cret"}))
