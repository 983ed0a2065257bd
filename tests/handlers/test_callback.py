"""The callback of providers that answer by POST, and of trips that were for connecting."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.model import ConnectSession
from grantkeeper.oauth.pkce import code_challenge
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import (
    REDIRECT_URI,
    VERIFIER,
    actions,
    audit_event,
    deployment,
    provision,
    register_provider,
    trail,
)
from tests.doubles.provider import FakeProvider
from tests.support.functions import Answer, Function, cookie_jar

POST = "POST /oauth2/callback/{provider}"
GET = "GET /oauth2/callback/{provider}"
REQUEST = {
    "client_id": "spa",
    "redirect_uri": REDIRECT_URI,
    "response_type": "code",
    "scope": "openid",
    "state": "client-state",
    "code_challenge": code_challenge(VERIFIER),
    "code_challenge_method": "S256",
    "provider": "example",
}


class World:
    """Authorize and callback over one deployment."""

    def __init__(self, **record: Any) -> None:
        self.wiring = deployment()
        self.provider = FakeProvider(now=int(time.time()))
        register_provider(self.wiring, self.provider, **record)
        provision(self.wiring)
        self.authorize = Function("authorize", self.wiring)
        self.callback = Function("callback", self.wiring)

    def start(self) -> tuple[str, dict[str, str]]:
        answer = self.authorize("GET /oauth2/authorize", query=REQUEST)
        return answer.location, cookie_jar(*answer.cookies)

    def start_connect(self) -> tuple[str, dict[str, str], str]:
        now, ticket = int(time.time()), ids.new_secret()
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
            expires_at=now + 600,
            state="their-state",
            opened_by="key:k",
        )
        self.wiring.connect_sessions.put(session, audit=audit_event("connect_session.opened"))
        answer = self.authorize("GET /connect/{ticket}", path_parameters={"ticket": ticket})
        return answer.location, cookie_jar(*answer.cookies), session.id

    def come_back(self, parameters: dict[str, str], jar: dict[str, str], *, route: str = GET) -> Answer:
        body = {"form" if route == POST else "query": parameters}
        return self.callback(route, cookies=jar, path_parameters={"provider": "example"}, **body)


def told(answer: Answer) -> dict[str, str]:
    assert answer.status == 303, answer.body
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def test_c36_form_post_completes_with_its_own_cookie():
    """A cross-site POST brings only the SameSite=None cookie."""
    world = World(response_mode="form_post")
    url, jar = world.start()

    answer = world.come_back(world.provider.consent(url), {"__Secure-gk_post": jar["__Secure-gk_post"]}, route=POST)

    assert "code" in told(answer)


def test_c36_form_post_without_cookie_consumes_nothing():
    """Nor with another browser's."""
    world = World(response_mode="form_post")
    url, jar = world.start()
    parameters = world.provider.consent(url)

    for other in ({}, {"__Secure-gk_post": "x" * 43}):
        assert world.come_back(parameters, other, route=POST).status == 400
    assert world.provider.token_calls == []
    assert "code" in told(world.come_back(parameters, jar, route=POST))


def test_c36_post_is_for_providers_that_registered_it():
    """405 otherwise, and the trip lives on."""
    world = World()
    url, jar = world.start()
    parameters = world.provider.consent(url)

    assert world.come_back(parameters, jar, route=POST).status == 405
    assert "code" in told(world.come_back(parameters, jar))


def test_post_to_an_unknown_provider_is_a_page():
    """404."""
    world = World()

    answer = world.callback(POST, form={"state": "a"}, path_parameters={"provider": "nobody"})

    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_connect_trip_comes_back_with_a_confirmation():
    """Tokens wait sealed and unconfirmed; the client gets what it needs to confirm, and none of them."""
    world = World()
    url, jar, session_id = world.start_connect()

    answer = world.come_back(world.provider.consent(url), jar)

    arrived = told(answer)
    assert (arrived["connect_session"], arrived["state"]) == (session_id, "their-state")
    assert arrived["confirmation"]
    session = world.wiring.connect_sessions.get(session_id, now=int(time.time()))
    assert session.status == "authorized"
    stored = repr([world.wiring.aws.dynamodb.scan(TableName=name) for name in ("grants", "requests", "audit")])
    family = world.provider._families[0]
    for token in (*family.access_tokens, *family.refresh_tokens, arrived["confirmation"]):
        assert token not in stored
    assert "connection.pending" in actions(world.wiring)


def test_declined_connect_goes_back_to_the_client():
    """The session stays open: the link may be tried again."""
    world = World()
    url, jar, session_id = world.start_connect()

    arrived = told(world.come_back(world.provider.consent(url, deny="access_denied"), jar))

    assert (arrived["error"], arrived["connect_session"]) == ("access_denied", session_id)
    assert world.wiring.connect_sessions.get(session_id, now=int(time.time())).status == "open"


def test_second_trip_of_a_finished_session_spends_no_code():
    """Another trip of the same link came back first: the provider is not asked."""
    world = World()
    first, jar, session_id = world.start_connect()
    world.come_back(world.provider.consent(first), jar)
    session = world.wiring.connect_sessions.get(session_id, now=int(time.time()))
    assert session.status == "authorized"
    calls = len(world.provider.token_calls)

    from grantkeeper.services.trips import new_trip

    late = new_trip(
        provider=world.provider.record(),
        credentials_id=world.provider.client_id,
        browser_hash=ids.digest(jar["__Host-gk_browser"]),
        scopes=session.scopes,
        purpose="connect",
        issuer=world.wiring.issuer,
        now=int(time.time()),
        details={"connect_session_id": session_id},
    )
    world.wiring.authorization_requests.put(late.request)
    answer = world.come_back(world.provider.consent(late.url), jar)

    assert answer.status == 410
    assert len(world.provider.token_calls) == calls


def test_r12_key_trouble_is_counted_where_the_alarm_looks(capsys):
    """The tokens of a consent cannot be sealed: nothing is kept in clear, and the operator hears of it."""
    world = World()
    world.wiring.env["POWERTOOLS_METRICS_NAMESPACE"] = "Grantkeeper"
    url, jar, _ = world.start_connect()
    parameters = world.provider.consent(url)
    world.wiring.aws.kms.disable()
    try:
        world.come_back(parameters, jar)
    finally:
        world.wiring.aws.kms.enable()  # one KMS serves the tests of the whole run

    assert '"KmsRefused":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize("purpose", ["signin", "connect"])
def test_f28_a_refused_registration_alarms_the_operator_and_nobody_else(purpose, capsys):
    """Code exchange: the client hears of an error, the operator of its cause; the next success ends it (C-53)."""
    world = World()
    world.wiring.env["POWERTOOLS_METRICS_NAMESPACE"] = "Grantkeeper"
    url, jar = (world.start() if purpose == "signin" else world.start_connect())[:2]
    world.provider.answer_next(401, {"error": "invalid_client", "error_description": "their words"})

    arrived = told(world.come_back(world.provider.consent(url), jar))

    assert arrived["error"] in ("server_error", "temporarily_unavailable")
    assert "their words" not in str(arrived)
    printed = capsys.readouterr().out
    assert '"ProviderMisconfigured":[1.0]' in printed
    assert '"OperatorAttention":[1.0]' in printed
    [entry] = [item for item in trail(world.wiring) if item["action"] == "provider.misconfigured"]
    assert entry["reason"] == "invalid_client"
    assert memory_wiring(aws=world.wiring.aws).breakers.misconfigured("example")
    assert memory_wiring(aws=world.wiring.aws).breakers.open_until("example") == 0

    url, jar = (world.start() if purpose == "signin" else world.start_connect())[:2]
    assert "error" not in told(world.come_back(world.provider.consent(url), jar))
    assert not memory_wiring(aws=world.wiring.aws).breakers.misconfigured("example")


def test_f28_what_a_browser_says_of_our_registration_alarms_nobody():
    """Anybody can write `error=unauthorized_client` into an address; only the token endpoint's word counts."""
    world = World()
    url, jar, _ = world.start_connect()

    answer = world.come_back(world.provider.consent(url, deny="unauthorized_client"), jar)

    assert told(answer)["error"] == "server_error"
    assert not memory_wiring(aws=world.wiring.aws).breakers.misconfigured("example")
    assert "provider.misconfigured" not in actions(world.wiring)


@pytest.mark.parametrize("operation", ["get_item", "update_item"])
def test_store_trouble_leaves_the_trip_for_another_try(operation):
    """503, and the same URL works afterwards: the code was not spent."""
    world = World()
    url, jar = world.start()
    parameters = world.provider.consent(url)
    world.wiring.aws.dynamodb.faults.unreachable(operation, times=50)

    assert world.come_back(parameters, jar).status == 503

    assert world.provider.token_calls == []
    world.wiring.aws.dynamodb.faults._planned.clear()
    assert "code" in told(world.come_back(parameters, jar))
