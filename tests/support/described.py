"""Every answer a test sees is held against the description of the API."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]


def check_answer(route: str, status: int, headers: Mapping[str, str], body: str) -> None:
    """
    Fail when a described route answers what its description does not say: another status, type or form.

    Args:
        route: `"GET /v1/connections/{id}"`; one that is not described is not looked at.
    """
    described = _operation(route)
    if described is None or status in (404, 405):  # API Gateway's own, or a path no caller was promised
        return
    answers = described["responses"]
    assert str(status) in answers, f"{route} answers {status}, of which its description says nothing: {body[:200]}"
    content = _resolved(answers[str(status)]).get("content")
    media = headers.get("content-type", "").partition(";")[0]
    if content is None or not body:
        return
    if f"{media.partition('/')[0]}/*" in content:
        return
    assert media in content, f"{route} answers {status} as {media}, not as {sorted(content)}"
    if media.endswith(("/json", "+json")):
        problems = [e.message for e in _validator(route, status, media).iter_errors(json.loads(body))]
        assert not problems, f"{route} answers {status} in another form than described: {problems[:3]}"


@functools.cache
def description() -> Any:
    """The committed document."""
    return json.loads((ROOT / "functions" / "discovery" / "openapi.json").read_text())


def _operation(route: str) -> Any:
    method, _, path = route.partition(" ")
    return description()["paths"].get(path, {}).get(method.lower())


@functools.cache
def _validator(route: str, status: int, media: str) -> Draft202012Validator:
    response = _resolved(_operation(route)["responses"][str(status)])
    schema = {**response["content"][media]["schema"], "components": description()["components"]}
    return Draft202012Validator(schema)


def _resolved(response: Any) -> Any:
    reference = response.get("$ref")
    return description()["components"]["responses"][reference.rpartition("/")[2]] if reference else response
