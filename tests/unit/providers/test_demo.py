"""The demo provider, spoken to for real: a whole trip through the package of the local run."""

import os
import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import timedelta
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import pytest

from grantkeeper import ids
from grantkeeper.errors import IdTokenRejected
from grantkeeper.model import HttpRequest, ProviderCredentials, TokenSet
from grantkeeper.oauth.authorization import authorization_url
from grantkeeper.oauth.authorization_response import check_authorization_response
from grantkeeper.oauth.token_request import refresh_request, revocation_request
from grantkeeper.oauth.token_response import failure, granted, normalise_scopes, sealable, token_set
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.providers.catalog import Catalog
from grantkeeper.services.complete_record import discover
from grantkeeper.services.fetch_profile import fetch_profile
from grantkeeper.services.provider_keys import ProviderKeys
from grantkeeper.services.redeem_provider_code import redeem_provider_code

REDIRECT = "http://localhost:8080/oauth2/callback/demo"
CREDENTIALS = ProviderCredentials("demo", "client-1", "secret")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@pytest.fixture(scope="module")
def base():
    from oidc_provider_mock import User, run_server_in_thread

    users = [User(sub="ada", claims={"email": "ada@acme.example", "email_verified": True, "name": "Ada"})]
    with (
        mock.patch.dict(os.environ, {"AUTHLIB_INSECURE_TRANSPORT": "1"}),
        run_server_in_thread(port=0, access_token_max_age=timedelta(minutes=1), user_claims=users) as server,
    ):
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def http():
    http = Httpx2ProviderHttp(allow_private_addresses=True)
    yield http
    http.close()


@pytest.fixture
def provider(base, http):
    return Catalog({"demo": discover(base, http)}, allow_private_addresses=True).get("demo")


def consent(provider, *, nonce, verifier, decision=b"sub=ada"):
    """Be the browser: open the consent page, decide, and come back with a query."""
    service = provider.service("demo")
    state = ids.new_secret()
    url = authorization_url(
        provider=provider,
        client_id=CREDENTIALS.client_id,
        redirect_uri=REDIRECT,
        state=state,
        scopes=(*service.base_scopes, *service.access["write"]),
        purpose="connect",
        code_verifier=verifier,
        nonce=nonce,
    )
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.build_opener(_Stay).open(url, data=decision)
    with answer.value as response:
        location = response.headers["location"]
    query = {name: (value,) for name, value in parse_qsl(urlsplit(location).query)}
    assert query["state"] == (state,)
    return query


def redeem(provider, http, *, nonce, code, expected_nonce=None):
    return redeem_provider_code(
        provider=provider,
        credentials=CREDENTIALS,
        code=code,
        code_verifier="v" * 43,
        nonce=expected_nonce or nonce,
        redirect_uri=REDIRECT,
        http=http,
        keys=ProviderKeys(http),
        now=int(time.time()),
    )


def connect(provider, http):
    nonce = ids.new_secret()
    query = consent(provider, nonce=nonce, verifier="v" * 43)
    code = check_authorization_response(query, provider=provider, credentials=CREDENTIALS)
    return redeem(provider, http, nonce=nonce, code=code)


def test_oidcc_client_test_a_whole_trip(provider, http):
    """Consent, code, ID token by the published key, profile, scopes."""
    tokens = connect(provider, http)
    service = provider.service("demo")
    asked = (*service.base_scopes, *service.access["write"])

    assert tokens.id_claims["sub"] == "ada"
    assert normalise_scopes(provider, tokens.sets["main"].scopes, asked) == asked
    profile = fetch_profile(provider=provider, tokens=tokens, provider_http=http)
    assert (profile.provider_user_id, profile.email, profile.email_verified) == ("ada", "ada@acme.example", True)
    asked_again = fetch_profile(provider=provider, tokens=replace(tokens, id_claims=None), provider_http=http)
    assert asked_again == profile, "userinfo says the same as the ID token"


def test_oidcc_client_test_nonce_invalid_for_real(provider, http):
    """A token of another trip, signed by the right key."""
    query = consent(provider, nonce="theirs", verifier="v" * 43)
    with pytest.raises(IdTokenRejected) as caught:
        redeem(provider, http, nonce="theirs", code=query["code"][0], expected_nonce="ours")
    assert caught.value.extensions["reason"] == "nonce"


def test_oidcc_client_test_refresh_token(provider, http):
    """As the record says: no rotation, the refresh token stays valid, a withdrawn one is dead."""
    before = connect(provider, http).sets["main"]
    request = refresh_request(provider, CREDENTIALS, refresh_token=before.refresh_token)

    for _ in range(2):
        answer = http.send(request)
        assert granted(answer, provider=provider, names=("main",), lenient=True) == ["main"]
        plaintext = sealable(answer.body, provider=provider, previous=before, received_at=1000)
        after = token_set(plaintext, provider=provider)
        assert b"refresh_token" not in answer.body, "the record says rotation none"
        assert after.refresh_token == before.refresh_token
        assert after.access_token != before.access_token
        assert after.expires_at == 1060

    http.send(HttpRequest("POST", provider.issuer + "/users/ada/revoke-tokens"))
    answer = http.send(request)
    assert granted(answer, provider=provider, names=("main",), lenient=True) == []
    assert failure(answer, provider=provider, now=1000).kind == "dead"


def test_it_has_no_way_to_revoke(provider):
    """And the record says so."""
    assert provider.revocation_endpoint is None
    assert revocation_request(provider, CREDENTIALS, token_set=TokenSet("at-1", refresh_token="rt-1")) is None
