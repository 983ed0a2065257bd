"""The function `account`: a user's own things, and nobody else's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grantkeeper.model import Avatar, Session
from grantkeeper.services.userinfo import user_claims
from tests.doubles.api import SCOPES, api_of
from tests.doubles.provider import NOON
from tests.handlers.test_connections import come_back, complete, opened

ORIGIN = "https://app.example"
JPEG = b"\xff\xd8\xff\xe0 a picture"


@pytest.fixture
def api(monkeypatch):
    api = api_of(monkeypatch, "account", "connections")
    api.world.add_client("app", scopes=("profile", "account:write", *SCOPES.split()))
    return api


def test_the_own_trail_tells_what_happened_and_not_which_stranger_tried(api):
    """Another user's hand is told by kind only."""
    alice = api.user()
    complete(api, come_back(api, opened(api, alice)), api.user("usr_bob"))

    trail = api.call("GET", "/v1/audit", as_=alice).body["events"]
    refused = next(e for e in trail if e["action"] == "connect_session.refused")
    assert (refused["by"], refused["reason"]) == ("another_user", "other_user")
    assert "usr_bob" not in json.dumps(trail)
    assert api.call("GET", "/v1/audit", as_=api.key()).status == 403


def test_the_trail_is_paged(api):
    """Newest first, every entry once."""
    alice = api.user()
    for _ in range(5):
        api.world.now += 1
        opened(api, alice)

    first = api.call("GET", "/v1/audit", as_=alice, query={"limit": "2"}).body
    second = api.call("GET", "/v1/audit", as_=alice, query={"limit": "2", "cursor": first["cursor"]}).body
    seen = [e["id"] for e in first["events"] + second["events"]]
    assert len(set(seen)) == 4


def test_w02_the_trail_is_readable_by_registered_origins_only(api):
    """A page of another site is answered, and cannot read the answer; errors are readable as well."""
    alice = api.user()
    mine = api.call("GET", "/v1/audit", as_=alice, headers={"origin": "https://app.example"})
    evil = api.call("GET", "/v1/audit", as_=alice, headers={"origin": "https://evil.example"})
    refused = api.call("GET", "/v1/audit", headers={"origin": "https://app.example"})

    assert mine.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in evil.headers
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://app.example")


def test_a_users_own_picture(api):
    """His, by his own credential; bytes that are a picture to a browser or nothing."""
    audit = api.world.event("user.avatar_changed")
    api.world.wiring.avatars.put_for_user(
        "usr_alice", Avatar("microsoft", NOON, "image/jpeg", "d1gest", JPEG), audit=audit
    )
    path, scope = "/v1/profile/avatar", f"{SCOPES} profile"

    found = api.call("GET", path, as_=api.user(scope=scope), headers={"origin": ORIGIN})

    assert (found.status, found.raw) == (200, JPEG)
    assert found.headers["content-type"] == "image/jpeg"
    assert found.headers["cache-control"] == "private, no-cache"
    assert found.headers["etag"] == '"d1gest"'
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert found.headers["access-control-allow-origin"] == ORIGIN
    assert api.call("GET", path, as_=api.user("usr_bob", scope=scope)).status == 404
    assert api.call("GET", path, as_=api.user()).status == 403  # without the scope profile
    assert api.call("GET", path, as_=api.key("app", "profile")).status == 403
    assert api.call("GET", path).status == 401


@pytest.mark.parametrize(
    ("told", "status"),
    [('"d1gest"', 304), ('W/"d1gest"', 304), ('"old", "d1gest"', 304), ("*", 304), ('"old"', 200), ("d1gest", 200)],
)
def test_a_picture_that_is_there_already_is_not_sent_again(api, told, status):
    """RFC 9110 section 13.1.2."""
    audit = api.world.event("user.avatar_changed")
    api.world.wiring.avatars.put_for_user(
        "usr_alice", Avatar("microsoft", NOON, "image/jpeg", "d1gest", JPEG), audit=audit
    )
    as_ = api.user(scope=f"{SCOPES} profile")

    found = api.call("GET", "/v1/profile/avatar", as_=as_, headers={"if-none-match": told})

    assert (found.status, found.headers["etag"]) == (status, '"d1gest"')
    assert found.raw == (b"" if status == 304 else JPEG)


# --- the profile ---

ACCOUNT = f"{SCOPES} profile account:write"


def read_profile(api, who=None):
    found = api.call("GET", "/v1/profile", as_=who or api.user(scope=ACCOUNT))
    assert found.status == 200
    return found


def put_profile(api, body, *, etag=None, who=None):
    headers = {} if etag is None else {"if-match": etag}
    return api.call("PUT", "/v1/profile", as_=who or api.user(scope=ACCOUNT), json=body, headers=headers)


def test_the_own_profile_says_whose_word_each_fact_is(api):
    """What a provider says, with when it was last asked; and the address as its word alone."""
    profile = read_profile(api).body

    assert profile["sub"] == "usr_alice"
    assert profile["email"] == {"value": "usr_alice@example.com", "verified": False, "provider": "example"}
    assert profile["name"] == {"value": None, "source": None, "provider": None}
    assert profile["overrides"] == {"name": None, "avatar_url": None, "locale": None}
    assert [(i["provider"], i["synced_at"]) for i in profile["identities"]] == [("example", None)]


def test_what_the_user_sets_stands_before_what_the_provider_says(api):
    """Shown as his own, told to clients at userinfo's claims, and gone when he leaves it out again."""
    set_ = put_profile(api, {"name": " Al ", "locale": "de-AT"}, etag=read_profile(api).headers["etag"])

    assert set_.status == 200
    assert set_.body["name"] == {"value": "Al", "source": "override", "provider": None}
    assert set_.body["email"]["value"] == "usr_alice@example.com"
    user = api.world.wiring.users.get("usr_alice")
    assert user_claims(user, ["openid", "profile"])["name"] == "Al"
    assert read_profile(api).headers["etag"] == set_.headers["etag"]

    left = put_profile(api, {"locale": None}, etag=set_.headers["etag"])
    assert left.body["overrides"] == {"name": None, "avatar_url": None, "locale": None}


def test_a_change_of_the_profile_is_in_the_trail_by_field(api):
    """Never what it says; setting the same again is no change."""
    first = put_profile(api, {"name": "Al", "locale": "de"}, etag="*")
    again = put_profile(api, {"locale": "de", "name": "Al"}, etag=first.headers["etag"])

    assert again.headers["etag"] == first.headers["etag"]
    trail = api.call("GET", "/v1/audit", as_=api.user()).body["events"]
    (entry,) = [e for e in trail if e["action"] == "user.profile_changed"]
    assert (entry["by"], entry["changed"]) == ("you", ["locale", "name"])


def test_of_two_editors_the_second_is_told(api):
    """RFC 9110 section 13.1.1, RFC 6585 section 3: no change is lost without a word."""
    etag = read_profile(api).headers["etag"]

    assert put_profile(api, {"name": "First"}, etag=etag).status == 200
    assert put_profile(api, {"name": "Second"}, etag=etag).status == 412
    assert put_profile(api, {"name": "Second"}).status == 428
    assert put_profile(api, {"name": "Second"}, etag=f"W/{read_profile(api).headers['etag']}").status == 412
    assert read_profile(api).body["name"]["value"] == "First"
    latest = f'"other", {read_profile(api).headers["etag"]}'
    assert put_profile(api, {"name": "Second"}, etag=latest).status == 200


def test_a_body_that_was_lost_on_the_way_takes_nothing_away(api):
    """Only an object that says so leaves everything to the providers again."""
    etag = put_profile(api, {"name": "Al"}, etag="*").headers["etag"]
    lost = api.call("PUT", "/v1/profile", as_=api.user(scope=ACCOUNT), headers={"if-match": etag})

    assert lost.status == 400
    assert read_profile(api).body["overrides"]["name"] == "Al"
    assert put_profile(api, {}, etag=etag).body["overrides"]["name"] is None


def test_a_change_that_races_another_is_told(api, monkeypatch):
    """The tag matched when it was read; the record moved before it was written."""
    users = api.world.wiring.users
    update = type(users).update

    def moved_meanwhile(self, user, **more):
        monkeypatch.setattr(type(users), "update", update)
        before = users.get("usr_alice")
        assert users.update(before, expected_version=before.version, audit=api.world.event("user.updated"))
        return update(self, user, **more)

    monkeypatch.setattr(type(users), "update", moved_meanwhile)

    assert put_profile(api, {"name": "Al"}, etag=read_profile(api).headers["etag"]).status == 412
    assert users.get("usr_alice").overrides == {}


def test_a_profile_that_is_there_already_is_not_sent_again(api):
    """And anything that shows in it changes its tag, a provider's word included."""
    etag = read_profile(api).headers["etag"]
    told = {"if-none-match": etag}
    as_ = api.user(scope=ACCOUNT)
    assert api.call("GET", "/v1/profile", as_=as_, headers=told).status == 304

    (identity,) = api.world.wiring.users.identities("usr_alice")
    api.world.wiring.users.sync(replace(identity, synced_at=NOON), user=None, audit=None)
    assert api.call("GET", "/v1/profile", as_=as_, headers=told).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"email": "boss@example.com"}, {"email_verified": True}, {"role": "admin"}, {"sub": "usr_bob"}, {"version": 1},
        {"status": "active"}, {"overrides": {"name": "Al"}}, {"name": "Al", "created_at": 0}, {"identities": []},
    ],
)  # fmt: skip
def test_t06_nothing_but_name_picture_and_language_can_be_set(api, body):
    """Mass assignment is refused, and nothing of the body is stored."""
    before = api.world.wiring.users.get("usr_alice")

    assert put_profile(api, body, etag="*").status == 400
    assert api.world.wiring.users.get("usr_alice") == before


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""}, {"name": "  "}, {"name": "a" * 201}, {"name": "a\u202eb"}, {"name": "a\nb"}, {"name": 7},
        {"name": ["Al"]}, {"locale": "d"}, {"locale": "de_AT"}, {"locale": "de-" + "a" * 9}, {"locale": {}},
        {"avatar_url": "http://pictures.example/a"}, {"avatar_url": "https://u:p@pictures.example/a"},
        {"avatar_url": "javascript:alert(1)"}, {"avatar_url": "https:///a"}, {"avatar_url": "https://[a"},
        {"avatar_url": "https://pictures.example/" + "a" * 2048}, {"avatar_url": 'https://pictures.example/"><b'},
        {"avatar_url": "data:image/svg+xml,x"}, {"avatar_url": 1}, {"avatar_url": "https://pictures.example/\u00e9"},
    ],
)  # fmt: skip
def test_what_cannot_be_shown_cannot_be_set(api, body):
    """Told by the parameter's name, without an echo."""
    refused = put_profile(api, body, etag="*")

    assert (refused.status, refused.body["parameter"]) == (400, next(iter(body)))


@pytest.mark.parametrize("name", ["Zoë", "李小龍", "محمدرضا\u200cپور", "O'Neill-Żak", "A"])
def test_names_of_all_kinds_can_be_set(api, name):
    """A joiner is a letter's business, not an attack."""
    assert put_profile(api, {"name": name}, etag="*").body["name"]["value"] == name


# --- sessions ---


def sign_in(api, sid, *, sub="usr_alice", client_id="other", **changes):
    session = Session(
        family=f"fam_{sid}", sid=sid, sub=sub, client_id=client_id, scopes=("openid",), provider="example",
        created_at=NOON - 500, expires_at=NOON + 86_400, idle_expires_at=NOON + 900, current_hash="h",
    )  # fmt: skip
    api.world.wiring.sessions.create(replace(session, **changes), audit=api.world.event("user.signed_in"))


def test_sessions_are_listed_by_what_their_user_knows_them_by(api):
    """Client, provider and times, this one marked; never the family, never one that is over."""
    sign_in(api, "sid_tablet", rotated_at=NOON - 100)
    sign_in(api, "sid_old", idle_expires_at=NOON)
    sign_in(api, "sid_out", status="revoked")
    sign_in(api, "sid_bobs", sub="usr_bob")

    found = api.call("GET", "/v1/sessions", as_=api.user(scope=ACCOUNT)).body

    assert found["cursor"] is None
    assert [(s["sid"], s["client_name"], s["current"]) for s in found["sessions"]] == [
        ("sid_usr_alice_app", "App", True),
        ("sid_tablet", "Other", False),
    ]
    tablet = found["sessions"][1]
    assert (tablet["created_at"], tablet["last_used_at"], tablet["expires_at"]) == (NOON - 500, NOON - 100, NOON + 900)
    assert "fam_" not in json.dumps(found)


def test_sessions_are_paged(api):
    """Newest first, each once, though one ends in between."""
    who = api.user(scope=ACCOUNT)
    for number in range(4):
        sign_in(api, f"sid_{number}", created_at=NOON - 10 - number)

    first = api.call("GET", "/v1/sessions", as_=who, query={"limit": "2"}).body
    api.call("DELETE", "/v1/sessions/sid_0", route="/v1/sessions/{sid}", as_=who)
    second = api.call("GET", "/v1/sessions", as_=who, query={"limit": "2", "cursor": first["cursor"]}).body

    assert [s["sid"] for s in first["sessions"] + second["sessions"]] == [
        "sid_usr_alice_app", "sid_0", "sid_1", "sid_2"
    ]  # fmt: skip
    bob = api.user("usr_bob", scope=ACCOUNT)
    assert api.call("GET", "/v1/sessions", as_=bob, query={"cursor": first["cursor"]}).status == 400


def test_s24_one_session_is_ended_and_told_in_the_trail(api):
    """Its refresh token is dead at once; ending it again is as good; the others go on."""
    who = api.user(scope=ACCOUNT)
    sign_in(api, "sid_tablet")

    for _ in range(2):
        assert api.call("DELETE", "/v1/sessions/sid_tablet", route="/v1/sessions/{sid}", as_=who).status == 204

    assert api.world.wiring.sessions.get("fam_sid_tablet").status == "revoked"
    assert [s["sid"] for s in api.call("GET", "/v1/sessions", as_=who).body["sessions"]] == ["sid_usr_alice_app"]
    trail = api.call("GET", "/v1/audit", as_=who).body["events"]
    assert [(e["by"], e["reason"]) for e in trail if e["action"] == "session.revoked"] == [("you", "revoked_by_user")]


@pytest.mark.parametrize("sid", ["sid_bobs", "sid_nobodys", "fam_sid_tablet", "a" * 65, "%00", "usr_alice"])
def test_t02_anothers_session_is_no_session(api, sid):
    """The same answer as for one that never was; a family is no name for a session."""
    sign_in(api, "sid_bobs", sub="usr_bob")
    sign_in(api, "sid_tablet")
    ended = api.call("DELETE", f"/v1/sessions/{sid}", route="/v1/sessions/{sid}", as_=api.user(scope=ACCOUNT))

    assert (ended.status, ended.told["detail"]) == (404, "No such session.")
    assert api.world.wiring.sessions.get("fam_sid_bobs").status == "active"


def test_s24_all_the_others_are_ended(api):
    """This one stays; another user's stay."""
    who = api.user(scope=ACCOUNT)
    for number in range(3):
        sign_in(api, f"sid_{number}")
    sign_in(api, "sid_bobs", sub="usr_bob")

    ended = api.call("DELETE", "/v1/sessions", as_=who, query={"keep_current": "true"})

    assert ended.body == {"revoked": 3, "left": 0}
    assert [s["current"] for s in api.call("GET", "/v1/sessions", as_=who).body["sessions"]] == [True]
    assert api.world.wiring.sessions.get("fam_sid_bobs").status == "active"
    assert api.call("DELETE", "/v1/sessions", as_=who, query={"keep_current": "yes"}).status == 400


def test_s24_logout_everywhere_is_refused_within_a_minute(api):
    """The session it was asked in goes too: its access token is refused as soon as the half minute's memory ends."""
    who = api.user(scope=ACCOUNT)
    sign_in(api, "sid_tablet")

    assert api.call("DELETE", "/v1/sessions", as_=who).body == {"revoked": 2, "left": 0}

    api.world.now += 31
    assert api.call("GET", "/v1/sessions", as_=who).status == 401
    assert api.world.wiring.sessions.get("fam_usr_alice_app").status == "revoked"


def test_a_hundred_sessions_a_call_and_the_current_one_last(api):
    """A call that is cut short leaves the caller able to ask again."""
    who = api.user(scope=ACCOUNT)
    for number in range(101):
        sign_in(api, f"sid_{number}")

    assert api.call("DELETE", "/v1/sessions", as_=who).body == {"revoked": 100, "left": 2}
    assert api.world.wiring.sessions.get("fam_usr_alice_app").status == "active"
    assert api.call("DELETE", "/v1/sessions", as_=who).body == {"revoked": 2, "left": 0}


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/v1/profile", None), ("PUT", "/v1/profile", None), ("GET", "/v1/sessions", None),
        ("DELETE", "/v1/sessions", None), ("DELETE", "/v1/sessions/sid_usr_alice_app", "/v1/sessions/{sid}"),
    ],
)  # fmt: skip
def test_t01_the_own_account_is_read_with_profile_and_changed_with_account_write(api, method, path, route):
    """By a person; a key has no account of its own, whatever its scopes."""
    wrong = f"{SCOPES} account:write" if method == "GET" else f"{SCOPES} profile"
    parts = {"json": {}, "headers": {"if-match": "*"}} if method == "PUT" else {}

    def status(as_):
        return api.call(method, path, route=route, as_=as_, **parts).status

    assert status(api.user(scope=wrong)) == 403
    assert status(api.key("app", "profile", "account:write")) == 403
    assert status(None) == 401
    assert api.world.wiring.sessions.get("fam_usr_alice_app").status == "active"


def test_w02_w03_a_page_may_send_what_the_profile_needs(api):
    """The preflight names If-Match and If-None-Match; the tag is readable."""
    asked = {"origin": ORIGIN, "access-control-request-method": "PUT"}
    told = api.call("OPTIONS", "/v1/profile", headers=asked).headers
    assert told["access-control-allow-methods"] == "GET, PUT"
    assert told["access-control-allow-headers"] == "authorization, content-type, if-match, if-none-match"
    read = api.call("GET", "/v1/profile", as_=api.user(scope=ACCOUNT), headers={"origin": ORIGIN})
    assert "etag" in read.headers["access-control-expose-headers"]
