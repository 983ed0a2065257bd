"""API Gateway's part of the local run, held against what AWS does (payload format 2.0)."""

import base64

import pytest

from local.api_events import Call, answer, event, is_text, match

ROUTES = (
    "GET /v1/connections",
    "GET /v1/connections/{id}",
    "GET /v1/connections/stats",
    "GET /v1/connections/{id}/token",
    "ANY /console",
    "GET /console/{path+}",
    "POST /oauth2/token",
)


def call(target="/", method="GET", headers=(), body=b""):
    return Call(
        method=method, target=target, headers=list(headers), body=body, source_ip="127.0.0.1", request_id="request"
    )


def built(target="/", **about):
    found = match(("$default",), "GET", "/")
    return event(call(target, **about), found, api_id="api", domain="localhost:8080", now=1_700_000_000.5)


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/v1/connections", "GET /v1/connections"),
        ("GET", "/v1/connections/con_1", "GET /v1/connections/{id}"),
        ("GET", "/v1/connections/stats", "GET /v1/connections/stats"),
        ("GET", "/v1/connections/con_1/token", "GET /v1/connections/{id}/token"),
        ("POST", "/console", "ANY /console"),
        ("GET", "/console/assets/app.js", "GET /console/{path+}"),
    ],
)
def test_the_most_specific_route_wins(method, path, route):
    """
    A literal segment beats a variable, a variable beats the rest of the path.
    """
    assert match(ROUTES, method, path).route_key == route


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/v1/connections"),
        ("POST", "/v1/connections/con_1"),
        ("GET", "/v1/connections/"),
        ("GET", "/v1/connections//token"),
        ("GET", "/console/"),
        ("GET", "/V1/connections"),
        ("GET", "/"),
    ],
)
def test_what_no_route_takes_is_not_found(method, path):
    """
    HEAD is not GET, a trailing slash counts, a variable is never empty.
    """
    assert match(ROUTES, method, path) is None


def test_default_takes_the_rest():
    """
    `$default` answers what no other route does.
    """
    assert match((*ROUTES, "$default"), "DELETE", "/anything").route_key == "$default"


def test_path_variables_are_decoded_after_matching():
    """
    An encoded slash does not begin another segment.
    """
    found = match(ROUTES, "GET", "/v1/connections/a%2Fb%20c")

    assert found.path_parameters == {"id": "a/b c"}


def test_query_is_untouched_and_repetitions_are_joined():
    """
    `rawQueryString` keeps what was sent; the parsed form joins repeated values with commas.
    """
    made = built("/x?a=1&a=2&b=%2B+c&d")

    assert made["rawQueryString"] == "a=1&a=2&b=%2B+c&d"
    assert made["queryStringParameters"] == {"a": "1,2", "b": "+ c", "d": ""}


def test_cookies_leave_the_headers():
    """
    Every cookie is an entry of `cookies`; no `cookie` header remains, however many there were.
    """
    made = built(headers=[("Cookie", "a=1; b=2"), ("cookie", "c=3")])

    assert made["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in made["headers"]


def test_duplicate_headers_are_joined_by_a_comma():
    """
    Names are in lower case, values joined without a space.
    """
    assert built(headers=[("X-A", "1"), ("x-a", "2")])["headers"]["x-a"] == "1,2"


def test_empty_members_are_left_out():
    """
    No query, cookies, variables or body: no member.
    """
    made = built()

    assert not {"queryStringParameters", "cookies", "pathParameters", "body"} & set(made)
    assert made["isBase64Encoded"] is False


def test_a_form_arrives_in_base64():
    """
    AWS treats a form as binary, which is easy to forget.
    """
    made = built(method="POST", headers=[("content-type", "application/x-www-form-urlencoded")], body=b"a=b")

    assert made["isBase64Encoded"] is True
    assert base64.b64decode(made["body"]) == b"a=b"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("application/json", b"{}", True),
        ("Application/JSON; charset=utf-8", b"{}", True),
        ("text/plain", "é".encode(), True),
        ("text/plain", b"\xff", False),
        ("application/problem+json", b"{}", False),
        ("", b"{}", False),
    ],
)
def test_only_text_travels_as_text(content_type, body, text):
    """
    text/*, JSON, XML and JavaScript in UTF-8; everything else, and a body without a type, is base64.
    """
    assert is_text(content_type, body) is text


def test_request_context_tells_time_and_caller():
    """
    The members a function may rely on.
    """
    context = built("/a%20b", headers=[("user-agent", "curl")])["requestContext"]

    assert context["http"] == {
        "method": "GET",
        "path": "/a b",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl",
    }
    assert context["time"] == "14/Nov/2023:22:13:20 +0000"
    assert context["timeEpoch"] == 1_700_000_000_500


def test_an_answer_carries_every_cookie_on_a_line_of_its_own():
    """
    `cookies` becomes one set-cookie header each.
    """
    made = answer({"statusCode": 303, "headers": {"Location": "/"}, "cookies": ["a=1", "b=2"]})

    assert made.status == 303
    assert [value for name, value in made.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert ("location", "/") in made.headers


def test_a_value_without_status_is_a_body():
    """
    AWS infers 200 and application/json.
    """
    made = answer({"hello": "world"})

    assert (made.status, made.body) == (200, b'{"hello": "world"}')
    assert ("content-type", "application/json") in made.headers


def test_base64_answers_are_decoded():
    """
    A binary body comes out as bytes.
    """
    assert answer({"statusCode": 200, "body": "AAE=", "isBase64Encoded": True}).body == b"\x00\x01"


@pytest.mark.parametrize(
    "payload",
    [
        {"statusCode": "ok"},
        {"statusCode": 42},
        {"statusCode": 200, "body": {"not": "text"}},
        {"statusCode": 200, "headers": {"location": "/\r\nset-cookie: a=b"}},
        {"statusCode": 200, "cookies": ["a=b\nx: y"]},
    ],
)
def test_a_malformed_answer_is_an_error(payload):
    """
    No such status, a body that is no text, a line break in a header: AWS answers 500.
    """
    with pytest.raises((ValueError, TypeError)):
        answer(payload)
