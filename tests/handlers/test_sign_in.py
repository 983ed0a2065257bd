"""A whole sign-in through the handlers: authorize, the provider, callback, token."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.errors import ProviderUnavailable
from grantkeeper.oauth.pkce import code_challenge
from tests.doubles.deployment import (
    ISSUER,
    PUBLIC_CLIENT,
    REDIRECT_URI,
    VERIFIER,
    actions,
    audit_event,
    deployment,
    register,
    register_provider,
    trail,
)
from tests.doubles.provider import Account, FakeProvider
from tests.support.functions import Answer, Function, cookie_jar

CALLBACK = "GET /oauth2/callback/{provider}"
REQUEST = {
    "client_id": "spa",
    "redirect_uri": REDIRECT_URI,
    "response_type": "code",
    "scope": "openid profile email",
    "state": "client-state",
    "nonce": "client-nonce",
    "code_challenge": code_challenge(VERIFIER),
    "code_challenge_method": "S256",
    "provider": "example",
}
COOKIE = "__Host-gk_browser"


class Deployment:
    """Three functions over one world, and a browser's view of them."""

    def __init__(self, **record: Any) -> None:
        self.wiring = deployment()
        self.provider = FakeProvider(now=int(time.time()))
        register_provider(self.wiring, self.provider, **record)
        self.authorize = Function("authorize", self.wiring)
        self.callback = Function("callback", self.wiring)
        self.session = Function("session", self.wiring)

    def start(self, jar: dict[str, str] | None = None, **changes: str) -> tuple[str, dict[str, str]]:
        """Go to the provider; returns the URL of its consent page and the browser's cookies."""
        answer = self.authorize("GET /oauth2/authorize", query=REQUEST | changes, cookies=jar)
        assert answer.status == 303, answer.body
        return answer.location, (jar or {}) | cookie_jar(*answer.cookies)

    def come_back(
        self, parameters: Mapping[str, str] | str, jar: Mapping[str, str], *, provider: str = "example"
    ) -> Answer:
        return self.callback(CALLBACK, query=parameters, cookies=jar, path_parameters={"provider": provider})

    def sign_in(self, *, account: Account | None = None, **changes: str) -> Answer:
        url, jar = self.start(**changes)
        return self.come_back(self.provider.consent(url, account=account), jar)

    def tokens(self, answer: Answer, *, client_id: str = "spa") -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": told(answer)["code"],
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "client_id": client_id,
        }
        answer = self.session("POST /oauth2/token", form=form)
        assert answer.status == 200, answer.body
        return answer.json

    def sub(self, answer: Answer) -> str:
        headers = {"authorization": f"Bearer {self.tokens(answer)['access_token']}"}
        return self.session("GET /oauth2/userinfo", headers=headers).json["sub"]

    def users(self) -> list[dict[str, Any]]:
        items = self.wiring.aws.dynamodb.scan(TableName="grants")["Items"]
        return [item for item in items if item["sk"]["S"] == "USER"]


@pytest.fixture
def world() -> Deployment:
    return Deployment()


def told(answer: Answer) -> dict[str, str]:
    """What the client is told, at its own redirect_uri."""
    assert answer.status == 303, answer.body
    assert answer.location.startswith(REDIRECT_URI + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}


def is_page(answer: Answer, status: int = 400) -> bool:
    """A page of ours, without a redirect."""
    return (
        answer.status == status
        and answer.headers["content-type"].startswith("text/html")
        and "location" not in answer.headers
    )


def sent_codes(world: Deployment) -> list[str]:
    return [call["code"] for call in world.provider.token_calls]


def test_user_signs_in(world):
    """Code, state and iss to the client; tokens for the code; the user's profile at userinfo."""
    answer = world.sign_in()

    told_client = told(answer)
    assert (told_client["state"], told_client["iss"]) == ("client-state", ISSUER)
    tokens = world.tokens(answer)
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    claims = world.session("GET /oauth2/userinfo", headers=bearer).json
    assert (claims["email"], claims["email_verified"], claims["name"]) == ("alice@example.com", True, "Alice Example")
    assert {"user.provisioned", "user.signed_in"} <= set(actions(world.wiring))


def test_second_sign_in_is_the_same_user(world):
    """The identity (issuer, subject) decides."""
    assert world.sub(world.sign_in()) == world.sub(world.sign_in())
    assert len(world.users()) == 1


def test_c100_same_email_is_not_the_same_user(world):
    """An e-mail address is never a key."""
    first = world.sub(world.sign_in())
    twin = Account("mallory", {"email": "alice@example.com", "email_verified": True})

    assert world.sub(world.sign_in(account=twin)) != first


def test_sign_in_keeps_no_provider_token(world):
    """They are dropped, not stored and not revoked."""
    world.sign_in()

    stored = repr([world.wiring.aws.dynamodb.scan(TableName=name) for name in ("grants", "requests", "audit")])
    family = world.provider._families[0]
    for token in (*family.access_tokens, *family.refresh_tokens):
        assert token not in stored
    assert world.provider.revoked_tokens == []


def test_profile_follows_the_provider(world):
    """What it says now is taken over, and told by field; what the user set himself stays beside it."""
    sub = world.sub(world.sign_in())
    before = world.wiring.users.get(sub)
    own = replace(before, overrides={"name": "Al"})
    world.wiring.users.update(own, expected_version=before.version, audit=audit_event("user.profile_changed"))
    moved = Account(claims={"email": "alice@new.example", "email_verified": True, "name": "Somebody Else"})

    world.sign_in(account=moved)

    user = world.wiring.users.get(sub)
    assert (user.email, user.name, user.shown("name")) == ("alice@new.example", "Somebody Else", "Al")
    (entry,) = [entry for entry in trail(world.wiring) if entry["action"] == "user.updated"]
    assert entry["details"] == {"changed": {"S": "email name"}}
    assert "Somebody" not in repr(entry)


def test_simultaneous_first_sign_ins_make_one_user(world):
    """Both browsers end up as the same person."""
    trips = [world.start() for _ in range(4)]
    answers = [world.provider.consent(url) for url, _ in trips]

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda pair: world.come_back(pair[0], pair[1][1]), zip(answers, trips, strict=True)))

    assert len({world.sub(answer) for answer in done}) == 1
    assert len(world.users()) == 1


# --- the browser ---


def test_c04_two_tabs_both_complete(world):
    """Two trips of one browser, finished in the other order."""
    first, jar = world.start()
    second, jar = world.start(jar)

    assert "code" in told(world.come_back(world.provider.consent(second), jar))
    assert "code" in told(world.come_back(world.provider.consent(first), jar))


def test_c05_other_browsers_cookie_is_refused_and_nothing_is_consumed(world):
    """The right browser can still finish."""
    url, jar = world.start()
    _, other = world.start()
    parameters = world.provider.consent(url)

    assert is_page(world.come_back(parameters, other))
    assert sent_codes(world) == []
    assert "code" in told(world.come_back(parameters, jar))


@pytest.mark.parametrize("jar", [{}, {COOKIE: "x"}, {COOKIE: ""}, {"gk_browser": "s" * 43}])
def test_c31_callback_without_binding_cookie_is_rejected(world, jar):
    """So are a malformed one and one without the __Host- prefix; the trip lives on."""
    url, own = world.start()
    parameters = world.provider.consent(url)

    assert is_page(world.come_back(parameters, jar))
    assert sent_codes(world) == []
    assert "code" in told(world.come_back(parameters, own))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_c38_looking_consumes_nothing(world, method):
    """A preview of the callback URL, with the cookie even."""
    url, jar = world.start()
    parameters = world.provider.consent(url)

    looked = world.callback(
        f"{method} /oauth2/callback/{{provider}}",
        query=parameters,
        cookies=jar,
        path_parameters={"provider": "example"},
    )

    assert looked.status == 204
    assert sent_codes(world) == []
    assert "code" in told(world.come_back(parameters, jar))


def test_s22_cookie_is_set_when_a_trip_starts(world):
    """Host-only, HttpOnly, Lax, ten minutes; the same secret again for the next trip."""
    answer = world.authorize("GET /oauth2/authorize", query=REQUEST)
    again = world.authorize("GET /oauth2/authorize", query=REQUEST, cookies=cookie_jar(*answer.cookies))

    (cookie,) = answer.cookies
    assert cookie.startswith(COOKIE + "=")
    assert {"Max-Age=600", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; ")[1:])
    assert again.cookies == answer.cookies


# --- state ---


@pytest.mark.parametrize(
    "query",
    ["", "code=abc", "state=&code=abc", "state=short&code=abc", "state=" + "a" * 43 + "&code=abc",
     "state=" + "a" * 10_000 + "&code=abc", "state=%C3%A9" + "a" * 42 + "&code=abc", "state[]=" + "a" * 43 + "&code=x"],
)  # fmt: skip
def test_c17_c18_bad_state_is_a_page(world, query):
    """No provider call, no redirect, no stack trace, one shape."""
    _, jar = world.start()

    answer = world.come_back(query, jar)

    assert is_page(answer)
    assert "Already finished" in answer.body
    assert world.provider.requests == []


def test_c19_replayed_callback_finds_nothing(world):
    """The page says that it is finished; the provider was called once."""
    url, jar = world.start()
    parameters = world.provider.consent(url)
    world.come_back(parameters, jar)

    assert is_page(world.come_back(parameters, jar))
    assert len(world.provider.token_calls) == 1


def test_c20_thirty_two_concurrent_callbacks_exchange_once(world):
    """One gets the redirect, the others the page."""
    url, jar = world.start()
    parameters = world.provider.consent(url)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.come_back(parameters, jar), range(32)))

    assert [answer.status for answer in answers].count(303) == 1
    assert [answer.status for answer in answers].count(400) == 31
    assert len(world.provider.token_calls) == 1


def test_c21_c29_state_of_another_providers_trip_is_rejected(world):
    """No request with the code goes anywhere."""
    url, jar = world.start()

    answer = world.come_back(world.provider.consent(url), jar, provider="google")

    assert is_page(answer)
    assert world.provider.requests == []


def test_c15_trip_older_than_ten_minutes_is_refused(world, monkeypatch):
    """By our clock; the item is still stored."""
    url, jar = world.start()
    parameters = world.provider.consent(url)
    later = time.time() + 600
    monkeypatch.setattr(world.callback.module, "time", SimpleNamespace(time=lambda: later, monotonic=time.monotonic))

    assert is_page(world.come_back(parameters, jar))
    assert world.provider.token_calls == []


# --- the answer's parameters ---


@pytest.mark.parametrize(
    "change",
    [
        {"error": "access_denied"},  # C-23: beside the code
        {"access_token": "x"},  # C-25
        {"id_token": "x"},
        {"iss": "https://evil.example"},  # C-27
        {"iss": "https://idp.example/"},  # C-30
        {"iss": "https://IDP.example"},
        {"code": "c" * 5000},  # C-40
        {"code": ""},
    ],
)
def test_c23_to_c30_ambiguous_or_foreign_answers_end_the_trip(world, change):
    """The client learns of it, the code goes nowhere, the trip is spent, the trail has one entry."""
    url, jar = world.start()
    parameters = world.provider.consent(url) | change

    answer = world.come_back(parameters, jar)

    assert told(answer)["error"] == "server_error"
    assert told(answer)["state"] == "client-state"
    assert world.provider.token_calls == []
    assert is_page(world.come_back(parameters, jar))
    assert actions(world.wiring).count("user.sign_in_refused") == 1


def test_c24_repeated_parameters_are_rejected(world):
    """Twice the code ends the trip; twice the state is no state."""
    url, jar = world.start()
    parameters = world.provider.consent(url)
    raw = "&".join(f"{name}={value}" for name, value in parameters.items())

    assert is_page(world.come_back(f"{raw}&state={parameters['state']}", jar))
    assert told(world.come_back(f"{raw}&code={parameters['code']}", jar))["error"] == "server_error"
    assert world.provider.token_calls == []


def test_c28_required_iss_must_be_there(world):
    """Where the record says that the provider names itself."""
    register_provider(world.wiring, world.provider, authorization_response_iss="required")
    url, jar = world.start()

    assert told(world.come_back(world.provider.consent(url), jar))["error"] == "server_error"
    assert world.provider.token_calls == []


def test_rfc9207_right_iss_passes(world):
    """Announced or not."""
    world.provider.response_iss = world.provider.issuer

    assert "code" in told(world.sign_in())


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("access_denied", "access_denied"),
        ("login_required", "login_required"),
        ("invalid_scope", "server_error"),
        ("temporarily_unavailable", "temporarily_unavailable"),
        ("<script>alert(1)</script>", "temporarily_unavailable"),
        ("made_up_by_the_provider", "temporarily_unavailable"),
    ],
)
def test_c22_provider_errors_are_mapped_and_its_words_dropped(world, said, heard):
    """Only registered codes reach the client; the description is ours."""
    url, jar = world.start()

    answer = world.come_back(world.provider.consent(url, deny=said), jar)

    assert told(answer)["error"] == heard
    assert "alert" not in answer.location
    assert "alert" not in repr(trail(world.wiring))
    assert world.provider.token_calls == []


def test_c40_code_travels_byte_for_byte(world):
    """Spaces, plus signs and percent signs arrive at the provider as they came."""
    url, jar = world.start()
    parameters = world.provider.consent(url)
    odd = "a b+c%2B%00/é="
    world.provider._codes[odd] = world.provider._codes.pop(parameters["code"])

    assert "code" in told(world.come_back(parameters | {"code": odd}, jar))
    assert sent_codes(world) == [odd]


# --- the token endpoint and the ID token ---


@pytest.mark.parametrize(
    "overrides",
    [
        {"nonce": None}, {"nonce": "another"}, {"iss": "https://evil.example"}, {"aud": "another"},
        {"aud": ["our-client", "another"]}, {"azp": "another"}, {"sub": None}, {"sub": ""}, {"exp": 1}, {"iat": 1},
        {"at_hash": "AAAA"},
    ],
)  # fmt: skip
def test_c59_to_c82_bad_id_tokens_sign_nobody_in(world, overrides):
    """The client hears server_error; no user is made."""
    world.provider.id_token_overrides = overrides

    assert told(world.sign_in())["error"] == "server_error"
    assert world.users() == []


def test_missing_id_token_signs_nobody_in(world):
    """An OpenID provider that was asked for one must answer one."""
    world.provider.issues_id_tokens = False

    assert told(world.sign_in())["error"] == "server_error"
    assert world.users() == []


def test_c26_injected_code_fails_at_the_provider(world):
    """An attacker's code in the victim's trip: the verifier is the trip's own."""
    attackers_url, _ = world.start()
    stolen = world.provider.consent(attackers_url, account=Account("mallory"))["code"]
    url, jar = world.start()

    answer = world.come_back(world.provider.consent(url) | {"code": stolen}, jar)

    assert told(answer)["error"] == "server_error"
    assert world.users() == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lambda p: p.answer_next(503), "temporarily_unavailable"),
        (lambda p: p.answer_next(400, {"error": "invalid_grant"}), "server_error"),
        (lambda p: p.answer_next(401, {"error": "invalid_client"}), "temporarily_unavailable"),
        (lambda p: p.answer_next(200, b"<html>"), "server_error"),
        (lambda p: p.answer_next(302, b"", location="https://evil.example"), "server_error"),
        (lambda p: p.fail_next(ProviderUnavailable("The provider did not answer.")), "temporarily_unavailable"),
        (lambda p: p.lose_next_answer(), "temporarily_unavailable"),
    ],
)
def test_c55_failed_exchange_is_told_and_never_repeated(world, fault, error):
    """The code is sent once, whatever became of it."""
    fault(world.provider)

    answer = world.sign_in()

    assert told(answer)["error"] == error
    assert len([request for request in world.provider.requests if request.url.endswith("/token")]) == 1
    assert world.users() == []


# --- policies and prompts ---


def test_invited_only_client_admits_nobody_new(world):
    """Nothing is written for a stranger; who has an account gets in."""
    register(world.wiring, replace(PUBLIC_CLIENT, sign_up="invited"))
    assert told(world.sign_in())["error"] == "access_denied"
    assert world.users() == []
    register(world.wiring, PUBLIC_CLIENT)
    world.sign_in()
    register(world.wiring, replace(PUBLIC_CLIENT, sign_up="invited"))

    assert "code" in told(world.sign_in())


@pytest.mark.parametrize(
    ("claims", "admitted"),
    [
        ({"email": "alice@example.com", "email_verified": True}, True),
        ({"email": "alice@EXAMPLE.com", "email_verified": True}, True),
        ({"email": "alice@example.com", "email_verified": False}, False),
        ({"email": "alice@example.com", "email_verified": "true"}, False),
        ({"email": "alice@example.com"}, False),
        ({"email": "alice@evil.example", "email_verified": True}, False),
        ({"email": "alice@example.com@evil.example", "email_verified": True}, False),
        ({"email": "alice@sub.example.com", "email_verified": True}, False),
        ({"hd": "example.com"}, False),  # of a provider whose record says nothing of such a claim
        ({"tid": "tenant-1"}, False),
        ({}, False),
    ],
)
def test_c101_listed_domains_admit_members_only(world, claims, admitted):
    """A verified address, or the provider's own word on the organisation; judged before anything is written."""
    register(world.wiring, replace(PUBLIC_CLIENT, sign_up="domains", sign_up_domains=("example.com", "tenant-1")))

    answer = told(world.sign_in(account=Account("somebody", claims)))

    assert ("code" in answer) == admitted
    assert len(world.users()) == int(admitted)


@pytest.mark.parametrize(
    ("claims", "admitted"),
    [
        ({"org": "tenant-1"}, True),
        ({"org": ["tenant-1"]}, False),
        ({"org": "tenant-2"}, False),
        ({"hd": "tenant-1", "tid": "tenant-1", "": "tenant-1"}, False),
    ],
)
def test_c101_an_organisation_is_what_the_record_says_it_is(claims, admitted):
    """One claim of one provider; the same name at another provider may hold what its user typed."""
    world = Deployment(organization_claim="org")
    register(world.wiring, replace(PUBLIC_CLIENT, sign_up="domains", sign_up_domains=("tenant-1",)))

    assert ("code" in told(world.sign_in(account=Account("somebody", claims)))) == admitted


def test_suspended_user_is_refused(world):
    """With access_denied, and no code."""
    sub = world.sub(world.sign_in())
    user = world.wiring.users.get(sub)
    world.wiring.users.update(
        replace(user, status="suspended"), expected_version=user.version, audit=audit_event("user.suspended")
    )

    assert told(world.sign_in())["error"] == "access_denied"


@pytest.mark.parametrize(
    ("change", "age", "fresh"),
    [
        ({"prompt": "login"}, 0, True),
        ({"prompt": "login"}, 3600, False),
        ({"prompt": "login"}, None, False),
        ({"max_age": "300"}, 299, True),
        ({"max_age": "300"}, 400, False),
        ({"max_age": "300"}, None, False),
        ({}, None, True),
        ({}, 86_400, True),
    ],
)
def test_c80_fresh_login_is_proved_or_refused(world, change, age, fresh):
    """auth_time decides, and is passed on exactly where the provider said it."""
    world.provider.auth_time = None if age is None else world.provider.now - age

    answer = world.sign_in(**change)

    if not fresh:
        assert told(answer)["error"] == "login_required"
        assert world.users() == []
        return
    import json
    from base64 import urlsafe_b64decode

    claims = json.loads(urlsafe_b64decode(world.tokens(answer)["id_token"].split(".")[1] + "=="))
    assert claims.get("auth_time") == world.provider.auth_time


def test_client_that_went_away_meanwhile_is_a_page(world):
    """Neither an unregistered redirect_uri nor a disabled client is redirected to."""
    for change in ({"status": "disabled"}, {"redirect_uris": ("https://elsewhere.example/cb",)}):
        register(world.wiring, PUBLIC_CLIENT)
        url, jar = world.start()
        register(world.wiring, replace(PUBLIC_CLIENT, **change))

        assert is_page(world.come_back(world.provider.consent(url), jar))


def test_provider_without_openid_signs_in_by_its_stable_id(world):
    """The identity is the record's issuer and the account's id, read from the profile."""
    world.provider.issues_id_tokens = False
    register_provider(
        world.wiring, world.provider, protocol="oauth2", signin_scopes=("profile",), issuer=None, nonce=False
    )

    sub = world.sub(world.sign_in())

    assert world.wiring.users.find("provider:example", "alice").sub == sub


# --- the answers ---


def test_c14_c37_every_redirect_is_a_303_that_leaks_nothing(world):
    """No store, no referrer, from start to end."""
    start = world.authorize("GET /oauth2/authorize", query=REQUEST)
    end = world.sign_in()

    for answer in (start, end):
        assert answer.status == 303
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.body == ""


def test_w06_pages_have_the_security_headers(world):
    """Errors of people's pages included."""
    for answer in (world.come_back("", {}), world.authorize("GET /oauth2/authorize", query={"client_id": "nobody"})):
        assert is_page(answer)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_l01_secrets_of_a_trip_are_logged_nowhere(world, caplog, capfd):
    """Neither state nor code nor cookie nor token, also when it fails."""
    url, jar = world.start()
    parameters = world.provider.consent(url)
    world.provider.id_token_overrides = {"nonce": "wrong"}
    world.come_back(parameters, jar)
    world.provider.id_token_overrides = {}
    answer = world.sign_in()

    logged = capfd.readouterr().out + "".join(repr(record.__dict__) for record in caplog.records)
    for secret in (parameters["state"], parameters["code"], jar[COOKIE], told(answer)["code"]):
        assert secret not in logged
        assert ids.digest(secret) not in logged
