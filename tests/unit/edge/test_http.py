"""Events in, requests out: what is decoded, what is refused, and what a request may not smuggle in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from grantkeeper.edge.decode import strict_json_object
from grantkeeper.edge.http import App, json_response, parse_event
from grantkeeper.errors import BadRequest, NotFound, StoreUnavailable
from tests.support.functions import CONTEXT, http_event

ROUTE = "GET /v1/connections/{id}"
# What str.strip() takes off and no browser does: a page on a sibling domain may set such a cookie (W-11).
ODD_SPACES = ("\u2000", "\u3000", "\u00a0", "\u0085", "\u2028", "\x0b", "\x0c", "\x1c", "\x1f")


def parsed(**parts: Any) -> Any:
    return parse_event(http_event("GET /connect/{ticket}", path_parameters={"ticket": "t"}, **parts))


@pytest.mark.parametrize("space", ODD_SPACES)
def test_w11_an_odd_space_makes_no_host_cookie(space):
    """The browser took `<space>__Host-…` for another name, and let a sibling domain set it; so do we."""
    event = http_event("GET /connect/{ticket}", path_parameters={"ticket": "t"})
    event["cookies"] = [f"{space}__Host-gk_browser=planted", "__Host-gk_browser=own"]

    assert parse_event(event).cookies["__Host-gk_browser"] == "own"

    event["cookies"] = []
    event["headers"]["cookie"] = f"{space}__Host-gk_browser=planted; __Host-gk_browser=own"
    assert parse_event(event).cookies["__Host-gk_browser"] == "own"


def test_cookies_are_read_with_the_spaces_that_belong_there():
    """As separated by `; ` (RFC 6265 section 4.2.1), the first of a name."""
    event = http_event("GET /connect/{ticket}", path_parameters={"ticket": "t"}, headers={"cookie": "a=1; b=2;\ta=3"})

    assert parse_event(event).cookies == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    "parts",
    [
        {"query": "state=\ud800"},
        {"headers": {"authorization": "Bearer \ud800"}},
        {"cookies": {"a": "\ud800"}},
    ],
)
def test_w14_what_no_encoding_can_say_is_a_bad_request(parts):
    """A lone surrogate would break whatever hashes or signs it later."""
    with pytest.raises(BadRequest):
        parsed(**parts)


@pytest.mark.parametrize("text", ['{"a":"\\ud800"}', '{"\\udfff":1}', '{"a":["b",{"c":"\\ud83d"}]}'])
def test_w14_lone_surrogates_in_json_are_refused(text):
    """Escaped ones pass UTF-8 and json.loads, and fail at the first digest; pairs are characters."""
    with pytest.raises(BadRequest):
        strict_json_object(text)
    assert strict_json_object('{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


@pytest.mark.parametrize("parameters", [None, {}, {"other": "a"}, {"id": ""}, {"id": "\ud800"}])
def test_w17_a_route_without_its_path_parameter_is_no_route(parameters):
    """API Gateway never sends one; a function that is invoked by other means answers 404 or 400, not 500."""
    event = http_event(ROUTE, path_parameters={"id": "con_a"})
    event["pathParameters"] = parameters

    with pytest.raises((NotFound, BadRequest)):
        parse_event(event)


def test_w18_a_repeated_form_field_is_not_named_back():
    """Its name is the sender's text: nothing of it returns."""
    app = App()
    app.route("POST /oauth2/token")(lambda request: json_response(dict(request.form())))

    answer = app(http_event("POST /oauth2/token", form="evil-name=1&evil-name=2"), CONTEXT)

    assert answer["statusCode"] == 400
    assert "evil" not in json.dumps(answer)


def test_w18_trouble_with_the_store_says_nothing_of_our_account():
    """`AccessDeniedException` is for the log; the caller learns that it may try again."""
    app = App()

    @app.route("GET /health")
    def fail(_: Any) -> Any:
        raise StoreUnavailable("The store refused the call.", code="AccessDeniedException", retry_after=2)

    answer = app(http_event("GET /health"), CONTEXT)

    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "2")
    assert "AccessDenied" not in json.dumps(answer)
