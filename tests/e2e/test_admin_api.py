"""The administration of the deployed stack, by an admin who signed in at the console's client and by a key."""

from __future__ import annotations

import base64
import csv
import io
import secrets
import time
from urllib.parse import quote_plus

import pytest

from tests.e2e.browser import relying_party
from tests.e2e.conftest import eventually
from tests.support.stack import ROTATING

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("admin api")]

SCOPES = "openid profile email admin:read admin:write audit:read"


@pytest.fixture
def admin(stack, sign_in, new_browser, grantkeeper):
    """Somebody who has an account, was given the role, and signed in at the console a moment ago; and his id."""
    browser, login = new_browser(), f"admin-{secrets.token_hex(4)}"
    sub = sign_in(browser, login)["claims"]["sub"]
    grantkeeper("users", "role", sub, "admin")
    redirect_uri = f"{stack.api_url}/console"

    def signed_in():
        started = relying_party("start", stack.api_url, "console", redirect_uri, SCOPES, ROTATING)
        back = browser.open(started["url"], until=redirect_uri, login=login)
        finished = relying_party("finish", stack.api_url, "console", back, given=started)
        return finished if "admin:write" in finished.get("scope", SCOPES) else None

    tokens = eventually(signed_in, every=5)
    return {"authorization": f"Bearer {tokens['access_token']}"}, sub


@pytest.fixture
def operator(stack):
    """The operator's key."""
    return {"x-api-key": stack.admin_api_key}


def test_a_client_lives_its_life_through_the_api(api, admin, operator):
    """Registered, given a second secret, a key; disabled, refused everywhere; and all of it is in the trail."""
    bearer, sub = admin
    body = {
        "client_name": "Reports", "redirect_uris": ["https://reports.example.com/cb"],
        "token_endpoint_auth_method": "client_secret_basic", "scopes": ["openid", "connections:read"],
    }  # fmt: skip
    made = api.post("/v1/admin/clients", headers=bearer, json=body)
    assert made.status_code == 201, made.text
    client_id, first = made.json()["client_id"], made.json()["client_secret"]
    path = f"/v1/admin/clients/{client_id}"
    assert api.post("/v1/admin/clients", headers=operator, json=body).status_code == 403  # K-14: no key makes power

    second = api.post(f"{path}/secrets", headers=bearer, json={}).json()["client_secret"]
    assert [introspects(api, client_id, secret) for secret in (first, second)] == [200, 200]
    assert api.delete(f"{path}/secrets", headers=operator).json()["live_secrets"] == 1
    eventually(lambda: [introspects(api, client_id, secret) for secret in (first, second)] == [401, 200])

    wanted = {"client_id": client_id, "name": "nightly", "scopes": ["connections:read"]}
    key = api.post("/v1/admin/api-keys", headers=bearer, json=wanted)
    assert key.status_code == 201, key.text
    named = {"headers": {"x-api-key": key.json()["api_key"]}, "params": {"user_id": "nobody-yet"}}
    assert api.get("/v1/connections", **named).status_code in (200, 404)

    etag = api.get(path, headers=operator).headers["etag"]
    changed = {**body, "client_name": "Reports 2"}
    assert api.put(path, headers=bearer | {"if-match": etag}, json=changed).status_code == 200
    assert api.put(path, headers=bearer | {"if-match": etag}, json=body).status_code == 412

    assert api.post(f"{path}/disable", headers=operator).json()["status"] == "disabled"
    eventually(lambda: api.get("/v1/connections", **named).status_code == 401, every=2)
    assert introspects(api, client_id, second) == 401
    revoked = api.post(f"{path}/revoke-api-keys", headers=operator).json()
    assert revoked == {"revoked": 1, "more": False, "cursor": None}

    def told():
        found = api.get("/v1/admin/audit", headers=operator, params={"actor": f"user:{sub}", "limit": 100}).json()
        return {entry["action"] for entry in found["events"] if entry["client_id"] == client_id}

    expected = {"client.registered", "client.secret_added", "client.changed", "api_key.created"}
    eventually(lambda: expected <= told())
    assert first not in str(told()) + second


def introspects(api, client_id, secret):
    """The status that the client's own authentication is answered with."""
    basic = base64.b64encode(f"{client_id}:{quote_plus(secret)}".encode()).decode()
    headers = {"authorization": f"Basic {basic}"}
    return api.post("/oauth2/introspect", data={"token": "x"}, headers=headers).status_code


def test_a_day_is_exported_and_holds_what_was_done(api, admin, operator):
    """As CSV, page after page, whatever else happens meanwhile."""
    bearer, _ = admin
    day = time.strftime("%Y-%m-%d", time.gmtime())
    body = {"client_name": "=1+1", "redirect_uris": ["https://reports.example.com/cb"]}
    client_id = api.post("/v1/admin/clients", headers=bearer, json=body).json()["client_id"]

    def exported():
        text, cursor = "", None
        for _ in range(200):
            params = {"day": day, "format": "csv"} | ({"cursor": cursor} if cursor else {})
            page = api.get("/v1/admin/audit/export", headers=operator, params=params)
            assert page.status_code == 200, page.text
            text += page.text
            cursor = page.headers.get("x-next-cursor")
            if cursor is None:
                return list(csv.DictReader(io.StringIO(text, newline="")))
        raise AssertionError("the pages do not end")

    rows = eventually(lambda: [row for row in exported() if row["client_id"] == client_id])
    assert [row["action"] for row in rows] == ["client.registered"]
    assert not rows[0]["details"].startswith("=")


def test_the_deployment_tells_how_it_does(api, operator):
    """Every part is looked at, none is out of reach of the function's role, and the schedule's mark is young."""

    def checks():
        health = api.get("/v1/admin/health", headers=operator)
        assert health.status_code == 200, health.text
        return {check["name"]: check for check in health.json()["checks"]}

    found = eventually(lambda: (c := checks()) and c["schedule"]["status"] != "warning" and c)
    assert {name for name, check in found.items() if "error" in check["measured"]} == set()
    assert found["tables"]["status"] == found["vault_key"]["status"] == found["signing_keys"]["status"] == "ok"
    assert found["schedule"]["measured"]["at"] > 1_700_000_000
    assert found["alarms"]["measured"]["alarms"] >= 10


def test_a_provider_that_is_switched_off_is_so_for_everybody(api, operator):
    """One that nobody here uses, and back again."""

    def state():
        listed = api.get("/v1/providers").json()["providers"]
        return next(each["state"] for each in listed if each["id"] == "spotify")

    try:
        path = "/v1/admin/providers/spotify"
        assert api.post(f"{path}/disable", headers=operator, json={"reason": "test"}).json()["state"] == "disabled"
        eventually(lambda: state() == "disabled", every=2)
    finally:
        assert api.post(f"{path}/enable", headers=operator, json={}).json()["state"] == "not_configured"


def test_a_clean_up_is_looked_at_and_takes_nothing_that_is_young(api, operator):
    """Ten years ago nothing of this stack was."""
    seen = api.get("/v1/admin/cleanup", headers=operator)
    assert seen.status_code == 200, seen.text
    wanted = {"kinds": [kind["kind"] for kind in seen.json()["kinds"]], "older_than_days": 3650}
    done = api.post("/v1/admin/cleanup", headers=operator, json=wanted)
    assert done.status_code == 200, done.text
    assert [kind["removed"] for kind in done.json()["kinds"]] == [0, 0]
