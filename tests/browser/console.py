"""The console as a person uses it: signing in, going to a page, and what a tool says of it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from tests.support.stack import NODE

AXE = NODE / "node_modules" / "axe-core" / "axe.min.js"
LIGHT = {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}
HOSTS = ("localhost", "127.0.0.1")
# What axe-core finds of these kinds keeps people out; the rest is advice.
SERIOUS = ("serious", "critical")


class Console:
    """One person's browser at the console."""

    def __init__(self, chromium: Any, stack: Any, **options: Any) -> None:
        self.stack = stack
        self.context = chromium.new_context(**(LIGHT | options))
        self.context.set_default_timeout(60_000)
        # The demo provider's page names a style sheet elsewhere; who waits for it tests the weather.
        self.context.route(lambda url: urlsplit(url).hostname not in HOSTS, lambda route: route.abort())
        self.page = self.context.new_page()
        self.sent: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.sent.append(request.url))
        self.page.on("console", lambda said: said.type == "error" and self._complain(said.location["url"], said.text))
        self.page.on("pageerror", lambda error: self._complain(self.page.url, str(error)))

    def _complain(self, url: str, text: str) -> None:
        if url.startswith(self.stack.api_url) and "status of 4" not in text:  # a refusal is an answer
            self.complaints.append(text)

    def sign_in(self, person: str = "ada", *, at: str = "") -> None:
        """Choose the provider, sign in there, and come back to where one began."""
        self.page.goto(f"{self.stack.api_url}/console{at}")
        self.page.get_by_role("button", name="Continue with Demo").click()
        self.consent(person)

    def consent(self, person: str) -> None:
        """At the provider's page."""
        self.page.fill("#subject-input", person)
        self.page.press("#subject-input", "Enter")
        self.page.wait_for_url(f"{self.stack.api_url}/console*")
        self.page.wait_for_selector(".bar, .alone [role=alert], .alone pre")

    def open(self, route: str, heading: str) -> None:
        """Go to a route and wait until its heading and its answers are there."""
        self.page.evaluate("route => { location.hash = route }", route)
        self.settled(heading)

    def settled(self, heading: str) -> None:
        """The heading is this, and nothing is being loaded."""
        self.page.locator("main h1", has_text=heading).wait_for()
        self.page.locator("main .loading, main [aria-busy=true]").first.wait_for(state="detached")

    def row(self, text: str) -> Any:
        """The table's row that holds this text."""
        return self.page.get_by_role("row").filter(has_text=text)

    def confirm(self, verb: str, **fields: str) -> None:
        """Fill the open dialog in, by the names of its fields, and press the button; it closes when it is done."""
        dialog = self.page.get_by_role("dialog")
        for name, value in fields.items():
            field = dialog.locator(f"[name={name}]")
            field.select_option(value) if field.evaluate("e => e.tagName") == "SELECT" else field.fill(value)
        dialog.get_by_role("button", name=verb).click()
        dialog.wait_for(state="detached")

    def sign_in_at_the_demo(self, person: str) -> str:
        """Get an account by signing in at the team's application; returns its `sub`."""
        self.page.goto(self.stack.facts["demo_app_url"])
        self.page.click("#sign-in")
        self.page.click("text=Continue with Demo")
        self.page.fill("#subject-input", person)
        self.page.press("#subject-input", "Enter")
        self.page.wait_for_selector("main[data-stage=signed-in]")
        return str(json.loads(self.page.inner_text("#claims"))["sub"])

    def assert_accessible(self) -> None:
        """No serious finding of axe-core, one heading, a title."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())  # past the policy, as a developer's tools are
        found = self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [
            (each["id"], [node["html"] for node in each["nodes"]][:3])
            for each in found["violations"]
            if each["impact"] in SERIOUS
        ]
        assert serious == [], serious
        assert self.page.locator("h1").count() == 1
        assert self.page.title()

    def assert_not_cut_off(self) -> None:
        """Nothing is wider than the window."""
        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    def close(self) -> None:
        self.context.close()
