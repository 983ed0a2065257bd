"""Client authentication at our own endpoints."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import quote_plus

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from grantkeeper import ids
from grantkeeper.edge.client_assertions import ALGORITHMS
from grantkeeper.edge.oauth_clients import authenticate_client
from grantkeeper.errors import OAuthError
from grantkeeper.services.discovery import authorization_server_metadata
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import CONFIDENTIAL_CLIENT, ISSUER, SECRET, deployment, register
from tests.doubles.provider import NOON

TOKEN_ENDPOINT = f"{ISSUER}/oauth2/token"


@pytest.fixture(scope="module")
def clients():
    wiring = deployment()
    register(wiring, replace(CONFIDENTIAL_CLIENT, client_id="poster", token_endpoint_auth_method="client_secret_post"))
    register(wiring, replace(CONFIDENTIAL_CLIENT, client_id="gone", status="disabled"))
    register(
        wiring,
        replace(CONFIDENTIAL_CLIENT, client_id="rotating", secret_hashes=(ids.digest("old"), ids.digest("new"))),
    )
    register(wiring, replace(CONFIDENTIAL_CLIENT, client_id="empty", secret_hashes=()))
    return wiring.clients


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return {"authorization": "Basic " + base64.b64encode(pair).decode()}


def refused(clients, form, headers) -> OAuthError:
    with pytest.raises(OAuthError) as error:
        authenticate(form, headers, clients=clients)
    return error.value


def authenticate(form, headers, *, clients, wiring=None, now=NOON):
    used = None if wiring is None else wiring.rate_limits
    return authenticate_client(
        form, headers, clients=clients, audiences=(ISSUER, TOKEN_ENDPOINT), used_assertions=used, now=now
    )


def test_public_client_names_itself(clients):
    """It proves nothing; PKCE does."""
    assert authenticate({"client_id": "spa"}, {}, clients=clients).client_id == "spa"


def test_c41_basic_is_form_decoded(clients):
    """A secret with a colon, a space, a percent sign and a plus arrives whole (RFC 6749 section 2.3.1)."""
    assert authenticate({}, basic("backend", SECRET), clients=clients).client_id == "backend"


def test_basic_may_repeat_the_client_id_in_the_body(clients):
    """As many libraries do; it must be the same."""
    form = {"client_id": "backend"}

    assert authenticate(form, basic("backend", SECRET), clients=clients).client_id == "backend"
    assert refused(clients, {"client_id": "spa"}, basic("backend", SECRET)).error == "invalid_request"


def test_post_is_accepted_where_registered(clients):
    """client_secret_post."""
    form = {"client_id": "poster", "client_secret": SECRET}

    assert authenticate(form, {}, clients=clients).client_id == "poster"


def test_any_live_secret_counts_while_one_rotates(clients):
    """Both, until the old one is taken away."""
    for secret in ("old", "new"):
        assert authenticate({}, basic("rotating", secret), clients=clients).client_id == "rotating"


def test_two_methods_at_once_are_refused(clients):
    """Exactly one (RFC 6749 section 2.3)."""
    error = refused(clients, {"client_id": "backend", "client_secret": SECRET}, basic("backend", SECRET))

    assert (error.error, error.status) == ("invalid_request", 400)


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({}, {}),
        ({"client_id": "unknown"}, {}),
        ({"client_id": "../../etc/passwd"}, {}),
        ({"client_id": "backend"}, {}),
        ({"client_id": "backend", "client_secret": SECRET}, {}),
        ({"client_id": "spa", "client_secret": "x"}, {}),
        ({"client_id": "poster", "client_secret": "wrong"}, {}),
        ({"client_id": "poster", "client_secret": ""}, {}),
        ({}, basic("backend", "wrong")),
        ({}, basic("unknown", SECRET)),
        ({}, basic("poster", SECRET)),
        ({}, basic("gone", SECRET)),
        ({}, basic("empty", "")),
        ({}, basic("empty", "an unknown client costs the same comparison")),
        ({}, {"authorization": "Basic ???"}),
        ({}, {"authorization": "Basic " + base64.b64encode(b"no colon").decode()}),
        ({}, {"authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()}),
        ({}, {"authorization": "Basic " + base64.b64encode(b"a%ff:b").decode()}),
        ({}, {"authorization": "Bearer abc"}),
        ({}, {"authorization": "Basic " + "A" * 5000}),
        ({"client_id": "spa", "client_assertion": "x", "client_assertion_type": "y"}, {}),
    ],
)
def test_everything_else_reads_the_same(clients, form, headers):
    """An unknown client, a wrong secret and a method that was not registered: 401 invalid_client."""
    error = refused(clients, form, headers)

    assert (error.error, error.status) == ("invalid_client", 401)
    assert SECRET not in str(error)


@pytest.mark.parametrize("credentials", ["é", "YTpi é", "²", "====", "YQ", "/w==", "8J+YgA==", "JUZGOmE="])
def test_basic_that_is_no_base64_is_refused(clients, credentials):
    """Not ASCII, not base64, not UTF-8, without a colon, or broken escapes: all one answer, none a bug."""
    assert refused(clients, {}, {"authorization": f"Basic {credentials}"}).error == "invalid_client"


def test_malformed_client_id_costs_no_read():
    """It is refused by its shape."""
    wiring = deployment()
    reads = len(wiring.aws.dynamodb.faults.calls)

    refused(wiring.clients, {"client_id": "x" * 65}, {})

    assert len(wiring.aws.dynamodb.faults.calls) == reads


# --- private_key_jwt ---

KEYS = {"ES256": ECKey.generate_key("P-256", parameters={"kid": "e1"}),
        "RS256": RSAKey.generate_key(2048, parameters={"kid": "r1"}),
        "PS256": RSAKey.generate_key(2048, parameters={"kid": "p1"})}  # fmt: skip
CLAIMS = {"iss": "signer", "sub": "signer", "aud": ISSUER, "iat": NOON, "exp": NOON + 60, "jti": "j-1"}


@pytest.fixture
def signing():
    wiring = deployment()
    jwks = tuple(key.as_dict(private=False) for key in KEYS.values())
    client = replace(CONFIDENTIAL_CLIENT, client_id="signer", token_endpoint_auth_method="private_key_jwt", jwks=jwks)
    register(wiring, client)
    return wiring


def assertion(alg: str = "ES256", *, key=None, header=None, **claims) -> dict[str, str]:
    key = key or KEYS[alg]
    body = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    token = jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, body, key, algorithms=[alg])
    return {
        "client_assertion": token,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }


def by_assertion(wiring, form, *, now=NOON):
    return authenticate(form, {}, clients=wiring.clients, wiring=wiring, now=now)


@pytest.mark.parametrize("alg", list(KEYS))
def test_signed_assertion_proves_the_client(signing, alg):
    """By any of its registered keys."""
    assert by_assertion(signing, assertion(alg)).client_id == "signer"


@pytest.mark.parametrize("aud", [ISSUER, [ISSUER], TOKEN_ENDPOINT])
def test_assertion_is_for_us(signing, aud):
    """Our issuer, or the token endpoint as older clients say."""
    assert by_assertion(signing, assertion(aud=aud)).client_id == "signer"


def test_assertion_is_good_once(signing):
    """A replay is refused, also an hour's boundary later and in another execution environment."""
    form = assertion()
    by_assertion(signing, form)

    for wiring in (signing, memory_wiring(aws=signing.aws)):
        with pytest.raises(OAuthError):
            by_assertion(wiring, form, now=NOON + 59)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "spa"}, {"sub": "spa"}, {"iss": None}, {"sub": None}, {"aud": "https://evil.example"}, {"aud": None},
        {"aud": [ISSUER, "https://evil.example"]}, {"aud": ISSUER + "/"}, {"exp": NOON}, {"exp": NOON + 301},
        {"exp": None}, {"exp": "soon"}, {"exp": True}, {"iat": NOON + 60}, {"jti": None}, {"jti": ""},
        {"jti": "x" * 300},
    ],
)  # fmt: skip
def test_assertion_with_a_wrong_claim_proves_nothing(signing, change):
    """401 invalid_client."""
    with pytest.raises(OAuthError) as error:
        by_assertion(signing, assertion(**change))

    assert (error.value.error, error.value.status) == ("invalid_client", 401)


def test_assertion_by_a_foreign_key_proves_nothing(signing):
    """Nor one that brings its key along, nor one without a signature, nor by the public key as a secret."""
    foreign = ECKey.generate_key("P-256", parameters={"kid": "e1"})
    carried = assertion(key=foreign, header={"jwk": foreign.as_dict(private=False)})
    head, body, _ = assertion()["client_assertion"].split(".")
    confused = assertion(
        "HS256", key=OctKey.import_key(KEYS["ES256"].as_dict(private=False)["x"], parameters={"kid": "e1"})
    )

    for form in (
        assertion(key=foreign),
        carried,
        confused,
        assertion() | {"client_assertion": f"{head}.{body}."},
        assertion() | {"client_assertion": "x" * 9000},
        assertion() | {"client_assertion": "a.b"},
        assertion() | {"client_assertion_type": "saml"},
        {"client_assertion": assertion()["client_assertion"]},
    ):
        with pytest.raises(OAuthError) as error:
            by_assertion(signing, form)
        assert error.value.error == "invalid_client"


def test_assertion_beside_another_method_is_refused(signing):
    """Exactly one."""
    with pytest.raises(OAuthError, match="two ways"):
        by_assertion(signing, assertion() | {"client_secret": "x"})
    with pytest.raises(OAuthError, match="in two ways"):
        by_assertion(signing, assertion() | {"client_id": "spa"})


def test_client_with_keys_cannot_use_a_secret(signing):
    """Its registered method, no other."""
    with pytest.raises(OAuthError):
        authenticate({}, basic("signer", SECRET), clients=signing.clients)


def test_discovery_promises_the_algorithms_that_are_taken():
    """And no others."""
    metadata = authorization_server_metadata(ISSUER)

    assert tuple(metadata["token_endpoint_auth_signing_alg_values_supported"]) == ALGORITHMS
    assert "private_key_jwt" in metadata["token_endpoint_auth_methods_supported"]
