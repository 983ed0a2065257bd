"""A user's own account on the deployed stack: whose word his profile is, and where he is signed in."""

from __future__ import annotations

import secrets

import pytest

from tests.e2e.browser import relying_party

pytestmark = pytest.mark.stack

SCOPE = "openid profile email account:write"


def bearer(session):
    return {"authorization": f"Bearer {session['access_token']}"}


def test_a_user_sets_his_own_name_and_keeps_it_over_the_next_sign_in(api, new_browser, sign_in):
    """The provider's word stays beside it, with when it was given; a stale ETag changes nothing."""
    login = f"lise-{secrets.token_hex(4)}"
    user = bearer(sign_in(new_browser(), login, scope=SCOPE))
    read = api.get("/v1/profile", headers=user)
    assert read.json()["email"]["value"] == f"{login}@example.com"
    (before,) = read.json()["identities"]

    changed = api.put("/v1/profile", headers={**user, "if-match": read.headers["etag"]}, json={"name": "Lise M."})
    stale = api.put("/v1/profile", headers={**user, "if-match": read.headers["etag"]}, json={"name": "Otto"})
    unsaid = api.put("/v1/profile", headers=user, json={"name": "Otto"})

    assert (changed.status_code, changed.json()["name"]["source"]) == (200, "override")
    assert (stale.status_code, unsaid.status_code) == (412, 428)
    again = sign_in(new_browser(), login, scope=SCOPE)
    assert again["userinfo"]["name"] == "Lise M."
    after = api.get("/v1/profile", headers=bearer(again)).json()
    assert after["overrides"]["name"] == "Lise M."
    assert after["identities"][0]["synced_at"] > before["synced_at"]


def test_a_user_signs_out_everywhere_else(stack, api, new_browser, sign_in):
    """He sees both sessions and ends the other one: its refresh token is dead at once, his own goes on."""
    login = f"emmy-{secrets.token_hex(4)}"
    lost, here = (sign_in(new_browser(), login, scope=SCOPE) for _ in range(2))

    listed = api.get("/v1/sessions", headers=bearer(here)).json()["sessions"]
    assert sorted(s["current"] for s in listed) == [False, True]
    assert api.delete("/v1/sessions?keep_current=true", headers=bearer(here)).json() == {"revoked": 1, "left": 0}

    dead = relying_party("refresh", stack.api_url, stack.client_id, given=lost)
    assert dead["error"] == "invalid_grant"
    assert "access_token" in relying_party("refresh", stack.api_url, stack.client_id, given=here)
    sid = api.get("/v1/sessions", headers=bearer(here)).json()["sessions"][0]["sid"]
    assert api.delete(f"/v1/sessions/{sid}", headers=bearer(here)).status_code == 204
