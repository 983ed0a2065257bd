"""Opening a connect session: everything is checked before anything is written."""

import pytest

from grantkeeper import ids
from grantkeeper.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    ProviderDisabled,
    ProviderNotConfigured,
    ScopeNotAllowed,
    UnknownService,
)
from grantkeeper.model import Principal
from grantkeeper.services.open_connect_session import ConnectRequest
from tests.doubles.connect_world import ALICE, BACKEND, OPERATOR, OTHER_BACKEND, SERVICE, ConnectWorld


@pytest.fixture
def world():
    return ConnectWorld()


def session_of(world, opened):
    return world.wiring.connect_sessions.get(opened.id, now=world.now)


def test_a_user_opens_a_session_for_himself(world):
    """His access token names him; nothing else is needed."""
    opened = world.open(ALICE, state="of the client")

    session = session_of(world, opened)
    assert (session.sub, session.client_id, session.service) == ("usr_alice", "app", SERVICE)
    assert session.state == "of the client"
    assert opened.expires_at == world.now + 600


def test_the_ticket_is_stored_as_a_hash_only(world):
    """Who reads the table cannot follow the link."""
    opened = world.open()

    ticket = opened.connect_url.removeprefix("https://id.example.com/connect/")
    assert session_of(world, opened).ticket_hash == ids.digest(ticket)
    assert len(ticket) == 43
    assert ticket not in repr(world.wiring.aws.dynamodb.dump("requests"))


def test_a_session_asks_for_the_level_named_and_what_the_service_always_needs(world):
    """Access levels are names of the service, scopes are the provider's."""
    assert session_of(world, world.open(access="write")).scopes == (
        "openid", "email", "files.read", "files.write", "offline_access",
    )  # fmt: skip


def test_without_a_level_the_least_is_asked(world):
    """The default level reads."""
    assert session_of(world, world.open()).scopes == ("openid", "email", "files.read", "offline_access")


def test_single_scopes_of_the_service_may_be_named(world):
    """A client that needs one scope asks for one."""
    assert "files.write" in session_of(world, world.open(scopes=["files.write"])).scopes


@pytest.mark.parametrize("body", [{"access": "admin"}, {"scopes": ["files.read", "mail.send"]}])
def test_c09_a_scope_the_service_does_not_declare_is_refused(world, body):
    """Nothing is sent upstream, and no session exists."""
    with pytest.raises(ScopeNotAllowed):
        world.open(**body)
    assert "connect_session.opened" not in world.actions()
    assert world.provider.requests == []


def test_c09_a_client_connects_its_own_services_only(world):
    """The operator lists what a client may connect."""
    world.add_client("app", services=("gmail",))

    with pytest.raises(ScopeNotAllowed):
        world.open()


@pytest.mark.parametrize(
    "uri",
    ["https://evil.example/connected", "https://app.example/connected/../x", "https://app.example/connected#x"],
)
def test_w01_the_redirect_uri_is_a_registered_one(world, uri):
    """Compared as a string with what the client registered."""
    with pytest.raises(BadRequest):
        world.open(redirect_uri=uri)


def test_an_unknown_service_is_told(world):
    """No such service, no session."""
    with pytest.raises(UnknownService):
        world.open(service="no-such-service")


def test_a_provider_switched_off_connects_nothing(world):
    """The operator's switch counts at once."""
    world.wiring.provider_items.put(
        "example", record=None, registrations=None, disabled=True, audit=world.event("provider.changed")
    )

    with pytest.raises(ProviderDisabled):
        world.open()


def test_a_provider_without_registration_connects_nothing(world):
    """Said before a user is sent anywhere."""
    world.wiring.provider_items.put(
        "example", record=None, registrations=[], disabled=None, audit=world.event("provider.changed")
    )

    with pytest.raises(ProviderNotConfigured):
        world.open()


def test_a_user_cannot_open_a_session_for_another(world):
    """Naming somebody else is answered as if he did not exist (T-03)."""
    with pytest.raises(NotFound):
        world.open(ALICE, user_sub="usr_bob")


def test_a_user_may_name_himself(world):
    """Saying what the token says is no contradiction."""
    assert session_of(world, world.open(ALICE, user_sub="usr_alice")).sub == "usr_alice"


def test_a_client_names_a_user_by_its_own_id_and_provisions_him_once(world):
    """The first use makes the user, audited; the second finds him."""
    first = session_of(world, world.open(BACKEND, user_id="customer 42")).sub
    second = session_of(world, world.open(BACKEND, user_id="customer 42")).sub

    assert first == second
    assert world.actions(first).count("user.provisioned") == 1


def test_t15_the_same_id_of_two_clients_is_two_users(world):
    """A client's ids are identities under the client, never shared."""
    ours = session_of(world, world.open(BACKEND, user_id="42")).sub
    theirs = session_of(world, world.open(OTHER_BACKEND, user_id="42")).sub

    assert ours != theirs


def test_a_client_may_name_by_sub_only_users_it_knows(world):
    """Carol never signed in at it: she does not exist for it (T-02)."""
    with pytest.raises(NotFound):
        world.open(BACKEND, user_sub="usr_carol")
    with pytest.raises(NotFound):
        world.open(BACKEND, user_sub="usr_nobody")


def test_a_client_may_name_by_sub_a_user_it_provisioned(world):
    """Both names mean the same person."""
    sub = session_of(world, world.open(BACKEND, user_id="42")).sub

    assert session_of(world, world.open(BACKEND, user_sub=sub)).sub == sub
    with pytest.raises(NotFound):
        world.open(OTHER_BACKEND, user_sub=sub)


def test_a_clients_key_must_name_somebody(world):
    """It acts for no user by itself."""
    with pytest.raises(BadRequest):
        world.open(BACKEND)


def test_an_operators_key_connects_nothing(world):
    """It belongs to no client."""
    with pytest.raises(Forbidden):
        world.open(OPERATOR, user_id="42")


def test_a_disabled_client_opens_nothing(world):
    """A principal that was good a moment ago is checked against the client as it is."""
    world.add_client("app", status="disabled")

    with pytest.raises(Forbidden):
        world.open()


def test_a_suspended_user_connects_nothing(world):
    """Nor does a client for him."""
    world.add_user("usr_dave", status="suspended")

    with pytest.raises(Forbidden):
        world.open(Principal("user", ALICE.scopes, client_id="app", sub="usr_dave"))


def test_a_reconnect_asks_for_what_was_asked_before_as_well(world):
    """A new consent replaces the old one's scopes; the union is asked for explicitly."""
    connection = world.connect(access="write")

    again = session_of(world, world.open(access="read", connection_id=connection.id))

    assert set(again.scopes) == {"openid", "email", "files.read", "files.write", "offline_access"}
    assert again.connection_id == connection.id


def test_t02_a_reconnect_of_another_users_connection_is_a_reconnect_of_nothing(world):
    """The same error as for an id that was never given out."""
    connection = world.connect()

    with pytest.raises(NotFound) as foreign:
        world.open(Principal("user", ALICE.scopes, client_id="app", sub="usr_bob"), connection_id=connection.id)
    with pytest.raises(NotFound) as unknown:
        world.open(connection_id="con_unknown")
    assert foreign.value.detail == unknown.value.detail


def test_a_reconnect_makes_no_user(world):
    """A user whom nobody knew has no connection to re-connect, so he is not provisioned on the way to the error."""
    before = world.wiring.aws.dynamodb.dump("grants")

    with pytest.raises(NotFound):
        world.open(BACKEND, user_id="never seen", connection_id="con_unknown")

    assert world.wiring.aws.dynamodb.dump("grants") == before


def test_a_disconnected_connection_is_not_connected_again(world):
    """Revoked is final: the user connects anew."""
    connection = world.connect()
    world.disconnect(connection.id)

    with pytest.raises(Conflict):
        world.open(connection_id=connection.id)


@pytest.mark.parametrize(
    "body",
    [
        {"service": 7},
        {"service": ""},
        {"scopes": "files.read"},
        {"scopes": []},
        {"scopes": [1]},
        {"scopes": ["files.read"], "access": "read"},
        {"state": "s" * 1025},
        {"user_id": "a", "user_sub": "b"},
        {"user_id": "a\nb"},
        {"user_id": "a" * 257},
        {"sub": "usr_bob"},
        {"client_id": "other"},
        {"status": "confirmed"},
        {"expires_at": 9_999_999_999},
    ],
)
def test_t06_w04_a_body_holds_known_members_of_the_right_type(body):
    """Nothing that is not asked for is taken over, and nothing is guessed."""
    with pytest.raises(BadRequest):
        ConnectRequest.parse({"service": SERVICE, "redirect_uri": "https://app.example/connected", **body})
