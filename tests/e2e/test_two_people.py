"""
Two people, one link, over HTTP (C-32, C-33, T-15).

Mallory wants Alice's account in his list, or his in hers. Alice and Mallory
have a browser each; their client confirms whatever comes back in a browser
for whoever is signed in there, which is all a client can know.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from grantkeeper import ids
from grantkeeper.oauth.pkce import code_challenge
from tests.e2e.browser import Browser, query_of
from tests.e2e.conftest import eventually
from tests.support.stack import ROTATING

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("two people")]

PROBLEMS = "https://grantkeeper.dev/problems/"


@dataclass
class Person:
    """Somebody with a browser, an account at the provider, and a way to be named at our API."""

    login: str
    browser: Browser
    headers: dict[str, str]
    names: dict[str, str]  # how a client's backend says who is signed in; a Bearer token says it by itself
    api: Any
    stack: Any

    def opens(self, **more):
        body = {"service": ROTATING, "redirect_uri": self.stack.connect_redirect_uri} | self.names | more
        answer = self.api.post("/v1/connect-sessions", headers=self.headers, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def follows(self, url):
        """Open a connect link and consent with the own account; what this browser brings to the client's page."""
        back = self.browser.open(url, until=self.stack.connect_redirect_uri, login=self.login)
        assert isinstance(back, str), back.text
        return query_of(back)

    def confirms(self, told, **other):
        """The client confirms for this person, who is signed in at it."""
        body = {"confirmation": told.get("confirmation", "")} | self.names | other
        url = f"/v1/connect-sessions/{told['connect_session']}/complete"
        return self.api.post(url, headers=self.headers, json=body)

    def accounts(self):
        answer = self.api.get("/v1/connections", headers=self.headers, params=self.names)
        assert answer.status_code == 200, answer.text
        return {connection["label"] for connection in answer.json()["connections"]}


@pytest.fixture(params=["signed in", "by API key"])
def people(request, stack, api, new_browser):
    """Alice and Mallory, new to the stack."""

    def person(name):
        login = f"{name}-{secrets.token_hex(4)}"
        browser = new_browser()
        if request.param == "by API key":
            return Person(login, browser, {"x-api-key": stack.client_api_key}, {"user_id": login}, api, stack)
        return Person(login, browser, signed_in(stack, api, browser, login), {}, api, stack)

    return person("alice"), person("mallory")


def signed_in(stack, api, browser, login):
    """The headers of somebody who signed in; without openid-client, whose starts would take most of the time."""
    verifier = ids.new_secret()
    asked = {
        "client_id": stack.client_id,
        "redirect_uri": stack.redirect_uri,
        "response_type": "code",
        "scope": "openid connections:read connections:write",
        "code_challenge": code_challenge(verifier),
        "code_challenge_method": "S256",
        "provider": ROTATING,
    }
    back = browser.open(f"{stack.api_url}/oauth2/authorize?{urlencode(asked)}", until=stack.redirect_uri, login=login)
    form = {name: asked[name] for name in ("client_id", "redirect_uri")} | {"grant_type": "authorization_code"}
    form |= {"code": query_of(back)["code"], "code_verifier": verifier}
    return {"authorization": f"Bearer {api.post('/oauth2/token', data=form).json()['access_token']}"}


def is_problem(answer, status, slug):
    assert (answer.status_code, answer.json()["type"]) == (status, PROBLEMS + slug), answer.text


def nothing_attached(stack, session_id, *people):
    """Neither list holds anybody's account, and the tokens that were kept unconfirmed are gone."""
    for person in people:
        assert person.accounts() == set()
    (session,) = of(stack, "RequestsTable", f"CS#{session_id}")
    connection = f"CONNECTION#{session['pending_connection_id']['S']}"
    actions = {event["action"]["S"] for event in of(stack, "AuditTable", connection)}
    assert "connection.pending" in actions
    assert "connection.activated" not in actions
    eventually(lambda: not [i for i in of(stack, "GrantsTable", connection) if i.get("sealed", {}).get("B")])


def of(stack, table, partition):
    """The items of one partition, as stored."""
    return stack.aws("dynamodb").query(
        TableName=stack.tables[table],
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": partition}},
        ConsistentRead=True,
    )["Items"]


def test_c32_a_forwarded_link_attaches_nothing(stack, people):
    """
    Mallory sends Alice his link; she consents with her account. Her client confirms for her: she is not the session's
    user. Afterwards Mallory cannot confirm either, not even with her confirmation.
    """
    alice, mallory = people
    told = alice.follows(mallory.opens()["connect_url"])

    refused = alice.confirms(told)

    is_problem(refused, 403, "confirmation-refused")
    assert mallory.login not in refused.text
    assert mallory.confirms(told).status_code in (403, 410)
    nothing_attached(stack, told["connect_session"], alice, mallory)


def test_c32_polling_and_guessing_attach_nothing(stack, people):
    """Mallory knows the session's id, not what only Alice's browser was told; his first guess ends the session."""
    alice, mallory = people
    opened = mallory.opens()
    told = alice.follows(opened["connect_url"])

    is_problem(
        mallory.confirms({"connect_session": opened["id"]}, confirmation=ids.new_secret()), 403, "confirmation-refused"
    )

    assert mallory.confirms(told).status_code in (403, 410)
    nothing_attached(stack, opened["id"], alice, mallory)


def test_c33_a_fixed_session_attaches_nothing(stack, people):
    """
    Mallory consents with his own account under a link that Alice opened. His browser brings the confirmation to the
    client, where he is signed in as himself.
    """
    alice, mallory = people
    opened = alice.opens()
    told = mallory.follows(opened["connect_url"])

    is_problem(mallory.confirms(told), 403, "confirmation-refused")

    assert alice.confirms(told).status_code in (403, 410)
    nothing_attached(stack, opened["id"], alice, mallory)


def test_c31_a_trip_begun_by_one_browser_cannot_be_ended_by_another(stack, people):
    """
    Mallory consents himself and hands Alice the provider's redirect: her browser is not the one that left. Nothing is
    consumed, and nobody's session is spoilt by it.
    """
    alice, mallory = people
    opened = alice.opens()
    callback = f"{stack.api_url}/oauth2/callback/{ROTATING}"
    stolen = mallory.browser.open(opened["connect_url"], until=callback, login=mallory.login)

    page = alice.browser.http.get(stolen)

    assert (page.status_code, "<title>Other browser</title>" in page.text) == (400, True)
    told = alice.follows(opened["connect_url"])
    assert alice.confirms(told).status_code == 200
    assert alice.accounts() == {f"{alice.login}@example.com"}
    late = mallory.browser.http.get(stolen)
    assert (late.status_code, "<title>Connect session expired</title>" in late.text) == (410, True)
    assert mallory.accounts() == set()


def test_c32_a_stolen_confirmation_attaches_nothing(stack, people):
    """
    Alice connects her own account under her own session; Mallory sees the redirect before her client does. Presented
    for him, it ends the session: she must start again, and he has nothing.
    """
    alice, mallory = people
    told = alice.follows(alice.opens()["connect_url"])

    is_problem(mallory.confirms(told), 403, "confirmation-refused")

    assert alice.confirms(told).status_code in (403, 410)
    nothing_attached(stack, told["connect_session"], alice, mallory)
    again = alice.follows(alice.opens()["connect_url"])
    assert alice.confirms(again).status_code == 200
    assert alice.accounts() == {f"{alice.login}@example.com"}


def test_c32_naming_the_victim_does_not_help(stack, people):
    """Mallory, as himself, says he is Alice: a Bearer token says who he is; a client's key is the client's own word."""
    alice, mallory = people
    if mallory.names:
        told = alice.follows(alice.opens()["connect_url"])
        both = mallory.confirms(told, user_sub="usr_alice")
        is_problem(both, 400, "bad-request")
        assert alice.confirms(told).status_code == 200  # a request that is none consumes nothing
        return
    told = mallory.follows(alice.opens()["connect_url"])
    sub = alice.api.get("/oauth2/userinfo", headers=alice.headers).json()["sub"]

    is_problem(mallory.confirms(told, user_sub=sub), 403, "confirmation-refused")

    nothing_attached(stack, told["connect_session"], alice, mallory)


def test_the_same_two_people_connect_side_by_side(people):
    """The control: each with his own link, browser and client session, both succeed."""
    alice, mallory = people
    links = {person.login: person.opens() for person in people}
    for person in people:
        told = person.follows(links[person.login]["connect_url"])
        confirmed = person.confirms(told)
        assert (confirmed.status_code, confirmed.json()["status"]) == (200, "active")

    assert [person.accounts() for person in people] == [{f"{person.login}@example.com"} for person in (alice, mallory)]
