"""One person, two providers (C-102): linked in one browser, signed in by either, and by the other no more."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.e2e.browser import query_of, relying_party
from tests.support.stack import ROTATING

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("linking")]

SCOPES = ("openid", "profile", "email", "account:write")
DEMO = "demo"


@pytest.fixture
def client_id(grantkeeper, stack):
    """A client whose users may change their account."""
    scopes = [text for scope in SCOPES for text in ("--scope", scope)]
    made = grantkeeper(
        "clients", "register", "--name", "Account page", "--redirect-uri", stack.redirect_uri, *scopes, "--json"
    )
    return json.loads(made)["client_id"]


@pytest.fixture
def sign_in_at(stack, client_id):
    """Sign in with openid-client at one of the providers; the finished trip."""

    def run(browser, provider, login):
        started = relying_party("start", stack.api_url, client_id, stack.redirect_uri, " ".join(SCOPES), provider)
        back = browser.open(started["url"], until=stack.redirect_uri, login=login)
        assert isinstance(back, str), (back.status_code, back.text[:2000])
        return relying_party("finish", stack.api_url, client_id, back, given=started)

    return run


def bearer(signed_in):
    return {"authorization": f"Bearer {signed_in['access_token']}"}


def test_a_second_provider_is_linked_used_and_taken_away(stack, api, new_browser, sign_in_at):
    """As a client's account page does it, against two providers that know nothing of each other."""
    ada, login, second = new_browser(), f"ada-{secrets.token_hex(4)}", f"ada-2-{secrets.token_hex(4)}@example.com"
    signed_in = sign_in_at(ada, ROTATING, login)
    wanted = {"provider": DEMO, "redirect_uri": stack.redirect_uri, "state": "account page"}
    opened = api.post("/v1/identities", headers=bearer(signed_in), json=wanted)
    assert opened.status_code == 201, opened.text

    mallory = new_browser()
    refused = mallory.open(opened.json()["link_url"], until=stack.redirect_uri, login=f"mallory-{secrets.token_hex(4)}")
    assert refused.status_code == 403
    assert ada.open(opened.json()["link_url"], until=stack.redirect_uri, login=login).status_code == 410

    opened = api.post("/v1/identities", headers=bearer(signed_in), json=wanted).json()
    back = ada.open(opened["link_url"], until=stack.redirect_uri, login=second)
    assert isinstance(back, str), (back.status_code, back.text[:2000])
    told = query_of(back)
    assert (told["identity_link"], told["state"]) == (opened["id"], "account page")
    path = f"/v1/identities/{opened['id']}/complete"
    linked = api.post(path, headers=bearer(signed_in), json={"confirmation": told["confirmation"]})
    assert (linked.status_code, linked.json()["provider"]) == (200, DEMO), linked.text

    elsewhere = sign_in_at(new_browser(), DEMO, second)
    assert elsewhere["claims"]["sub"] == signed_in["claims"]["sub"]
    listed = api.get("/v1/identities", headers=bearer(elsewhere)).json()["identities"]
    assert {identity["provider"] for identity in listed} == {ROTATING, DEMO}

    gone = api.delete(f"/v1/identities/{linked.json()['id']}", headers=bearer(signed_in))
    assert gone.status_code == 204
    assert sign_in_at(new_browser(), DEMO, second)["claims"]["sub"] != signed_in["claims"]["sub"]
    last = api.get("/v1/identities", headers=bearer(signed_in)).json()["identities"]
    refused = api.delete(f"/v1/identities/{last[0]['id']}", headers=bearer(signed_in))
    assert (refused.status_code, refused.json()["reason"]) == (409, "last_identity")
