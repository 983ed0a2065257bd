"""
A second client asks for a connection on a page of ours: whoever answers is its user, in his own browser, and once.

Three functions over one world; `Browser` keeps cookies and follows redirects up to the provider and back.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from grantkeeper.model import Principal
from tests.doubles.api import api_of
from tests.doubles.connect_world import ALICE, BACK, BOB, SERVICE
from tests.doubles.errand_world import ALICES, BOBS, ErrandWorld
from tests.doubles.provider import Account
from tests.support.functions import Answer, Function, cookie_jar

READ = ("connections:read", "connections:token")


class Browser:
    """One browser, and the functions its requests reach."""

    def __init__(self, world: ErrandWorld) -> None:
        self.world = world
        self.jar: dict[str, str] = {}
        self.functions = {name: Function(name, world.wiring) for name in ("authorize", "callback", "connections")}

    def ask(self, function: str, route: str, **parts: Any) -> Answer:
        answer = self.functions[function](route, cookies=self.jar, **parts)
        self.jar |= cookie_jar(*answer.cookies)
        return answer

    def follow(self, consent_url: str, *, account: Account = ALICES, deny: str | None = None) -> Answer:
        """From the link to whatever the callback answers."""
        ticket = {"ticket": consent_url.rpartition("/")[2]}
        sent = self.ask("authorize", "GET /consent/{ticket}", path_parameters=ticket, query={"provider": "example"})
        assert sent.status == 303, sent.body
        back = self.world.provider.consent(sent.location, account=account, deny=deny)
        return self.ask(
            "callback", "GET /oauth2/callback/{provider}", path_parameters={"provider": "example"}, query=back
        )

    def page(self, location: str) -> Answer:
        assert location.startswith(f"{self.world.wiring.issuer}/allow/")
        return self.ask("connections", "GET /allow/{id}", path_parameters={"id": location.rpartition("/")[2]})

    def answer(self, location: str, answer: str = "allow", *, headers: Any = None, **changes: Any) -> Answer:
        """Press a button of the page."""
        form = fields(self.page(location)) | {"answer": answer} | changes
        form = {name: value for name, value in form.items() if value is not None}
        headers = {"origin": self.world.wiring.issuer} if headers is None else headers
        path = {"id": location.rpartition("/")[2]}
        return self.ask("connections", "POST /allow/{id}", path_parameters=path, form=form, headers=headers)


def fields(page: Answer) -> dict[str, str]:
    """What the form holds before anybody chose: hidden values, and a single choice."""
    return dict(re.findall(r'name="(form_token|connection)" value="([^"]*)"', page.body))


def told(answer: Answer) -> dict[str, str]:
    assert answer.status == 303, answer.body
    assert answer.location.startswith(f"{BACK}?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def is_page(answer: Answer, status: int) -> bool:
    return answer.status == status and answer.headers["content-type"].startswith("text/html")


@pytest.fixture
def api(monkeypatch):
    api = api_of(monkeypatch, "connections")
    api.world = ErrandWorld(wiring=api.world.wiring)
    monkeypatch.setattr(time, "time", lambda: float(api.world.now))
    api.world.add_client("other")
    api.world.signed_in("usr_alice", sid="sid_other", client_id="other")
    return api


@pytest.fixture
def browser(api):
    return Browser(api.world)


def asks(api, **body: Any) -> Any:
    """The second client's backend asks, for a connection of Alice's at the service unless said otherwise."""
    wanted = {"redirect_uri": BACK, "user_sub": "usr_alice", "state": "theirs", **body}
    if not {"service", "connection_id"} & set(body):
        wanted["service"] = SERVICE
    key = api.key("other", *READ)
    return api.call("POST", "/v1/consent-requests", as_=key, json={k: v for k, v in wanted.items() if v is not None})


def consented(api, connection) -> bool:
    return bool(api.world.wiring.connections.has_consent("usr_alice", "other", connection.id))


def test_a_user_allows_a_second_client_his_connection(api, browser):
    """Chooser, provider, page, and back; from then on that client sees it. Audited with what he agreed to."""
    connection = api.world.connect(ALICE)
    asked = asks(api)
    assert asked.status == 201
    assert asked.body["expires_at"] == api.world.now + 600
    path = {"ticket": asked.body["consent_url"].rpartition("/")[2]}
    chooser = browser.ask("authorize", "GET /consent/{ticket}", path_parameters=path)
    assert chooser.status == 200
    assert "provider=example" in chooser.body
    assert "provider=second" in chooser.body

    landed = browser.follow(asked.body["consent_url"])
    page = browser.page(landed.location)

    assert page.status == 200
    for shown in ("Let Other use a connection?", "Example Files", "alice@example.com", "files.read"):
        assert shown in page.body
    assert not consented(api, connection), "a page that was looked at allows nothing"

    back = told(browser.answer(landed.location))

    assert back == {
        "consent_request": asked.body["id"], "result": "granted", "connection_id": connection.id, "state": "theirs"
    }  # fmt: skip
    assert consented(api, connection)
    (granted,) = [e for e in api.world.trail() if e.action == "consent.granted"]
    assert (granted.actor, granted.client_id, granted.connection_id) == ("user:usr_alice", "other", connection.id)
    consents = api.world.wiring.consents.list("usr_alice")
    assert {(c.client_id, c.scopes) for c in consents} == {("app", connection.scopes), ("other", connection.scopes)}


def test_a_user_denies(api, browser):
    """The client is told, and nothing changed; there is no second answer."""
    connection = api.world.connect(ALICE)
    location = browser.follow(asks(api).body["consent_url"]).location
    form = fields(browser.page(location))

    assert told(browser.answer(location, "deny"))["result"] == "denied"

    assert not consented(api, connection)
    again = browser.ask(
        "connections", "POST /allow/{id}", path_parameters={"id": location.rpartition("/")[2]},
        form=form | {"answer": "allow"}, headers={"origin": api.world.wiring.issuer},
    )  # fmt: skip
    assert is_page(again, 410)
    assert not consented(api, connection)
    assert "consent.denied" in api.world.actions()


def test_an_answer_is_given_once(api, browser):
    """A double click finds it given."""
    connection = api.world.connect(ALICE)
    location = browser.follow(asks(api).body["consent_url"]).location
    form = fields(browser.page(location)) | {"answer": "allow"}
    post = {"path_parameters": {"id": location.rpartition("/")[2]}, "headers": {"origin": api.world.wiring.issuer}}

    answers = [browser.ask("connections", "POST /allow/{id}", form=form, **post).status for _ in range(3)]

    assert answers == [303, 410, 410]
    assert consented(api, connection)
    assert api.world.actions().count("consent.granted") == 1


def test_c32_another_person_learns_nothing_and_answers_nothing(api, browser):
    """Bob got the link: he proves to be Bob. A page that names nobody, an entry in Alice's trail, and it is over."""
    connection = api.world.connect(ALICE)
    consent_url = asks(api).body["consent_url"]

    refused = browser.follow(consent_url, account=BOBS)

    assert is_page(refused, 403)
    assert not {"alice", "Example Files", connection.id} & set(re.findall(r"[\w@.]+", refused.body))
    assert ("consent.refused", "other_user") in {(e.action, e.reason) for e in api.world.trail()}
    late = browser.ask("authorize", "GET /consent/{ticket}", path_parameters={"ticket": consent_url.rpartition("/")[2]})
    assert is_page(late, 410)
    assert not consented(api, connection)


def test_c31_another_browser_is_shown_nothing(api, browser):
    """The address of the page is no secret: without the cookie of the browser that proved itself it is a refusal."""
    connection = api.world.connect(ALICE)
    location = browser.follow(asks(api).body["consent_url"]).location
    form = fields(browser.page(location))

    for jar in ({}, {"__Host-gk_browser": "x" * 43}):
        stranger = Browser(api.world)
        stranger.jar = jar
        assert is_page(stranger.page(location), 400)
        path, headers = {"id": location.rpartition("/")[2]}, {"origin": api.world.wiring.issuer}
        posted = stranger.ask(
            "connections", "POST /allow/{id}", path_parameters=path, headers=headers, form=form | {"answer": "allow"}
        )
        assert is_page(posted, 400)
    assert not consented(api, connection)
    assert told(browser.answer(location))["result"] == "granted", "and nothing was consumed"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": "https://id.example.com.evil.example"},
        {"origin": "http://id.example.com"},
        {"origin": "https://id.example.com", "sec-fetch-site": "cross-site"},
        {"origin": "https://id.example.com", "sec-fetch-site": "same-site"},
    ],
)
def test_w04_a_form_of_another_site_answers_nothing(api, browser, headers):
    """Whatever it holds; the cookie came along, the origin tells."""
    connection = api.world.connect(ALICE)
    location = browser.follow(asks(api).body["consent_url"]).location

    assert is_page(browser.answer(location, headers=headers), 400)
    assert not consented(api, connection)


@pytest.mark.parametrize("form_token", [None, "", "x" * 43])
def test_w04_a_form_without_the_pages_value_answers_nothing(api, browser, form_token):
    """The origin alone is not believed either."""
    connection = api.world.connect(ALICE)
    location = browser.follow(asks(api).body["consent_url"]).location

    assert is_page(browser.answer(location, form_token=form_token), 400)
    assert not consented(api, connection)


def test_w04_the_value_of_one_request_is_none_for_another(api, browser):
    """Two requests in one browser."""
    api.world.connect(ALICE)
    first = browser.follow(asks(api).body["consent_url"]).location
    second = browser.follow(asks(api).body["consent_url"]).location
    other = fields(browser.page(first))["form_token"]

    assert is_page(browser.answer(second, form_token=other), 400)


def test_w05_the_page_cannot_be_framed_styled_or_led_astray(api, browser):
    """Its policy names our style, our origin and the client's; every name on it is escaped."""
    api.world.connect(ALICE, account=Account("x", {"email": '"><script>alert(1)</script>@x.org'}))
    location = browser.follow(asks(api).body["consent_url"]).location
    page = browser.page(location)

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://app.example" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "no-store" in page.headers["cache-control"]
    assert "<script>" not in page.body
    assert "&lt;script&gt;" in page.body


@pytest.mark.parametrize("whose", ["nobody's", "bob's", "disconnected"])
def test_t02_what_is_not_his_is_asked_for_like_what_is(api, browser, whose):
    """The client is answered the same; the page has nothing to allow, and he who insists allows nothing."""
    mine = api.world.connect(ALICE)
    wanted = {
        "nobody's": "con_none",
        "bob's": api.world.connect(BOB).id,
        "disconnected": api.world.connect(ALICE, account=Account("old")).id,
    }[whose]
    if whose == "disconnected":
        api.world.disconnect(wanted)
    real, other = asks(api, connection_id=mine.id), asks(api, connection_id=wanted)
    assert (
        (real.status, set(real.body)) == (other.status, set(other.body)) == (201, {"id", "consent_url", "expires_at"})
    )

    location = browser.follow(other.body["consent_url"]).location
    page = browser.page(location)

    assert "There is nothing Other could use" in page.body
    assert 'value="allow"' not in page.body
    assert is_page(browser.answer(location, connection=wanted), 400)
    assert is_page(browser.answer(location, connection=mine.id), 400)
    assert told(browser.answer(location, "deny")) == {
        "consent_request": other.body["id"], "result": "denied", "state": "theirs"
    }  # fmt: skip
    assert {c.client_id for c in api.world.wiring.consents.list("usr_alice")} == {"app"}


def test_of_several_connections_he_chooses_one(api, browser):
    """Each with its account; none is ticked for him."""
    first = api.world.connect(ALICE)
    second = api.world.connect(ALICE, account=Account("work", {"email": "work@example.com"}))
    location = browser.follow(asks(api).body["consent_url"]).location

    page = browser.page(location)
    assert "alice@example.com" in page.body
    assert "work@example.com" in page.body
    assert "checked" not in page.body.partition("</style>")[2]
    assert is_page(browser.answer(location, connection=None), 400)
    assert told(browser.answer(location, connection=second.id))["connection_id"] == second.id

    assert (consented(api, first), consented(api, second)) == (False, True)


def test_a_service_the_client_may_not_use_is_not_offered(api, browser):
    """Not by its name, and not by a connection's id."""
    connection = api.world.connect(ALICE)
    api.world.add_client("other", services=("example-keys",))

    assert asks(api).status == 403
    location = browser.follow(asks(api, connection_id=connection.id).body["consent_url"]).location
    assert "There is nothing" in browser.page(location).body


def test_who_cannot_sign_in_cannot_be_asked(api):
    """A user who is a client's own id and no more, and one who was never seen: one answer."""
    api.world.connect(Principal("api_key", ALICE.scopes, client_id="other", key_id="k"), names={"user_id": "42"})

    known, never = asks(api, user_sub=None, user_id="42"), asks(api, user_sub=None, user_id="43")

    assert (known.status, known.body["type"].rpartition("/")[2]) == (409, "no-sign-in")
    assert known.told == never.told


def test_t02_a_user_whom_the_client_does_not_know_does_not_exist(api):
    """By our id."""
    assert asks(api, user_sub="usr_bob").status == 404
    assert asks(api, user_sub="usr_none").told == asks(api, user_sub="usr_bob").told


def test_a_signed_in_user_asks_for_himself(api):
    """And for nobody else."""
    wanted = {"redirect_uri": BACK, "service": SERVICE}
    alice = api.user(client_id="other")
    assert api.call("POST", "/v1/consent-requests", as_=alice, json=wanted).status == 201
    other = api.call("POST", "/v1/consent-requests", as_=alice, json=wanted | {"user_sub": "usr_bob"})
    assert other.status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"service": SERVICE, "connection_id": "con_1"},
        {"service": None, "connection_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/"},
        {"scopes": "files.read"},
        {"user_id": "42"},
        {"state": "s" * 1025},
    ],
)
def test_t06_what_is_asked_for_is_said_exactly(api, body):
    """Nothing missing, nothing more, no contradiction."""
    assert asks(api, **body).status == 400


def test_a_provider_that_says_no_sends_him_back_to_try_again(api, browser):
    """The client is told in a registered word; the link stays open for ten minutes."""
    connection = api.world.connect(ALICE)
    consent_url = asks(api).body["consent_url"]

    assert told(browser.follow(consent_url, deny="access_denied"))["error"] == "access_denied"
    assert told(browser.answer(browser.follow(consent_url).location))["result"] == "granted"
    assert consented(api, connection)


def test_a_request_is_over_after_ten_minutes(api, browser):
    """Wherever it stands."""
    api.world.connect(ALICE)
    consent_url = asks(api).body["consent_url"]
    location = browser.follow(consent_url).location
    api.world.now += 600

    assert is_page(browser.page(location), 410)
    path = {"ticket": consent_url.rpartition("/")[2]}
    assert is_page(browser.ask("authorize", "GET /consent/{ticket}", path_parameters=path), 410)


def test_w01_a_redirect_uri_that_was_withdrawn_gets_no_answer(api, browser):
    """Nor does a client that was switched off."""
    connection = api.world.connect(ALICE)
    location = browser.follow(asks(api).body["consent_url"]).location
    api.world.add_client("other", redirect_uris=("https://new.example/back",))

    assert is_page(browser.page(location), 410)
    assert not consented(api, connection)
    assert "alice" not in json.dumps(dict(browser.page(location).headers))
