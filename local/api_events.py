"""
What API Gateway's HTTP API does between the wire and a function (payload format 2.0).

Pure: bytes and headers in, events and answers out. Only what AWS documents or
what was seen from it: text bodies are exactly `text/*` and JSON, XML and
JavaScript, so a form arrives in base64; duplicate headers and query values are
joined by commas; cookies leave the headers for a list of their own.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript"})


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as it came in."""

    method: str
    target: str  # path and query, as sent
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    request_id: str

    @property
    def path(self) -> str:
        """The path as sent, percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query as sent, without its question mark."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Match:
    """A route that fits a request, and what its variables stand for."""

    route_key: str
    path_parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over the wire."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def match(route_keys: Iterable[str], method: str, path: str) -> Match | None:
    """
    Choose the route: literal segments win over variables, a method over ANY, all of them over `$default`.

    `{name}` stands for exactly one segment that is not empty, `{name+}` for the rest. HEAD is not GET, and a trailing
    slash counts: so does AWS.
    """
    best: tuple[tuple[int, ...], Match] | None = None
    for route_key in route_keys:
        route_method, _, pattern = route_key.partition(" ")
        if not pattern or route_method not in (method, "ANY"):
            continue
        fit = _fit(pattern.split("/"), path.split("/"))
        if fit is None:
            continue
        ranks, parameters = fit
        rank = (*ranks, 0 if route_method == method else 1)
        if best is None or rank < best[0]:
            best = (rank, Match(route_key, parameters))
    if best is not None:
        return best[1]
    return Match("$default", {}) if "$default" in route_keys else None


def event(call: Call, found: Match, *, api_id: str, domain: str, now: float) -> dict[str, Any]:
    """Build the event of payload format 2.0; members that AWS leaves out when empty are left out."""
    headers = _joined_headers(call.headers)
    cookies = [part.strip() for part in headers.pop("cookie", "").split(";") if part.strip()]
    text = is_text(headers.get("content-type", ""), call.body)
    built: dict[str, Any] = {
        "version": "2.0",
        "routeKey": found.route_key,
        "rawPath": unquote(call.path),
        "rawQueryString": call.query,
        "headers": headers,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": api_id,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "http": {
                "method": call.method,
                "path": unquote(call.path),
                "protocol": "HTTP/1.1",
                "sourceIp": call.source_ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": call.request_id,
            "routeKey": found.route_key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": bool(call.body) and not text,
    }
    if cookies:
        built["cookies"] = cookies
    if call.query:
        built["queryStringParameters"] = _joined(parse_qsl(call.query, keep_blank_values=True))
    if found.path_parameters:
        built["pathParameters"] = dict(found.path_parameters)
    if call.body:
        built["body"] = call.body.decode() if text else base64.b64encode(call.body).decode()
    return built


def is_text(content_type: str, body: bytes) -> bool:
    """True for a body that reaches the function as it is; a form does not, nor a body without a type."""
    media_type = content_type.partition(";")[0].strip().lower()
    if not (media_type.startswith("text/") or media_type in TEXT_TYPES):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def answer(payload: Any) -> Answer:
    """
    Turn a function's return value into a response.

    Without `statusCode` it is a body of its own: 200, application/json.

    Raises:
        ValueError: Not an answer; AWS says 500.
    """
    if not isinstance(payload, dict) or "statusCode" not in payload:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        return Answer(200, [("content-type", "application/json")], text.encode())

    status = int(payload["statusCode"])
    headers = [(str(name).lower(), _header(value)) for name, value in (payload.get("headers") or {}).items()]
    headers += [("set-cookie", _header(cookie)) for cookie in payload.get("cookies") or ()]
    body = payload.get("body")
    if body is not None and not isinstance(body, str):
        raise ValueError("the body is not a string")
    content = base64.b64decode(body or "") if payload.get("isBase64Encoded") else (body or "").encode()
    if all(name != "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    if not 200 <= status <= 599:
        raise ValueError("no such status")
    return Answer(status, headers, content)


def message(status: int, text: str) -> Answer:
    """An answer of API Gateway's own, such as 404 `{"message":"Not Found"}`."""
    return Answer(
        status, [("content-type", "application/json")], json.dumps({"message": text}, separators=(",", ":")).encode()
    )


def _fit(pattern: Sequence[str], path: Sequence[str]) -> tuple[tuple[int, ...], dict[str, str]] | None:
    """Ranks of the segments (0 literal, 1 variable, 2 greedy) and the variables, or None."""
    ranks: list[int] = []
    parameters: dict[str, str] = {}
    for index, expected in enumerate(pattern):
        if expected.startswith("{") and expected.endswith("+}"):
            rest = "/".join(path[index:])
            if not rest:
                return None
            parameters[expected[1:-2]] = unquote(rest)
            return (*ranks, 2), parameters
        if index >= len(path):
            return None
        actual = path[index]
        if expected.startswith("{") and expected.endswith("}"):
            if not actual:
                return None
            parameters[expected[1:-1]] = unquote(actual)
            ranks.append(1)
        elif unquote(actual) == expected:
            ranks.append(0)
        else:
            return None
    return (tuple(ranks), parameters) if len(pattern) == len(path) else None


def _joined_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Lower-case names; duplicates joined by a comma, except cookies, whose own separator is a semicolon."""
    pairs = [(name.lower(), value) for name, value in headers]
    cookies = "; ".join(value for name, value in pairs if name == "cookie")
    return _joined(pair for pair in pairs if pair[0] != "cookie") | ({"cookie": cookies} if cookies else {})


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _header(value: Any) -> str:
    """
    A header value as text; `True` reads `true`, as in JSON.

    Raises:
        ValueError: A line break would begin another header.
    """
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\r" in text or "\n" in text:
        raise ValueError("a line break in a header")
    return text
