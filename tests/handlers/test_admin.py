"""The function `admin`: users."""

from __future__ import annotations

import pytest

from grantkeeper.model import ALL_SCOPES, Session
from tests.doubles.api import api_of
from tests.doubles.deployment import trail
from tests.doubles.provider import NOON

READS = ("admin:read",)


@pytest.fixture
def api(monkeypatch):
    api = api_of(monkeypatch, "admin", "connections")
    for name, role in (("carol", "user"), ("dave", "auditor"), ("erin", "user")):
        api.world.add_user(f"usr_{name}", role=role)
    return api


def users(api, **query):
    return api.call("GET", "/v1/admin/users", as_=api.key(None, *READS), query=query).body


def test_users_are_listed_by_address_page_by_page(api):
    """Every user once, in the order of the addresses, whatever the page size."""
    key, found, cursor = api.key(None, *READS), [], None
    for _ in range(20):
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = api.call("GET", "/v1/admin/users", as_=key, query=query).body
        found += [user["sub"] for user in page["users"]]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert found == ["usr_alice", "usr_bob", "usr_carol", "usr_dave", "usr_erin"]


def test_a_user_is_found_by_the_beginning_of_his_address_or_by_his_id(api):
    """Case makes no difference to an address; an id is whole."""
    assert [user["sub"] for user in users(api, q="USR_CaR")["users"]] == ["usr_carol"]
    assert [user["email"] for user in users(api, q="usr_dave")["users"]] == ["usr_dave@example.com"]
    assert users(api, q="usr_nobody")["users"] == []


def test_filters_find_roles_and_statuses(api):
    """Of all users those who fit; a filter that names nothing there is is refused."""
    api.world.add_user("usr_gone", status="suspended")

    assert [user["sub"] for user in users(api, role="auditor")["users"]] == ["usr_dave"]
    assert [user["sub"] for user in users(api, status="suspended")["users"]] == ["usr_gone"]
    assert users(api, q="usr_dave", role="user")["users"] == []
    assert (
        api.call(
            "POST",
            "/v1/admin/users/usr_gone/suspend",
            route="/v1/admin/users/{sub}/suspend",
            as_=api.key(None, "admin:write"),
        ).status
        == 400
    )  # a body is asked for, if an empty object
    for wrong in ({"role": "owner"}, {"status": "dead"}, {"q": "a" * 255}):
        assert api.call("GET", "/v1/admin/users", as_=api.key(None, *READS), query=wrong).status == 400


def test_a_cursor_is_good_for_its_question_only(api):
    """T-04: with another filter, or another key, it is refused."""
    key = api.key(None, *READS)
    cursor = api.call("GET", "/v1/admin/users", as_=key, query={"limit": "1"}).body["cursor"]

    for credential, query in ((key, {"role": "user"}), (api.key(None, *READS), {})):
        answer = api.call("GET", "/v1/admin/users", as_=credential, query={"cursor": cursor, **query})

        assert answer.status == 400


def test_t08_a_user_is_shown_with_everything_but_secrets(api):
    """Identities, sessions, connections, consents and keys; no token, no sealed byte, no family of refresh tokens."""
    api.user("usr_alice")
    connection = api.world.connect()
    shown = api.call("GET", "/v1/admin/users/usr_alice", route="/v1/admin/users/{sub}", as_=api.key(None, *READS))

    assert shown.body["sessions"][0]["client_id"] == "app"
    assert [c["id"] for c in shown.body["connections"]] == [connection.id]
    assert shown.body["counts"]["connections"] == 1
    for secret in (b"fam_", b"sealed", b"secret_hash", b"gkr_"):
        assert secret not in shown.raw


def test_a_user_nobody_knows_is_not_found(api):
    """Neither an id that was never given out, nor a text that is none."""
    for sub in ("usr_never", "%00"):
        answer = api.call("GET", f"/v1/admin/users/{sub}", route="/v1/admin/users/{sub}", as_=api.key(None, *READS))

        assert answer.status == 404


def admin(api, name="root", *, age=0):
    """A signed-in admin's credential."""
    sub = f"usr_{name}"
    if api.world.wiring.users.get(sub) is None:
        api.world.add_user(sub, role="admin")
        api.world.add_client("desk", scopes=ALL_SCOPES)
    session = Session(
        family=f"fam_{sub}", sid=f"sid_{sub}_desk", sub=sub, client_id="desk", scopes=ALL_SCOPES, provider="example",
        created_at=NOON - age, expires_at=NOON + 86_400, idle_expires_at=NOON + 86_400, current_hash="h",
    )  # fmt: skip
    api.world.wiring.sessions.create(session, audit=api.world.event("user.signed_in"))
    return api.user(sub, client_id="desk", scope="admin:read admin:write")


def change(api, sub, what, body, as_):
    method = "PUT" if what == "role" else "POST"
    path, route = f"/v1/admin/users/{sub}/{what}", f"/v1/admin/users/{{sub}}/{what}"
    return api.call(method, path, route=route, json=body, as_=as_)


def entries(api, action):
    return [entry for entry in trail(api.world.wiring) if entry["action"] == action]


def test_t12_an_admin_suspends_a_user_and_lets_him_back(api):
    """The trail says who, why, and what was before; asked again, nothing happens again."""
    for _ in range(2):
        answer = change(api, "usr_carol", "suspend", {"reason": "abuse"}, admin(api))

        assert (answer.status, answer.body["status"]) == (200, "suspended")
    (entry,) = entries(api, "user.suspended")
    assert (entry["actor"], entry["reason"]) == ("user:usr_root", "abuse")
    assert entry["details"] == {"status": {"S": "active to suspended"}}

    assert change(api, "usr_carol", "resume", {}, admin(api)).body["status"] == "active"
    assert api.world.wiring.users.get("usr_carol").status == "active"


def test_t10_a_role_is_given_by_an_admin_who_signed_in_a_moment_ago_and_by_no_key(api):
    """Audited with before and after; an hour later he signs in again first."""
    wanted = {"role": "auditor"}

    assert change(api, "usr_carol", "role", wanted, api.key(None, "admin:write")).status == 403
    assert change(api, "usr_carol", "role", wanted, admin(api, "late", age=3600)).status == 401
    assert change(api, "usr_carol", "role", wanted, admin(api)).body["role"] == "auditor"
    (entry,) = entries(api, "user.role_changed")
    assert entry["details"] == {"role": {"S": "user to auditor"}}


def test_t10_nobody_changes_himself(api):
    """Neither his role nor his status: so an admin is always left."""
    own = admin(api)

    for what, body in (("role", {"role": "user"}), ("suspend", {})):
        assert change(api, "usr_root", what, body, own).status == 403
    assert api.world.wiring.users.get("usr_root").role == "admin"


def test_t10_an_admin_is_suspended_by_an_admin_and_by_no_key(api):
    """A key that leaked does not lock the admins out."""
    admin(api, "second")

    assert change(api, "usr_second", "suspend", {}, api.key(None, "admin:write")).status == 403
    assert change(api, "usr_second", "suspend", {}, admin(api)).status == 200


def test_t10_an_admin_who_was_one_a_moment_ago_changes_no_admin(api):
    """What an environment remembers of him for half a minute is not what the change stands on."""
    first, second = admin(api), admin(api, "second")
    assert change(api, "usr_carol", "resume", {}, second).status == 200  # he is remembered as an admin now

    assert change(api, "usr_second", "role", {"role": "user"}, first).status == 200
    assert change(api, "usr_root", "role", {"role": "user"}, second).status == 403
    assert change(api, "usr_carol", "role", {"role": "admin"}, second).status == 403
    assert api.world.wiring.users.get("usr_root").role == "admin"


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("role", {"role": "owner"}),
        ("role", {}),
        ("role", {"role": "user", "status": "active"}),
        ("suspend", {"reason": "she asked: carol@example.com"}),
        ("suspend", {"role": "admin"}),
    ],
)
def test_t06_a_body_holds_what_is_named_and_nothing_else(api, what, body):
    """Nothing is written, and a reason is a word of a few: the trail keeps it longer than the user."""
    assert change(api, "usr_carol", what, body, admin(api)).status == 400
    assert api.world.wiring.users.get("usr_carol").version == 1
