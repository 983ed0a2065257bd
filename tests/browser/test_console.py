"""/console in a real browser against the deployed stack: signing in, what each role sees, and how it can be used."""

from __future__ import annotations

import secrets
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.browser.console import AXE, Console
from tests.conftest import need
from tests.e2e.browser import Browser, relying_party
from tests.e2e.conftest import eventually

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.xdist_group("console")]

HOSTILE = '<img src=x onerror="window.struck = true">'
PAGES = {
    "#/overview": "Overview",
    "#/users": "Users",
    "#/connections": "Connections",
    "#/providers": "Providers",
    "#/audit": "Audit",
    "#/clients": "Clients",
    "#/clients/console": "Grantkeeper console",
    "#/api-keys": "API keys",
    "#/health": "Health",
}


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


@pytest.fixture(scope="module")
def person(stack):
    """Somebody nobody has met before, who calls himself like a piece of markup."""
    browser, login = Browser(), f"eve-{secrets.token_hex(4)}@example.com"
    scope = "openid profile email account:write"
    started = relying_party("start", stack.api_url, stack.client_id, stack.redirect_uri, scope, "demo")
    back = browser.open(started["url"], until=stack.redirect_uri, login=login)
    signed_in = relying_party("finish", stack.api_url, stack.client_id, str(back), given=started)
    browser.close()
    bearer = {"authorization": f"Bearer {signed_in['access_token']}"}
    with httpx2.Client(base_url=stack.api_url, headers=bearer, trust_env=False, timeout=30) as client:
        etag = client.get("/v1/profile").headers["etag"]
        changed = client.put("/v1/profile", json={"name": HOSTILE}, headers={"if-match": etag})
    assert changed.status_code == 200, changed.text
    return SimpleNamespace(name=HOSTILE, email=login, sub=changed.json()["sub"])


@pytest.fixture
def connection(stack):
    """A user of the team's own, with a key of his for a service, labelled like a piece of markup."""
    wanted = {"service": "heygen", "user_id": secrets.token_hex(8), "label": HOSTILE, "secret": secrets.token_hex(16)}
    key = {"x-api-key": stack.client_api_key}
    with httpx2.Client(base_url=stack.api_url, headers=key, trust_env=False, timeout=30) as client:
        made = client.post("/v1/connections", json=wanted)
    assert made.status_code == 201, made.text
    return made.json()


def test_w05_every_page_is_fit_to_be_seen_and_asks_nobody_else(admin, stack):
    """
    In both themes nothing that axe-core calls serious, on a phone nothing cut off, the heading in focus.

    Nothing came from elsewhere, and the browser complained of nothing.
    """
    admin.sent.clear()
    for route, heading in PAGES.items():
        admin.open(route, heading)
        assert admin.page.evaluate("document.activeElement.tagName") == "H1", route
        for scheme in ("light", "dark"):
            admin.page.emulate_media(color_scheme=scheme)
            admin.assert_accessible()
        admin.page.set_viewport_size({"width": 360, "height": 740})
        admin.assert_not_cut_off()
        admin.page.set_viewport_size({"width": 1280, "height": 900})

    assert [url for url in admin.sent if not url.startswith((f"{stack.api_url}/", "data:"))] == []
    assert admin.complaints == []
    assert urlsplit(admin.page.url).query == ""  # no code is left in the address


def test_the_overview_shows_the_last_days_as_lines_and_as_tables(admin):
    """As many as are chosen, today last; the choice is in the address."""
    admin.open("#/overview", "Overview")
    admin.page.get_by_text("7 days", exact=True).click()
    admin.page.locator(".chart [role=img][aria-label*='over 7 days']").first.wait_for()

    assert "days=7" in admin.page.url
    assert admin.page.locator(".chart canvas").count() == 3
    admin.page.get_by_text("Sign-ins as a table").click()
    table = admin.page.get_by_role("table", name="Sign-ins")
    assert table.get_by_role("row").count() == 1 + 7
    assert table.get_by_role("cell").first.inner_text().isdigit()


def test_a_theme_is_kept_by_the_browser(admin):
    """Chosen once, it stays over the system's; "system" takes it back."""
    theme = admin.page.get_by_label("Theme")
    ground = "getComputedStyle(document.body).backgroundColor"
    admin.page.emulate_media(color_scheme="light")
    light = admin.page.evaluate(ground)
    theme.select_option("dark")
    dark = admin.page.evaluate(ground)

    assert dark != light
    assert admin.page.evaluate("localStorage.getItem('grantkeeper.theme')") == "dark"
    theme.select_option("")
    assert admin.page.evaluate(ground) == light
    assert admin.page.evaluate("localStorage.getItem('grantkeeper.theme')") is None


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


def test_a_module_that_does_not_come_is_asked_for_again_and_then_told(consoles, stack):
    """Once by itself: a throttled function is there a second later. Then in words, not with an eternal "Loading"."""
    console, failures = consoles(), []

    def fail(route):
        failures.append(route.request.url)
        route.fulfill(status=503, body="")

    console.page.route("**/console/router.js", fail, times=1)
    console.page.goto(f"{stack.api_url}/console")
    console.page.get_by_role("button", name="Continue with Demo").wait_for()
    console.page.route("**/console/router.js", fail, times=2)
    console.page.reload()
    console.page.get_by_text("The console could not be loaded.").wait_for()

    assert len(failures) == 3
    console.close()


def test_somebody_without_a_role_is_told_how_to_get_one(consoles, stack):
    """First he is by invitation only; known from the demo application, he sees the command with his own id."""
    name, console = f"bob-{secrets.token_hex(4)}@example.com", consoles()
    console.page.goto(stack.api_url.replace("localhost", "127.0.0.1") + "/console")  # not its address: it goes there
    console.page.get_by_role("button", name="Continue with Demo").click()
    console.consent(name)

    assert "account here already" in console.page.inner_text("[role=alert]")
    console.assert_accessible()

    sub = console.sign_in_at_the_demo(name)
    console.sign_in(name)

    assert console.page.inner_text("h1") == "You have no role here"
    assert console.page.inner_text("pre").strip() == f"grantkeeper users role {sub} auditor"
    assert not [url for url in console.sent if "/v1/admin/" in url]
    console.assert_accessible()
    console.close()


def test_an_auditor_sees_everything_and_no_way_to_change_it(consoles, person):
    """The same pages, without a single button that writes."""
    console = consoles()
    console.sign_in("grace", at=f"#/users/{person.sub}")  # and one comes back to where one wanted to go
    console.settled(person.name)
    writes = ("Suspend", "Change role", "Erase", "Switch off", "Register a client", "Revoke", "Make a key for a client")

    for route, heading in {f"#/users/{person.sub}": person.name, **PAGES}.items():
        console.open(route, heading)
        buttons = console.page.get_by_role("main").get_by_role("button").all_inner_texts()
        assert not [text for text in buttons if text.startswith(writes)], route
    assert "Auditor" in console.page.inner_text(".who")
    console.page.get_by_role("button", name="Sign out").click()
    console.page.get_by_role("button", name="Continue with Demo").wait_for()
    assert console.page.evaluate("sessionStorage.length") == 0
    assert urlsplit(console.page.url).path == "/console"
    console.close()


def test_a_user_is_found_suspended_and_let_back_and_the_trail_says_so(admin, person):
    """By how his address begins; what was done and why stands in the trail, with who did it."""
    admin.open("#/users", "Users")
    admin.page.get_by_label("E-mail or id").fill(person.email[:10])
    admin.page.keyboard.press("Enter")
    admin.row(person.email).get_by_role("link").click()
    admin.settled(person.name)

    admin.page.get_by_role("button", name="Suspend").click()
    admin.confirm("Suspend", reason="requested")
    admin.page.locator(".facts .status", has_text="Suspended").wait_for()
    admin.page.get_by_role("button", name="Let in again").click()
    admin.confirm("Let in")
    admin.page.locator(".facts .status", has_text="Active").wait_for()

    admin.open(f"#/audit?user={person.sub}&action=user.", "Audit")
    admin.row("user.resumed").wait_for()
    suspended = admin.row("user.suspended").inner_text()
    assert "Requested" in suspended
    assert "user:usr_" in suspended


def test_names_of_strangers_are_text(admin, person, connection):
    """A name that is markup is shown as it is written, in lists and as a heading; nothing of it was run."""
    admin.open(f"#/users?q={person.sub}", "Users")
    assert admin.row(person.sub).get_by_role("link").inner_text() == person.name
    admin.open(f"#/connections?user={connection['user_sub']}", "Connections")
    assert admin.row("heygen").get_by_role("link").first.inner_text() == HOSTILE
    for route in (f"#/users/{person.sub}", f"#/connections/{connection['id']}"):
        admin.open(route, HOSTILE)
        assert admin.page.inner_text("h1") == HOSTILE

    assert admin.page.evaluate("window.struck") is None
    markup = "() => { try { document.createElement('p').innerHTML = '<b>' } catch (error) { return error.name } }"
    assert admin.page.evaluate(markup) == "TypeError"  # and no code could make markup of it
    assert not [url for url in admin.sent if url.endswith("/x")]


def test_a_connection_is_found_by_filters_and_revoked(admin, connection):
    """The route holds the filters; its page says how it stands, what happened, and how it ended."""
    admin.open(f"#/connections?user={connection['user_sub']}", "Connections")
    admin.page.get_by_label("Status").select_option("revoked")
    admin.page.get_by_text("There is no such connection.").wait_for()
    admin.page.get_by_label("Status").select_option("active")
    assert f"user={connection['user_sub']}" in admin.page.url
    admin.row("heygen").get_by_role("link").first.click()
    admin.settled(HOSTILE)
    admin.row("connection.").first.wait_for()

    admin.page.get_by_role("button", name="Revoke").click()
    admin.confirm("Revoke")

    admin.page.locator(".facts .status", has_text="Revoked").wait_for()
    admin.row("connection.revoked").wait_for()
    assert admin.page.get_by_role("button", name="Revoke").count() == 0


def test_t11_power_needs_a_fresh_sign_in_which_leads_back(consoles, stack, person):
    """A sign-in of an hour ago changes no role; one signs in again and is where one was, and then it works."""
    console, answers = consoles(), []
    console.page.on("response", lambda response: response.url.endswith("/oauth2/token") and answers.append(response))
    console.sign_in("ada", at=f"#/users/{person.sub}")
    console.settled(person.name)
    _age(stack, answers[0].json()["refresh_token"], seconds=3600)

    def give(role):
        console.page.get_by_role("button", name="Change role").click()
        console.page.get_by_role("dialog").locator("[name=role]").select_option(role)
        console.page.get_by_role("dialog").get_by_role("button", name="Give role").click()

    give("auditor")
    alert = console.page.get_by_role("dialog").get_by_role("alert")
    assert "15 minutes" in alert.inner_text()
    alert.get_by_role("button", name="Sign in again").click()
    console.consent("ada")
    console.settled(person.name)
    give("auditor")
    console.page.get_by_role("dialog").wait_for(state="detached")
    console.page.locator(".facts dd", has_text="Auditor").wait_for()
    give("user")
    console.page.locator(".facts dd", has_text="User").first.wait_for()
    console.close()


def _age(stack, refresh_token, *, seconds):
    """The session of this refresh token began earlier: in the table, as no client could."""
    table = stack.tables["RequestsTable"]
    family = refresh_token[len("gkr_") : -len("_") - 43]
    stack.aws("dynamodb").update_item(
        TableName=table,
        Key={"pk": {"S": f"SESSION#{family}"}, "sk": {"S": "SESSION"}},
        UpdateExpression="ADD created_at :less",
        ExpressionAttributeValues={":less": {"N": str(-seconds)}},
    )


def test_erasing_takes_the_whole_id_and_shows_what_is_left(admin, connection):
    """The button waits until the id is typed; what still stands is listed, and when the erasure goes on."""
    page, sub = admin.page, connection["user_sub"]
    admin.open(f"#/users/{sub}", sub)
    page.get_by_role("button", name="Erase").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill(sub[:-1])
    assert dialog.get_by_role("button", name="Erase for good").is_disabled()
    dialog.get_by_role("textbox").fill(sub)
    dialog.get_by_role("button", name="Erase for good").click()
    dialog.wait_for(state="detached")

    page.get_by_text("The erasure goes on by itself").wait_for()
    assert page.locator(".facts .status").first.inner_text() == "Erased"
    assert admin.row("Past connections").inner_text().split()[-1] == "1"
    assert page.get_by_role("button", name="Erase").count() == 0


def test_a_day_of_the_trail_is_saved_as_a_file(admin, person):
    """As CSV with its heads, and as lines of JSON; whoever was suspended a moment ago is in both."""
    admin.open("#/audit", "Audit")
    for wanted, begins in (("csv", "time,id,action"), ("ndjson", "{")):
        admin.page.locator("select[name=format]").select_option(wanted)
        with admin.page.expect_download() as download:
            admin.page.get_by_role("button", name="Export").click()
        text = download.value.path().read_text()

        assert download.value.suggested_filename.endswith(f".{wanted}")
        assert text.startswith(begins)
        assert person.sub in text


def test_by_keyboard_one_gets_around(admin):
    """To the content, through the menu, into a dialog and out of it; the focus is seen and comes back."""
    page = admin.page
    admin.open("#/overview", "Overview")
    tab_to(page, "Skip to the content", backwards=True)
    page.keyboard.press("Enter")
    assert focused(page) == "Overview"

    tab_to(page, "Clients", backwards=True)
    page.keyboard.press("Enter")
    admin.settled("Clients")
    tab_to(page, "Register a client")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")

    assert focused(page) == "Register a client"


def test_by_keyboard_alone_a_client_is_registered_given_a_key_and_switched_off(admin):
    """What is shown once is gone when its dialog is."""
    page, name = admin.page, f"Robot {secrets.token_hex(4)}"
    admin.open("#/clients", "Clients")
    tab_to(page, "Register a client")
    page.keyboard.press("Enter")
    tab_to(page, "client_name")
    page.keyboard.type(name)
    tab_to(page, "token_endpoint_auth_method")
    page.keyboard.type("a secret, in a h")
    tab_to(page, "redirect_uris")
    page.keyboard.type("https://robot.example/callback")
    page.keyboard.press("Tab")
    tab_to(page, "Register")
    page.keyboard.press("Enter")
    secret = page.locator(".secret code")
    secret.wait_for()
    shown = secret.inner_text()
    tab_to(page, "I have it")
    page.keyboard.press("Enter")
    admin.settled(name)

    assert len(shown) == 43
    assert shown not in page.content()
    tab_to(page, "Make a key for a client")
    page.keyboard.press("Enter")
    tab_to(page, "name")
    page.keyboard.type("nightly")
    tab_to(page, "connections:read")
    page.keyboard.press("Space")
    tab_to(page, "Make it")
    page.keyboard.press("Enter")
    page.locator(".secret code", has_text="gk_").wait_for()
    tab_to(page, "I have it")
    page.keyboard.press("Enter")
    admin.row("nightly").locator(".status", has_text="Active").wait_for()
    tab_to(page, "Switch off")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    assert focused(page) == "Cancel"  # what harms nobody comes first
    tab_to(page, "Switch off")
    page.keyboard.press("Enter")
    page.locator(".facts .status", has_text="Disabled").wait_for()


def focused(page):
    """What has the focus: its text, name or value."""
    return page.evaluate(
        "(e => e.name === 'scopes' ? e.value : e.name || e.textContent.trim() || e.value)(document.activeElement)"
    )


def tab_to(page, wanted, *, backwards=False, most=60):
    """Press Tab until this has the focus."""
    for _ in range(most):
        if focused(page) == wanted:
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"Tab does not reach {wanted}; the focus is at {focused(page)}")
