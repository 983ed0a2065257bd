"""What a newcomer does first: open the demo application, sign in, connect, watch the token stay fresh."""

import json
import re

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.browser]


@pytest.fixture
def page(chromium):
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def sign_in(page, stack, person):
    page.goto(stack.facts["demo_app_url"])
    page.click("#sign-in")
    page.click("text=Continue with Demo")
    page.click(f"button[value={person}]")
    page.wait_for_url(f"{stack.facts['demo_app_url']}/")


def connect(page, stack, person):
    page.click("#connect")
    page.click(f"button[value={person}]")
    page.wait_for_url(f"{stack.facts['demo_app_url']}/")


def shown_token(page):
    page.wait_for_function("document.getElementById('token').textContent.includes('generation')")
    return json.loads(page.inner_text("#token"))


def test_signing_in_shows_checked_claims(page, stack):
    """
    The ID token comes from our issuer, for the demo client, about the person who signed in.
    """
    sign_in(page, stack, "ada")

    claims = json.loads(page.inner_text("#claims"))

    assert claims["iss"] == stack.api_url
    assert claims["aud"] == stack.client_id
    profile = json.loads(page.inner_text("#profile"))
    assert (profile["sub"], profile["name"], profile["email"]) == (claims["sub"], "Ada Lovelace", "ada@example.com")
    assert claims["sub"] != "ada"  # ours, not the provider's


@pytest.mark.timeout(400)
def test_a_connection_hands_out_tokens_that_stay_fresh(page, stack):
    """
    The page asks again and again; before the two minutes are over the generation has gone up.
    """
    sign_in(page, stack, "grace")
    connect(page, stack, "grace")

    first = shown_token(page)
    page.wait_for_function(
        "before => JSON.parse(document.getElementById('token').textContent).generation > before",
        arg=first["generation"],
        timeout=200_000,
    )
    second = shown_token(page)

    assert first["connection_id"] == second["connection_id"]
    assert second["expires_at"] > first["expires_at"]


def test_denying_consent_comes_back_with_a_reason(page, stack):
    """
    The application hears `access_denied`; nobody is signed in.
    """
    page.goto(stack.facts["demo_app_url"])
    page.click("#sign-in")
    page.click("text=Continue with Demo")
    page.click("button[value=deny]")
    page.wait_for_url(re.compile(r".*/callback\?.*"))

    assert "access_denied" in page.inner_text("[role=alert]")
    assert page.is_visible("#sign-in")


def test_the_binding_cookie_is_kept_from_scripts(page, stack):
    """
    On loopback http it goes without the `__Host-` prefix, and nothing else is given up.
    """
    page.goto(stack.facts["demo_app_url"])
    page.click("#sign-in")
    page.click("text=Continue with Demo")
    cookie = next(c for c in page.context.cookies(stack.api_url) if c["name"] == "gk_browser")

    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
