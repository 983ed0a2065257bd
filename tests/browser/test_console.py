"""/console in a real browser against the deployed stack: signing in, what each role sees, and how it can be used."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.browser.console import AXE, DARK, LIGHT, PHONE, Console
from tests.conftest import need
from tests.e2e.conftest import eventually

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.xdist_group("console")]


@pytest.fixture(scope="module")
def consoles(chromium, stack):
    """Consoles, each in a browser of its own."""
    need(None if AXE.exists() else "axe-core is missing: run `npm ci --ignore-scripts` in tests/node.")
    opened = []

    def make(**options):
        opened.append(Console(chromium, stack, **options))
        return opened[-1]

    yield make
    for console in opened:
        console.close()


@pytest.fixture(scope="module")
def admin(consoles):
    """Ada, who is admin; signed in once for all tests that leave her so."""
    console = consoles()
    console.sign_in("ada")
    return console


def somebody(name):
    """Nobody has met this person yet."""
    return f"{name}-{secrets.token_hex(4)}@example.com"


def test_w05_the_console_asks_nobody_else_and_its_policy_holds(admin, stack):
    """Signed in, with numbers shown: nothing came from elsewhere, and the browser complained of nothing."""
    admin.open("#/overview", "Overview")

    assert admin.page.locator(".totals li").count() == 5
    assert urlsplit(admin.page.url).query == ""  # no code is left in the address
    ours = (f"{stack.api_url}/", stack.demo_provider_url, "data:")
    foreign = [url for url in admin.sent if not url.startswith(ours) and "oidc-provider-mock" not in url]
    assert [url for url in foreign if urlsplit(url).hostname in ("localhost", "127.0.0.1")] == []
    assert admin.complaints == []


def test_tokens_are_kept_nowhere_and_a_reload_asks_the_provider_anew(consoles, stack):
    """Storage holds no token. The page that went has revoked its own; the one that came asks without a word first."""
    console, answers = consoles(), []
    console.page.on("response", lambda response: response.url.endswith("/oauth2/token") and answers.append(response))
    console.sign_in("ada")
    tokens = answers[0].json()
    kept = console.page.evaluate("JSON.stringify([Object.entries(sessionStorage), Object.entries(localStorage)])")
    console.sent.clear()

    console.page.reload()
    console.page.get_by_role("button", name="Continue with Demo").wait_for()  # this provider is silent for nobody

    assert not any(tokens[name] in kept for name in ("access_token", "refresh_token", "id_token"))
    assert any("prompt=none" in url for url in console.sent)
    assert not console.page.locator("[role=alert]").count()
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    with httpx2.Client(trust_env=False, timeout=30, headers=bearer) as client:
        assert eventually(lambda: client.get(f"{stack.api_url}/oauth2/userinfo").status_code == 401)
    console.close()


def test_somebody_without_a_role_is_told_how_to_get_one(consoles, stack):
    """First he is by invitation only; known from the demo application, he sees the command with his own id."""
    person, console = somebody("bob"), consoles()
    console.sign_in(person)

    assert "account here already" in console.page.inner_text("[role=alert]")
    console.assert_fit()

    console.page.goto(stack.facts["demo_app_url"])
    console.page.click("#sign-in")
    console.page.click("text=Continue with Demo")
    console.page.fill("#subject-input", person)
    console.page.press("#subject-input", "Enter")
    console.page.wait_for_selector("main[data-stage=signed-in]")
    console.sign_in(person)

    assert console.page.inner_text("h1") == "You have no role here"
    assert console.page.inner_text("pre").startswith("grantkeeper users role usr_")
    assert not [url for url in console.sent if "/v1/admin/" in url]
    console.assert_fit()
    console.close()


@pytest.mark.parametrize("look", [LIGHT, DARK, PHONE], ids=["light", "dark", "phone"])
def test_the_overview_is_fit_to_be_seen(consoles, look):
    """Light, dark and on a phone: nothing axe-core calls serious, nothing cut off."""
    console = consoles(**look)
    console.sign_in("ada")
    console.settled("Overview")

    console.assert_fit()
    console.close()
