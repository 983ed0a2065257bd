"""Client authentication at our own endpoints."""

from __future__ import annotations

import base64
from dataclasses import replace
from urllib.parse import quote_plus

import pytest

from grantkeeper import ids
from grantkeeper.edge.oauth_clients import authenticate_client
from grantkeeper.errors import OAuthError
from tests.doubles.deployment import CONFIDENTIAL_CLIENT, SECRET, deployment, register


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
        authenticate_client(form, headers, clients=clients)
    return error.value


def test_public_client_names_itself(clients):
    """It proves nothing; PKCE does."""
    assert authenticate_client({"client_id": "spa"}, {}, clients=clients).client_id == "spa"


def test_c41_basic_is_form_decoded(clients):
    """A secret with a colon, a space, a percent sign and a plus arrives whole (RFC 6749 section 2.3.1)."""
    assert authenticate_client({}, basic("backend", SECRET), clients=clients).client_id == "backend"


def test_basic_may_repeat_the_client_id_in_the_body(clients):
    """As many libraries do; it must be the same."""
    form = {"client_id": "backend"}

    assert authenticate_client(form, basic("backend", SECRET), clients=clients).client_id == "backend"
    assert refused(clients, {"client_id": "spa"}, basic("backend", SECRET)).error == "invalid_request"


def test_post_is_accepted_where_registered(clients):
    """client_secret_post."""
    form = {"client_id": "poster", "client_secret": SECRET}

    assert authenticate_client(form, {}, clients=clients).client_id == "poster"


def test_any_live_secret_counts_while_one_rotates(clients):
    """Both, until the old one is taken away."""
    for secret in ("old", "new"):
        assert authenticate_client({}, basic("rotating", secret), clients=clients).client_id == "rotating"


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


def test_malformed_client_id_costs_no_read():
    """It is refused by its shape."""
    wiring = deployment()
    reads = len(wiring.aws.dynamodb.faults.calls)

    refused(wiring.clients, {"client_id": "x" * 65}, {})

    assert len(wiring.aws.dynamodb.faults.calls) == reads
