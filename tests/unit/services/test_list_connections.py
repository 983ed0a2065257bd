"""What a user has connected, as its own user and as a client may see it."""

from dataclasses import replace

import pytest

from grantkeeper.errors import BadRequest, Forbidden, NotFound
from grantkeeper.services.list_connections import connection_stats, list_connections, service_statuses
from grantkeeper.services.people import Named, find_person
from grantkeeper.services.visibility import visible_connection
from tests.doubles.connect_world import ALICE, BACKEND, BOB, OPERATOR, OTHER_BACKEND, ConnectWorld
from tests.doubles.provider import Account


@pytest.fixture
def world():
    return ConnectWorld()


def listed(world, principal=ALICE, sub="usr_alice", **filters):
    return list_connections(sub, principal=principal, connections=world.wiring.connections, **filters)


def accounts(world, count, principal=ALICE):
    made = []
    for number in range(count):
        world.now += 1
        made.append(world.connect(principal, account=Account(f"subject-{number}", {"email": f"{number}@example.com"})))
    return made


def test_a_user_sees_his_connections_oldest_first(world):
    """In the order they were made."""
    made = accounts(world, 3)

    assert [c.id for c in listed(world).connections] == [c.id for c in made]


def test_pages_cover_everything_once(world):
    """The position of a page is where the next begins."""
    made = accounts(world, 5)

    seen, after = [], None
    for _ in range(3):
        page = listed(world, limit=2, after=after)
        seen += [c.id for c in page.connections]
        after = page.next_position
    assert seen == [c.id for c in made]
    assert after is None


def test_a_connection_that_goes_between_two_pages_disturbs_neither(world):
    """Positions are places, not counts."""
    made = accounts(world, 4)
    first = listed(world, limit=2)
    world.disconnect(made[1].id)

    assert [c.id for c in listed(world, limit=2, after=first.next_position).connections] == [c.id for c in made[2:]]


def test_a_list_is_filtered_by_service_and_status(world):
    """Both together."""
    (made,) = accounts(world, 1)

    assert [c.id for c in listed(world, service="example-files", status="active").connections] == [made.id]
    assert listed(world, service="gmail").connections == ()
    assert listed(world, status="needs_reauth").connections == ()


@pytest.mark.parametrize("filters", [{"status": "pending!"}, {"limit": 0}, {"limit": 101}])
def test_a_filter_out_of_range_is_refused(world, filters):
    """Not silently ignored."""
    with pytest.raises(BadRequest):
        listed(world, **filters)


def test_t02_a_client_sees_what_its_users_let_it_use_and_nothing_else(world):
    """Alice connected at this client; at the other she did not."""
    connection = world.connect(ALICE)

    assert [c.id for c in listed(world, BACKEND).connections] == [connection.id]
    assert listed(world, OTHER_BACKEND).connections == ()
    assert visible_connection(connection.id, principal=BACKEND, connections=world.wiring.connections) == connection
    with pytest.raises(NotFound):
        visible_connection(connection.id, principal=OTHER_BACKEND, connections=world.wiring.connections)


def test_t02_another_user_sees_nothing(world):
    """Neither by list nor by id."""
    connection = world.connect(ALICE)

    assert listed(world, BOB).connections == ()
    with pytest.raises(NotFound):
        visible_connection(connection.id, principal=BOB, connections=world.wiring.connections)


def test_a_user_sees_what_he_connected_at_any_client(world):
    """They are his."""
    connection = world.connect(ALICE)

    elsewhere = replace(ALICE, client_id="other")
    assert [c.id for c in listed(world, elsewhere).connections] == [connection.id]


def test_t02_a_foreign_id_costs_as_many_reads_as_an_unknown_one(world):
    """The clock tells no more than the body."""
    connection = world.connect(ALICE)
    faults = world.wiring.aws.dynamodb.faults

    def reads(principal, connection_id):
        before = faults.count("get_item")
        with pytest.raises(NotFound):
            visible_connection(connection_id, principal=principal, connections=world.wiring.connections)
        return faults.count("get_item") - before

    for principal in (BOB, OTHER_BACKEND):
        assert reads(principal, connection.id) == reads(principal, "con_unknown")


def test_an_operators_key_sees_no_connection(world):
    """It belongs to no client, so no user gave it consent."""
    connection = world.connect(ALICE)

    with pytest.raises(Forbidden):
        visible_connection(connection.id, principal=OPERATOR, connections=world.wiring.connections)


def test_statuses_name_every_service(world):
    """Connected, or not connected."""
    world.connect(ALICE)

    statuses = {
        s.service: s.status
        for s in service_statuses(
            "usr_alice", principal=ALICE, connections=world.wiring.connections, catalog=world.wiring.catalog
        )
    }
    assert statuses["example-files"] == "connected"
    assert statuses["gmail"] == "not_connected"


def test_a_service_with_unticked_scopes_says_which_are_missing(world):
    """The user is asked for those and no others."""
    world.provider.granted_scope = "openid email files.read"
    world.connect(ALICE, access="write")

    (status,) = [
        s
        for s in service_statuses(
            "usr_alice", principal=ALICE, connections=world.wiring.connections, catalog=world.wiring.catalog
        )
        if s.service == "example-files"
    ]
    assert (status.status, status.missing_scopes) == ("scopes_missing", ("files.write",))


def test_a_dead_grant_shows_as_needing_its_user(world):
    """As long as he has no other account there that works."""
    connection = world.connect(ALICE)
    grant = world.wiring.grants.get(connection.id)
    world.wiring.grants.mark_needs_reauth(
        grant, "revoked_by_user", now=world.now, audit=world.event("connection.needs_reauth")
    )

    def status():
        return {
            s.service: s.status
            for s in service_statuses(
                "usr_alice", principal=ALICE, connections=world.wiring.connections, catalog=world.wiring.catalog
            )
        }["example-files"]

    assert status() == "needs_reauth"
    world.connect(ALICE, account=Account("second", {"email": "second@example.com"}))
    assert status() == "connected"


def test_stats_count_by_status_service_and_provider(world):
    """For a page with numbers on it."""
    accounts(world, 2)

    assert connection_stats("usr_alice", principal=ALICE, connections=world.wiring.connections) == {
        "by_status": {"active": 2, "needs_reauth": 0},
        "by_service": {"example-files": 2},
        "by_provider": {"example": 2},
    }


def test_a_clients_id_never_seen_has_nothing(world):
    """An empty list is the truth, and makes no user."""
    w = world.wiring
    sub = find_person(
        BACKEND, Named(user_id="never seen"), users=w.users, sessions=w.sessions, connections=w.connections
    )

    assert sub is None
    assert listed(world, BACKEND, None).connections == ()
    assert w.users.find("client:app", "never seen") is None
