"""OAuth 1.0a on the wire, checked by a second implementation of its signature."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import (
    AuthorizationResponseRejected,
    ProviderDeclined,
    ProviderNotConfigured,
    TokenResponseRejected,
)
from grantkeeper.model import HttpRequest, HttpResponse, ProviderCredentials
from grantkeeper.oauth.oauth1 import (
    Credentials1,
    access_token_request,
    authorization_url,
    check_callback,
    request_token_request,
    sign,
    temporary_credentials,
)
from grantkeeper.providers.trello_oauth1 import TRELLO_OAUTH1
from tests.doubles.oauth1_provider import header_params, signature

NOW = 1_800_000_000
OURS = ProviderCredentials("trello-oauth1", "our key", "our+secret&")
CALLBACK = "https://id.acme.example/oauth2/callback/trello-oauth1?state=abc"


def checked(request, *, token_secret=""):
    params = header_params(request)
    signed = [(name, value) for name, value in params.items() if name != "oauth_signature"]
    expected = signature(
        request.method, request.url, signed, consumer_secret=OURS.client_secret, token_secret=token_secret
    )
    assert params["oauth_signature"] == expected
    return params


def test_the_request_token_is_asked_for_with_our_callback():
    """Section 2.1: signed with the consumer secret alone."""
    params = checked(request_token_request(TRELLO_OAUTH1, OURS, callback=CALLBACK, now=NOW))

    assert params["oauth_callback"] == CALLBACK
    assert params["oauth_consumer_key"] == "our key"
    assert params["oauth_timestamp"] == str(NOW)
    assert params["oauth_signature_method"] == "HMAC-SHA1"
    assert "oauth_token" not in params


def test_the_access_token_is_asked_for_with_token_and_verifier():
    """Section 2.3: signed with both secrets."""
    temporary = Credentials1("req/token", "req secret")
    request = access_token_request(TRELLO_OAUTH1, OURS, temporary=temporary, verifier="v+1", now=NOW)

    params = checked(request, token_secret="req secret")
    assert (params["oauth_token"], params["oauth_verifier"]) == ("req/token", "v+1")
    assert request.body is None


def test_c97_nothing_secret_shows_in_a_repr():
    """Tokens, their secrets and ours."""
    temporary = Credentials1("req-token", "req-secret")
    request = access_token_request(TRELLO_OAUTH1, OURS, temporary=temporary, verifier="verify", now=NOW)

    assert not any(word in f"{temporary!r} {request!r}" for word in ("req-token", "req-secret", "verify", "our"))


def test_c96_every_request_has_a_nonce_of_its_own():
    """Also within one second."""
    requests = [request_token_request(TRELLO_OAUTH1, OURS, callback=CALLBACK, now=NOW) for _ in range(20)]

    assert len({header_params(request)["oauth_nonce"] for request in requests}) == 20


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=20)


@given(TEXT, TEXT, st.lists(st.sampled_from(["a=1", "a=1", "b=%2B", "c%40=x%20y", "d=", "%C3%BC=%26"]), max_size=5))
def test_c95_the_signature_is_the_rfcs_for_any_text(token, secret, query):
    """`+ & = % ~ ü`, blanks and duplicate parameters, against an implementation written from RFC 5849 section 3.4.1."""
    url = "https://api.trello.example/1/members/me" + ("?" + "&".join(query) if query else "")
    request = sign(
        HttpRequest("GET", url),
        provider=TRELLO_OAUTH1,
        credentials=OURS,
        token=Credentials1(token or "t", secret),
        now=NOW,
    )

    checked(request, token_secret=secret)


def test_a_registration_without_secret_signs_nothing():
    """Told before anything is sent."""
    with pytest.raises(ProviderNotConfigured):
        request_token_request(TRELLO_OAUTH1, ProviderCredentials("t", "key"), callback=CALLBACK, now=NOW)


@pytest.mark.parametrize("confirmed", ["", "&oauth_callback_confirmed=false", "&oauth_callback_confirmed=True"])
def test_c92_a_server_that_does_not_confirm_the_callback_is_refused(confirmed):
    """OAuth 1.0 without the a: open to session fixation."""
    with pytest.raises(TokenResponseRejected) as caught:
        temporary_credentials(HttpResponse(200, {}, f"oauth_token=a&oauth_token_secret=b{confirmed}".encode()))
    assert caught.value.extensions["reason"] == "callback_not_confirmed"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"oauth_token=a", b"oauth_token=a&oauth_token=b&oauth_token_secret=c", b"{}", b"a" * 300_000],
)
def test_an_answer_without_credentials_is_refused(body):
    """Nothing is guessed."""
    with pytest.raises(TokenResponseRejected):
        temporary_credentials(HttpResponse(200, {}, body))


def test_the_consent_page_is_asked_with_scope_name_and_expiry():
    """Trello's own parameters beside the token; C-99: never the fragment flow."""
    url = authorization_url(TRELLO_OAUTH1, request_token="req&token", scopes=("account", "read"))
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    assert query == {"oauth_token": "req&token", "scope": "account,read", "expiration": "never", "name": "Grantkeeper"}
    assert "response_type" not in query


def answer(**parameters):
    return {name: (value,) for name, value in parameters.items()}


def test_a_callback_of_ones_own_yields_the_verifier():
    """Unknown parameters are ignored."""
    query = answer(state="s", oauth_token="t", oauth_verifier="v", other="x")

    assert check_callback(query, provider=TRELLO_OAUTH1, request_token="t") == "v"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (answer(oauth_token="other", oauth_verifier="v"), "token_mismatch"),  # C-93
        (answer(oauth_verifier="v"), "token_mismatch"),
        (answer(oauth_token="t"), "verifier_missing"),  # C-94
        (answer(oauth_token="t", oauth_verifier=""), "verifier_missing"),
        (answer(oauth_token="t", oauth_verifier="v" * 2000), "verifier_missing"),
        ({"oauth_token": ("t", "t"), "oauth_verifier": ("v",)}, "parameter_repeated"),
    ],
)
def test_c93_c94_anybody_elses_callback_is_refused(query, reason):
    """The session fixation of 2009."""
    with pytest.raises(AuthorizationResponseRejected) as caught:
        check_callback(query, provider=TRELLO_OAUTH1, request_token="t")
    assert caught.value.extensions["reason"] == reason


def test_c99_a_user_who_declines_is_heard():
    """No token, no verifier."""
    with pytest.raises(ProviderDeclined):
        check_callback(answer(denied="t"), provider=TRELLO_OAUTH1, request_token="t")
