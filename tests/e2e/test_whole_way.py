"""
From sign-in to a refused token, with third-party software on both sides.

openid-client signs in through us; npm's oidc-provider is the provider, with
rotating refresh tokens and access tokens of ten seconds.
"""

from __future__ import annotations

import base64
import json
import time

import httpx2
import pytest

from tests.e2e.browser import relying_party
from tests.e2e.conftest import eventually
from tests.support.stack import ROTATING

pytestmark = pytest.mark.stack


def grant_of(stack, connection_id):
    """The stored grant, as the table has it."""
    key = {"pk": {"S": f"CONNECTION#{connection_id}"}, "sk": {"S": "GRANT#main"}}
    return stack.aws("dynamodb").get_item(TableName=stack.tables["GrantsTable"], Key=key, ConsistentRead=True)["Item"]


def refresh_of(stack, connection_id, generation):
    """The audit entry of one generation, as the table has it; None until the projector has written it."""
    entries = stack.aws("dynamodb").query(
        TableName=stack.tables["AuditTable"],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"CONNECTION#{connection_id}"}},
        ConsistentRead=True,
    )["Items"]
    wanted = f"evt_{connection_id}.main.{generation}"
    return next((entry for entry in entries if entry.get("id", entry["sk"])["S"] == wanted), None)


def sweep(stack):
    """One tick of the schedule, now instead of at the next minute."""
    answer = stack.aws("lambda").invoke(
        FunctionName=stack.functions["SweeperFunction"], Payload=json.dumps({"source": "aws.events"})
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def payload_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_certified_relying_party_signs_in_and_refreshes(stack, new_browser, sign_in):
    """Discovery, PKCE, nonce, ID token, userinfo, rotation and revocation, all judged by openid-client."""
    session = sign_in(new_browser(), "grace")

    assert session["claims"]["iss"] == stack.api_url
    assert session["claims"]["aud"] == stack.client_id
    assert session["userinfo"]["email"] == "grace@example.com"
    access = payload_of(session["access_token"])
    assert access["aud"] == stack.api_url
    assert "connections:token" not in access["scope"].split()

    refreshed = relying_party("refresh", stack.api_url, stack.client_id, given=session)
    assert refreshed["refresh_token"] != session["refresh_token"]
    assert relying_party("revoke", stack.api_url, stack.client_id, given={"token": refreshed["refresh_token"]}) == {
        "revoked": True
    }
    dead = relying_party("refresh", stack.api_url, stack.client_id, given=refreshed)
    assert dead["error"] == "invalid_grant"


def test_the_same_person_is_the_same_user_next_time(new_browser, sign_in):
    """(issuer, subject) names a user; another subject is another."""
    first = sign_in(new_browser(), "hedy")["claims"]["sub"]

    assert sign_in(new_browser(), "hedy")["claims"]["sub"] == first
    assert sign_in(new_browser(), "ida")["claims"]["sub"] != first


def test_a_connection_lives_from_consent_to_disconnect(
    stack, oidc_provider, api, backend, new_browser, sign_in, walk_through
):
    """Connect, confirm, token accepted, expiry, sweep, new generation, disconnect; refused by us and provider."""
    browser = new_browser()
    session = sign_in(browser, "katherine")
    user = {"authorization": f"Bearer {session['access_token']}"}

    opened = api.post(
        "/v1/connect-sessions",
        headers=user,
        json={"service": ROTATING, "redirect_uri": stack.connect_redirect_uri, "state": "page-7"},
    )
    assert opened.status_code in (200, 201), opened.text
    told = walk_through(browser, opened.json()["connect_url"], "katherine")
    assert told["state"] == "page-7"
    confirmed = api.post(
        f"/v1/connect-sessions/{told['connect_session']}/complete",
        headers=user,
        json={"confirmation": told["confirmation"]},
    )
    assert confirmed.status_code == 200, confirmed.text
    connection_id = confirmed.json()["id"]
    assert confirmed.json()["status"] == "active"

    def userinfo(token):
        return httpx2.get(
            f"{oidc_provider.issuer}/me", headers={"authorization": f"Bearer {token}"}, trust_env=False
        ).status_code

    lasting = {"min_ttl": 5}  # of ten seconds: what follows must not find it expired on a slow machine
    answer = backend.get(f"/v1/connections/{connection_id}/token", params=lasting)
    assert answer.status_code == 200, answer.text
    first = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    assert userinfo(first["access_token"]) == 200

    # nobody reads: the sweep alone brings the next generation
    time.sleep(max(0, first["expires_at"] - time.time()) + 1)
    assert userinfo(first["access_token"]) == 401
    sweep(stack)
    eventually(lambda: int(grant_of(stack, connection_id)["generation"]["N"]) > first["generation"])
    renewed = backend.get(f"/v1/connections/{connection_id}/token", params=lasting).json()
    assert renewed["generation"] > first["generation"]
    assert renewed["access_token"] != first["access_token"]
    assert userinfo(renewed["access_token"]) == 200

    gone = api.delete(f"/v1/connections/{connection_id}", headers=user)
    assert gone.status_code == 200, gone.text
    assert gone.json()["status"] == "revoked"
    refused = backend.get(f"/v1/connections/{connection_id}/token")
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/connection-revoked")
    eventually(lambda: "sealed" not in grant_of(stack, connection_id))
    assert userinfo(renewed["access_token"]) == 401


def test_a_rejected_generation_is_replaced_once(stack, api, backend, new_browser, sign_in, walk_through):
    """Two callers report 401 for the same generation; one refresh follows, and the generation is not served again."""
    browser = new_browser()
    user = {"authorization": f"Bearer {sign_in(browser, 'mary')['access_token']}"}
    opened = api.post(
        "/v1/connect-sessions", headers=user, json={"service": ROTATING, "redirect_uri": stack.connect_redirect_uri}
    ).json()
    told = walk_through(browser, opened["connect_url"], "mary")
    connection = api.post(
        f"/v1/connect-sessions/{told['connect_session']}/complete",
        headers=user,
        json={"confirmation": told["confirmation"]},
    ).json()
    url = f"/v1/connections/{connection['id']}/token"

    for _ in range(5):  # tokens live ten seconds: two slow calls would need two for that alone
        before, begun = backend.get(url, params={"min_ttl": 1}).json()["generation"], time.monotonic()
        answers = [backend.get(url, params={"min_ttl": 1, "rejected_generation": before}) for _ in range(2)]
        if time.monotonic() - begun < 5:
            break

    generations = {answer.json().get("generation") for answer in answers if answer.status_code == 200}
    assert before not in generations
    now = int(grant_of(stack, connection["id"])["generation"]["N"])
    by_callers = [
        entry
        for generation in range(before + 1, now + 1)
        if (entry := eventually(lambda g=generation: refresh_of(stack, connection["id"], g)))["reason"]["S"] != "sweep"
    ]
    assert len(by_callers) <= 1  # the schedule may have come in between, and found the token due


def test_statistics_follow_what_happened(stack, api, new_browser, sign_in):
    """The projector counts a sign-in within moments; an admin reads it."""
    admin = {"x-api-key": stack.admin_api_key}
    before = api.get("/v1/admin/stats", headers=admin)
    assert before.status_code == 200, before.text

    sign_in(new_browser(), "noether")

    eventually(
        lambda: (
            api.get("/v1/admin/stats", headers=admin).json()["sign_ins"]["total"] > before.json()["sign_ins"]["total"]
        )
    )
    assert "grantkeeper_users" in api.get("/metrics", headers=admin).text
