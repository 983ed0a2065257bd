"""Behind a distribution: who did not come by it is not let in, and its word for the viewer's address counts."""

from __future__ import annotations

import hashlib

import pytest

from grantkeeper.edge.front_door import SECRET, VIEWER
from grantkeeper.edge.http import App, json_response
from tests.support.functions import http_event

GOOD, NEXT = "a" * 32, "b" * 32
ROUTE = "GET /health"
EDGE = "130.176.0.1"


def hashed(secret):
    return hashlib.sha256(secret.encode()).hexdigest()


def call(hashes, **headers):
    """What a route saw, or the refusal."""
    seen = []
    app = App(env={"ORIGIN_SECRET_HASHES": hashes})
    app.route(ROUTE)(lambda request: seen.append(request) or json_response({}))
    event = http_event(ROUTE, headers=headers)
    event["requestContext"]["http"]["sourceIp"] = EDGE
    return app(event, None), seen[0] if seen else None


@pytest.mark.parametrize("sent", ["", "wrong", hashed(GOOD), GOOD + " ", "\ud800" * 4])
def test_without_the_secret_nobody_is_let_in(sent):
    """Its hash, which who reads a function's configuration knows, is no secret."""
    answer, seen = call(hashed(GOOD), **({SECRET: sent} if sent else {}))

    assert seen is None
    assert answer["statusCode"] in (400, 403)
    assert sent not in answer["body"] or not sent


def test_both_secrets_are_good_while_one_is_changed():
    """Functions and distribution do not change at one moment."""
    for secret in (GOOD, NEXT):
        answer, _ = call(f"{hashed(GOOD)},{hashed(NEXT)}", **{SECRET: secret})
        assert answer["statusCode"] == 200


def test_the_secret_goes_no_further():
    """What a route sees may be logged one day."""
    _, seen = call(hashed(GOOD), **{SECRET: GOOD})

    assert GOOD not in repr(seen)


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("198.51.100.10:46532", "198.51.100.10"),
        ("2001:db8::1:46532", "2001:db8::1"),
        ("[2001:db8::1]:46532", "2001:db8::1"),
        ("", EDGE),
        ("nowhere:1", EDGE),
        ("198.51.100.10", EDGE),
    ],
)
def test_w10_the_viewers_address_is_the_distributions_word(told, address):
    """Limits go by it; what is not an address with a port leaves the one that API Gateway saw."""
    _, seen = call(hashed(GOOD), **{SECRET: GOOD, VIEWER: told})

    assert seen.source_ip == address


def test_w10_without_a_distribution_nobodys_word_is_taken():
    """The header is anybody's then."""
    answer, seen = call("", **{SECRET: GOOD, VIEWER: "198.51.100.10:46532"})

    assert answer["statusCode"] == 200
    assert seen.source_ip == EDGE
