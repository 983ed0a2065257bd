"""Functions called as Lambda calls them: real payload 2.0 events in, payload 2.0 answers out."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.described import check_answer

ROOT = Path(__file__).parents[2]
CONTEXT = SimpleNamespace(
    function_name="test",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-west-1:111122223333:function:test",
    aws_request_id="00000000-0000-4000-8000-000000000000",
    get_remaining_time_in_millis=lambda: 20_000,
)


@dataclass(frozen=True)
class Answer:
    """What a function answered."""

    status: int
    headers: Mapping[str, str]
    body: str
    cookies: tuple[str, ...]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def content(self) -> bytes:
        """The bytes of an answer that is no text."""
        return base64.b64decode(self.body)

    @property
    def location(self) -> str:
        return self.headers["location"]


class Function:
    """One `functions/<name>/app.py`, loaded afresh and wired as the test says: one execution environment."""

    def __init__(self, name: str, wiring: Any) -> None:
        self.module: ModuleType = _load(name)
        self.module.app_wiring = wiring

    def __call__(self, route: str, **parts: Any) -> Answer:
        """Call a route; see `http_event` for the parts."""
        answer = self.module.handler(http_event(route, **parts), CONTEXT)
        assert isinstance(answer["body"], str)
        headers = answer["headers"]
        assert answer["isBase64Encoded"] is (
            headers.get("content-type", "").startswith("image/") or "content-encoding" in headers
        )
        check_answer(route, answer["statusCode"], answer["headers"], answer["body"])
        return Answer(answer["statusCode"], answer["headers"], answer["body"], tuple(answer.get("cookies", ())))


def http_event(
    route: str,
    *,
    path: str | None = None,
    query: Mapping[str, str] | str = "",
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    form: Mapping[str, str] | str | None = None,
    body: str | bytes | None = None,
    path_parameters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """
    Make the event API Gateway makes of a request: the committed example with this request's parts.

    Args:
        route: `"GET /connect/{ticket}"`; the path follows from it and `path_parameters`.
        query: Parameters, or the raw query string.
        form: A form body; sent base64-encoded, as API Gateway does for anything but text and JSON.
    """
    event: dict[str, Any] = json.loads((ROOT / "events" / "authorize.json").read_text())
    method, _, template = route.partition(" ")
    raw_path = path or _filled(template, path_parameters or {})
    raw_query = query if isinstance(query, str) else urlencode(query)
    sent = {"host": "id.example.com", "x-forwarded-for": "203.0.113.9"}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    if form is not None:
        body = (form if isinstance(form, str) else urlencode(form)).encode()
        sent.setdefault("content-type", "application/x-www-form-urlencoded")

    event |= {"routeKey": route, "rawPath": raw_path, "rawQueryString": raw_query, "headers": sent}
    event.pop("queryStringParameters")  # the function reads the raw string, which hides no repetition
    event["requestContext"]["http"] |= {"method": method, "path": raw_path}
    event["requestContext"]["routeKey"] = route
    if path_parameters:
        event["pathParameters"] = dict(path_parameters)
    if cookies:
        event["cookies"] = [f"{name}={value}" for name, value in cookies.items()]
    if body is not None:
        event["isBase64Encoded"] = isinstance(body, bytes)
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return event


def cookie_jar(*set_cookies: str) -> dict[str, str]:
    """What a browser sends back."""
    return dict(cookie.split(";", 1)[0].split("=", 1) for cookie in set_cookies)


def query_of(url: str) -> str:
    """The raw query of a URL."""
    return urlsplit(url).query


def _filled(template: str, parameters: Mapping[str, str]) -> str:
    for name, value in parameters.items():
        template = template.replace("{" + name + "}", value)
    return template


def _load(name: str) -> ModuleType:
    place = ROOT / "functions" / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"functions_{name}", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
