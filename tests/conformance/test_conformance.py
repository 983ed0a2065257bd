"""
Every record of the catalogue, driven through the product's functions against its vendor's dialect.

The dialects are written from the fact sheet and share nothing with the records, so each checks the other.
`python -m tests.conformance.table` prints which test stands for which promise.
"""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate

import pytest

from tests.conformance.cases import MINUTES, dialects, records, services, stale, unknown_records
from tests.conformance.dialects import DIALECTS
from tests.conformance.grants import ALICE, UNVERIFIED, Person
from tests.conformance.wire import answer
from tests.conformance.world import World, together

BOB = Person(id="3099", login="bob", email="bob@example.com", name="Bob")


def ids(case):
    return case if isinstance(case, str) else "-".join(case)


@pytest.fixture
def world(request, new_world) -> World:
    """The world of the dialect this test is for."""
    return new_world(request.getfixturevalue("key"))


def every(which: str = "connect"):
    return pytest.mark.parametrize("key", dialects(which))


def test_every_record_has_a_dialect():
    """A built-in record that nobody checks is not finished."""
    assert unknown_records() == set()


# --- authorization and code exchange ---


@pytest.mark.parametrize("case", services(), ids=ids)
def test_connect_with_every_access_level(case, new_world):
    """The consent page takes the URL, and the code is exchanged for what was asked."""
    key, service, access = case
    world = new_world(key)

    connection = world.connection(world.connect(service, access=access))

    assert connection.status == "active"
    assert connection.missing_scopes == ()
    assert set(connection.scopes) == world.vendor.expected_scopes(connection.requested_scopes)
    assert connection.account_id == world.vendor.expected_profile(ALICE)["provider_user_id"]
    assert set(connection.token_names) == set(world.vendor.token_names())


@every()
def test_the_token_is_the_vendors_and_lives_as_long(key, world):
    """Handed out as it was issued, with its end."""
    connection_id = world.connect()

    for name in world.vendor.token_names():
        answer = world.token(connection_id, name)
        assert answer.status == 200, answer.body
        assert world.vendor.accepts(answer.json["access_token"])
        lifetime = world.vendor.lifetime
        expected = None if lifetime is None else pytest.approx(world.clock.now + lifetime, abs=5)
        assert answer.json["expires_at"] == expected


@pytest.mark.parametrize("key", [key for key in dialects() if "iss" in dict(DIALECTS[key].callback_extra)])
def test_another_issuers_callback_is_refused(key, world):
    """`iss` comes unannounced; where it comes it is compared, and the code is not spent (RFC 9207)."""
    url, jar = world.go_connect(world.services()[0].id)

    told = world.come_back(world.vendor.consent(url) | {"iss": "https://evil.example"}, jar)

    assert "error" in told
    assert world.vendor.grants.families == []


@every("signin")
def test_sign_in(key, world):
    """The same person is the same user next time, and nothing offline is asked for."""
    first = world.sign_in()

    assert world.sign_in()["sub"] == first["sub"]
    assert world.sign_in(BOB)["sub"] != first["sub"]
    assert world.vendor.refreshes == 0


@every("signin")
def test_sign_in_tells_the_truth_about_the_address(key, world):
    """Verified only where the vendor vouches for it."""
    for person in (ALICE, UNVERIFIED):
        expected = world.vendor.expected_profile(person)
        claims = world.sign_in(person)
        assert claims.get("email") == expected["email"]
        assert bool(claims.get("email_verified")) is bool(expected["email"] and expected["email_verified"])


@every()
def test_profile(key, world):
    """Stable id, address, whether it is verified, name and picture."""
    for user, person in (("u1", ALICE), ("u2", UNVERIFIED), ("u3", replace(ALICE, id="4501", avatar=None))):
        profile = world.connection(world.connect(user=user, person=person)).profile
        assert profile is not None
        expected = world.vendor.expected_profile(person)
        assert {name: getattr(profile, name) for name in expected} == expected


@every()
def test_renamed_account_is_the_same_account(key, world):
    """Neither login nor address names an account."""
    before = world.connect()
    renamed = replace(ALICE, login="alice-2", email="alice2@example.com", name="Alice Renamed")

    assert world.connect(person=renamed) == before


@pytest.mark.parametrize("key", [key for key in dialects() if DIALECTS[key].tells_denial])
def test_no_is_no(key, world):
    """A user who declines leaves nothing behind."""
    url, jar = world.go_connect(world.services()[0].id)

    told = world.come_back(world.vendor.consent(url, deny=True), jar)

    assert told["error"] == "access_denied"
    assert world.vendor.grants.families == []


@every()
def test_wrong_secret_at_the_exchange_connects_nothing(key, world):
    """An operator's mistake is told as the server's error, not as the user's."""
    url, jar = world.go_connect(world.services()[0].id)
    world.vendor.client_secret = "rotated-at-the-vendor"

    told = world.come_back(world.vendor.consent(url), jar)

    assert told["error"] in ("server_error", "temporarily_unavailable")
    assert world.vendor.grants.families == []


# --- refresh and rotation ---


@every("refresh")
def test_refresh(key, world):
    """Expired, or refused: another token that works, and the vendor was asked once."""
    connection_id = world.connect()
    before = world.served(connection_id)

    for count, name in enumerate(before, 1):
        answer = stale(world, connection_id, name=name)
        assert answer.status == 200, answer.body
        assert answer.json["access_token"] != before[name]
        assert world.vendor.accepts(answer.json["access_token"])
        assert set(answer.json["scopes"]) <= set(world.connection(connection_id).scopes)
        assert world.vendor.refreshes == count


@every("refresh")
def test_rotation(key, world):
    """Six refreshes in a row: what the answer leaves out is kept, what it replaces is replaced."""
    connection_id = world.connect()

    for _ in range(6):
        for name in world.vendor.token_names():
            assert stale(world, connection_id, name=name).status == 200
            assert world.connection(connection_id).missing_scopes == ()
    kept = {len(family.refresh) for family in world.vendor.grants.families}
    assert kept == {7 if world.vendor.refresh_token == "rotated" else 1}


@every("refresh")
def test_rotation_race(key, world):
    """Two containers refresh at once: the vendor is asked once, and the grant survives."""
    connection_id = world.connect()
    name = world.vendor.token_names()[0]
    grant = world.grant(connection_id, name)
    world.clock.skip(MINUTES if grant.expires_at is None else grant.expires_at - world.clock.now + 10)
    world.vendor.nap = lambda: world.clock.sleep(0.5)
    query = {} if grant.expires_at is not None else {"rejected_generation": grant.generation}
    containers = [world.new_container("refresh") for _ in range(2)]

    answers = together(*(lambda c=c: world.token(connection_id, name, container=c, **query) for c in containers))

    assert [answer.status for answer in answers] == [200, 200], [answer.body for answer in answers]
    assert len({answer.json["access_token"] for answer in answers}) == 1
    assert world.vendor.refreshes == 1
    assert stale(world, connection_id, name=name).status == 200


@pytest.mark.parametrize("key", [key for key in dialects("refresh") if DIALECTS[key].lifetime is None])
def test_unknown_lifetime_is_left_alone(key, world):
    """A vendor that does not say when tokens end is asked when somebody was refused, and not by the clock."""
    connection_id = world.connect()
    before = world.served(connection_id)

    world.clock.skip(7 * 86_400)

    assert world.served(connection_id) == before
    assert world.vendor.refreshes == 0


FORGIVING = ("dead", "grace", "valid")


@every("refresh")
def test_record_trusts_no_more_than_the_vendor_forgives(key):
    """What is spent twice, or sent on after a crash, is decided by the record: it may be more careful, never less."""
    dialect, rule = DIALECTS[key], records()[DIALECTS[key].record_id].refresh
    believed = "valid" if rule.rotation == "none" else rule.previous_refresh_token.replace("revoked", "dead")
    rotates = dialect.refresh_token == "rotated"

    assert FORGIVING.index(believed) <= FORGIVING.index(dialect.previous if rotates else "valid")
    assert rule.grace_seconds <= dialect.grace or believed != "grace"
    assert rule.supported != "never"


@every("refresh")
def test_lost_answer(key, world):
    """Obeyed, and the answer lost: survived wherever the vendor forgives, and never blamed on the user elsewhere."""
    connection_id = world.connect()
    name = world.vendor.token_names()[0]
    world.vendor.lose_answers = 1

    answer = stale(world, connection_id, name=name)

    if world.vendor.refresh_token != "rotated" or world.vendor.previous != "dead":
        assert answer.status == 200, answer.body
        return
    assert answer.status == 503
    answers = []
    for _ in range(4):
        world.clock.skip(400)
        query = {} if world.vendor.lifetime else {"rejected_generation": 1}
        answers.append(world.token(connection_id, name, **query))
    assert answers[-1].json["reason"] == "rotation_outcome_unknown"


# --- what goes wrong ---


@every()
def test_dead_grant(key, world):
    """Two dead answers, well apart, and the user is asked to connect again; the first one decides nothing."""
    connection_id = world.connect()
    name = world.vendor.token_names()[0]
    world.vendor.withdraw()
    generation = world.grant(connection_id, name).generation

    first = stale(world, connection_id, name=name)
    if world.vendor.refresh_token == "never" and world.vendor.lifetime is not None:
        assert first.json["reason"] == "expired_no_refresh_token"
        return
    assert first.status == 503, first.body
    assert world.connection(connection_id).status == "active"

    world.clock.skip(MINUTES)
    second = world.token(connection_id, name, rejected_generation=generation)
    assert (second.status, second.json["type"].rpartition("/")[2]) == (409, "reauthorization-required"), second.body
    assert world.connection(connection_id).status == "needs_reauth"
    assert world.connection(connection_id).reason not in (None, "rotation_outcome_unknown")


@every()
def test_dead_grant_comes_back_by_connecting_again(key, world):
    """The same connection, alive."""
    connection_id = world.connect()
    name = world.vendor.token_names()[0]
    world.vendor.withdraw()
    generation = world.grant(connection_id, name).generation
    stale(world, connection_id, name=name)
    world.clock.skip(MINUTES)
    world.token(connection_id, name, rejected_generation=generation)

    assert world.connect() == connection_id
    assert world.untouched(connection_id)
    assert world.vendor.accepts(world.token(connection_id, name).json["access_token"])


def probed(key: str) -> bool:
    """Tell whether the vendor can be asked about a token at all once it cannot be served."""
    dialect = DIALECTS[key]
    return dialect.probed and (dialect.refresh_token != "never" or dialect.lifetime is None)


@pytest.mark.parametrize("key", [key for key in dialects() if probed(key)])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_rate_limit(key, form, world):
    """The vendor's own time is passed on, and nothing is held against the connection."""
    connection_id = world.connect()
    name = world.vendor.token_names()[0]
    grant = world.grant(connection_id, name)
    end = world.clock.now + MINUTES if grant.expires_at is None else grant.expires_at + 10
    world.clock.skip(max(MINUTES, end - world.clock.now))
    when = "97" if form == "seconds" else formatdate(world.clock.now + 97, usegmt=True)
    world.vendor.answer_next(world.vendor.throttled(when))

    answer = world.token(connection_id, name, rejected_generation=grant.generation)

    assert answer.status == 503, answer.body
    assert 60 <= int(answer.headers["retry-after"]) <= 130
    assert world.untouched(connection_id)
    world.clock.skip(MINUTES)
    assert world.token(connection_id, name, rejected_generation=grant.generation).status == 200


@pytest.mark.parametrize("key", [key for key in dialects() if probed(key)])
def test_vendor_down(key, world):
    """5xx and a gateway's page: nothing is held against the connection, and it works again afterwards."""
    connection_id = world.connect()
    name = world.vendor.token_names()[0]
    generation = world.grant(connection_id, name).generation
    world.vendor.answer_next(world.vendor.down(), world.vendor.down())

    answer = stale(world, connection_id, name=name)

    assert answer.status == 503, answer.body
    assert world.untouched(connection_id)
    world.vendor.clear_faults()
    for _ in range(3):  # a strict provider may have obeyed: its orphan is left alone for some minutes
        world.clock.skip(400)
        answer = world.token(connection_id, name, rejected_generation=generation)
    assert answer.status == 200, answer.body


@every("refresh")
def test_wrong_secret_touches_no_connection(key, world):
    """invalid_client in the vendor's own words is the operator's business."""
    connection_id = world.connect()
    name = world.vendor.token_names()[0]
    generation = world.grant(connection_id, name).generation
    ours, world.vendor.client_secret = world.vendor.client_secret, "rotated-at-the-vendor"

    answer = stale(world, connection_id, name=name)
    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (503, "provider-misconfigured"), answer.body
    world.clock.skip(400)
    world.token(connection_id, name, rejected_generation=generation)
    assert world.untouched(connection_id)

    world.vendor.client_secret = ours
    world.clock.skip(4000)
    assert world.token(connection_id, name, rejected_generation=generation).status == 200


# --- disconnect ---


@every()
def test_disconnect_revokes_at_the_vendor(key, world):
    """By the vendor's own rule; where it has none, the user is told where to go."""
    connection_id = world.connect()
    tokens, families = world.served(connection_id), world.vendor.grants.families

    upstream = world.disconnect(connection_id)
    world.work()

    assert upstream == "revocation_queued" if world.vendor.revocable else upstream in ("manual_url", "not_supported")
    assert all(f.told == (world.vendor.revocable and f.kind not in world.vendor.spared) for f in families)
    if world.vendor.access_outlives:
        world.clock.skip(world.vendor.lifetime or 0)
    assert world.accepted(tokens) == (set(tokens) & world.vendor.spared if world.vendor.revocable else set(tokens))
    assert [world.token(connection_id, name).status for name in tokens] == [409] * len(tokens)
    assert not any(world.grant(connection_id, name).sealed for name in tokens)
    wholly = world.vendor.revocable and not world.vendor.spared  # a workspace's own token is its admin's to end
    ended = "revoked_upstream" if wholly else "manual_url" if world.vendor.revocable else upstream
    assert world.look(connection_id).json["upstream"] == ended


@every("revoked")
def test_disconnect_of_an_expired_connection(key, world):
    """Hours later: what the vendor revokes only alive is refreshed first."""
    connection_id = world.connect()
    world.clock.skip((world.vendor.lifetime or 0) + 60)

    world.disconnect(connection_id)
    world.work()

    for family in world.vendor.grants.families:
        assert family.told == (family.kind not in world.vendor.spared)
    assert not any(world.grant(connection_id, name).sealed for name in world.vendor.token_names())


@every()
def test_disconnecting_one_keeps_the_others_alive(key, world):
    """Two connections of one account and a colleague's: a revocation waits for the last it would take along."""
    offered = [service.id for service in world.services()]
    first = world.connect(offered[0])
    second = world.connect(offered[-1], user="u2")
    colleague = world.connect(offered[0], user="u3", person=BOB)

    world.disconnect(first)
    world.work()
    for alive in (second, colleague):
        tokens = world.served(alive)
        assert world.accepted(tokens) == set(tokens)
    for name in world.vendor.token_names():
        if probed(key):
            assert stale(world, second, name=name).status == 200

    world.clock.skip(MINUTES)
    last = world.served(second, revocable=True)
    world.disconnect(second)
    world.work()
    if world.vendor.access_outlives:
        world.clock.skip(world.vendor.lifetime or 0)
    assert world.accepted(last) == (set() if world.vendor.revocable else set(last))
    if probed(key):
        name = world.vendor.token_names()[0]
        assert stale(world, colleague, name=name).status == 200


def test_scopes_a_user_did_not_allow_are_missing(new_world):
    """Google lets users untick: what was granted is stored, not what was asked."""
    world = new_world("google")
    wanted = next(s for s in world.services() if s.id == "gmail").access["read"]

    connection = world.connection(world.connect("gmail", untick=wanted))

    assert connection.missing_scopes == tuple(wanted)


def sites_of(answer) -> list[dict[str, object]]:
    """What an answer of ours says of sites, but for their scopes."""
    return [{name: site[name] for name in ("id", "url", "name")} for site in answer.json["metadata"]["sites"]]


@pytest.mark.parametrize("service", ["jira", "confluence"])
def test_atlassians_sites_are_told_with_the_token_and_read_again_by_a_sync(service, new_world):
    """The cloud ids without which its API cannot be called; they come and go without a new consent."""
    world = new_world("atlassian")
    connection_id = world.connect(service)
    first = world.vendor.all_sites()

    told = world.token(connection_id)
    assert sites_of(told) == first
    assert set(told.json["metadata"]["sites"][0]["scopes"]) >= set(told.json["scopes"]) - {"offline_access"}
    assert sites_of(world.look(connection_id)) == first

    world.vendor.names_of_sites = ("example", "second")
    assert sites_of(world.token(connection_id)) == first
    assert sites_of(world.sync(connection_id)) == world.vendor.all_sites()
    assert sites_of(world.token(connection_id)) == world.vendor.all_sites()
    assert stale(world, connection_id).json["generation"] == 2
    assert sites_of(world.look(connection_id)) == world.vendor.all_sites()


def test_atlassian_without_its_list_of_sites_connects_and_keeps_what_was_known(new_world):
    """The list is a convenience: neither a connect nor a re-connect fails for want of it."""
    world = new_world("atlassian")
    world.vendor.instead_of_sites = answer({}, 503)
    connection_id = world.connect("jira")
    assert world.look(connection_id).json["metadata"] == {}

    world.vendor.instead_of_sites = None
    assert sites_of(world.sync(connection_id)) == world.vendor.all_sites()

    world.vendor.instead_of_sites = answer({"error": "no"}, 403)
    assert world.connect("jira", connection_id=connection_id) == connection_id
    assert sites_of(world.sync(connection_id)) == world.vendor.all_sites()


def test_a_connection_is_made_with_its_sites_or_not_at_all_where_the_record_says_so(new_world):
    """`required`: without an answer the trip fails, and the tokens it brought are nobody's."""
    world = new_world("atlassian")
    step = {
        "request": {"name": "sites", "url": "https://api.atlassian.com/oauth/token/accessible-resources"},
        "keep": {"id": "/id"},
        "required": True,
    }
    world.override({"post_connect": [step]})
    world.vendor.instead_of_sites = answer([])
    url, jar = world.go_connect("jira")

    assert world.come_back(world.vendor.consent(url), jar)["error"] == "server_error"


def test_loop_detection_is_no_dead_grant(new_world):
    """Microsoft throttles a client that repeats itself in the words of a dead grant."""
    world = new_world("microsoft")
    connection_id = world.connect()

    for _ in range(3):
        world.vendor.answer_next(world.vendor.looping())
        assert stale(world, connection_id).status == 503
    assert world.untouched(connection_id)


def test_slack_may_say_invalid_grant_as_everybody_else(new_world):
    """Seen in the wild with a 400, beside Slack's own words."""
    world = new_world("slack-rotating")
    connection_id = world.connect(access="read")
    generation = world.grant(connection_id, "bot").generation
    said = answer({"ok": False, "error": "invalid_grant"}, 400)

    world.vendor.answer_next(said, said)
    assert stale(world, connection_id, name="bot").status == 503
    world.clock.skip(MINUTES)
    assert world.token(connection_id, "bot", rejected_generation=generation).status == 409
    assert world.connection(connection_id).status == "needs_reauth"


def test_offline_is_asked_for_connections_alone():
    """A record whose vendor counts refresh tokens asks for none at a sign-in."""
    google = records()["google"]
    assert "access_type" not in dict(google.authorization_params) | dict(google.signin_params)
