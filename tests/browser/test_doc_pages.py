"""/docs and /redoc in a real browser: every operation is there, from our own files alone, and the policy holds."""

from __future__ import annotations

import re

import httpx2
import pytest

from tests.support.stack import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.xdist_group("pages")]

SCREENSHOTS = ROOT / "artifacts" / "screenshots"
REDOCS_LOGO = "https://cdn.redoc.ly/"  # which ReDoc shows below its menu, and our policy keeps it from fetching


@pytest.fixture
def page(chromium):
    """A page with what it fetched, and what its console and the policy said against it."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(60_000)
    made = context.new_page()
    made.answered, made.complaints = [], []
    made.on("response", lambda response: made.answered.append(response.url))
    made.on("console", lambda message: message.type == "error" and made.complaints.append(message.text))
    made.on("pageerror", lambda error: made.complaints.append(str(error)))
    yield made
    context.close()


@pytest.fixture(scope="module")
def description(stack):
    return httpx2.get(f"{stack.api_url}/openapi.json", timeout=30, trust_env=False).json()


def summaries(description):
    return [operation["summary"] for methods in description["paths"].values() for operation in methods.values()]


def picture(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def foreign(page, stack):
    """What came from elsewhere; `data:` and `blob:` are made by the page itself."""
    return [url for url in page.answered if not url.startswith((f"{stack.api_url}/", "data:", "blob:"))]


def test_w05_swagger_ui_lists_every_operation_and_asks_nobody_else(stack, page, description):
    """From vendored files, with no inline script and no complaint of the browser's."""
    page.goto(f"{stack.api_url}/docs")
    page.wait_for_selector(".opblock")

    shown = page.locator(".opblock").count()
    page.evaluate("document.querySelector('.opblock-tag').scrollIntoView()")
    picture(page, "docs")

    assert shown == len(summaries(description))
    assert foreign(page, stack) == []
    assert page.complaints == []


def test_swagger_ui_sends_a_call_with_a_key(stack, page):
    """Whoever reads may try: the key goes into the header, and the answer is the API's own."""
    page.goto(f"{stack.api_url}/docs")
    page.wait_for_selector(".opblock")
    page.click("button.authorize")
    form = page.locator(".auth-container", has_text=re.compile("client_key"))
    form.locator("input").fill(stack.client_api_key)
    form.locator("button.authorize").click()
    page.click("button.btn-done")

    block = page.locator(".opblock", has_text="A user's connections, counted")
    block.locator(".opblock-summary-control").click()
    block.locator("button.try-out__btn").click()
    block.locator("tr[data-param-name=user_id] input").fill("nobody")
    block.locator("button.execute").click()
    told = block.locator(".live-responses-table tbody .response-col_description").first.inner_text()

    assert '"by_status"' in told
    assert foreign(page, stack) == []


def test_w05_redoc_lists_every_operation_and_asks_nobody_else(stack, page, description):
    """Its maker's logo is all it would fetch from elsewhere, and the policy does not let it."""
    page.goto(f"{stack.api_url}/redoc")
    page.wait_for_selector("[data-section-id]")
    page.wait_for_function("document.querySelectorAll('[data-section-id*=operation]').length > 20")

    ids = page.eval_on_selector_all(
        "[data-section-id^='tag/'][data-section-id*='/operation/']",
        "elements => elements.map(e => e.getAttribute('data-section-id'))",
    )
    picture(page, "redoc")

    assert len(set(ids)) == len(summaries(description))
    assert foreign(page, stack) == []
    assert [text for text in page.complaints if REDOCS_LOGO not in text] == []
    assert any("Content Security Policy" in text for text in page.complaints)
