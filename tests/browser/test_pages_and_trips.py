"""
The pages people see, in a real browser, and the trips they begin there.

The demo application has its own tests; here the other ends are third-party
software: openid-client as the relying party, npm's oidc-provider with its
pages for login and consent. Pictures are left in artifacts/screenshots.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

import httpx2
import pytest

from grantkeeper import ids
from grantkeeper.oauth.pkce import code_challenge
from tests.e2e.browser import Browser, query_of, relying_party
from tests.support.stack import ROOT, ROTATING

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.xdist_group("pages")]

SCREENSHOTS = ROOT / "artifacts" / "screenshots"
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "device_scale_factor": 2,
        "has_touch": True,
        "is_mobile": True,
    },
    "narrow": {"viewport": {"width": 256, "height": 640}},  # 1280 px at 500 %: WCAG 1.4.10 asks for 400 %
}
CONTRAST = """
(element, property) => {
  const parse = color => color.match(/[\\d.]+/g).map(Number)
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
  let behind = property === 'color' ? element : element.parentElement
  while (behind && (parse(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement
  const [a, b] = [getComputedStyle(element)[property], getComputedStyle(behind).backgroundColor].map(parse).map(light)
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}
"""


@pytest.fixture
def open_page(chromium):
    """A page in a browser of its own, with what it fetched and what its console said against it."""
    contexts = []

    def make(**options):
        context = chromium.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.fetched, page.complaints = [], []
        page.on("request", lambda request: page.fetched.append(request.url))
        page.on("console", lambda message: message.type == "error" and page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()


def picture(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def authorize_url(stack, **changes):
    parameters = {
        "client_id": stack.client_id,
        "redirect_uri": stack.redirect_uri,
        "response_type": "code",
        "scope": "openid",
        "state": ids.new_secret(),
        "code_challenge": code_challenge(ids.new_secret()),
        "code_challenge_method": "S256",
    }
    return f"{stack.api_url}/oauth2/authorize?{urlencode(parameters | changes)}"


def came_back(page, uri):
    """
    Wait for the client's page; returns the URL the browser came with.

    The demo application stands at that URL. It did not begin these trips, so it shows a problem and uses nothing up.
    """
    page.wait_for_url(f"{uri}?**")
    return page.url


def sign_in_at_the_provider(page, login, *, name):
    """Fill in the pages of npm's oidc-provider as a person does."""
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", "irrelevant")
    picture(page, f"{name}-login")
    page.click("button[type=submit]")
    page.wait_for_load_state()
    if page.locator("h1", has_text="Authorize").count():  # asked once per person and client
        picture(page, f"{name}-consent")
        page.click("button[type=submit]")


def assert_accessible(page):
    """What a tool would check first: language, one heading, landmarks, names, contrast, no sideways scrolling."""
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert page.title()
    for element in page.locator("h1, p, a, footer, code").all():
        assert element.inner_text().strip()
        assert element.evaluate(CONTRAST, "color") >= 4.5, element.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    for link in page.locator("a").all():
        assert link.evaluate(CONTRAST, "borderTopColor") >= 3
        assert link.bounding_box()["height"] >= 44  # WCAG 2.5.5: large enough for a thumb


@pytest.mark.parametrize("look", LOOKS)
def test_the_chooser_is_good_to_use(stack, open_page, look):
    """In both colour schemes, on a phone, enlarged, and by keyboard alone; it loads nothing but itself."""
    page = open_page(**LOOKS[look])
    url = authorize_url(stack)

    page.goto(url)

    picture(page, f"chooser-{look}")
    assert_accessible(page)
    links = page.locator("main a")
    assert {link.inner_text() for link in links.all()} == {"Continue with Demo", "Continue with Rotating"}
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("Continue with")
    outline = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
    assert outline >= 2
    picture(page, f"chooser-{look}-focused")
    assert page.fetched == [url]
    assert page.complaints == []
    assert page.context.cookies() == []  # looking binds nothing


@pytest.mark.parametrize("look", LOOKS)
def test_the_error_page_is_good_to_read(stack, open_page, look):
    """It says what went wrong, what to do, and a reference to ask for help with; in words, without a stack."""
    page = open_page(**LOOKS[look])

    answer = page.goto(authorize_url(stack, redirect_uri="https://evil.example/"))

    picture(page, f"error-{look}")
    assert answer.status == 400
    assert_accessible(page)
    reference = page.inner_text("code")
    assert reference == answer.headers["x-request-id"]
    assert "evil.example" not in page.content()
    assert len(page.fetched) == 1


def test_a_person_signs_in_from_the_chooser(stack, oidc_provider, open_page):
    """openid-client starts and ends; between lie our chooser, the provider's login and its consent."""
    page = open_page(**LOOKS["light"])
    login = f"ada-{secrets.token_hex(4)}"
    started = relying_party("start", stack.api_url, stack.client_id, stack.redirect_uri, "openid email")

    page.goto(started["url"])
    page.click("text=Continue with Rotating")
    assert page.url.startswith(oidc_provider.issuer)
    sign_in_at_the_provider(page, login, name="sign-in")
    back = came_back(page, stack.redirect_uri)

    finished = relying_party("finish", stack.api_url, stack.client_id, back, given=started)
    assert finished["userinfo"]["email"] == f"{login}@example.com"
    assert finished["claims"]["iss"] == query_of(back)["iss"] == stack.api_url


def test_two_tabs_of_one_browser_both_arrive(stack, open_page):
    """One cookie binds the browser; a second trip does not cut off the first (C-04)."""
    page = open_page()
    tabs = {"first": page, "second": page.context.new_page()}
    login = f"emmy-{secrets.token_hex(4)}"
    for state, tab in tabs.items():
        tab.goto(authorize_url(stack, provider=ROTATING, state=state))

    for state, tab in reversed(tabs.items()):
        sign_in_at_the_provider(tab, login, name=f"{state}-tab")
        told = query_of(came_back(tab, stack.redirect_uri))
        assert (told["state"], "code" in told) == (state, True)


def test_a_person_connects_by_a_link_of_the_clients_backend(stack, open_page):
    """Link, login, consent, confirmation, token: the backend names the person, the browser carries the proof."""
    page = open_page(**LOOKS["phone"])
    login = f"grace-{secrets.token_hex(4)}"
    key = {"x-api-key": stack.client_api_key}
    with httpx2.Client(base_url=stack.api_url, headers=key, timeout=30, trust_env=False) as backend:
        body = {"service": ROTATING, "user_id": login, "redirect_uri": stack.connect_redirect_uri, "state": "page 7"}
        opened = backend.post("/v1/connect-sessions", json=body).json()

        page.goto(opened["connect_url"])
        sign_in_at_the_provider(page, login, name="connect")
        told = query_of(came_back(page, stack.connect_redirect_uri))
        assert (told["connect_session"], told["state"]) == (opened["id"], "page 7")
        url = f"/v1/connect-sessions/{opened['id']}/complete"
        confirmed = backend.post(url, json={"confirmation": told["confirmation"], "user_id": login})
        assert (confirmed.status_code, confirmed.json()["status"]) == (200, "active")
        token = backend.get(f"/v1/connections/{confirmed.json()['id']}/token", params={"min_ttl": 1})
        assert token.status_code == 200

    page.goto(opened["connect_url"])  # the link again: over, and said so
    picture(page, "connect-link-over")
    assert page.title() == "Connect session expired"
    assert_accessible(page)


def test_a_trip_that_another_browser_ends_is_told_so(stack, open_page):
    """Somebody opens a redirect that is not his: a page says so, and the right browser may still come back (C-31)."""
    first, stranger = Browser(), open_page(**LOOKS["phone"])
    callback = f"{stack.api_url}/oauth2/callback/{ROTATING}"
    back = first.open(authorize_url(stack, provider=ROTATING), until=callback, login=f"ida-{secrets.token_hex(4)}")

    answer = stranger.goto(back)

    picture(stranger, "other-browser-phone")
    assert (answer.status, stranger.title()) == (400, "Other browser")
    assert_accessible(stranger)
    assert "code" in query_of(first.http.get(back).headers["location"])
    first.close()
