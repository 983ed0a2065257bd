"""
The example in `examples/`: a single-page application with oidc-client-ts as npm delivers it, and its backend.

Both run as their README says, against the deployed stack, each person in a browser of his own.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.browser.test_pages_and_trips import CONTRAST, LOOKS, assert_accessible, picture
from tests.conftest import need
from tests.e2e.conftest import eventually
from tests.support.processes import once_per_run, spawn, wait_for
from tests.support.stack import ROOT, missing_example

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.xdist_group("example")]


@dataclass(frozen=True)
class Example:
    """Where the example is."""

    spa_url: str
    backend_url: str
    client_id: str


@pytest.fixture(scope="session")
def example(stack) -> Example:
    """The example, served by its own command beside the stack; once per run."""
    need(missing_example())

    def start(log: Path):
        ready = log.parent / "example.json"
        command = [sys.executable, "-m", "examples.serve", "--spa-port", "0", "--backend-port", "0"]
        place = {"GRANTKEEPER_LOCAL_STACK": str(Path(stack.facts["state_dir"]) / "stack.json")}
        pid = spawn([*command, "--ready-file", str(ready)], log=log, cwd=ROOT, env=place)
        wait_for(ready.exists, pid=pid, log=log, seconds=60)
        return json.loads(ready.read_text())

    return Example(**once_per_run("example", start))


@pytest.fixture
def open_browser(chromium):
    """A browser of one's own, its page with what it sent and what its console said against it."""
    contexts = []

    def make(**options):
        context = chromium.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.sent, page.complaints, page.answers = [], [], []
        page.on("request", lambda request: page.sent.append(request))  # noqa: PLW0108 - Playwright takes no builtin
        page.on("response", lambda response: page.answers.append(response))  # noqa: PLW0108
        page.on(
            "console", lambda said: said.type == "error" and page.complaints.append((said.location["url"], said.text))
        )
        page.on("pageerror", lambda error: page.complaints.append((page.url, str(error))))
        return page

    yield make
    for context in contexts:
        context.close()


def sign_in(page, example, person):
    page.goto(example.spa_url)
    page.click("#sign-in")
    page.click("text=Continue with Demo")
    consent(page, person)
    settled(page)


def consent(page, person):
    """At the provider; who is not known there yet is made, with this as name and address."""
    page.fill("#subject-input", person)
    page.press("#subject-input", "Enter")


def somebody(name):
    """Nobody has met this person yet."""
    return f"{name}-{secrets.token_hex(4)}@example.com"


def settled(page):
    """Wait until the page shows who is signed in, with what is connected."""
    page.wait_for_selector("#member:not([hidden])")
    page.wait_for_selector("main[aria-busy=false]")


def start_connecting(page):
    page.get_by_role("button", name=re.compile("^Connect Demo")).click()


def connect(page, person):
    """Returns the row that shows the connection."""
    start_connecting(page)
    consent(page, person)
    page.wait_for_selector("#notice:has-text('Connected')")
    row = page.locator("#connections li", has_text=person)
    row.wait_for()
    return row


def show_account(row):
    """Let the backend ask the provider; returns what the page shows."""
    row.get_by_text("Show my account").click()
    row.locator("dl.account dd").first.wait_for()
    return row.locator("dl.account").inner_text()


def complaints(page, example, stack):
    """What the console said against our pages and answers; the provider's pages have their own."""
    ours = (example.spa_url, example.backend_url, stack.api_url)
    return [text for url, text in page.complaints if url.startswith(ours)]


def stored_user(page):
    """What oidc-client-ts keeps."""
    found = page.evaluate("Object.entries(sessionStorage).find(([name]) => name.startsWith('oidc.user:'))")
    return None if found is None else json.loads(found[1])


def connections_of(stack, example, page):
    """What Grantkeeper itself says this page's user has connected, whatever the page shows."""
    headers = {"authorization": f"Bearer {stored_user(page)['access_token']}"}
    answer = httpx2.get(f"{example.backend_url}/connections", headers=headers, trust_env=False, timeout=30)
    assert answer.status_code == 200, answer.text
    return [each for each in answer.json()["connections"] if each["status"] != "revoked"]


def test_the_whole_way_of_a_single_page_application(open_browser, example, stack):
    """
    Sign in, connect, let the backend ask the provider, disconnect, sign out: by oidc-client-ts as it comes.
    """
    page = open_browser()
    sign_in(page, example, "ada")
    user = stored_user(page)

    assert page.inner_text("#name") == "Ada Lovelace"  # userinfo said so
    assert user["profile"]["email"] == "ada@example.com"
    assert user["profile"]["sub"] in page.inner_text("#session")
    assert urlsplit(page.url).query == ""  # no code is left in the address

    account = somebody("work")
    row = connect(page, account)
    assert account in show_account(row)

    row.get_by_text("Disconnect").click()
    row.wait_for(state="detached")
    assert not [each for each in connections_of(stack, example, page) if each["label"] == account]

    page.click("#sign-out")
    page.wait_for_selector("#stranger:not([hidden])")

    assert page.url.startswith(f"{example.spa_url}/")
    assert stored_user(page) is None
    form = {"grant_type": "refresh_token", "client_id": example.client_id, "refresh_token": user["refresh_token"]}
    answer = httpx2.post(f"{stack.api_url}/oauth2/token", data=form, trust_env=False, timeout=30)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    ended = [request.url for request in page.sent if "/oauth2/end-session?" in request.url]
    assert "id_token_hint" in parse_qs(urlsplit(ended[0]).query)
    assert complaints(page, example, stack) == []  # nothing broke the policy, and no call was kept from the page


def test_t01_no_token_of_a_provider_reaches_the_browser(open_browser, example, stack):
    """
    The page hears what the provider said, from its own backend; the token it was asked with is in no answer.
    """
    page, person = open_browser(), somebody("carol")
    sign_in(page, example, person)
    connect(page, person)
    page.answers.clear()  # a browser forgets the bodies of the page before
    page.reload()
    settled(page)
    show_account(page.locator("#connections li"))

    (connection,) = connections_of(stack, example, page)
    headers = {"authorization": f"Bearer {stored_user(page)['access_token']}"}
    at_v1 = httpx2.get(f"{stack.api_url}/v1/connections", headers=headers, trust_env=False, timeout=30)
    told = {answer.url: answer.text() for answer in page.answers if answer.request.method == "GET" and answer.ok}

    assert at_v1.status_code == 401  # the page's token is for the backend alone
    assert set(json.loads(told[f"{example.backend_url}/connections/{connection['id']}/account"])) <= {
        "sub",
        "name",
        "email",
    }
    assert not any("access_token" in text for url, text in told.items() if url.startswith(example.backend_url))
    assert not any("/v1/connections" in request.url for request in page.sent)


def test_an_expired_token_is_renewed_by_its_refresh_token(open_browser, example, stack):
    """
    The library rotates it across origins and asks userinfo again; the backend takes the new access token.
    """
    page = open_browser()
    sign_in(page, example, "ada")
    first = stored_user(page)

    page.click("#renew")
    page.wait_for_selector("#notice:has-text('Renewed')")
    second = stored_user(page)
    page.evaluate(
        """() => {
          const name = Object.keys(sessionStorage).find(name => name.startsWith('oidc.user:'))
          const user = JSON.parse(sessionStorage.getItem(name))
          sessionStorage.setItem(name, JSON.stringify({ ...user, expires_at: 1, access_token: 'expired' }))
        }"""
    )
    page.reload()
    settled(page)
    third = stored_user(page)

    assert len({first["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
    assert len({first["access_token"], second["access_token"], third["access_token"]}) == 3
    assert third["expires_at"] > 1
    assert page.inner_text("#name") == "Ada Lovelace"
    assert page.inner_text("#problem") == ""
    assert complaints(page, example, stack) == []


def test_a_session_that_was_ended_elsewhere_asks_to_sign_in_again(open_browser, example, stack):
    """
    Its refresh token is refused, so nobody is signed in any more; the page says so by offering it.
    """
    page = open_browser()
    sign_in(page, example, "ada")
    form = {"client_id": example.client_id, "token": stored_user(page)["refresh_token"]}
    httpx2.post(f"{stack.api_url}/oauth2/revoke", data=form, trust_env=False, timeout=30).raise_for_status()

    page.click("#renew")
    page.wait_for_selector("#stranger:not([hidden])")

    assert stored_user(page) is None


@pytest.fixture
def people(open_browser, example):
    """Two people, signed in, each in a browser of their own."""
    alice, bob = open_browser(), open_browser()
    for page, name in ((alice, "alice"), (bob, "bob")):
        page.person = somebody(name)
        sign_in(page, example, page.person)
    return alice, bob


def begin_and_lose_the_link(page, stack):
    """Begin to connect, but the link goes elsewhere: what the other person has."""
    links = []

    def keep(route):
        links.append(route.request.url)
        route.fulfill(status=204)

    page.route(f"{stack.api_url}/connect/**", keep)
    start_connecting(page)
    eventually(lambda: (page.wait_for_timeout(50), links)[1], every=0)
    page.unroute(f"{stack.api_url}/connect/**")
    return links[0]


def nothing_is_connected(stack, example, *pages):
    assert [connections_of(stack, example, page) for page in pages] == [[] for _ in pages]


def test_c33_a_foreign_link_attaches_nothing_to_who_opens_it(people, example, stack):
    """
    Bob gets Alice's link and consents with his account: his page began no such trip, and confirms nothing.
    """
    alice, bob = people
    link = begin_and_lose_the_link(alice, stack)

    bob.goto(link)
    consent(bob, bob.person)
    bob.wait_for_selector("#problem:not(:empty)")

    assert "not started here" in bob.inner_text("#problem")
    assert not any(request.url.endswith("/confirm") for request in bob.sent)
    nothing_is_connected(stack, example, alice, bob)


def test_c32_a_page_that_confirms_a_foreign_trip_is_refused(people, example, stack):
    """
    Even if Bob's page believed that the trip is his: it was opened for Alice, and Grantkeeper ends it for good.
    """
    alice, bob = people
    link = begin_and_lose_the_link(alice, stack)
    began = alice.evaluate("sessionStorage.getItem('connect')")
    bob.evaluate("entry => sessionStorage.setItem('connect', entry)", began)

    bob.goto(link)
    consent(bob, bob.person)
    bob.wait_for_selector("#problem:not(:empty)")

    confirmed = next(answer for answer in bob.answers if answer.url.endswith("/confirm") and answer.status != 204)
    assert confirmed.status == 403
    nothing_is_connected(stack, example, alice, bob)


def test_c33_a_finished_trip_attaches_nothing_to_who_is_lured_to_its_end(people, example, stack):
    """
    Bob keeps the address he was sent back to, and Alice opens it: she began nothing.
    """
    alice, bob = people
    bob.route("**/connections/confirm", lambda route: route.abort())
    start_connecting(bob)
    consent(bob, bob.person)
    bob.wait_for_selector("#problem:not(:empty)")
    ends = [request.url for request in bob.sent if request.url.startswith(f"{example.spa_url}/connected?")]

    alice.goto(ends[0])
    alice.wait_for_selector("#problem:not(:empty)")

    assert "not started here" in alice.inner_text("#problem")
    nothing_is_connected(stack, example, alice, bob)


def test_another_persons_connection_is_not_found(people, example, stack):
    """
    The backend's key reaches both people's; it looks whose a connection is before it takes its token.
    """
    alice, bob = people
    connect(bob, bob.person)
    (connection,) = connections_of(stack, example, bob)
    headers = {"authorization": f"Bearer {stored_user(alice)['access_token']}"}
    url = f"{example.backend_url}/connections/{connection['id']}"

    with httpx2.Client(headers=headers, trust_env=False, timeout=30) as client:
        answers = [client.get(f"{url}/account"), client.delete(url), client.get(url[:-4] + "aaaa" + "/account")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert len(connections_of(stack, example, bob)) == 1


@pytest.mark.parametrize("look", LOOKS)
def test_the_pages_are_fit_to_be_seen(open_browser, example, stack, look):
    """
    Light, dark, on a phone and at 500 %: headings, names, contrast, nothing cut off; pictures are left to look at.
    """
    page = open_browser(**LOOKS[look])
    page.goto(example.spa_url)
    page.wait_for_selector("#stranger:not([hidden])")
    picture(page, f"spa-signed-out-{look}")
    assert_fit(page)

    sign_in(page, example, "ada")
    row = connect(page, "ada")
    show_account(row)
    picture(page, "spa" if look == "light" else f"spa-{look}")
    assert_fit(page)
    assert all(button.inner_text() for button in page.locator("button").all())

    page.reload()  # what was taken out of the page above is back
    settled(page)
    row.get_by_text("Disconnect").click()
    row.wait_for(state="detached")


def assert_fit(page):
    """What is not shown is taken out first: a second heading, and the places for messages to come."""
    page.evaluate("document.querySelectorAll('[hidden], p:empty').forEach(each => each.remove())")
    assert_accessible(page)
    for text in page.locator("dt, dd, button, strong, .soft").all():
        assert text.evaluate(CONTRAST, "color") >= 4.5, text.inner_text()
    for button in page.locator("button").all():
        assert button.evaluate(CONTRAST, "borderTopColor") >= 3, button.inner_text()
