"""Discovery at registration, over the wire."""

import json
import os
from unittest import mock

import pytest

from grantkeeper.errors import InvalidProviderRecord, ProviderUnavailable
from grantkeeper.provider_http import Httpx2ProviderHttp
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.demo import DEMO
from grantkeeper.services.complete_record import discover, moved_endpoints
from tests.support.adversary import Adversary

OIDC, RFC_8414 = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


@pytest.fixture
def http():
    http = Httpx2ProviderHttp(allow_private_addresses=True)
    yield http
    http.close()


class Issuer:
    """An issuer whose documents a test sets by path."""

    def __init__(self):
        self.documents = {}
        self.server = Adversary(self._behave)
        self.url = self.server.url("")
        self.documents[OIDC] = self.document()

    def document(self, /, **changes):
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code", "id_token"],
        } | changes
        return {name: value for name, value in document.items() if value is not ...}

    def _behave(self, wire, request):
        document = self.documents.get(request.split(b" ")[1].decode())
        body = b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
        status = 404 if document is None else 200
        wire.sendall(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)


@pytest.fixture
def issuer():
    issuer = Issuer()
    yield issuer
    issuer.server.close()


def refused(issuer, http, /, **changes):
    issuer.documents[OIDC] = issuer.document(**changes)
    with pytest.raises(InvalidProviderRecord) as caught:
        discover(issuer.url, http)
    return caught.value.extensions["field"]


def test_a_plain_document_becomes_a_record(issuer, http):
    """With the defaults of the standards for what it does not say."""
    fields = discover(issuer.url, http)

    assert fields == {
        "issuer": issuer.url,
        "authorization_endpoint": f"{issuer.url}/authorize",
        "token_endpoint": f"{issuer.url}/token",
        "jwks_uri": f"{issuer.url}/keys",
        "id_token_signed_response_alg": "RS256",
        "token_endpoint_auth_method": "client_secret_basic",
        "prompt_values_supported": [],
    }
    provider = Catalog({"acme": fields}, allow_private_addresses=True).get("acme")
    assert (provider.issuer, [service.id for service in provider.services]) == (issuer.url, ["acme"])


def test_the_documents_dialect_is_taken_over(issuer, http):
    """Algorithm, authentication, iss, revocation, prompts."""
    issuer.documents[OIDC] = issuer.document(
        id_token_signing_alg_values_supported=["none", "HS256", "ES256"],
        token_endpoint_auth_methods_supported=["private_key_jwt", "client_secret_post"],
        authorization_response_iss_parameter_supported=True,
        revocation_endpoint=f"{issuer.url}/revoke",
        code_challenge_methods_supported=["plain", "S256"],
        prompt_values_supported=["none", "login", 7],
    )
    provider = Catalog({"acme": discover(issuer.url, http)}, allow_private_addresses=True).get("acme")

    assert provider.id_token_signed_response_alg == "ES256"
    assert provider.token_endpoint_auth_method == "client_secret_post"
    assert provider.authorization_response_iss == "required"
    assert provider.revocation.kind == "rfc7009"
    assert provider.prompt_values_supported == ("none", "login")


@pytest.mark.parametrize("other", ["https://evil.example", "", None, 7, ...])
def test_c85_oidcc_client_test_discovery_issuer_mismatch(issuer, http, other):
    """Exact, or refused."""
    assert refused(issuer, http, issuer=other) == "issuer"
    assert refused(issuer, http, issuer=issuer.url + "/") == "issuer"


@pytest.mark.parametrize(
    "url",
    ["http://op.example/token", "https://10.0.0.1/token", "https://intranet/token", "ftp://op.example/", "", 7,
     "https://user@op.example/", "http://169.254.169.254/latest"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"])
def test_c87_an_endpoint_that_is_no_public_https_url_is_refused(issuer, http, field, url):
    """Also when the issuer itself is in order."""
    assert refused(issuer, http, **{field: url}) == field


@pytest.mark.parametrize("field", ["authorization_endpoint", "token_endpoint"])
def test_a_document_without_the_two_endpoints_is_refused(issuer, http, field):
    """They are what it is for."""
    assert refused(issuer, http, **{field: ...}) == field


def test_c02_only_plain_is_refused(issuer, http):
    """`plain` is never sent."""
    assert refused(issuer, http, code_challenge_methods_supported=["plain"]) == "code_challenge_methods_supported"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("response_types_supported", ["id_token"]),
        ("response_types_supported", "code"),
        ("id_token_signing_alg_values_supported", ["HS256", "none"]),
        ("token_endpoint_auth_methods_supported", ["tls_client_auth"]),
        ("code_challenge_methods_supported", "S256"),
    ],
)
def test_what_we_cannot_speak_is_refused_by_name(issuer, http, field, value):
    """At registration, not at the first sign-in."""
    assert refused(issuer, http, **{field: value}) == field


def test_an_oauth_server_is_found_at_the_address_of_rfc_8414(issuer, http):
    """Inserted before the path, where OpenID Connect appends."""
    url = f"{issuer.url}/tenant/a"
    issuer.documents = {f"{RFC_8414}/tenant/a": issuer.document(issuer=url)}

    assert discover(url, http)["issuer"] == url


@pytest.mark.parametrize("document", [b"", b"<html>", b"[]", b'{"issuer":"a","issuer":"b"}', None])
def test_without_a_document_there_is_no_record(issuer, http, document):
    """A page is none."""
    issuer.documents = {OIDC: document}
    with pytest.raises(InvalidProviderRecord) as caught:
        discover(issuer.url, http)
    assert caught.value.extensions == {"field": "issuer"}


@pytest.mark.parametrize("url", ["http://op.example", "https://10.0.0.1", "https://u@op.example", "op.example", ""])
def test_c87_an_issuer_that_is_no_public_https_url_is_not_asked(http, url):
    """Before any request."""
    with pytest.raises(InvalidProviderRecord):
        discover(url, http)


def test_a_deployed_function_asks_no_private_issuer(issuer):
    """The sender refuses, whatever the record says."""
    with pytest.raises(ProviderUnavailable):
        discover(issuer.url, Httpx2ProviderHttp())
    assert issuer.server.requests == []


def test_c86_a_moved_endpoint_is_named():
    """So that an operator approves it, or does not."""
    same = {"token_endpoint": DEMO.token_endpoint + "/v2", "jwks_uri": None}

    assert moved_endpoints(DEMO, same) == ()
    assert moved_endpoints(DEMO, {"token_endpoint": "https://evil.example/token"}) == ("token_endpoint",)


def test_the_demo_record_is_what_the_demo_provider_says_of_itself(http):
    """The package of the local run, asked for real."""
    from oidc_provider_mock import run_server_in_thread

    with mock.patch.dict(os.environ, {"AUTHLIB_INSECURE_TRANSPORT": "1"}), run_server_in_thread(port=0) as server:
        base = f"http://localhost:{server.server_port}"
        fields = discover(base, http)

    for name, value in fields.items():
        stated = getattr(DEMO, name)
        expected = stated.replace("http://localhost:9400", base) if isinstance(stated, str) else list(stated)
        assert value == expected, name
