"""A client's authorization request: judged, answered, or sent on its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.errors import BadRequest
from grantkeeper.oauth.pkce import code_challenge
from grantkeeper.services.authorize import Chooser, Redirect, authorize
from grantkeeper.services.trips import open_secrets
from tests.doubles.deployment import ISSUER, PUBLIC_CLIENT, REDIRECT_URI, VERIFIER, deployment, register
from tests.doubles.provider import NOON, FakeProvider

BROWSER = ids.digest("browser")
REQUEST = {
    "client_id": "spa",
    "redirect_uri": REDIRECT_URI,
    "response_type": "code",
    "scope": "openid email",
    "state": "client state &?",
    "nonce": "client-nonce",
    "code_challenge": code_challenge(VERIFIER),
    "code_challenge_method": "S256",
    "provider": "example",
}


class OneProvider:
    """A catalog and the registrations of one deployment, from records in the test's hand."""

    def __init__(self, *records, disabled=(), registrations=None):
        self.records = {record.id: record for record in records}
        self._disabled = frozenset(disabled)
        self._registrations = registrations

    def get(self, provider_id):
        from grantkeeper.errors import UnknownProvider

        if provider_id not in self.records:
            raise UnknownProvider("There is no such provider.")
        return self.records[provider_id]

    def signin(self):
        return list(self.records.values())

    def disabled(self):
        return self._disabled

    def registrations(self):
        if self._registrations is not None:
            return self._registrations
        return {name: [{"client_id": "our-client", "state": "active"}] for name in self.records}


@pytest.fixture
def wiring():
    return deployment()


@pytest.fixture
def world():
    return OneProvider(FakeProvider().record())


def ask(wiring: Any, world: Any, parameters: dict[str, Any], *, now: int = NOON) -> Any:
    query = {k: v if isinstance(v, tuple) else (v,) for k, v in parameters.items() if v is not None}
    return authorize(
        query,
        browser_hash=BROWSER,
        issuer=ISSUER,
        clients=wiring.clients,
        authorization_requests=wiring.authorization_requests,
        catalog=world,
        provider_items=world,
        now=now,
    )


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def error_of(answer: Any) -> dict[str, str]:
    assert isinstance(answer, Redirect)
    assert answer.provider is None
    assert answer.location.startswith(REDIRECT_URI + "?")
    return query_of(answer.location)


def test_request_starts_a_trip(wiring, world):
    """The browser goes to the provider; what the client asked waits under the hash of state."""
    answer = ask(wiring, world, REQUEST)

    sent = query_of(answer.location)
    assert answer.provider.id == "example"
    assert answer.location.startswith("https://idp.example/authorize?")
    assert sent["redirect_uri"] == f"{ISSUER}/oauth2/callback/example"
    assert sent["scope"] == "openid email profile"
    trip = wiring.authorization_requests.get(ids.digest(sent["state"]), now=NOON)
    assert (trip.purpose, trip.provider, trip.browser_hash) == ("signin", "example", BROWSER)
    assert (trip.client_id, trip.client_redirect_uri) == ("spa", REDIRECT_URI)
    assert (trip.client_state, trip.client_nonce) == ("client state &?", "client-nonce")
    assert trip.client_scopes == ("openid", "email")
    assert trip.code_challenge == code_challenge(VERIFIER)
    assert trip.expires_at == NOON + 600


def test_c01_c11_trip_has_its_own_verifier_and_nonce(wiring, world):
    """S256 of a fresh verifier, a fresh nonce of at most 64 characters; the table alone knows neither."""
    sent = query_of(ask(wiring, world, REQUEST).location)

    trip = wiring.authorization_requests.get(ids.digest(sent["state"]), now=NOON)
    secrets = open_secrets(sent["state"], trip)
    assert sent["code_challenge"] == code_challenge(secrets.code_verifier)
    assert sent["nonce"] == secrets.nonce
    assert len(secrets.nonce) <= 64
    stored = repr(wiring.aws.dynamodb.scan(TableName="requests")["Items"])
    for secret in (sent["state"], secrets.code_verifier, secrets.nonce):
        assert secret not in stored


def test_c03_nothing_repeats(wiring, world):
    """A hundred trips share no state, challenge or nonce."""
    sent = [query_of(ask(wiring, world, REQUEST).location) for _ in range(100)]

    for name in ("state", "code_challenge", "nonce"):
        assert len({trip[name] for trip in sent}) == 100


def test_signin_asks_for_no_offline_access(wiring, world):
    """Connect parameters stay out: a sign-in must not mint refresh tokens."""
    record = FakeProvider().record(connect_params=(("access_type", "offline"), ("prompt", "consent")))

    sent = query_of(ask(wiring, OneProvider(record), REQUEST).location)

    assert "access_type" not in sent
    assert "prompt" not in sent
    assert "offline_access" not in sent["scope"]


def test_c13_native_client_may_use_any_loopback_port(wiring, world):
    """RFC 8252 section 7.3; only for a registered loopback URI."""
    answer = ask(wiring, world, REQUEST | {"redirect_uri": "http://127.0.0.1:51004/callback"})

    assert answer.provider is not None


@pytest.mark.parametrize(
    "uri",
    [
        None, "", "https://evil.example/callback", "//evil.example", "\\\\evil.example", "https:evil.example",
        "javascript:alert(1)", REDIRECT_URI + "\r\nx: y", REDIRECT_URI + "/", REDIRECT_URI + "?x=1",
        REDIRECT_URI + "#f",
        "https://app.example.com@evil.example/callback", "https://app.example.com.evil.example/callback",
        "https://app.example.com./callback", "https://APP.example.com/callback", "https://app.example.com:443/callback",
        "https://app.example.com/%2f%2fevil.example", "https://app.example.com/x/../callback",
        "https://аpp.example.com/callback",  # noqa: RUF001 - Cyrillic
        "http://127.0.0.1:0/callback", "http://127.0.0.1:99999/callback", "http://127.0.0.1:1@evil.example/callback",
        "http://localhost/callback", "http://127.0.0.1:80/other", "https://127.0.0.1/callback",
        REDIRECT_URI + " ", REDIRECT_URI + "\t", "x" * 5000, (REDIRECT_URI, REDIRECT_URI),
    ],
)  # fmt: skip
def test_c34_w01_unregistered_redirect_uri_is_never_followed(wiring, world, uri):
    """A 400 page, whatever else is in the request; nothing is stored."""
    with pytest.raises(BadRequest):
        ask(wiring, world, REQUEST | {"redirect_uri": uri})

    assert wiring.aws.dynamodb.scan(TableName="requests")["Items"] == []


@pytest.mark.parametrize("client_id", [None, "", "unknown", "../../x", "x" * 100, ("spa", "spa")])
def test_unknown_client_is_a_page(wiring, world, client_id):
    """Nothing of an unknown client's is trusted."""
    with pytest.raises(BadRequest):
        ask(wiring, world, REQUEST | {"client_id": client_id})


def test_disabled_client_is_a_page(wiring, world):
    """As if it were unknown."""
    register(wiring, replace(PUBLIC_CLIENT, status="disabled"))

    with pytest.raises(BadRequest):
        ask(wiring, world, REQUEST)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "email"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "openid " + "x" * 2000}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": VERIFIER + "=" * 10}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://evil.example/r"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"nonce": ("a", "b")}, "invalid_request"),
        ({"scope": ("openid", "openid")}, "invalid_request"),
        ({"provider": ("example", "other")}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1e3"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"provider": "unknown"}, "invalid_request"),
        ({"nonce": "n" * 600}, "invalid_request"),
    ],
)
def test_c10_later_faults_travel_to_the_client(wiring, world, change, error):
    """With its state and our iss, and nothing stored (RFC 6749 section 4.1.2.1, RFC 9207)."""
    told = error_of(ask(wiring, world, REQUEST | change))

    assert (told["error"], told["state"], told["iss"]) == (error, "client state &?", ISSUER)
    assert wiring.aws.dynamodb.scan(TableName="requests")["Items"] == []


def test_repeated_state_is_told_without_it(wiring, world):
    """Neither of two states is the client's."""
    told = error_of(ask(wiring, world, REQUEST | {"state": ("a", "b")}))

    assert told["error"] == "invalid_request"
    assert "state" not in told


def test_w08_state_cannot_break_out_of_the_location(wiring, world):
    """Line breaks and ampersands travel encoded."""
    answer = ask(wiring, world, REQUEST | {"state": "a\r\nset-cookie: x=1&code=stolen", "scope": "email"})

    assert "\r" not in answer.location
    assert "\n" not in answer.location
    assert error_of(answer)["state"] == "a\r\nset-cookie: x=1&code=stolen"
    assert "code" not in error_of(answer)


def test_unknown_scopes_are_left_out(wiring, world):
    """OpenID Connect Core section 3.1.2.1: scope values not understood are ignored; so are those not the client's."""
    sent = query_of(ask(wiring, world, REQUEST | {"scope": "openid admin:write nonsense email openid"}).location)

    trip = wiring.authorization_requests.get(ids.digest(sent["state"]), now=NOON)
    assert trip.client_scopes == ("openid", "email")


def test_resource_of_the_client_is_kept(wiring, world):
    """RFC 8707; our own API is the default and needs no naming."""
    sent = query_of(ask(wiring, world, REQUEST | {"resource": "https://reports.example.com"}).location)
    own = query_of(ask(wiring, world, REQUEST | {"resource": ISSUER}).location)

    read = wiring.authorization_requests.get
    assert read(ids.digest(sent["state"]), now=NOON).resource == "https://reports.example.com"
    assert read(ids.digest(own["state"]), now=NOON).resource is None


def test_no_provider_asks_the_user(wiring):
    """The chooser offers what this client may use, is configured and switched on, by name."""
    records = [
        FakeProvider(provider_id=name).record(display_name=name.title())
        for name in ("zebra", "apple", "off", "unregistered", "foreign")
    ]
    records.append(FakeProvider(provider_id="connect-only").record(signin_scopes=()))
    register(wiring, replace(PUBLIC_CLIENT, providers=("zebra", "apple", "off", "unregistered", "connect-only")))
    registered = {name: [{"client_id": "c"}] for name in ("zebra", "apple", "off", "foreign", "connect-only")}
    world = OneProvider(*records, disabled=("off",), registrations=registered)

    answer = ask(wiring, world, REQUEST | {"provider": None})

    assert isinstance(answer, Chooser)
    assert [provider.id for provider in answer.providers] == ["apple", "zebra"]
    assert wiring.aws.dynamodb.scan(TableName="requests")["Items"] == []


@pytest.mark.parametrize(
    ("world", "error"),
    [
        (OneProvider(FakeProvider().record(), disabled=("example",)), "temporarily_unavailable"),
        (OneProvider(FakeProvider().record(), registrations={}), "temporarily_unavailable"),
        (OneProvider(FakeProvider().record(signin_scopes=())), "invalid_request"),
    ],
)
def test_provider_that_cannot_sign_in_is_an_answer(wiring, world, error):
    """Switched off, not configured, or none that signs users in."""
    assert error_of(ask(wiring, world, REQUEST))["error"] == error


def test_provider_the_client_may_not_use_is_refused(wiring, world):
    """Allowed providers are the client's own list."""
    register(wiring, replace(PUBLIC_CLIENT, providers=("google",)))

    assert error_of(ask(wiring, world, REQUEST))["error"] == "invalid_request"


def test_no_provider_at_all_is_an_answer(wiring):
    """An empty chooser helps nobody."""
    world = OneProvider(FakeProvider().record(), registrations={})

    assert error_of(ask(wiring, world, REQUEST | {"provider": None}))["error"] == "temporarily_unavailable"


def test_prompt_none_needs_a_provider_that_can(wiring, world):
    """It is passed on, or answered login_required at once."""
    silent = query_of(ask(wiring, world, REQUEST | {"prompt": "none"}).location)
    unable = ask(wiring, OneProvider(FakeProvider().record(prompt_values_supported=())), REQUEST | {"prompt": "none"})
    unnamed = ask(wiring, world, REQUEST | {"prompt": "none", "provider": None})

    assert silent["prompt"] == "none"
    assert error_of(unable)["error"] == "login_required"
    assert error_of(unnamed)["error"] == "login_required"


def test_fresh_login_asks_for_proof(wiring, world):
    """prompt=login sends max_age=0 along, without which no provider need say auth_time."""
    login = query_of(ask(wiring, world, REQUEST | {"prompt": "login"}).location)
    aged = query_of(ask(wiring, world, REQUEST | {"max_age": "300"}).location)
    both = query_of(ask(wiring, world, REQUEST | {"prompt": "login", "max_age": "300"}).location)

    assert (login["prompt"], login["max_age"]) == ("login", "0")
    assert (aged.get("prompt"), aged["max_age"]) == (None, "300")
    assert both["max_age"] == "0"
    assert wiring.authorization_requests.get(ids.digest(aged["state"]), now=NOON).max_age == 300


@pytest.mark.parametrize("change", [{"prompt": "login"}, {"max_age": "0"}])
def test_fresh_login_without_id_tokens_is_login_required(wiring, change):
    """auth_time is never invented."""
    world = OneProvider(FakeProvider().record(protocol="oauth2"))

    assert error_of(ask(wiring, world, REQUEST | change))["error"] == "login_required"


def test_provider_without_pkce_gets_none(wiring):
    """And without OpenID no nonce; state protects the trip."""
    world = OneProvider(FakeProvider().record(protocol="oauth2", pkce="unsupported", signin_scopes=("identify",)))

    sent = query_of(ask(wiring, world, REQUEST).location)

    assert "code_challenge" not in sent
    assert "nonce" not in sent


def test_retiring_registration_starts_no_new_trips(wiring):
    """The newest active one does."""
    world = OneProvider(
        FakeProvider().record(),
        registrations={"example": [{"client_id": "old", "state": "retiring"}, {"client_id": "new"}]},
    )

    assert query_of(ask(wiring, world, REQUEST).location)["client_id"] == "new"


def test_c12_trip_hides_its_url_from_logs(wiring, world):
    """The repr of the answer shows no state."""
    answer = ask(wiring, world, REQUEST)

    assert query_of(answer.location)["state"] not in repr(answer)
