"""The function `connections`: payload 2.0 events in, answers out; the rules themselves are tested at the services."""

from __future__ import annotations

import json

import pytest

from grantkeeper.model import Avatar
from tests.doubles.api import EVENT, Answer, api_of
from tests.doubles.connect_world import BACK, KEY_SERVICE, SERVICE
from tests.doubles.provider import NOON, Account

ORIGIN = "https://app.example"


@pytest.fixture
def api(monkeypatch):
    return api_of(monkeypatch, "connections", "account")


def opened(api, as_, **body):
    return api.call("POST", "/v1/connect-sessions", as_=as_, json={"service": SERVICE, "redirect_uri": BACK, **body})


def come_back(api, answer, account=None):
    from grantkeeper.services.open_connect_session import OpenedConnectSession

    return api.world.come_back(api.world.follow(OpenedConnectSession(**answer.body)), account=account)


def complete(api, back, as_, **body):
    return api.call(
        "POST",
        f"/v1/connect-sessions/{back.session}/complete",
        route="/v1/connect-sessions/{id}/complete",
        as_=as_,
        json={"confirmation": back.confirmation, **body},
    )


def one(api, method, connection_id, as_):
    return api.call(method, f"/v1/connections/{connection_id}", route="/v1/connections/{id}", as_=as_)


def connected(api, as_, account=None, **names):
    return complete(api, come_back(api, opened(api, as_, **names), account), as_, **names).body


def test_a_user_connects_reads_and_disconnects(api):
    """The whole way through the API."""
    alice = api.user()
    session = opened(api, alice, state="s")
    assert session.status == 201
    assert set(session.body) == {"id", "connect_url", "expires_at"}

    back = come_back(api, session)
    done = complete(api, back, alice)
    assert (done.status, done.body["status"]) == (200, "active")

    read = one(api, "GET", done.body["id"], alice)
    assert read.body == done.body
    assert read.body["account"]["email"] == "alice@example.com"
    assert read.body["missing_scopes"] == []

    gone = one(api, "DELETE", done.body["id"], alice)
    assert gone.body == {"id": done.body["id"], "status": "revoked", "upstream": "revocation_queued"}
    assert one(api, "GET", done.body["id"], alice).body["status"] == "revoked"


def test_a_client_connects_its_user_by_key(api):
    """Named by the client's own id all the way."""
    key = api.key()
    connection = connected(api, key, user_id="customer 42")

    listed = api.call("GET", "/v1/connections", as_=key, query={"user_id": "customer 42"})
    assert [c["id"] for c in listed.body["connections"]] == [connection["id"]]
    assert api.call("GET", "/v1/connections", as_=key, query={"user_id": "43"}).body["connections"] == []


def test_no_answer_holds_a_token(api):
    """Metadata is one thing, secrets another; this function cannot open the latter."""
    alice = api.user()
    connection = connected(api, alice)
    answers = [
        connection,
        one(api, "GET", connection["id"], alice).body,
        api.call("GET", "/v1/connections", as_=alice).body,
        api.call("GET", "/v1/status", as_=alice).body,
        api.call("GET", "/v1/audit", as_=alice).body,
    ]

    for token in (*api.world.provider.live_refresh_tokens, api.world.tokens_of(connection["id"])):
        assert token not in json.dumps(answers)


def test_lists_go_on_where_the_cursor_says(api):
    """Page by page, every connection once."""
    alice = api.user()
    made = set()
    for number in range(5):
        api.world.now += 1
        made.add(connected(api, alice, Account(f"subject-{number}", {"email": f"{number}@example.com"}))["id"])

    seen, cursor = [], None
    for _ in range(3):
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = api.call("GET", "/v1/connections", as_=alice, query=query).body
        seen += [c["id"] for c in page["connections"]]
        cursor = page["cursor"]
    assert set(seen) == made
    assert len(seen) == 5
    assert cursor is None


def test_t04_a_cursor_is_good_for_its_own_list_and_principal_only(api):
    """Edited or borrowed, it is a bad request."""
    alice = api.user()
    for number in range(2):
        connected(api, alice, Account(f"subject-{number}", {"email": f"{number}@example.com"}))
    cursor = api.call("GET", "/v1/connections", as_=alice, query={"limit": "1"}).body["cursor"]

    def tried(as_, path="/v1/connections", **query):
        return api.call("GET", path, as_=as_, query={"cursor": cursor, **query}).status

    assert tried(alice) == 200
    assert tried(api.user("usr_bob")) == 400
    assert tried(alice, service=SERVICE) == 400
    assert tried(alice, "/v1/audit") == 400
    assert tried(alice, limit="1", status="active") == 400
    assert api.call("GET", "/v1/connections", as_=alice, query={"cursor": f"{cursor}x"}).status == 400


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1e3", "ten", "", "٣"])
def test_a_limit_is_1_to_100(api, limit):
    """Said, not guessed."""
    assert api.call("GET", "/v1/connections", as_=api.user(), query={"limit": limit}).status == 400


def test_status_and_stats_are_of_the_user_who_asks(api):
    """And of nobody else."""
    connected(api, api.user())

    def status(as_):
        services = api.call("GET", "/v1/status", as_=as_).body["services"]
        return {s["service"]: s["status"] for s in services}[SERVICE]

    assert status(api.user()) == "connected"
    assert status(api.user("usr_bob")) == "not_connected"
    assert api.call("GET", "/v1/connections/stats", as_=api.user()).body["by_service"] == {SERVICE: 1}
    assert api.call("GET", "/v1/connections/stats", as_=api.user("usr_bob")).body["by_service"] == {}


def test_t02_what_is_not_the_callers_does_not_exist(api):
    """Foreign and unknown answer the same, for every route with an id."""
    connection = connected(api, api.user())
    strangers = [api.user("usr_bob"), api.key("other"), api.key("app")]

    for as_ in strangers[:2]:
        for method in ("GET", "DELETE"):
            foreign, unknown = one(api, method, connection["id"], as_), one(api, method, "con_unknown", as_)
            assert (foreign.status, foreign.told) == (unknown.status, unknown.told)
            assert foreign.status == 404
    assert one(api, "GET", connection["id"], strangers[2]).status == 200, "the client Alice connected at"


def test_c32_the_wrong_user_is_refused_without_a_word_about_the_right_one(api):
    """403, the session is over, and its user is not named."""
    back = come_back(api, opened(api, api.user()))
    refused = complete(api, back, api.user("usr_bob"))

    assert refused.status == 403
    assert refused.told["type"].endswith("/confirmation-refused")
    assert "usr_alice" not in json.dumps(refused.body)
    assert complete(api, back, api.user()).status == 410


def test_an_api_key_of_a_user_is_kept(api):
    """And never shown again."""
    body = {"service": KEY_SERVICE, "label": "mine", "secret": "key-0123456789"}
    added = api.call("POST", "/v1/connections", as_=api.user(), json=body)

    assert (added.status, added.body["kind"], added.body["status"]) == (201, "api_key", "active")
    assert "key-0123456789" not in json.dumps(added.body)


ROUTES = [
    ("POST", "/v1/connect-sessions", "/v1/connect-sessions"),
    ("POST", "/v1/connect-sessions/cs_x/complete", "/v1/connect-sessions/{id}/complete"),
    ("GET", "/v1/connections", "/v1/connections"),
    ("POST", "/v1/connections", "/v1/connections"),
    ("GET", "/v1/connections/stats", "/v1/connections/stats"),
    ("GET", "/v1/connections/con_x", "/v1/connections/{id}"),
    ("DELETE", "/v1/connections/con_x", "/v1/connections/{id}"),
    ("GET", "/v1/status", "/v1/status"),
]


@pytest.mark.parametrize(("method", "path", "route"), ROUTES)
def test_t01_every_route_wants_a_principal_with_the_scope(api, method, path, route):
    """None: 401. Metadata scopes do not read tokens, token scopes do not read metadata, operators see nothing."""
    assert api.call(method, path, route=route).status == 401
    assert api.call(method, path, route=route, as_=api.user(scope="openid connections:token")).status == 403
    assert api.call(method, path, route=route, as_=api.key(None, "admin:read", "admin:write")).status == 403


@pytest.mark.parametrize(("method", "path", "route"), [r for r in ROUTES if r[0] != "GET"])
def test_reading_does_not_allow_writing(api, method, path, route):
    """`connections:read` changes nothing."""
    assert api.call(method, path, route=route, as_=api.user(scope="connections:read")).status == 403


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_w04_a_body_is_json_and_says_so(api, content_type):
    """What a form of another site can send is refused."""
    body = json.dumps({"service": SERVICE, "redirect_uri": BACK})

    answer = api.call("POST", "/v1/connect-sessions", as_=api.user(), body=body, headers={"content-type": content_type})
    assert answer.status == 415


@pytest.mark.parametrize(("method", "path", "route"), ROUTES)
def test_w02_only_pages_of_registered_origins_read_answers_and_errors(api, method, path, route):
    """An exact origin, never a wildcard, never credentials."""
    for origin, allowed in (
        (ORIGIN, True),
        ("https://evil.example", False),
        ("null", False),
        (f"{ORIGIN}.evil", False),
    ):
        headers = api.call(method, path, route=route, headers={"origin": origin}).headers
        assert headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert "access-control-allow-credentials" not in headers
        assert "origin" in headers["vary"]


@pytest.mark.parametrize(
    ("path", "route", "methods"),
    [
        ("/v1/connect-sessions", "/v1/connect-sessions", "POST"),
        ("/v1/connect-sessions/x/complete", "/v1/connect-sessions/{id}/complete", "POST"),
        ("/v1/connections", "/v1/connections", "GET, POST"),
        ("/v1/connections/x", "/v1/connections/{id}", "DELETE, GET"),
        ("/v1/status", "/v1/status", "GET"),
    ],
)
def test_w03_a_preflight_lists_exactly_what_is_there(api, path, route, methods):
    """And nothing at all for a stranger."""
    answer = api.call("OPTIONS", path, route=route, headers={"origin": ORIGIN})
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, methods)

    stranger = api.call("OPTIONS", path, route=route, headers={"origin": "https://evil.example"})
    assert "access-control-allow-methods" not in stranger.headers


def test_opening_sessions_has_a_limit(api):
    """429 with the time to wait; other users are not concerned."""
    alice = api.user()
    statuses = [opened(api, alice).status for _ in range(21)]

    assert statuses == [201] * 20 + [429]
    refused = opened(api, alice)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert opened(api, api.user("usr_bob")).status == 201


def test_w06_every_answer_carries_the_security_headers_and_a_request_id(api):
    """Errors too."""
    for answer in (opened(api, api.user()), api.call("GET", "/v1/connections"), opened(api, api.user(), service="x")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]


def test_the_event_file_reaches_its_service(api):
    """`events/connections.json` is what `sam local invoke` sends."""
    api.world.add_client("app", redirect_uris=("https://app.example.com/connected",), services=(SERVICE,))
    event = EVENT | {"headers": EVENT["headers"] | api.key()}

    answer = Answer(api.modules[0].handler(event, None))
    assert (answer.status, answer.told["type"].rpartition("/")[2]) == (403, "scope-not-allowed")


def test_a_bug_answers_500_with_nothing_in_it(api, monkeypatch, capsys):
    """And the log says where, not what."""
    monkeypatch.setattr(api.modules[0], "visible_connection", lambda *_, **__: {}["s3cret"])

    answer = one(api, "GET", "con_x", api.user())
    assert answer.status == 500
    assert "s3cret" not in json.dumps(answer.body)
    assert "s3cret" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "route", "body"),
    [
        ("/v1/connect-sessions", "/v1/connect-sessions", {"EVIL": 1}),
        ("/v1/connect-sessions", "/v1/connect-sessions", {"service": "EVIL", "redirect_uri": BACK}),
        ("/v1/connect-sessions", "/v1/connect-sessions", {"service": SERVICE, "redirect_uri": "EVIL"}),
        (
            "/v1/connect-sessions",
            "/v1/connect-sessions",
            {"service": SERVICE, "redirect_uri": BACK, "scopes": ["EVIL"]},
        ),
        ("/v1/connect-sessions", "/v1/connect-sessions", {"service": SERVICE, "redirect_uri": BACK, "access": "EVIL"}),
        ("/v1/connections", "/v1/connections", {"EVIL": 1}),
        ("/v1/connections", "/v1/connections", {"service": "EVIL", "label": "a", "secret": "b"}),
        ("/v1/connect-sessions/cs_x/complete", "/v1/connect-sessions/{id}/complete", {"EVIL": "1"}),
        ("/v1/connect-sessions/EVIL/complete", "/v1/connect-sessions/{id}/complete", {"confirmation": "EVIL"}),
    ],
)
def test_w18_a_refusal_holds_no_word_of_the_sender(api, path, route, body):
    """Neither values nor the names of members nobody knows."""
    answer = api.call("POST", path, route=route, as_=api.user(), json=body)

    assert 400 <= answer.status < 500
    assert "EVIL" not in json.dumps(answer.body)


JPEG = b"\xff\xd8\xff\xe0 a picture"


def keep_picture(api, connection_id, image=JPEG):
    """As a profile sync does."""
    wiring = api.world.wiring
    avatar = Avatar("example", NOON, "image/jpeg", "d1gest", image)
    profile = wiring.connections.get(connection_id).profile
    event = api.world.event("connection.profile_synced")
    assert wiring.connections.update_profile(connection_id, profile, avatar=avatar, now=NOON, audit=event)


def test_a_connections_picture_is_for_those_who_see_the_connection(api):
    """And gone with it."""
    key = api.key()
    made = connected(api, key, user_id="42")
    path, route = f"/v1/connections/{made['id']}/avatar", "/v1/connections/{id}/avatar"
    assert api.call("GET", path, route=route, as_=key).status == 404

    keep_picture(api, made["id"])
    found = api.call("GET", path, route=route, as_=key)
    assert (found.status, found.raw) == (200, JPEG)
    assert api.call("GET", path, route=route, as_=api.user("usr_bob")).status == 404
    keep_picture(api, made["id"], image=b"")
    assert api.call("GET", path, route=route, as_=key).status == 404

    keep_picture(api, made["id"])
    gone = api.call("DELETE", f"/v1/connections/{made['id']}", route="/v1/connections/{id}", as_=key)
    assert gone.status == 200
    assert api.call("GET", path, route=route, as_=key).status == 404
    assert api.world.wiring.avatars.of_connection(made["id"]) is None


def test_a_page_may_ask_whether_the_picture_changed(api):
    """The preflight allows the header."""
    for path, route in (("/v1/profile/avatar", None), ("/v1/connections/con_1/avatar", "/v1/connections/{id}/avatar")):
        headers = {"origin": ORIGIN, "access-control-request-method": "GET"}
        allowed = api.call("OPTIONS", path, route=route, headers=headers).headers
        assert "if-none-match" in allowed["access-control-allow-headers"]
