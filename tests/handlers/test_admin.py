"""The function `admin`: users."""

from __future__ import annotations

import pytest

from tests.doubles.api import api_of

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
