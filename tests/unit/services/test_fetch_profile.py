"""Asking a provider whose account it is, over the wire."""

import json
from dataclasses import replace

import pytest

from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import TokenSet
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.providers.github import GITHUB
from grantkeeper.providers.google import GOOGLE
from grantkeeper.providers.record import ProfileRequest
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.redeem_provider_code import ProviderTokens
from tests.support.adversary import Adversary

CLAIMS = {"sub": "user-1", "email": "ada@acme.example", "email_verified": True, "name": "Ada"}
USER = {"id": 1, "login": "ada"}
EMAILS = [{"email": "ada@acme.example", "primary": True, "verified": True}]


@pytest.fixture
def provider_http():
    http = Httpx2ProviderHttp(allow_private_addresses=True)
    yield http
    http.close()


@pytest.fixture
def api():
    """An API whose answers a test sets by path: (status, JSON or bytes)."""
    answers = {}

    def behave(wire, request):
        status, value = answers.get(request.split(b" ")[1].decode(), (404, {}))
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        wire.sendall(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)

    server = Adversary(behave)
    server.answers = answers
    yield server
    server.close()


def google(api):
    return replace(GOOGLE, userinfo_endpoint=api.url("/userinfo"))


def github(api):
    user, emails = GITHUB.profile.requests
    requests = (replace(user, url=api.url("/user")), replace(emails, url=api.url("/user/emails")))
    return replace(GITHUB, profile=replace(GITHUB.profile, requests=requests))


def tokens(id_claims=None, access_token="at-1", body=b"{}"):
    return ProviderTokens(body, {"main": TokenSet(access_token)}, id_claims)


def refused(provider, provider_http, found=None, error=TokenResponseRejected):
    with pytest.raises(error) as caught:
        fetch_profile(provider=provider, tokens=found or tokens(), provider_http=provider_http)
    assert "at-1" not in str(caught.value)
    return caught.value


def test_an_id_token_that_says_enough_costs_no_call(api, provider_http):
    """The sign-in path of OpenID providers."""
    profile = fetch_profile(provider=google(api), tokens=tokens(CLAIMS), provider_http=provider_http)

    assert (profile.provider_user_id, profile.email) == ("user-1", "ada@acme.example")
    assert api.requests == []


def test_oidcc_client_test_userinfo_bearer_header(api, provider_http):
    """The token goes into the header, never into the URL or a body."""
    api.answers["/userinfo"] = (200, CLAIMS)
    profile = fetch_profile(provider=google(api), tokens=tokens({"sub": "user-1"}), provider_http=provider_http)

    assert profile.email == "ada@acme.example"
    head = api.requests[0].lower()
    assert head.startswith(b"get /userinfo http/1.1\r\n")
    assert b"\r\nauthorization: bearer at-1\r\n" in head


@pytest.mark.parametrize("answer", [CLAIMS | {"sub": "user-2"}, {"email": "a@b.example"}, [CLAIMS], "x", {"sub": None}])
def test_c57_oidcc_client_test_userinfo_invalid_sub(api, provider_http, answer):
    """Another user's access token beside this user's ID token."""
    api.answers["/userinfo"] = (200, answer)

    error = refused(google(api), provider_http, tokens({"sub": "user-1"}))
    assert error.extensions["reason"] == "userinfo_subject"


def test_github_is_asked_twice(api, provider_http):
    """The user, then the addresses, with the headers its API wants."""
    api.answers |= {"/user": (200, USER), "/user/emails": (200, EMAILS)}
    profile = fetch_profile(provider=github(api), tokens=tokens(), provider_http=provider_http)

    assert (profile.provider_user_id, profile.email, profile.email_verified) == ("1", "ada@acme.example", True)
    assert all(b"\r\nuser-agent: grantkeeper\r\n" in request.lower() for request in api.requests)
    assert all(b"\r\naccept: application/vnd.github+json\r\n" in request.lower() for request in api.requests)


@pytest.mark.parametrize("status", [403, 404])
def test_a_hidden_address_hides_no_account(api, provider_http, status):
    """The scope for addresses was not granted."""
    api.answers |= {"/user": (200, USER), "/user/emails": (status, {"message": "no"})}
    profile = fetch_profile(provider=github(api), tokens=tokens(), provider_http=provider_http)

    assert (profile.provider_user_id, profile.email) == ("1", None)


@pytest.mark.parametrize(
    "answer", [(403, {}), (404, {}), (200, b"<html>"), (200, []), (200, b'{"id":1,"id":2}'), (302, {})]
)
def test_an_account_that_nobody_names_is_refused(api, provider_http, answer):
    """No id, no connection."""
    api.answers |= {"/user": answer, "/user/emails": (200, EMAILS)}

    assert refused(github(api), provider_http).extensions["reason"] == "account_unknown"


def test_a_token_its_provider_does_not_know_is_refused(api, provider_http):
    """401."""
    api.answers["/user"] = (401, {"message": "Bad credentials"})

    assert refused(github(api), provider_http).extensions["reason"] == "token_refused"


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_an_outage_is_not_a_refusal(api, provider_http, status):
    """The caller may try again."""
    api.answers["/user"] = (status, b"")

    refused(github(api), provider_http, error=ProviderUnavailable)


@pytest.mark.parametrize("access_token", ["a\r\nx-evil: 1", "a\nb", "a b\x00", "é", ""])
def test_a_token_that_would_split_a_header_is_not_sent(api, provider_http, access_token):
    """A provider chooses its tokens; it does not choose our headers."""
    error = refused(github(api), provider_http, tokens(access_token=access_token))

    assert error.extensions["reason"] == "token_refused"
    assert api.requests == []


def test_a_request_for_a_missing_address_is_made_only_then(api, provider_http):
    """`when: email_missing`."""
    provider = google(api)
    extra = ProfileRequest("extra", api.url("/extra"), when="email_missing")
    places = dict(provider.profile.map) | {"email": ("id_token#/email", "extra#/email")}
    provider = replace(provider, profile=replace(provider.profile, requests=(extra,), map=places))
    api.answers["/extra"] = (200, {"email": "late@acme.example"})

    assert fetch_profile(provider=provider, tokens=tokens(CLAIMS), provider_http=provider_http).email == CLAIMS["email"]
    assert api.requests == []
    late = fetch_profile(provider=provider, tokens=tokens({"sub": "user-1"}), provider_http=provider_http)
    assert late.email == "late@acme.example"


def test_a_profile_in_the_token_response_costs_no_call(provider_http):
    """Asana's `data`."""
    places = {"provider_user_id": ("token_response#/data/gid",), "email": ("token_response#/data/email",)}
    provider = replace(GOOGLE, profile=replace(GOOGLE.profile, map=places))
    body = b'{"data":{"gid":"7","email":"ada@acme.example"}}'

    assert (
        fetch_profile(provider=provider, tokens=tokens(body=body), provider_http=provider_http).provider_user_id == "7"
    )
