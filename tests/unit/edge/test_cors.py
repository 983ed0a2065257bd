"""CORS: registered origins, never credentials."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.edge.cors import allow_any_origin, allow_registered_origin, preflight
from grantkeeper.edge.http import Request, Response
from tests.doubles.deployment import ORIGIN, PUBLIC_CLIENT, deployment, register

HOSTILE = [
    "null",
    "https://evil.example",
    "https://app.example.com.evil.example",
    "https://evilapp.example.com",
    "https://sub.app.example.com",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com/",
    "https://APP.example.com",
    "https://app.example.com\r\nx: y",
    "https://user@app.example.com",
    "file://",
    "https://",
    "https://app.example.com" * 40,
    "https://аpp.example.com",  # noqa: RUF001 - Cyrillic
    "*",
    "",
]


@pytest.fixture(scope="module")
def clients():
    return deployment().clients


def request(origin: str | None) -> Request:
    headers = {} if origin is None else {"origin": origin}
    return Request("POST /oauth2/token", "POST", "/oauth2/token", {}, {}, headers, {}, b"", "192.0.2.1", "r")


def test_registered_origin_may_read(clients):
    """The answer names the origin, varies by it, and allows no credentials."""
    answer = allow_registered_origin(Response(200), request(ORIGIN), clients=clients)

    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", HOSTILE)
def test_w02_other_origins_may_not(clients, origin):
    """No look-alike is reflected."""
    answer = allow_registered_origin(Response(200), request(origin), clients=clients)

    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "origin"


def test_no_origin_is_no_cors(clients):
    """A server that calls gets no CORS headers."""
    answer = allow_registered_origin(Response(200), request(None), clients=clients)

    assert "access-control-allow-origin" not in answer.headers


def test_w03_preflight_lists_exactly_what_is_allowed(clients):
    """The listed methods and headers and no others."""
    answer = preflight(request(ORIGIN), clients=clients, methods=("POST",))

    assert answer.status == 204
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
    assert answer.headers["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", HOSTILE)
def test_w03_preflight_of_others_permits_nothing(clients, origin):
    """The same 204 without any permission."""
    answer = preflight(request(origin), clients=clients, methods=("POST",))

    assert not any(name.startswith("access-control") for name in answer.headers)


def test_origin_of_a_disabled_client_is_gone():
    """Origins live and die with their client."""
    wiring = deployment()
    register(wiring, replace(PUBLIC_CLIENT, status="disabled"))
    register(wiring, replace(PUBLIC_CLIENT, client_id="backend", origins=()))

    answer = allow_registered_origin(Response(200), request(ORIGIN), clients=wiring.clients)

    assert "access-control-allow-origin" not in answer.headers


def test_public_documents_are_for_everybody():
    """Discovery and JWKS."""
    assert allow_any_origin(Response(200)).headers["access-control-allow-origin"] == "*"
