"""
Bad input over HTTP, against the deployed stack.

Each is answered by a typed error; nothing is stored, nothing that was sent
comes back or reaches a log, and every answer has its security headers.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from urllib.parse import urlencode

import httpx2
import pytest

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.oauth.pkce import code_challenge
from tests.e2e.browser import Browser, query_of
from tests.e2e.watch import Ledger, Watch
from tests.support.stack import ROTATING

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("bad input")]

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
PROBLEMS = "https://grantkeeper.dev/problems/"


@pytest.fixture(scope="module")
def ledger(stack):
    """What all these tests sent; settled when the last is done."""
    ledger = Ledger(stack)
    yield ledger
    ledger.settle()


@pytest.fixture
def watch(ledger, request):
    watch = Watch(ledger, request.node.name)
    yield watch
    watch.close()


@pytest.fixture(scope="module")
def lin():
    """A browser whose person is signed in at the provider and has consented there: codes of ours cost one round."""
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def trip(stack):
    """A browser on its way back from the provider: what is sent to our door, and not yet received."""
    browser = Browser()
    yield browser, from_provider(stack, browser)
    browser.close()


def canary(length=43):
    """A value nobody else sends."""
    return secrets.token_urlsafe(length)[:length]


def asked(stack, **changes):
    """A good authorization request, changed; returns its URL and the PKCE verifier. None takes a parameter away."""
    verifier = ids.new_secret()
    parameters = {
        "client_id": stack.client_id,
        "redirect_uri": stack.redirect_uri,
        "response_type": "code",
        "scope": "openid offline_access connections:read connections:write",
        "state": "client-state",
        "nonce": ids.new_secret(),
        "code_challenge": code_challenge(verifier),
        "code_challenge_method": "S256",
        "provider": ROTATING,
    } | changes
    query = urlencode({name: value for name, value in parameters.items() if value is not None}, doseq=True)
    return f"{stack.api_url}/oauth2/authorize?{query}", verifier


def from_provider(stack, browser, *, login=None):
    """Take a browser to a provider and back to our door: the parameters of its redirect, not yet followed."""
    url, _ = asked(stack)
    back = browser.open(url, until=callback_of(stack), login=login or f"mallory-{secrets.token_hex(4)}")
    assert isinstance(back, str), back.text
    return query_of(back)


def cookie_of(browser):
    """The Cookie header this browser would send."""
    return {"cookie": f"gk_browser={browser.http.cookies['gk_browser']}"}


def callback_of(stack, provider=ROTATING):
    return f"{stack.api_url}/oauth2/callback/{provider}"


def left(stack, browser):
    """Send a browser off to the provider and no further; returns the `state` it carries."""
    answer = browser.http.get(asked(stack)[0])
    return query_of(answer.headers["location"])["state"]


def code_of(stack, browser):
    """A code of ours that nobody used yet, with its verifier."""
    url, verifier = asked(stack)
    back = browser.open(url, until=stack.redirect_uri, login="lin")
    return query_of(back)["code"], verifier


def exchange(stack, code, verifier, changes=None):
    """The form of a code exchange, changed."""
    form = {
        "grant_type": "authorization_code",
        "client_id": stack.client_id,
        "redirect_uri": stack.redirect_uri,
        "code": code,
        "code_verifier": verifier,
    } | (changes or {})
    return {name: value for name, value in form.items() if value is not None}


def is_page(answer, status, title):
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers
    assert f"<title>{title}</title>" in answer.text


def is_problem(answer, status, slug):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == PROBLEMS + slug
    assert answer.json()["status"] == status


def is_oauth_error(answer, error, status=400):
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"


def is_redirect(answer, target, error):
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(f"{target}?")
    assert query_of(answer.headers["location"])["error"] == error


# --- the authorization endpoint ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"provider": "CANARY"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": "CANARY", "code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "CANARY"}, "unsupported_response_type"),
        ({"scope": "CANARY"}, "invalid_scope"),
        ({"nonce": ["CANARY", "again"]}, "invalid_request"),
        ({"request": "CANARY"}, "request_not_supported"),
        ({"resource": "CANARY"}, "invalid_target"),
        ({"prompt": "CANARY"}, "invalid_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_bad_authorization_request_goes_back_to_the_client(stack, watch, changes, error):
    """The client is known, so it is told: which error, its own state, our issuer; nothing it sent otherwise."""
    planted = canary()
    watch.hostile["parameter"] = planted
    sent = json.loads(json.dumps(changes).replace("CANARY", planted))

    answer = watch.http.get(asked(stack, **sent)[0])

    is_redirect(answer, stack.redirect_uri, error)
    told = query_of(answer.headers["location"])
    assert (told["state"], told["iss"]) == ("client-state", stack.api_url)
    watch.nothing_came_of_it()


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/CANARY"},
        {"redirect_uri": "REGISTERED/CANARY"},
        {"redirect_uri": "REGISTERED?CANARY"},
        {"redirect_uri": "REGISTERED@CANARY"},
        {"redirect_uri": "javascript:CANARY"},
        {"redirect_uri": None},
        {"redirect_uri": ["REGISTERED", "https://evil.example/CANARY"]},
        {"client_id": "CANARY"},
        {"client_id": None},
    ],
    ids=lambda changes: "-".join(f"{name} {value}" for name, value in changes.items()),
)
def test_c34_without_a_registered_place_nobody_is_redirected(stack, watch, changes):
    """An unknown client or redirect_uri is a page of ours: no open redirector."""
    planted = canary()
    watch.hostile["parameter"] = planted
    text = json.dumps(changes).replace("CANARY", planted).replace("REGISTERED", stack.redirect_uri)

    answer = watch.http.get(asked(stack, **json.loads(text))[0])

    is_page(answer, 400, "Bad request")
    watch.nothing_came_of_it()


# --- the providers' redirect ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["swapped", "truncated", "lengthened", "10 kB", "missing", "twice", "not ascii"])
def test_c17_c18_a_tampered_state_is_an_expired_page(stack, watch, trip, how):
    """Whatever was done to `state`, the page is the same."""
    browser, sent = trip
    planted = canary(5000)
    states = {
        "swapped": [planted[:43]],
        "truncated": [sent["state"][:-1]],
        "lengthened": [sent["state"] + "A"],
        "10 kB": [planted * 2],
        "missing": [],
        "twice": [sent["state"], sent["state"]],
        "not ascii": ["ß" * 43],
    }[how]
    query = [(name, value) for name, value in sent.items() if name != "state"] + [("state", state) for state in states]

    answer = watch.http.get(f"{callback_of(stack)}?{urlencode(query)}", headers=cookie_of(browser))

    is_page(answer, 400, "Already finished")
    watch.hostile |= {"state": planted[:43], "sent": sent["state"], "the provider's code": sent["code"]}
    watch.nothing_came_of_it()


@pytest.mark.parametrize("cookie", ["none", "malformed", "another browser's"])
def test_c05_c31_another_browser_cannot_finish_the_trip(stack, watch, trip, cookie):
    """It is told so and consumes nothing: the browser that left can still come back."""
    _, sent = trip
    planted = ids.new_secret()
    cookies = {"none": "", "malformed": f"gk_browser=gk {planted}", "another browser's": f"gk_browser={planted}"}

    answer = watch.http.get(callback_of(stack), params=sent, headers={"cookie": cookies[cookie]})

    is_page(answer, 400, "Other browser")
    watch.hostile |= {"state": sent["state"], "the provider's code": sent["code"], "cookie": planted}
    watch.nothing_came_of_it()


@pytest.mark.parametrize("provider", ["demo", "google", "CANARY"])
def test_c21_a_trip_ends_on_its_own_providers_path(stack, watch, trip, provider):
    """An answer on another registration's path is refused before any code is sent anywhere."""
    planted = canary()
    browser, sent = trip

    answer = watch.http.get(
        callback_of(stack, provider.replace("CANARY", planted)), params=sent, headers=cookie_of(browser)
    )

    is_page(answer, 400, "Provider mismatch")
    watch.hostile |= {"path": planted, "state": sent["state"], "the provider's code": sent["code"]}
    watch.nothing_came_of_it()


@pytest.mark.parametrize(("method", "status"), [("HEAD", 204), ("OPTIONS", 204), ("POST", 405)])
def test_c36_c38_only_a_get_comes_back(stack, watch, trip, method, status):
    """A link preview or a form post consumes nothing."""
    browser, sent = trip

    answer = watch.http.request(method, callback_of(stack), params=sent, headers=cookie_of(browser))

    assert answer.status_code == status
    watch.hostile |= {"state": sent["state"], "the provider's code": sent["code"]}
    watch.nothing_came_of_it()


def test_c19_after_all_that_the_trip_ends_well_and_only_once(stack, watch, trip):
    """None of the above consumed it; the replay of its end is an expired page."""
    browser, sent = trip
    first = browser.http.get(callback_of(stack), params=sent)
    assert "code" in query_of(first.headers["location"])

    answer = watch.http.get(callback_of(stack), params=sent, headers=cookie_of(browser))

    is_page(answer, 400, "Already finished")
    watch.hostile |= {"state": sent["state"], "the provider's code": sent["code"]}
    watch.nothing_came_of_it()


@pytest.mark.parametrize(
    ("sends", "error"),
    [
        ({"error": "access_denied", "error_description": "<script>CANARY</script>"}, "access_denied"),
        ({"error": "invalid_scope", "error_description": "CANARY"}, "server_error"),
        ({"error": "CANARY", "error_uri": "https://evil.example/CANARY"}, "temporarily_unavailable"),
        ({"error": "temporarily_unavailable"}, "temporarily_unavailable"),
        ({"error": "access_denied", "code": "CANARY"}, "server_error"),
        ({"code": "CANARY", "iss": "https://evil.example"}, "server_error"),
        ({"code": "CANARY", "iss": None}, "server_error"),
        ({"code": ["CANARY", "CANARY"]}, "server_error"),
        ({"code": None, "access_token": "CANARY"}, "server_error"),
        ({"code": "CANARY", "id_token": "CANARY"}, "server_error"),
        ({"code": "CANARY"}, "server_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_c22_to_c29_what_a_provider_answers_wrongly_is_told_in_our_words(stack, oidc_provider, watch, sends, error):
    """The client hears a registered error code and nothing of the provider's own; the trip is over."""
    planted = canary()
    browser = Browser()
    state = left(stack, browser)
    sends = json.loads(json.dumps({"iss": oidc_provider.issuer, "state": state} | sends).replace("CANARY", planted))
    query = urlencode({name: value for name, value in sends.items() if value is not None}, doseq=True)
    cookie = cookie_of(browser)
    browser.close()

    answer = watch.http.get(f"{callback_of(stack)}?{query}", headers=cookie)

    is_redirect(answer, stack.redirect_uri, error)
    assert query_of(answer.headers["location"])["state"] == "client-state"
    is_page(watch.http.get(f"{callback_of(stack)}?{query}", headers=cookie), 400, "Already finished")
    watch.hostile |= {"the provider's words": planted, "state": state}
    watch.nothing_came_of_it(but=("user.sign_in_refused",))


# --- the token endpoint --------------------------------------------------------------------------------------------


def test_c19_a_code_used_twice_kills_what_it_gave(stack, watch, lin, api):
    """RFC 6749 section 4.1.2: the second use is refused, and the first one's tokens die with it."""
    code, verifier = code_of(stack, lin)
    first = api.post("/oauth2/token", data=exchange(stack, code, verifier)).json()
    user = {"authorization": f"Bearer {first['access_token']}"}
    assert api.get("/oauth2/userinfo", headers=user).status_code == 200

    answer = watch.http.post("/oauth2/token", data=exchange(stack, code, verifier))

    is_oauth_error(answer, "invalid_grant")
    is_oauth_error(watch.http.get("/oauth2/userinfo", headers=user), "invalid_token", 401)
    refresh = {"grant_type": "refresh_token", "client_id": stack.client_id, "refresh_token": first["refresh_token"]}
    is_oauth_error(watch.http.post("/oauth2/token", data=refresh), "invalid_grant")
    watch.hostile |= {"code": code, "verifier": verifier, "refresh token": first["refresh_token"][-43:]}
    watch.hostile["access token"] = first["access_token"].rpartition(".")[2]
    watch.nothing_came_of_it(but=("session.revoked", "session.reuse_detected"))


@pytest.mark.parametrize(
    ("changes", "error", "spent"),
    [
        ({"code_verifier": "CANARY"}, "invalid_grant", True),
        ({"redirect_uri": "https://evil.example/CANARY"}, "invalid_grant", True),
        ({"resource": "https://evil.example/CANARY"}, "invalid_target", True),
        ({"code_verifier": None}, "invalid_request", False),
        ({"code_verifier": "short"}, "invalid_request", False),
        ({"redirect_uri": None}, "invalid_request", False),
        ({"code": "CANARY"}, "invalid_grant", False),
        ({"client_id": "CANARY"}, "invalid_client", False),
        ({"client_id": None}, "invalid_client", False),
        ({"client_secret": "CANARY"}, "invalid_client", False),
        ({"grant_type": None}, "invalid_request", False),
        ({"grant_type": "password", "username": "ada", "password": "CANARY"}, "unsupported_grant_type", False),
        ({"grant_type": "refresh_token", "refresh_token": "CANARY"}, "invalid_grant", False),
        ({"code_verifier": ["VERIFIER", "CANARY"]}, "invalid_request", False),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value),
)
def test_a_bad_token_request_gets_nothing(stack, watch, lin, api, changes, error, spent):
    """A wrong binding costs the code; a request that is no request costs nothing."""
    planted = canary()
    code, verifier = code_of(stack, lin)
    sent = json.loads(json.dumps(changes).replace("CANARY", planted).replace("VERIFIER", verifier))

    answer = watch.http.post("/oauth2/token", data=exchange(stack, code, verifier, sent))

    is_oauth_error(answer, error, 401 if error == "invalid_client" else 400)
    watch.hostile |= {"parameter": planted, "code": code, "verifier": verifier}
    watch.nothing_came_of_it()
    again = api.post("/oauth2/token", data=exchange(stack, code, verifier))
    assert again.status_code == (400 if spent else 200), again.text


@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"])
def test_form_endpoints_take_forms_and_not_too_much(watch, path):
    """JSON is 415, 65 KiB is 413, bytes that are no UTF-8 are an invalid_request."""
    planted = canary()
    watch.hostile["body"] = planted

    is_problem(watch.http.post(path, json={"token": planted}), 415, "unsupported-media-type")
    is_problem(watch.http.post(path, data={"token": planted * 1600}), 413, "payload-too-large")
    is_oauth_error(watch.http.post(path, content=b"token=%ff&x=" + planted.encode(), headers=FORM), "invalid_request")
    watch.nothing_came_of_it()


# --- the API -------------------------------------------------------------------------------------------------------


def session_body(stack, **changes):
    body = {
        "service": ROTATING,
        "user_id": f"mallory-{secrets.token_hex(4)}",
        "redirect_uri": stack.connect_redirect_uri,
    }
    return body | changes


@pytest.mark.parametrize(
    ("body", "headers", "status", "slug"),
    [
        (b'{"service": "CANARY"', JSON, 400, "bad-request"),
        (b'["CANARY"]', JSON, 400, "bad-request"),
        (b'{"service": "rotating", "service": "CANARY"}', JSON, 400, "bad-request"),
        (b'{"service": NaN, "x": "CANARY"}', JSON, 400, "bad-request"),
        (b'{"service": "CANARY\xff"}', JSON, 400, "bad-request"),
        (b"[" * 5000, JSON, 400, "bad-request"),
        (b'{"CANARY": 1}', JSON, 400, "bad-request"),
        (b'{"service": {"CANARY": 1}}', JSON, 400, "bad-request"),
        (b"service=CANARY", FORM, 415, "unsupported-media-type"),
        (b'{"service": "CANARY"}', {"content-type": "text/plain"}, 415, "unsupported-media-type"),
        (b'{"service": "CANARY"}', JSON | {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
        (b'{"service": "' + b"CANARY" * 1700 + b'"}', JSON, 413, "payload-too-large"),
    ],
    ids=[
        "truncated", "list", "duplicate", "NaN", "not UTF-8", "deep", "unknown member", "object for string",
        "form", "text", "compressed", "70 kB",
    ],
)  # fmt: skip
def test_a_body_that_is_no_request_is_refused(stack, watch, body, headers, status, slug):
    """By a client with every right to open a session: what is wrong is the body alone."""
    planted = canary()
    watch.told["body"] = planted  # a problem may name the member that is wrong
    content = body.replace(b"CANARY", planted.encode())

    answer = watch.http.post(
        "/v1/connect-sessions", content=content, headers={"x-api-key": stack.client_api_key, **headers}
    )

    is_problem(answer, status, slug)
    watch.nothing_came_of_it()


@pytest.mark.parametrize(
    ("changes", "status", "slug"),
    [
        ({"service": "nowhere-CANARY"}, 404, "unknown-service"),
        ({"redirect_uri": "https://evil.example/CANARY"}, 400, "bad-request"),
        ({"scopes": ["CANARY"]}, 403, "scope-not-allowed"),
        ({"connection_id": "con_CANARY"}, 404, "not-found"),
        ({"user_sub": "usr_CANARY", "user_id": None}, 404, "not-found"),
        ({"user_id": None}, 400, "bad-request"),
        ({"user_id": "a\u0000CANARY"}, 400, "bad-request"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else str(value),
)
def test_c09_a_session_for_what_is_not_allowed_is_not_opened(stack, watch, changes, status, slug):
    """Unknown service, foreign redirect_uri, undeclared scope, somebody else's connection or user."""
    planted = canary(24)
    watch.told["member"] = planted  # a problem may name the service or scope that was asked for
    body = {k: v for k, v in session_body(stack, **changes).items() if v is not None}
    content = json.dumps(body).replace("CANARY", planted)

    answer = watch.http.post(
        "/v1/connect-sessions", content=content, headers={"x-api-key": stack.client_api_key, **JSON}
    )

    is_problem(answer, status, slug)
    watch.nothing_came_of_it()


def forged(stack):
    """An unsigned token that says all the right things."""
    claims = {"iss": stack.api_url, "aud": stack.api_url, "sub": "usr_x", "client_id": stack.client_id, "exp": 2**33}
    parts = [{"alg": "none", "typ": "at+jwt"}, claims]
    return ".".join(ids.b64url(json.dumps(part).encode()) for part in parts) + "."


@pytest.mark.parametrize(
    "how",
    ["none", "unknown key", "wrong secret", "garbled", "truncated", "basic", "empty", "noise", "unsigned", "long"],
)
def test_a_credential_that_is_none_is_401(stack, watch, how):
    """Unknown, wrong, garbled and malformed read the same."""
    _, key_id, secret = stack.client_api_key.split("_")
    keys = {
        "unknown key": new_api_key().text,
        "wrong secret": type(new_api_key())(key_id, new_api_key().secret).text,
        "garbled": stack.client_api_key[:-8] + stack.client_api_key[-8:].swapcase(),
        "truncated": stack.client_api_key[:-1],
        "empty": "",
        "long": "gk_" + canary(8000),
    }
    bearers = {"noise": canary(), "unsigned": forged(stack)}
    headers = {}
    if how in keys:
        headers = {"x-api-key": keys[how]}
    elif how in bearers:
        headers = {"authorization": f"Bearer {bearers[how]}"}
    elif how == "basic":
        headers = {"authorization": "Basic " + base64.b64encode(f"{key_id}:{secret}".encode()).decode()}

    answers = [
        watch.http.get("/v1/connections", params={"user_id": "ada"}, headers=headers),
        watch.http.post("/v1/connect-sessions", json=session_body(stack), headers=headers),
        watch.http.get("/v1/connections/con_none/token", headers=headers),
        watch.http.get("/v1/admin/stats", headers=headers),
    ]

    for answer in answers:
        is_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    watch.hostile |= {"the client's secret": secret}
    if how in keys and how != "empty":
        watch.hostile["key"] = keys[how][-40:]
    watch.nothing_came_of_it()


def test_two_credentials_are_one_too_many(stack, watch):
    """Which one would count is not for us to guess."""
    headers = {"x-api-key": stack.client_api_key, "authorization": f"Bearer {stack.admin_api_key}"}

    is_problem(watch.http.get("/v1/connections", params={"user_id": "ada"}, headers=headers), 400, "bad-request")
    is_problem(watch.http.get("/v1/connections/con_none/token", headers=headers), 400, "bad-request")
    watch.hostile |= {"one key": stack.client_api_key[-46:], "the other key": stack.admin_api_key[-46:]}
    watch.nothing_came_of_it()


def test_tokens_are_for_clients_backends_alone(stack, watch, new_browser, sign_in, backend, walk_through):
    """A user's own token reads his connection, not its access token; the operator's key neither."""
    browser = new_browser()
    session = sign_in(browser, "lise")
    user = {"authorization": f"Bearer {session['access_token']}"}
    opened = watch.http.post(
        "/v1/connect-sessions", headers=user, json={"service": ROTATING, "redirect_uri": stack.connect_redirect_uri}
    ).json()
    told = walk_through(browser, opened["connect_url"], "lise")
    confirmed = watch.http.post(
        f"/v1/connect-sessions/{told['connect_session']}/complete",
        headers=user,
        json={"confirmation": told["confirmation"]},
    )
    url = f"/v1/connections/{confirmed.json()['id']}"
    token = backend.get(f"{url}/token", params={"min_ttl": 0}).json()["access_token"]

    for headers in (user, {"x-api-key": stack.admin_api_key}):
        is_problem(watch.http.get(f"{url}/token", headers=headers), 403, "insufficient-scope")
        is_problem(watch.http.post(f"{url}/refresh", headers=headers), 403, "insufficient-scope")
    tampered = session["access_token"][:-2] + ("AA" if not session["access_token"].endswith("AA") else "BB")
    is_problem(watch.http.get(url, headers={"authorization": f"Bearer {tampered}"}), 401, "unauthenticated")
    is_problem(watch.http.get(url, params={"access_token": session["access_token"]}), 401, "unauthenticated")

    watch.hostile |= {"the provider's token": token, "confirmation": told["confirmation"]}
    watch.hostile["access token"] = session["access_token"].rpartition(".")[2]
    watch.nothing_came_of_it(but=("connect_session.opened", "connection.activated"))


@pytest.mark.parametrize("number", ["-1", "1e3", "CANARY", "9" * 40, "%00", "٣"])
def test_numbers_of_the_token_call_are_numbers(stack, watch, number):
    """`min_ttl` and `rejected_generation` are whole and not negative."""
    planted = canary()
    watch.hostile["number"] = planted
    key = {"x-api-key": stack.client_api_key}

    for name in ("min_ttl", "rejected_generation"):
        query = {name: number.replace("CANARY", planted)}
        is_problem(watch.http.get("/v1/connections/con_none/token", params=query, headers=key), 400, "bad-request")
    watch.nothing_came_of_it()


# --- connect links -------------------------------------------------------------------------------------------------


def opened(stack, backend, **changes):
    answer = backend.post("/v1/connect-sessions", json=session_body(stack, user_id="rosalind") | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("ticket", ["CANARY", "CANARY.", "%00CANARY", "%E2%80%AECANARY", "CANARY" * 30])
def test_an_unknown_ticket_is_a_page(watch, ticket):
    """It sets no cookie and starts no trip, by HEAD either."""
    planted = canary()
    watch.hostile["ticket"] = planted
    path = "/connect/" + ticket.replace("CANARY", planted)

    answer = watch.http.get(path)

    is_page(answer, 410, "Connect session expired")
    assert "set-cookie" not in answer.headers
    assert watch.http.head(path).status_code == 200
    watch.nothing_came_of_it()


def test_d10_an_expired_session_is_over_though_its_item_is_still_there(stack, watch, backend, new_browser):
    """DynamoDB deletes late; expiry is judged on reading: at the link, at the callback, at the confirmation."""
    session = opened(stack, backend)
    browser = watch.browser()
    sent = query_of(browser.open(session["connect_url"], until=callback_of(stack), login="rosalind"))
    key = {"pk": {"S": f"CS#{session['id']}"}, "sk": {"S": "CS"}}
    stack.aws("dynamodb").update_item(
        TableName=stack.tables["RequestsTable"],
        Key=key,
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": {"N": str(int(time.time()) - 1)}},
    )

    is_page(browser.http.get(session["connect_url"]), 410, "Connect session expired")
    is_page(browser.http.get(callback_of(stack), params=sent), 410, "Connect session expired")
    confirmation = {"confirmation": canary(), "user_id": "rosalind"}
    headers = {"x-api-key": stack.client_api_key}
    answer = watch.http.post(f"/v1/connect-sessions/{session['id']}/complete", json=confirmation, headers=headers)
    is_problem(answer, 410, "connect-session-expired")
    watch.hostile |= {"ticket": session["connect_url"].rpartition("/")[2], "confirmation": confirmation["confirmation"]}
    watch.nothing_came_of_it()


def test_an_ended_session_is_over(stack, watch, backend):
    """A wrong confirmation ends a session for good: link, trips on their way, and the right confirmation."""
    session = opened(stack, backend)
    browser = watch.browser()
    sent = query_of(browser.open(session["connect_url"], until=callback_of(stack), login="rosalind"))
    url, headers = f"/v1/connect-sessions/{session['id']}/complete", {"x-api-key": stack.client_api_key}
    guess = {"confirmation": canary(), "user_id": "rosalind"}

    is_problem(watch.http.post(url, json=guess, headers=headers), 403, "confirmation-refused")
    is_page(browser.http.get(session["connect_url"]), 410, "Connect session expired")
    is_page(browser.http.get(callback_of(stack), params=sent), 410, "Connect session expired")
    is_problem(watch.http.post(url, json=guess, headers=headers), 403, "confirmation-refused")
    watch.hostile |= {"ticket": session["connect_url"].rpartition("/")[2], "confirmation": guess["confirmation"]}
    watch.nothing_came_of_it(but=("connect_session.refused",))


# --- routes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/CANARY"),
        ("GET", "/connect/"),
        ("GET", "/connect/one/two"),
        ("GET", "/oauth2/token"),
        ("PUT", "/v1/connections"),
        ("GET", "/v1/connections/con_x/token/"),
        ("GET", "/v1//connections"),
        ("GET", "/V1/connections"),
        ("GET", "/v1/connections."),
        ("GET", "/v1/connections;CANARY"),
        ("QUERY", "/v1/connections"),
        ("TRACE", "/v1/connections"),
        ("TRACE", "/oauth2/callback/rotating"),
    ],
)
def test_w07_w17_what_no_route_takes_is_404(stack, watch, method, path):
    """The gateway's own answer: no function is asked, and nothing of the request is sent back (no cross-site trace)."""
    planted = canary()
    headers = {"x-api-key": stack.client_api_key, "cookie": f"gk_browser={planted}"}

    answer = watch.http.request(method, path.replace("CANARY", planted), headers=headers)

    assert answer.status_code == 404
    assert answer.json() == {"message": "Not Found"}
    assert planted not in answer.text + str(answer.headers)
    assert stack.client_api_key not in answer.text + str(answer.headers)


def test_more_than_the_gateway_takes_is_413(stack):
    """10 MB never reach a function."""
    answer = httpx2.post(
        f"{stack.api_url}/oauth2/token", content=b"a" * (10 * 2**20 + 1), headers=FORM, trust_env=False
    )

    assert answer.status_code == 413
