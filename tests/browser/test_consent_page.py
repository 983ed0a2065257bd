"""The page that asks for consent, in a real browser: what it looks like, and that its form gets where it should."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.browser.test_pages_and_trips import (
    CONTRAST,
    LOOKS,
    assert_accessible,
    came_back,
    open_page,
    picture,
    sign_in_at_the_provider,
)
from tests.e2e.browser import query_of, relying_party
from tests.support.stack import ROOT, ROTATING

__all__ = ["open_page"]  # a fixture

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.xdist_group("pages")]


def operator(stack, *arguments):
    """`grantkeeper --local …` beside the stack."""
    place = {"GRANTKEEPER_LOCAL_STACK": str(Path(stack.facts["state_dir"]) / "stack.json")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "cli", "--local", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=clean | place, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.fixture
def second_client(stack):
    """Another application of the team, and its backend, which has a key."""
    registered = operator(
        stack, "clients", "register", "--name", "Quarterly Reports", "--redirect-uri", stack.redirect_uri,
        "--redirect-uri", stack.connect_redirect_uri,
    )  # fmt: skip
    scopes = ("--scope", "connections:read", "--scope", "connections:token")
    made = operator(stack, "api-keys", "create", "--name", "reports", "--client", registered["client_id"], *scopes)
    key = {"x-api-key": made["api_key"]}
    with httpx2.Client(base_url=stack.api_url, headers=key, timeout=30, trust_env=False) as backend:
        yield registered["client_id"], backend


def through_the_provider(page, stack, login):
    """Whatever the provider asks this time: it remembers who is signed in, and what he agreed to."""
    page.wait_for_load_state()
    if page.locator("input[name=login]").count():
        sign_in_at_the_provider(page, login, name="consent-proof")
    elif page.locator("h1", has_text="Authorize").count():
        page.click("button[type=submit]")
    page.wait_for_load_state()


def signed_in_at(page, stack, client_id, login):
    """Sign in at a client; the user's `sub`."""
    started = relying_party("start", stack.api_url, client_id, stack.redirect_uri, "openid email")
    page.goto(started["url"])
    page.click("text=Continue with Rotating")
    through_the_provider(page, stack, login)
    back = came_back(page, stack.redirect_uri)
    return relying_party("finish", stack.api_url, client_id, back, given=started)["claims"]["sub"]


def connected_at_the_first_client(page, stack, sub, login):
    key = {"x-api-key": stack.client_api_key}
    with httpx2.Client(base_url=stack.api_url, headers=key, timeout=30, trust_env=False) as backend:
        body = {"service": ROTATING, "user_sub": sub, "redirect_uri": stack.connect_redirect_uri}
        opened = backend.post("/v1/connect-sessions", json=body).json()
        page.goto(opened["connect_url"])
        through_the_provider(page, stack, login)
        told = query_of(came_back(page, stack.connect_redirect_uri))
        url = f"/v1/connect-sessions/{opened['id']}/complete"
        confirmed = backend.post(url, json={"confirmation": told["confirmation"], "user_sub": sub})
        assert confirmed.status_code == 200, confirmed.text
        return confirmed.json()["id"]


def test_a_person_lets_a_second_application_use_his_connection(stack, second_client, open_page):
    """Asked, proven, read in four looks, allowed by a click; the second application reads the token from then on."""
    page = open_page(**LOOKS["light"])
    login = f"joan-{secrets.token_hex(4)}"
    sub = signed_in_at(page, stack, stack.client_id, login)
    connection = connected_at_the_first_client(page, stack, sub, login)
    client_id, backend = second_client
    assert signed_in_at(page, stack, client_id, login) == sub
    assert backend.get(f"/v1/connections/{connection}/token").status_code == 404

    asked = backend.post(
        "/v1/consent-requests",
        json={"service": ROTATING, "user_sub": sub, "redirect_uri": stack.connect_redirect_uri, "state": "page 9"},
    )
    assert asked.status_code == 201, asked.text
    page.goto(asked.json()["consent_url"])
    picture(page, "consent-chooser")
    page.click("text=Continue with Rotating")
    through_the_provider(page, stack, login)
    page.wait_for_url(f"{stack.api_url}/allow/**")

    page.fetched.clear()
    page.complaints.clear()
    page.reload()
    assert page.fetched == [page.url], "it loads nothing but itself"
    for look, options in LOOKS.items():
        page.set_viewport_size(options["viewport"])
        page.emulate_media(color_scheme=options.get("color_scheme", "light"))
        picture(page, f"consent-page-{look}")
        assert_accessible(page)
        for button in page.locator("button").all():
            assert button.bounding_box()["height"] >= 44
            assert button.evaluate(CONTRAST, "borderTopColor") >= 3
    assert page.title() == "Let Quarterly Reports use a connection?"
    page.set_viewport_size(LOOKS["light"]["viewport"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "connection"

    page.click("text=Allow")
    told = query_of(came_back(page, stack.connect_redirect_uri))

    assert (told["result"], told["connection_id"], told["state"]) == ("granted", connection, "page 9")
    # The demo application began none of this and answers 400; the policy has nothing to say.
    assert not [said for said in page.complaints if "Content Security Policy" in said]
    token = backend.get(f"/v1/connections/{connection}/token")
    assert token.status_code == 200, token.text
    page.goto(asked.json()["consent_url"])
    assert page.title() == "Link expired"
