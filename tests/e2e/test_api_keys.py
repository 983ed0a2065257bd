"""API keys on the deployed stack: a user's own, rotated and revoked; and somebody who guesses at one."""

from __future__ import annotations

import secrets
import time

import pytest

from grantkeeper.api_key_format import ApiKeyText, parse_api_key
from tests.e2e.conftest import eventually

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("api keys")]


@pytest.fixture
def bearer(sign_in, new_browser):
    """A person of his own, who signed in a moment ago."""
    tokens = sign_in(new_browser(), f"keys-{secrets.token_hex(4)}", scope="openid profile email account:write")
    return {"authorization": f"Bearer {tokens['access_token']}"}


def test_k07_k08_a_users_own_key_lives_its_life(api, bearer):
    """Made, used, rotated with both secrets good, revoked, and refused everywhere within a minute."""
    days = {time.strftime("%Y-%m-%d", time.gmtime(time.time() + later)) for later in (0, 600)}
    wanted = {"name": "nightly", "scopes": ["connections:read"]}
    made = api.post("/v1/api-keys", headers=bearer, json=wanted)
    assert made.status_code == 201, made.text

    def refused(secret):
        return api.get("/v1/connections", headers=secret).status_code == 401

    key_id, first = made.json()["id"], {"x-api-key": made.json()["api_key"]}
    assert api.get("/v1/connections", headers=first).json() == {"connections": [], "cursor": None}
    assert api.get("/v1/profile", headers=first).status_code == 403

    turned = api.post(f"/v1/api-keys/{key_id}/rotate", headers=bearer, json={"expires_in_days": 30})
    second = {"x-api-key": turned.json()["api_key"]}
    eventually(lambda: api.get("/v1/connections", headers=second).status_code == 200)
    assert api.get("/v1/connections", headers=first).status_code == 200
    (shown,) = api.get("/v1/api-keys", headers=bearer).json()["api_keys"]
    assert (shown["status"], shown["used_day"] in days) == ("rotating", True)

    assert api.delete(f"/v1/api-keys/{key_id}", headers=bearer).status_code == 204
    eventually(lambda: refused(first) and refused(second), every=2)


def test_w22_guessing_at_a_key_meets_429(api, bearer):
    """With Retry-After, although every function counts by itself."""
    made = api.post("/v1/api-keys", headers=bearer, json={"name": "n", "scopes": ["connections:read"]}).json()
    wrong = {"x-api-key": ApiKeyText(parse_api_key(made["api_key"]).key_id, "x" * 40).text}

    answers = [api.get("/v1/connections", headers=wrong) for _ in range(40)]

    assert {answer.status_code for answer in answers} == {401, 429}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
