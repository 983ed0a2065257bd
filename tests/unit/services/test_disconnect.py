"""Disconnecting: revoked at once, honest about the provider."""

from dataclasses import replace

import pytest

from grantkeeper.errors import NotFound, ProviderUnavailable
from grantkeeper.services.revoke_upstream import RECORDS_KNOWN_AFTER
from tests.doubles.aws import memory_wiring
from tests.doubles.connect_world import ALICE, BACKEND, BOB, OTHER_BACKEND, ConnectWorld


@pytest.fixture
def world():
    return ConnectWorld()


def test_a_disconnected_connection_is_revoked_at_once(world):
    """Connection and grant, in one transaction, with its audit entry."""
    connection = world.connect()

    done = world.disconnect(connection.id)

    assert done.connection.status == "revoked"
    assert world.wiring.connections.get(connection.id).status == "revoked"
    assert world.wiring.grants.get(connection.id).status == "revoked"
    (event,) = [e for e in world.trail() if e.action == "connection.revoked"]
    assert (event.actor, event.service) == ("user:usr_alice", "example-files")


def test_the_provider_is_told_by_the_worker(world):
    """Only ids travel, and the sealed set stays until it is revoked upstream."""
    connection = world.connect()

    assert world.disconnect(connection.id).upstream == "revocation_queued"
    assert world.queued()[-1] | {"request_id": ""} == {
        "kind": "revoke", "provider": "example", "ids": [[connection.id, 1]], "request_id": "",
    }  # fmt: skip
    assert world.wiring.grants.get(connection.id).sealed


def test_a_revocation_that_would_cut_off_another_connection_is_said_to_be_kept_back():
    """Two services of one account under one registration share the provider's grant."""
    world = ConnectWorld(services=[
        {"id": "example-files", "display_name": "Files", "access": {"read": ["files.read"]}},
        {"id": "example-mail", "display_name": "Mail", "access": {"read": ["mail.read"]}},
    ])  # fmt: skip
    files, mail = world.connect(), world.connect(service="example-mail")

    assert world.disconnect(files.id).upstream == "shared_grant_kept"
    assert world.wiring.connections.get(mail.id).status == "active"
    assert world.disconnect(mail.id).upstream == "revocation_queued"


def test_a_revocation_that_reaches_one_token_is_never_kept_back():
    """The record knows how far it goes."""
    world = ConnectWorld(
        revocation={"kind": "rfc7009", "effect": "token"},
        services=[
            {"id": "example-files", "display_name": "Files", "access": {"read": ["files.read"]}},
            {"id": "example-mail", "display_name": "Mail", "access": {"read": ["mail.read"]}},
        ],
    )
    files = world.connect()
    world.connect(service="example-mail")

    assert world.disconnect(files.id).upstream == "revocation_queued"


def test_a_provider_that_cannot_be_told_by_us_names_the_page_where_its_user_can():
    """And our copy is erased at once."""
    world = ConnectWorld(revocation={"kind": "none", "manual_url": "https://idp.example/account/apps"})
    connection = world.connect()

    done = world.disconnect(connection.id)

    assert (done.upstream, done.manual_url) == ("manual_url", "https://idp.example/account/apps")
    assert world.wiring.grants.get(connection.id).sealed == b""
    assert world.queued() == []


def test_a_provider_that_cannot_be_told_at_all_is_said_to_be_so():
    """No promise that nobody keeps."""
    world = ConnectWorld(revocation={"kind": "none"})

    assert world.disconnect(world.connect().id).upstream == "not_supported"


def test_disconnecting_again_is_harmless(world):
    """One revocation, one audit entry; a message that may have been lost is sent again."""
    connection = world.connect()
    world.disconnect(connection.id)

    assert world.disconnect(connection.id).upstream == "revocation_queued"
    assert world.actions().count("connection.revoked") == 1


def test_what_is_erased_already_is_done(world):
    """Nothing is left to be told."""
    connection = world.connect()
    world.disconnect(connection.id)
    world.wiring.connections.erase(connection.id, audit=world.event("grant.erased"))

    assert world.disconnect(connection.id).upstream == "done"


def test_a_queue_that_is_down_delays_the_revocation_and_loses_nothing(world):
    """The tombstone is due by itself: the index is the backlog, never the queue."""
    connection = world.connect()
    for operation in ("send_message", "send_message_batch"):
        world.wiring.aws.sqs.faults.unreachable(operation, times=50)

    assert world.disconnect(connection.id).upstream == "revocation_queued"
    due = [d for shard in range(4) for d in world.wiring.grants.due(shard, before=world.now + 3600, limit=10)]
    assert connection.id in {d.connection_id for d in due}


def test_an_environment_that_was_warm_before_the_record_came_loses_no_revocation():
    """It looked at the records a moment before the operator brought this one: neither of its two functions erases."""
    warm = memory_wiring()
    assert warm.provider_items.overrides() == {}
    world = ConnectWorld(wiring=memory_wiring(aws=warm.aws))
    warm.__dict__["provider_http"] = world.provider
    connection, knows = world.connect(), world.wiring
    (refresh_token,) = world.provider.live_refresh_tokens

    world.wiring = warm
    assert world.disconnect(connection.id).upstream == "revocation_queued"
    with pytest.raises(ProviderUnavailable):
        world.work()
    assert world.wiring.grants.get(connection.id).sealed

    world.wiring = knows
    world.work()
    assert world.provider.revoked_tokens == [refresh_token]


def test_a_record_that_was_removed_leaves_the_erasure_to_the_worker(world):
    """Which does it once every environment has looked at the records again."""
    connection = world.connect()
    world.wiring.__dict__["provider_items"] = memory_wiring().provider_items  # of a deployment without any record

    assert world.disconnect(connection.id).upstream == "revocation_queued"
    world.now += RECORDS_KNOWN_AFTER
    world.work()

    assert world.wiring.grants.get(connection.id).sealed == b""
    assert world.disconnect(connection.id).upstream == "done"


@pytest.mark.parametrize("stranger", [BOB, BACKEND, OTHER_BACKEND])
def test_t02_a_strangers_connection_does_not_exist(world, stranger):
    """For another user, and for a client its user gave no consent, as for an id never given out."""
    connection = (
        world.connect(ALICE, names={}) if stranger is not BACKEND else world.connect(replace(ALICE, client_id="other"))
    )

    with pytest.raises(NotFound) as foreign:
        world.disconnect(connection.id, stranger)
    with pytest.raises(NotFound) as unknown:
        world.disconnect("con_unknown", stranger)
    assert foreign.value.detail == unknown.value.detail
    assert world.wiring.connections.get(connection.id).status == "active"


def test_a_client_may_disconnect_what_its_user_connected_there(world):
    """The user asked it to."""
    connection = world.connect(BACKEND, names={"user_id": "42"})

    assert world.disconnect(connection.id, BACKEND).connection.status == "revoked"


def test_after_the_worker_nothing_is_left_to_revoke(world):
    """The provider was told, our copy is erased, and the answer says so."""
    connection = world.connect()
    (refresh_token,) = world.provider.live_refresh_tokens
    world.disconnect(connection.id)

    world.work()

    assert world.provider.revoked_tokens == [refresh_token]
    assert world.wiring.grants.get(connection.id).sealed == b""
    assert world.disconnect(connection.id).upstream == "done"
