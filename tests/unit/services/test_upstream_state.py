"""How a disconnect ended at the provider, told afterwards."""

from __future__ import annotations

import pytest

from grantkeeper.services.revoke_upstream import THE_END
from grantkeeper.services.upstream_state import PAGE, PAGES, upstream_state
from tests.doubles.connect_world import ALICE, KEY_SERVICE, ConnectWorld

TWO_SERVICES = [
    {"id": "example-files", "display_name": "Files", "access": {"read": ["files.read"]}},
    {"id": "example-mail", "display_name": "Mail", "access": {"read": ["mail.read"]}},
]


def state(world, connection_id):
    wiring = world.wiring
    connection = wiring.connections.get(connection_id)
    return upstream_state(connection, connections=wiring.connections, audit=wiring.audit, catalog=wiring.catalog)


def test_queued_and_then_revoked_upstream():
    """The worker's word, once it has been there."""
    world = ConnectWorld()
    connection = world.connect()
    world.disconnect(connection.id)
    assert state(world, connection.id).upstream == "revocation_queued"

    world.work()

    assert state(world, connection.id).upstream == "revoked_upstream"


def test_a_grant_the_provider_did_not_know_any_more_is_revoked_there():
    """Its user was faster."""
    world = ConnectWorld()
    connection = world.connect()
    world.disconnect(connection.id)
    world.provider.revoke_everything()

    world.work()

    assert state(world, connection.id).upstream == "revoked_upstream"


def test_a_shared_grant_that_was_kept_is_said_to_be_kept():
    """As the worker found it, not as it looked when the user clicked."""
    world = ConnectWorld(services=TWO_SERVICES)
    files = world.connect()
    world.connect(service="example-mail")
    assert world.disconnect(files.id).upstream == "shared_grant_kept"

    world.work()

    assert state(world, files.id).upstream == "shared_grant_kept"
    assert world.provider.revoked_tokens == []


def test_a_provider_that_never_answered_is_not_said_to_have_obeyed():
    """Given up after a week."""
    world = ConnectWorld()
    connection = world.connect()
    world.disconnect(connection.id)
    world.now += THE_END + 1

    world.work()

    assert state(world, connection.id).upstream == "abandoned"


@pytest.mark.parametrize(
    ("rule", "word"),
    [({"kind": "none", "manual_url": "https://idp.example/apps"}, "manual_url"), ({"kind": "none"}, "not_supported")],
)
def test_a_provider_that_cannot_be_told_stays_so(rule, word):
    """With the page where its user can."""
    world = ConnectWorld(revocation=rule)
    connection = world.connect()
    world.disconnect(connection.id)

    told = state(world, connection.id)

    assert (told.upstream, told.manual_url) == (word, rule.get("manual_url"))


def test_what_the_trail_does_not_know_is_not_made_up():
    """`done`: our copy is erased; nobody wrote down how it went."""
    world = ConnectWorld()
    connection = world.connect()
    world.disconnect(connection.id)
    world.wiring.connections.erase(connection.id, audit=world.event("grant.erased"))

    assert state(world, connection.id).upstream == "done"


def test_the_trail_is_read_as_far_as_is_reasonable():
    """Three pages of a busy user: the entry came soon after the disconnect."""
    world = ConnectWorld()
    connection = world.connect()
    world.disconnect(connection.id)
    world.work()
    faults = world.wiring.aws.dynamodb.faults
    before = faults.count("query")

    assert state(world, connection.id).upstream == "revoked_upstream"

    assert faults.count("query") - before <= PAGES + 1
    assert PAGE == 100


def test_an_api_key_was_never_ours_to_revoke():
    """Nothing is said of a provider."""
    from grantkeeper.services.add_api_key import NewApiKey, add_api_key

    world = ConnectWorld()
    w = world.wiring
    connection = add_api_key(
        NewApiKey.parse({"service": KEY_SERVICE, "label": "mine", "secret": "sk-1"}),
        principal=ALICE,
        clients=w.clients,
        users=w.users,
        sessions=w.sessions,
        connections=w.connections,
        provider_items=w.provider_items,
        catalog=w.catalog,
        sealer=w.sealer,
        now=world.now,
        request_id="req",
    )
    world.disconnect(connection.id)

    assert state(world, connection.id).upstream == "not_applicable"
