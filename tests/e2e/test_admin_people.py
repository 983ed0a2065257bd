"""People and their connections on the deployed stack, under an admin's hand: found, suspended, revoked, erased."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from tests.e2e.browser import relying_party
from tests.e2e.conftest import eventually
from tests.e2e.test_admin_api import admin, operator  # noqa: F401 - fixtures
from tests.support.stack import ROTATING

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("admin api")]

TICK = json.loads((Path(__file__).parents[2] / "events" / "erasure.json").read_text())


@pytest.fixture
def person(stack, api, new_browser, sign_in, walk_through):
    """Somebody who signed in and connected an account: login, sub, tokens, id of the connection."""
    login, browser = f"emil-{secrets.token_hex(4)}", new_browser()
    tokens = sign_in(browser, login)
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    body = {"service": ROTATING, "redirect_uri": stack.connect_redirect_uri}
    opened = api.post("/v1/connect-sessions", headers=bearer, json=body).json()
    told = walk_through(browser, opened["connect_url"], login)
    url = f"/v1/connect-sessions/{opened['id']}/complete"
    connection = api.post(url, headers=bearer, json={"confirmation": told["confirmation"]}).json()
    return login, tokens["claims"]["sub"], tokens, connection["id"]


def test_a_user_is_found_suspended_and_let_back(stack, api, person, operator):  # noqa: F811
    """By address and by id; suspended, his refresh token is good for nothing, and good again afterwards."""
    login, sub, tokens, connection_id = person
    listed = eventually(lambda: api.get("/v1/admin/users", headers=operator, params={"q": login}).json()["users"])
    assert [user["sub"] for user in listed] == [sub]
    detail = api.get(f"/v1/admin/users/{sub}", headers=operator).json()
    assert [connection["id"] for connection in detail["connections"]] == [connection_id]

    suspended = api.post(f"/v1/admin/users/{sub}/suspend", headers=operator, json={"reason": "other"})
    assert suspended.json()["status"] == "suspended"
    assert relying_party("refresh", stack.api_url, stack.client_id, given=tokens)["error"] == "invalid_grant"
    assert api.post(f"/v1/admin/users/{sub}/resume", headers=operator).json()["status"] == "active"
    assert "access_token" in relying_party("refresh", stack.api_url, stack.client_id, given=tokens)


def test_a_connection_is_revoked_for_its_user(api, person, operator):  # noqa: F811
    """Found by its user, ended at once, and its provider is told within minutes."""
    sub, connection_id = person[1], person[3]
    path = f"/v1/admin/connections/{connection_id}"
    listed = api.get("/v1/admin/connections", headers=operator, params={"user": sub}).json()["connections"]
    assert [each["id"] for each in listed] == [connection_id]

    assert api.delete(path, headers=operator).json()["upstream"] == "revocation_queued"
    eventually(lambda: api.get(path, headers=operator).json()["upstream"] == "revoked_upstream")
    history = api.get(path, headers=operator).json()["history"]
    assert "connection.revoked" in [entry["action"] for entry in history]


def test_a_user_is_erased_and_signs_in_as_somebody_new(stack, api, person, admin, sign_in, new_browser):  # noqa: F811
    """Nothing that names him stands after the first call; what goes on with it runs; he comes back as somebody new."""
    login, sub, bearer = person[0], person[1], admin[0]

    told = api.post(f"/v1/admin/users/{sub}/erase", headers=bearer, json={"confirm": sub})
    assert (told.status_code, told.json()["left"]) == (202, {"past_connections": 1}), told.text
    detail = api.get(f"/v1/admin/users/{sub}", headers=bearer).json()
    assert (detail["status"], detail["email"], detail["counts"]["identities"]) == ("erased", None, 0)
    name = stack.facts["functions"]["ErasureFunction"]
    ticked = stack.aws("lambda").invoke(FunctionName=name, Payload=json.dumps(TICK).encode())
    answer = json.loads(ticked["Payload"].read())
    assert (answer["unfinished"] >= 1, answer["failed"]) == (True, 0), answer
    traces = api.get(f"/v1/admin/users/{sub}/traces", headers=bearer).json()
    assert (traces["state"], traces["left"]) == ("erasing", {"past_connections": 1})

    again = sign_in(new_browser(), login)
    assert again["claims"]["sub"] != sub
