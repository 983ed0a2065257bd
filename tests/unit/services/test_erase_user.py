"""`services.erase_user`: every trace of a user goes, whatever fails on the way, and what audit keeps names nobody."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

import pytest

from grantkeeper.errors import Forbidden, GrantkeeperError, NotFound, StoreUnavailable
from grantkeeper.model import ApiKey, Avatar, Identity, Session, User
from grantkeeper.services.change_user import By
from grantkeeper.services.discard_tokens import discard_tokens
from grantkeeper.services.erase_user import LOOK_AGAIN, ROOM, SETTLES, erase_user, erasure_state
from grantkeeper.services.refresh_run import Cause, Run
from grantkeeper.services.revoke_upstream import revoke_upstream
from tests.doubles.connect_world import ALICE, BOB, ConnectWorld
from tests.doubles.deployment import audit_event, trail
from tests.doubles.dynamodb_values import client_error
from tests.doubles.errand_world import link_identity
from tests.doubles.provider import NOON, Account

SUB = "usr_alice"
ROOT = By("operator:root", root=True)
PICTURE = Avatar("example", NOON, "image/jpeg", "d1gest", b"\xff\xd8\xff a picture")
# What names her anywhere: her address, her names, her accounts.
NAMES = ("alice@example.com", "Alice", "usr_alice@example.com", "alices-work", "sup3r")


@pytest.fixture
def world():
    return furnished(ConnectWorld())


def furnished(world: ConnectWorld) -> ConnectWorld:
    """Alice has one of everything: the deployment holds nothing else that names her."""
    w = world.wiring
    user = w.users.get(SUB)
    changed = User(
        SUB, NOON, NOON, email="alice@example.com", name="Alice Example", overrides={"name": "Alice"},
        version=user.version,
    )  # fmt: skip
    assert w.users.update(changed, expected_version=user.version, audit=audit_event("user.synced"))
    work = Identity("https://second.example", "alices-work", SUB, "second", NOON, email="alice@example.com")
    link_identity(w, work, audit=audit_event("identity.linked"), now=NOON)
    (errand,) = [row["id"]["S"] for row in rows(world, "requests") if row["pk"]["S"].startswith("ERRAND#")]
    w.audit.record(replace(audit_event("identity.linked"), sub=SUB, details={"errand": errand}))
    w.avatars.put_for_user(SUB, PICTURE, audit=audit_event("user.avatar_changed"))
    for number in range(2):
        end = NOON + 86_400
        session = Session(
            family=f"fam_{number}", sid=f"sid_{number}", sub=SUB, client_id="app", scopes=("openid",),
            provider="example", created_at=NOON, expires_at=end, idle_expires_at=end, current_hash="h",
        )  # fmt: skip
        w.sessions.create(session, audit=audit_event("user.signed_in"))
        key = ApiKey(f"key{number}", f"hash{number}", ("connections:read",), NOON, end, client_id="app", sub=SUB)
        w.api_keys.put(key, audit=audit_event("api_key.created"))
    w.api_keys.revoke(w.api_keys.get("key1"), audit=audit_event("api_key.revoked"))
    live = world.connect(account=Account("alices-own"))
    w.connections.update_profile(live.id, live.profile, avatar=PICTURE, now=NOON, audit=audit_event("synced"))
    gone = world.connect(account=Account("alices-other"))
    world.disconnect(gone.id)
    withdrawn = world.connect(account=Account("alices-third"))
    assert w.consents.withdraw(SUB, "app", withdrawn.id, now=NOON, audit=audit_event("consent.withdrawn"))
    return world


def erase(world, *, by=ROOT, sub=SUB):
    return erase_user(sub, by=by, ports=world.wiring, now=world.now, request_id="req")


def erased_to_the_end(world, *, sub=SUB):
    """Until it says so, with the worker doing its part; every call of it was needed."""
    for _ in range(40):
        done = erase(world, sub=sub)
        if done.state == "erased":
            return done
        sweep_and_work(world)
        world.now = max(world.now + 1, done.again_at)
    raise AssertionError(f"it never ends: {done}")


def sweep_and_work(world):
    """The worker, of what is queued and of what the index says is due."""
    run = Run(clock=lambda: world.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)
    due = [row for row in rows(world, "grants") if "due_at" in row and int(row["due_at"]["N"]) <= world.now]
    for connection_id in sorted({row["pk"]["S"].partition("#")[2] for row in due}):
        discard_tokens(connection_id, cause=Cause("sweep", "system"), ports=world.wiring, run=run)
        revoke_upstream(connection_id, cause=Cause("sweep", "system"), ports=world.wiring, run=run)
    world.work()


def rows(world, *tables):
    names = {"grants": "GRANTS_TABLE", "requests": "REQUESTS_TABLE", "audit": "AUDIT_TABLE"}
    client, env = world.wiring.aws.dynamodb, world.wiring.env
    return [row for table in tables for row in client.scan(TableName=env[names[table]])["Items"]]


def text_of(row):
    return json.dumps(row, default=lambda value: bytes(value).decode("latin-1"))


def of_hers(world, *tables):
    """Rows that hold her sub, and rows that hold what names her."""
    found = [text_of(row) for row in rows(world, *tables)]
    return [t for t in found if SUB in t], [t for t in found if any(name in t for name in NAMES)]


def test_nothing_is_left_of_a_user_but_a_tombstone_and_the_trail(world):
    """Looked for in every row of every table: her opaque sub stands in two places, her name in none."""
    before = erasure_state(SUB, ports=world.wiring, now=world.now)
    assert before.state == "active"
    assert before.left == {
        "api_keys": 2, "connections": 2, "consents": 3, "identities": 2, "past_connections": 1, "pictures": 1,
        "sessions": 2,
    }  # fmt: skip
    world.now += 1000  # what was to be confirmed is over

    done = erased_to_the_end(world)

    assert done.left == erasure_state(SUB, ports=world.wiring, now=world.now).left == {}
    (tombstone,), named = of_hers(world, "grants")
    assert '"erased"' in tombstone
    assert named == []
    assert of_hers(world, "audit")[1] == []
    assert of_hers(world, "requests") == ([], [])
    assert not [row for row in rows(world, "grants") if row["pk"]["S"].startswith(("CONNECTION#", "ACCOUNT#"))]


def test_no_grant_survives_at_the_provider(world):
    """Each was revoked there before the last word of it went."""
    assert len(world.provider.live_refresh_tokens) == 3

    erased_to_the_end(world)

    assert world.provider.live_refresh_tokens == []


def test_others_keep_what_is_theirs(world):
    """An account that somebody else connected too is not cut off, and his connection stands."""
    shared = Account("shared")
    hers, his = world.connect(account=shared), world.connect(BOB, account=shared)

    erased_to_the_end(world)

    assert world.wiring.connections.get(hers.id) is None
    assert world.wiring.connections.get(his.id).status == "active"
    assert world.provider.live_refresh_tokens != []
    assert world.wiring.users.get("usr_bob").status == "active"


def test_keys_revoked_a_moment_ago_are_found_without_a_look_at_all_keys(world):
    """By what stands in the user's own partition: no index is read, which may be late and holds everybody's."""
    client, asked = world.wiring.aws.dynamodb, []
    query = client.query
    client.query = lambda **request: asked.append(request.get("IndexName")) or query(**request)
    try:
        traces = world.wiring.erasure.traces(SUB)
    finally:
        client.query = query
    assert {trace.name for trace in traces if trace.kind == "api_keys"} == {"key0", "key1"}
    assert set(asked) == {None}


def test_a_key_that_stands_in_two_lists_is_erased_all_the_same(world):
    """One that was stored again after it was revoked: its two entries go one after the other."""
    w = world.wiring
    w.api_keys.put(w.api_keys.get("key1"), audit=audit_event("api_key.rotated"))
    assert erased_to_the_end(world).left == {}
    assert of_hers(world, "grants")[1] == []
    assert not [row for row in of_hers(world, "grants")[0] if "key1" in row]


def test_t08_no_refused_write_shows_what_is_sealed(world):
    """Ending, emptying and removing ask for nothing back of a grant's row, where a condition may not hold."""
    client = world.wiring.aws.dynamodb
    asked, transact = [], client.transact_write_items
    client.transact_write_items = lambda **request: asked.extend(request["TransactItems"]) or transact(**request)
    try:
        erased_to_the_end(world)
    finally:
        client.transact_write_items = transact

    def of_a_grant(write):
        place = write.get("Key") or write["Item"]
        return place["pk"]["S"].startswith("CONNECTION#") and place["sk"]["S"].startswith("GRANT#")

    writes = [(kind, write) for item in asked for kind, write in item.items() if of_a_grant(write)]
    assert {kind for kind, _ in writes} == {"Update", "Delete"}  # tombstones and emptied ones; removed ones
    assert not [write for _, write in writes if "ReturnValuesOnConditionCheckFailure" in write]


def test_an_identity_that_is_somebody_elses_by_now_is_left_to_him(world):
    """Only her own entry goes."""
    moved = Identity("https://third.example", "moved", SUB, "third", NOON)
    link_identity(world.wiring, moved, audit=audit_event("identity.linked"), now=NOON)
    item = {"pk": {"S": f"IDENTITY#{moved.id}"}, "sk": {"S": "IDENTITY"}}
    stored = next(row for row in rows(world, "grants") if row["pk"] == item["pk"])
    world.wiring.aws.dynamodb.put_item(TableName="grants", Item=stored | {"sub": {"S": "usr_bob"}})

    erased_to_the_end(world)

    assert world.wiring.users.find("https://third.example", "moved").sub == "usr_bob"


def test_the_first_call_takes_the_profile_and_says_what_is_left(world):
    """From then on she is nobody who may call, sign in or connect; the rest has its time."""
    done = erase(world)

    assert (done.state, done.erased_at, done.one_time_until) == ("erasing", NOON, NOON + SETTLES)
    assert done.left == {"past_connections": 3}
    assert done.again_at == NOON + SETTLES
    assert done.removed == {
        "api_keys": 2, "connections": 2, "consents": 3, "identities": 2, "one_time": 4, "pictures": 1, "sessions": 2,
    }  # fmt: skip
    user = world.wiring.users.get(SUB)
    assert (user.status, user.email, user.name, user.role, user.overrides) == ("erased", None, None, "user", {})
    assert world.wiring.people.page(email="alice", where={}, after=None, limit=10)[0] == []
    assert of_hers(world, "grants")[1] == []  # what waits for its provider names her neither


def test_past_connections_wait_for_their_provider_and_for_what_is_under_way(world):
    """Told or not, none goes before the time that a late answer takes; and none before its provider was told."""
    erase(world)
    world.work()
    world.now += SETTLES - 1
    assert erase(world).left == {"past_connections": 3}

    other = furnished(ConnectWorld())
    erase(other)
    other.now += SETTLES + 1
    waiting = erase(other)

    assert waiting.left == {"past_connections": 3}
    assert waiting.again_at == other.now + LOOK_AGAIN


class Crash(BaseException):
    """The process is gone: nothing catches it."""


def test_a_crash_at_any_point_ends_erased_all_the_same():
    """Before any call to the store, and so after any other: the next call goes on from where the tables say."""
    point = 0
    while True:
        world = furnished(ConnectWorld())
        left = [point]

        def step(_operation, _request, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Crash

        world.wiring.aws.dynamodb.faults.yield_point = step
        try:
            erase(world)
            crashed = False
        except Crash:
            crashed = True
        world.wiring.aws.dynamodb.faults.yield_point = None
        if not crashed:
            break
        erased_to_the_end(world)
        assert of_hers(world, "grants")[1] == [], point
        assert len(of_hers(world, "grants")[0]) == 1, point
        assert world.provider.live_refresh_tokens == [], point
        point += 1
    assert point > 30


def test_a_second_erasure_begins_nothing(world):
    """The tombstone's time stands, and the trail tells of one."""
    erased_to_the_end(world)
    started = world.wiring.users.get(SUB).updated_at

    again = erase(world)

    assert (again.state, again.removed, again.again_at) == ("erased", {}, None)
    assert world.wiring.users.get(SUB).updated_at == started
    told = [entry["action"] for entry in trail(world.wiring)]
    assert told.count("user.erasure_started") == told.count("user.erased") == 1


def test_what_comes_back_unconfirmed_is_waited_for(world):
    """Tokens that nobody confirmed stand in no list of hers; the trail knows them, and the worker throws them away."""
    back = world.come_back(world.follow(world.open()), account=Account("alices-late"))
    erase(world)
    world.now += SETTLES
    assert back.confirmation
    assert erase(world).left["unconfirmed"] == 1

    erased_to_the_end(world)
    assert of_hers(world, "grants")[1] == []
    assert world.provider.live_refresh_tokens == []


def test_a_call_ends_a_bounded_number_of_connections(monkeypatch):
    """However many there are; the next call goes on, and none is looked at twice while others wait."""
    monkeypatch.setattr("grantkeeper.services.erase_user.ROOM", 3)
    world = ConnectWorld()
    for number in range(8):
        world.connect(account=Account(f"account-{number}"))

    told = []
    for _ in range(4):
        done = erase(world)
        told.append(done.left)

    assert told[0] == {"connections": 5, "past_connections": 3}
    assert told[2] == {"past_connections": 8}
    assert ROOM == 50
    erased_to_the_end(world)


def test_a_call_deletes_a_bounded_number_of_other_things(world, monkeypatch):
    """Also when the connections it ended have used up what was left of its room."""
    monkeypatch.setattr("grantkeeper.services.erase_user.PLAIN_ROOM", 4)  # two sessions and two keys
    w = world.wiring
    connected = len(w.seen_connections.ids_of_user(SUB))
    before = erasure_state(SUB, ports=w, now=world.now).left
    assert connected > 0

    done = erase_user(SUB, by=ROOT, ports=w, now=world.now)

    assert done.removed["sessions"] + done.removed["api_keys"] == 4
    assert done.removed["connections"] == connected
    kept = ("identities", "consents", "pictures")
    assert {kind: done.left.get(kind) for kind in kept} == {kind: before[kind] for kind in kept}
    assert done.again_at == world.now  # there is more than one call does


def test_t10_nobody_erases_himself_and_no_key_an_admin(world):
    """Nor does somebody who is no admin any more."""
    world.add_user("usr_root", role="admin")
    world.add_user("usr_second", role="admin")

    for by, sub in ((By("user:usr_root", "usr_root"), "usr_root"), (By("key:k"), "usr_second")):
        with pytest.raises(Forbidden):
            erase(world, by=by, sub=sub)
    with pytest.raises(Forbidden):
        erase(world, by=By(f"user:{BOB.sub}", BOB.sub))
    assert world.wiring.users.get(SUB).status == "active"


def test_there_is_nothing_to_erase_of_somebody_nobody_knows(world):
    """An unknown id, and what is none."""
    for sub in ("usr_never", "a/b"):
        with pytest.raises(NotFound):
            erase(world, sub=sub)


@pytest.mark.parametrize("start", [0, 1, 2])
def test_t13_what_was_under_way_brings_nothing_back(start):
    """A confirmation, a session and a picture that land at any point of the first call are gone after the last."""
    point = start
    while True:
        world = furnished(ConnectWorld())
        late = under_way(world)
        if not during(world, point, lambda world=world, late=late: land(world, late)):
            break
        erased_to_the_end(world)
        assert len(of_hers(world, "grants")[0]) == 1, point
        assert of_hers(world, "grants")[1] == [], point
        assert world.wiring.sessions.get("fam_late") is None
        assert world.provider.live_refresh_tokens == [], point
        point += 3
    assert point > 30


def under_way(world):
    """What a request has read before the erasure begins."""
    back = world.come_back(world.follow(world.open()), account=Account("alices-race"))
    (event,) = [e for e in world.trail() if e.action == "connection.pending" and back.session in e.details.values()]
    return world.wiring.connections.pending(event.connection_id, back.session, now=NOON)


def land(world, pending):
    """What it writes then, as far as anybody lets it."""
    w, end = world.wiring, NOON + 86_400
    with contextlib.suppress(GrantkeeperError):
        w.connections.confirm(pending, consent_client_id="app", now=NOON, audit=world.event("connection.activated"))
    w.avatars.put_for_user(SUB, PICTURE, audit=audit_event("user.avatar_changed"))
    late = Session(
        family="fam_late", sid="sid_late", sub=SUB, client_id="app", scopes=("openid",), provider="example",
        created_at=NOON, expires_at=end, idle_expires_at=end, current_hash="h",
    )  # fmt: skip
    w.sessions.create(late, audit=audit_event("user.signed_in"))


def during(world, point, happen):
    """One call, before whose step number `point` something happens; False when there are not so many."""
    left = [point]

    def step(_operation, _request):
        left[0] -= 1
        if left[0] == -1:
            happen()

    world.wiring.aws.dynamodb.faults.yield_point = step
    erase(world)
    world.wiring.aws.dynamodb.faults.yield_point = None
    return left[0] < 0


def test_a_profile_that_was_read_before_is_not_written_after(world):
    """A sign-in or a change under way stands on the version it read."""
    user = world.wiring.users.get(SUB)
    erase(world)

    assert not world.wiring.users.update(user, expected_version=user.version, audit=audit_event("user.synced"))
    assert world.wiring.users.get(SUB).email is None


def test_the_store_that_does_not_answer_is_no_user_that_is_gone(world):
    """Nothing is said of her that is not known."""
    world.wiring.aws.dynamodb.faults.fail("query", client_error("query", "AccessDeniedException", ""), times=50)

    with pytest.raises(StoreUnavailable):
        erase(world)
    assert ALICE.sub == SUB
