"""
What is sent to hurt rather than to be answered (W-07, W-09, W-13 to W-16, W-20, W-23, W-24): other people's headers,
sizes, depths, slow patterns, twins.

At the handlers, so that not even what API Gateway would have stopped gets through. Times are processor time, the best
of three, beside what is ordinary on the same machine: it may be slow, and do other things as well.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.security.team import GUARDED, OPERATIONS, Team, call
from tests.support.functions import CONTEXT, http_event

ROOT = Path(__file__).parents[2]
OPEN = "POST /v1/connect-sessions"
LIMIT = 64 * 1024
QUICK, TIMES = 0.05, 100  # seconds, or so many times an ordinary request where that is more
LONG = 100_000
BEGINS = (
    "a",
    "A",
    "0",
    "-",
    "_",
    ".",
    "/",
    "{",
    "{a",
    "0x",
    "a-",
    "a.",
    "@",
    "a@",
    ":",
    " ",
    "\t",
    "~",
    "é",
    "#",
    "&=",
)
ENDS = ("", "!", "\n", "\x00")
LINEAR = re.compile("(?:[a-z]|[0-9])*")  # the yardstick
ATTACKS = [text * (LONG // len(text)) + end for text in BEGINS for end in ENDS]


@pytest.fixture(scope="module")
def team() -> Team:
    return Team()


def asked(functions: Any, team: Team, body: str | bytes, *, packed: bool = False, **headers: str) -> tuple[Any, float]:
    """Open a connect session with this body; the answer, and the seconds it took at best."""
    event = http_event(
        OPEN, headers={"content-type": "application/json", **team.world.key, **headers},
        body=body if isinstance(body, str) else body.decode("latin-1"),
    )  # fmt: skip
    if packed:
        event["body"] = base64.b64encode(event["body"].encode("latin-1")).decode()
        event["isBase64Encoded"] = True
    module = functions[OPEN]
    module.app_wiring = team.world.wiring
    return spent(lambda: module.handler(event, CONTEXT))


def spent(do: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the processor time in seconds that it took at best."""
    best = 60.0
    for _ in range(3):
        begun = time.process_time()
        found = do()
        best = min(best, time.process_time() - begun)
    return found, best


def quick(functions: Any, team: Team) -> float:
    """Seconds that a refusal may take here."""
    return max(QUICK, TIMES * asked(functions, team, "{}")[1])


ELSEWHERE = {
    "host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example;proto=http",
    "x-forwarded-proto": "http", "x-forwarded-prefix": "/evil.example", "x-original-url": "/evil.example",
    "x-rewrite-url": "/evil.example", "x-forwarded-server": "evil.example", "referer": "https://evil.example/",
}  # fmt: skip


@pytest.mark.parametrize("route", OPERATIONS)
def test_w09_no_header_says_where_we_are(functions, route):
    """Links, redirects and metadata name the deployment's own URL, whatever host was asked."""
    world = Team().world
    parts = world.good(route)
    answer = called(functions, world, route, parts, **ELSEWHERE)

    assert answer["statusCode"] < 400 or route == "POST /oauth2/callback/{provider}"
    assert "evil.example" not in json.dumps([answer["headers"], answer.get("cookies", [])])
    if not answer["isBase64Encoded"]:
        assert "evil.example" not in answer["body"]


def test_w07_a_header_makes_no_other_method(functions, team):
    """`X-HTTP-Method-Override` and its like: a GET stays one."""
    route = "GET /v1/connections/{id}"
    for name in ("x-http-method-override", "x-method-override", "x-http-method"):
        answer = called(functions, team.world, route, team.world.good(route), **{name: "DELETE"})

        assert json.loads(answer["body"])["status"] == "active"


def called(functions: Any, world: Any, route: str, parts: dict[str, Any], **headers: str) -> Any:
    """A request that would succeed, with more headers."""
    event = http_event(
        route, path="/", query=parts.get("query", ""), headers={**parts.get("headers", {}), **headers},
        cookies=parts.get("cookies"), form=parts.get("form"), path_parameters=parts.get("path"),
        body=json.dumps(parts["json"]) if "json" in parts else None,
    )  # fmt: skip
    module = functions[route]
    module.app_wiring = world.wiring
    return module.handler(event, CONTEXT)


@pytest.mark.parametrize("size", [LIMIT + 1, 6 * 2**20, 10 * 2**20])
@pytest.mark.parametrize("packed", [False, True])
def test_w13_a_body_over_64_kib_is_refused_before_it_is_parsed(functions, team, size, packed):
    """413, at once, and without a copy of it: also when base64 would have to be undone first."""
    body = "[" * size
    asked(functions, team, "{}")
    tracemalloc.start()
    held = tracemalloc.get_traced_memory()[0]
    try:
        answer, _ = asked(functions, team, body, packed=packed)
        most = tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()
    _, seconds = asked(functions, team, body, packed=packed)

    assert answer["statusCode"] == 413
    assert seconds < quick(functions, team)
    made_by_the_test = 4 * size if packed else 0
    assert most - made_by_the_test < 2**20


def test_w13_the_limit_itself_is_a_body(functions, team):
    """64 KiB to the byte is read, and refused for what it holds."""
    answer, _ = asked(functions, team, " " * (LIMIT - 2) + "{}")

    assert answer["statusCode"] == 400


@pytest.mark.parametrize(
    "body",
    [
        "[" * 60_000, '{"a":' * 12_000, "[]" * 30_000, '{"service":' + "[" * 21 + "]" * 21 + "}",
        "{" + ",".join(f'"{n}":0' for n in range(7_000)) + "}", '{"access":1e999}', '{"access":' + "9" * 60_000 + "}",
        '{"access":-' + "9" * 21 + "}", '{"access":NaN}', '{"access":Infinity}', '{"service":"a","service":"b"}',
        '{"service":"\\ud800"}', '{"service":"\\ud800\\ud800"}', "\ufeff{}", "null", '"a"', "1", "[]", "{", "}", "{}x",
        '{"service":"a"', "\x00", "{'service':'a'}", '{"service":"a",}', "// a\n{}", '{"__proto__":{"a":1}}',
    ],
    ids=lambda body: body[:24].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_w14_json_that_is_made_to_hurt_is_400_at_once(functions, team, body):
    """Depth, width, numbers without end, what is no JSON: one refusal, at once, without a word of it."""
    assert len(body.encode("utf-8", "surrogatepass")) <= LIMIT
    answer, seconds = asked(functions, team, body)

    assert answer["statusCode"] == 400, answer["body"]
    assert seconds < quick(functions, team), seconds
    assert body[:24] not in json.loads(answer["body"])["detail"]


def patterns() -> list[tuple[str, str, str]]:
    """(module, how it is used, pattern) of every regular expression that is written in the code of the functions."""
    found = set()
    for place in [*(ROOT / "layers/common/grantkeeper").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        tree = ast.parse(place.read_text())
        named = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _is_re(node.value, "compile"):
                named[getattr(node.targets[0], "id", "")] = node.value
        used: dict[str, set[str]] = {name: set() for name in named}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            how, of = node.func.attr, getattr(node.func.value, "id", "")
            if of in used:
                used[of].add(how)
            elif of == "re" and how != "compile" and isinstance(node.args[0], ast.Constant):
                found.add((place.name, how, node.args[0].value))
        for name, ways in used.items():
            text = named[name].args[0]
            if isinstance(text, ast.Constant):
                found |= {(place.name, how, text.value) for how in ways or {"fullmatch", "match"}}
    return sorted(found)


def _is_re(node: ast.Call, name: str) -> bool:
    return (
        isinstance(node.func, ast.Attribute) and node.func.attr == name and getattr(node.func.value, "id", "") == "re"
    )


def test_w15_the_expressions_are_found():
    """Or the next test would hold of nothing."""
    assert len(patterns()) > 30
    assert "ids.py" in {place for place, _, _ in patterns()}


@pytest.mark.parametrize(("place", "how", "pattern"), patterns(), ids=lambda text: text[:40])
def test_w15_no_expression_is_slow_on_any_text(place, how, pattern):
    """A hundred thousand characters that nearly fit: linear, so well under a tenth of a second."""
    compiled = re.compile(pattern)
    tried = compiled.sub if how == "sub" else getattr(compiled, how)

    def once(attack: str) -> float:
        begun = time.process_time()
        found = tried("", attack) if how == "sub" else tried(attack)
        if how == "finditer":
            list(found)
        return time.process_time() - begun

    for attack in ATTACKS:
        if once(attack) >= 0.1:  # a slow machine, or a slow expression?
            linear = spent(lambda: LINEAR.fullmatch("a" * LONG))[1]
            assert min(once(attack) for _ in range(3)) < max(0.1, TIMES * linear), (place, attack[:8], attack[-2:])


TWINS = {
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in text),
    "a joiner": lambda text: text[:6] + "\u200d" + text[6:],
    "right to left": lambda text: "\u202e" + text,
    "a homoglyph": lambda text: text[:-1] + "\u0430",
    "composed": lambda text: text + "\u0301",
    "a NUL": lambda text: text + "\x00",
    "a space": lambda text: text + " ",
    "a line": lambda text: text + "\n",
    "upper case": str.upper,
    "overlong": lambda text: "\udcc0\udcae" + text,
    "65 letters": lambda text: text.ljust(65, "a"),
    "a path": lambda text: "../" + text,
    "nothing": lambda text: "",
}


@pytest.mark.parametrize("twin", TWINS)
def test_w16_what_only_looks_like_an_id_is_none(functions, twin):
    """By every route with an id: never the thing itself, and never trouble."""
    for route in (route for route in GUARDED if "{" in route):
        team = Team()
        parts = team.parts(route, names=False)
        parts["path"] = {name: TWINS[twin](value) for name, value in parts["path"].items()}
        for credential in (team.token("usr_alice", "app", _ALL), team.key(_ALL, client_id="app")):
            answer = call(functions, team, route, parts, credential)

            assert answer["statusCode"] in (400, 403, 404, 410), (route, answer["statusCode"])


@pytest.mark.parametrize(
    "headers",
    [
        {"content-length": "0"}, {"content-length": "-1"}, {"content-length": "9" * 30}, {"content-length": "abc"},
        {"content-length": "5", "transfer-encoding": "chunked"}, {"transfer-encoding": "gzip, chunked"},
    ],
    ids=str,
)  # fmt: skip
def test_w20_what_a_header_says_of_the_length_counts_for_nothing(functions, team, headers):
    """The event holds the body; there is nothing to smuggle in behind it."""
    body = json.dumps(team.parts(OPEN, names=True)["json"])

    answer, _ = asked(functions, team, body, **headers)

    assert answer["statusCode"] == 201


def test_w23_nothing_that_is_somebodys_is_kept_by_a_cache(functions, team):
    """A shared cache (RFC 9111 section 3) stores no answer that took a credential, good or bad, and no page."""
    for route, operation in OPERATIONS.items():
        if not route.startswith("GET") or "/oauth2/callback" in route:
            continue
        credential = {}
        if "x-access" in operation:
            parts = team.parts(route, names=True)
            parts.get("query", {}).pop("user_sub", None) if "user" in operation["x-access"]["callers"] else None
            person = "user" in operation["x-access"]["callers"]
            person = person and operation["x-access"]["scope"] not in ("metrics:read", "admin:read")
            credential = team.token("usr_alice", "app", _ALL) if person else team.key(_ALL, client_id=None)
        else:
            parts = {"headers": {}, **team.world.good(route)}

        answer = call(functions, team, route, parts, credential)

        control = answer["headers"]["cache-control"]
        public = not operation["security"] and not route.startswith(("GET /connect", "GET /link", "GET /oauth2"))
        if not public:
            assert "no-store" in control or "private" in control, (route, control)
        elif "public" in control and "access-control-allow-origin" in answer["headers"]:
            allowed = answer["headers"]["access-control-allow-origin"]
            assert allowed == "*" or "origin" in answer["headers"]["vary"], route


def test_w24_an_idempotency_key_is_not_believed_to_be_one(functions, team):
    """None is offered: two calls are two sessions, whatever a header says; what must be once is so by itself."""
    parts = team.parts(OPEN, names=True)
    credential = team.world.key | {"idempotency-key": "the-same"}

    made = {json.loads(call(functions, team, OPEN, parts, credential)["body"])["id"] for _ in range(2)}
    done = "POST /v1/connect-sessions/{id}/complete"
    again = team.parts(done, names=True)
    confirmed = {json.loads(call(functions, team, done, again, credential)["body"])["id"] for _ in range(2)}

    assert len(made) == 2
    assert len(confirmed) == 1


_ALL = {"openid", "profile", "account:write", "connections:read", "connections:write", "connections:token"} | {
    "admin:read", "metrics:read",
}  # fmt: skip
