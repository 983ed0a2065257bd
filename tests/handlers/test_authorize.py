"""Sending browsers away: the pages, the forms and the connect links of the authorize function."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.model import ConnectSession
from grantkeeper.oauth.pkce import code_challenge
from tests.doubles.deployment import ISSUER, REDIRECT_URI, VERIFIER, audit_event, deployment, register_provider
from tests.doubles.provider import FakeProvider
from tests.support.functions import Function, cookie_jar

REQUEST = {
    "client_id": "spa",
    "redirect_uri": REDIRECT_URI,
    "response_type": "code",
    "scope": "openid",
    "state": "a&b <c>",
    "code_challenge": code_challenge(VERIFIER),
    "code_challenge_method": "S256",
}
COOKIE = "__Host-gk_browser"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def wiring() -> Any:
    wiring = deployment()
    register_provider(wiring, FakeProvider(now=int(time.time())), display_name="Ex<ample> ID")
    return wiring


@pytest.fixture
def authorize(wiring) -> Function:
    return Function("authorize", wiring)


def open_session(wiring: Any, **changes: Any) -> str:
    """A connect session as a client opens one; returns its ticket."""
    now = int(time.time())
    ticket = ids.new_secret()
    session = ConnectSession(
        id=ids.new_id("cs"),
        client_id="spa",
        sub="usr_alice",
        service="example-files",
        provider="example",
        scopes=("openid", "email", "files.read", "offline_access"),
        redirect_uri=REDIRECT_URI,
        ticket_hash=ids.digest(ticket),
        created_at=now,
        expires_at=changes.get("expires_at", now + 600),
        opened_by="key:k",
    )
    wiring.connect_sessions.put(session, audit=audit_event("connect_session.opened"))
    return ticket


def connect(authorize: Function, ticket: str, *, method: str = "GET", **parts: Any) -> Any:
    return authorize(f"{method} /connect/{{ticket}}", path_parameters={"ticket": ticket}, **parts)


def trips(wiring: Any) -> int:
    items = wiring.aws.dynamodb.scan(TableName="requests")["Items"]
    return len([item for item in items if item["pk"]["S"].startswith("AR#")])


def test_chooser_leads_back_with_the_provider_named(wiring, authorize):
    """Its link is the same request and starts a trip; showing it starts none and sets no cookie."""
    page = authorize("GET /oauth2/authorize", query=REQUEST)

    assert (page.status, page.cookies) == (200, ())
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Ex&lt;ample&gt; ID" in page.body
    assert "Example &lt;App&gt;" in page.body
    assert trips(wiring) == 0

    link = page.body.split('href="')[1].split('"')[0].replace("&amp;", "&")
    assert link.startswith(f"{ISSUER}/oauth2/authorize?")
    assert dict(parse_qsl(urlsplit(link).query)) == REQUEST | {"provider": "example"}
    assert authorize("GET /oauth2/authorize", query=urlsplit(link).query).status == 303
    assert trips(wiring) == 1


def test_post_is_sent_on_to_the_get(authorize):
    """A cross-site POST has no Lax cookie: answering it would replace the browser's binding (C-04)."""
    answer = authorize("POST /oauth2/authorize", form=REQUEST | {"provider": "example"})

    assert (answer.status, answer.cookies) == (303, ())
    assert answer.location.startswith(f"{ISSUER}/oauth2/authorize?")
    follow = authorize("GET /oauth2/authorize", query=urlsplit(answer.location).query)
    assert follow.location.startswith("https://idp.example/authorize?")


@pytest.mark.parametrize(
    "form", ["client_id=a&client_id=b", "state=" + "x" * 7000, "a=%ff", "&".join(f"a{n}=" for n in range(100))]
)
def test_post_that_cannot_be_sent_on_is_a_page(authorize, form):
    """Repeated, too long, not UTF-8, too many."""
    answer = authorize("POST /oauth2/authorize", form=form)

    assert answer.status == 400
    assert "location" not in answer.headers


def test_w12_post_of_another_type_is_refused(authorize):
    """A form, nothing else."""
    answer = authorize("POST /oauth2/authorize", body='{"client_id":"spa"}', headers={"content-type": "text/plain"})

    assert answer.status == 415
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("query", ["", "client_id=%3Cscript%3E", "client_id=spa&redirect_uri=javascript:alert(1)"])
def test_w18_error_page_echoes_nothing(authorize, query):
    """What was sent does not come back."""
    answer = authorize("GET /oauth2/authorize", query=query)

    assert answer.status == 400
    assert "script" not in answer.body.replace("robots", "")
    assert "alert(1)" not in answer.body


def test_connect_link_starts_a_trip(wiring, authorize):
    """To the provider, with the session's scopes and connect parameters, bound to this browser."""
    answer = connect(authorize, open_session(wiring))

    assert answer.status == 303
    sent = {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}
    assert sent["scope"] == "openid email files.read offline_access"
    assert sent["redirect_uri"] == f"{ISSUER}/oauth2/callback/example"
    trip = wiring.authorization_requests.get(ids.digest(sent["state"]), now=int(time.time()))
    assert trip.purpose == "connect"
    assert trip.browser_hash == ids.digest(cookie_jar(*answer.cookies)[COOKIE])


def test_connect_link_may_be_followed_again(wiring, authorize):
    """Every visit is a trip of its own; a browser keeps its binding."""
    ticket = open_session(wiring)
    first = connect(authorize, ticket)

    again = connect(authorize, ticket, cookies=cookie_jar(*first.cookies))

    assert again.status == 303
    assert again.location != first.location
    assert cookie_jar(*again.cookies) == cookie_jar(*first.cookies)


def test_c38_head_of_a_connect_link_counts_for_nothing(wiring, authorize):
    """A link preview starts no trip and sets no cookie."""
    answer = connect(authorize, open_session(wiring), method="HEAD")

    assert (answer.status, answer.body, answer.cookies) == (200, "", ())
    assert trips(wiring) == 0


@pytest.mark.parametrize("ticket", ["unknown", "../../x", "a" * 43, "a" * 5000])
def test_unknown_connect_link_is_a_page(authorize, ticket):
    """410, for people."""
    answer = connect(authorize, ticket)

    assert answer.status == 410
    assert answer.headers["content-type"].startswith("text/html")


def test_no_secret_is_read_to_send_a_browser_away(wiring, authorize):
    """The function may see none: Parameter Store is not asked, KMS is not called."""
    asked, kms = len(wiring.aws.ssm.faults.calls), len(wiring.aws.kms.faults.calls)

    assert authorize("GET /oauth2/authorize", query=REQUEST | {"provider": "example"}).status == 303
    assert connect(authorize, open_session(wiring)).status == 303

    assert len(wiring.aws.ssm.faults.calls) == asked
    assert len(wiring.aws.kms.faults.calls) == kms


def test_c36_form_post_provider_gets_a_cookie_of_its_own(wiring):
    """SameSite=None for its callback path alone, beside the Lax one."""
    register_provider(wiring, FakeProvider(provider_id="posts"), response_mode="form_post")
    authorize = Function("authorize", wiring)

    answer = authorize("GET /oauth2/authorize", query=REQUEST | {"provider": "posts"})

    lax, none = answer.cookies
    assert "SameSite=Lax" in lax
    assert none.startswith("__Secure-gk_post=")
    assert {"Path=/oauth2/callback/posts", "SameSite=None", "Secure", "HttpOnly"} <= set(none.split("; "))
    assert parse_qs(urlsplit(answer.location).query)["response_mode"] == ["form_post"]


def test_loopback_issuer_gets_a_plain_cookie():
    """The local run speaks http."""
    wiring = deployment(ISSUER="http://localhost:8080")
    register_provider(wiring, FakeProvider())

    answer = Function("authorize", wiring)("GET /oauth2/authorize", query=REQUEST | {"provider": "example"})

    (cookie,) = answer.cookies
    assert cookie.startswith("gk_browser=")
    assert "Secure" not in cookie


def test_store_trouble_is_a_503_page(wiring, authorize):
    """And no half-started trip: without its request nobody is sent anywhere."""
    wiring.aws.dynamodb.faults.unreachable("put_item", times=50)

    answer = authorize("GET /oauth2/authorize", query=REQUEST | {"provider": "example"})

    assert answer.status == 503
    assert "location" not in answer.headers


def test_w10_trips_are_limited_by_the_gateways_address(wiring, authorize):
    """The 121st within a minute is a 429 with a time to come back, whatever X-Forwarded-For says."""
    query = REQUEST | {"provider": "example"}
    authorize.module.TRIPS_PER_MINUTE = 3
    answers = [
        authorize("GET /oauth2/authorize", query=query, headers={"x-forwarded-for": f"192.0.2.{n}"}) for n in range(5)
    ]

    assert 429 in [answer.status for answer in answers]
    assert trips(wiring) <= 4  # the window may have turned over once
    refused = next(answer for answer in answers if answer.status == 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert authorize("GET /oauth2/authorize", query=REQUEST).status == 200


@pytest.mark.parametrize("name", ["authorize", "callback"])
def test_hot_functions_start_light(name):
    """Neither pydantic nor a JOSE library nor an HTTP client nor a router is loaded before it is needed."""
    heavy = ("pydantic", "boto3", "authlib", "joserfc", "httpx2", "aws_lambda_powertools.event_handler",
             "aws_xray_sdk", "aws_lambda_powertools.utilities.parser")  # fmt: skip
    script = f"import app, sys; print([m for m in {heavy!r} if m in sys.modules])"
    path = f"{ROOT / 'functions' / name}:{ROOT / 'layers' / 'common'}"

    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
