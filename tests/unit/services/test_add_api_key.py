"""A user's own API key for a service."""

from dataclasses import replace

import pytest

from grantkeeper.errors import BadRequest, Conflict, GrantUnreadable
from grantkeeper.model import Binding
from grantkeeper.services.add_api_key import NewApiKey, add_api_key
from grantkeeper.services.read_token import TokenWanted, read_token
from grantkeeper.services.refresh_run import Run
from tests.doubles.connect_world import ALICE, BACKEND, KEY_SERVICE, ConnectWorld

SECRET = "key-0123456789"


@pytest.fixture
def world():
    return ConnectWorld()


def add(world, principal=ALICE, **body):
    w = world.wiring
    return add_api_key(
        NewApiKey.parse({"service": KEY_SERVICE, "label": "mine", "secret": SECRET, **body}),
        principal=principal,
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


def test_a_key_is_a_connection_at_once(world):
    """Who presents it may use it; there is nothing to wait for."""
    connection = add(world)

    assert (connection.status, connection.kind) == ("active", "api_key")
    assert world.tokens_of(connection.id) == SECRET
    assert world.wiring.connections.has_consent("usr_alice", "app", connection.id)
    assert "connection.activated" in world.actions()


def test_a_key_is_stored_sealed_and_for_its_own_connection_only(world):
    """Like any grant."""
    one, two = add(world), add(world, label="second", secret="another-key")

    dump = repr([world.wiring.aws.dynamodb.dump(name) for name in ("grants", "requests", "audit")])
    assert SECRET not in dump
    sealed = world.wiring.grants.get(one.id).sealed
    with pytest.raises(GrantUnreadable):
        world.wiring.vault.open(sealed, binding=Binding.of(world.wiring.grants.get(two.id)))


def test_one_key_per_label(world):
    """A second one under the same name would hide the first."""
    add(world)

    with pytest.raises(Conflict):
        add(world, secret="another-key")


def test_a_key_is_replaced_by_disconnecting_it(world):
    """Our copy is erased; the service itself was never told of us."""
    first = add(world)

    assert world.disconnect(first.id).upstream == "not_applicable"
    assert world.wiring.grants.get(first.id).sealed == b""
    assert add(world).id != first.id


def test_a_client_brings_a_key_of_its_user(world):
    """Named by the client's own id."""
    connection = add(world, BACKEND, user_id="42")

    assert world.wiring.users.find("client:app", "42").sub == connection.sub


def test_a_service_with_a_consent_page_takes_no_key(world):
    """And a service of keys has no consent page."""
    with pytest.raises(Conflict):
        add(world, service="example-files")
    with pytest.raises(Conflict):
        world.open(service=KEY_SERVICE)


@pytest.mark.parametrize(
    "body",
    [
        {"secret": ""},
        {"secret": None},
        {"secret": " x"},
        {"secret": "a\nb"},
        {"secret": "ä"},
        {"secret": "x" * 4097},
        {"label": ""},
        {"label": "a\nb"},
        {"label": "x" * 101},
        {"service": 7},
        {"user_id": 7},
        {"status": "active"},
    ],
)
def test_t06_a_key_is_read_strictly(body):
    """Nothing is guessed from a malformed body."""
    with pytest.raises(BadRequest):
        NewApiKey.parse({"service": KEY_SERVICE, "label": "mine", "secret": SECRET, **body})


def test_a_key_does_not_show_itself():
    """Not in a log, not in a traceback."""
    assert SECRET not in repr(NewApiKey.parse({"service": KEY_SERVICE, "label": "mine", "secret": SECRET}))


def test_the_token_call_hands_the_key_out(world):
    """As it was brought, never refreshed, to whom the user lets have it."""
    connection = add(world)
    answer = read_token(
        TokenWanted(connection.id),
        principal=replace(BACKEND, scopes=frozenset({"connections:token"})),
        has_consent=world.wiring.connections.has_consent,
        first_use=lambda *_: False,
        ports=world.wiring,
        run=Run(clock=lambda: world.now + 10 * 365 * 86_400, sleep=lambda _: None, remaining_ms=lambda: 20_000),
    )

    assert (answer.kind, answer.access_token, answer.expires_at) == ("api_key", SECRET, None)
    grant = world.wiring.grants.get(connection.id)
    assert (grant.refreshable, grant.due_at, grant.generation) == (False, None, 1)
