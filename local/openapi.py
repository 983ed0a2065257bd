"""
The description of the API (OpenAPI 3.1), made from the functions' own routes.

    python -m local.openapi           write functions/discovery/openapi.json
    python -m local.openapi --check   say whether the committed one is what the functions do

Every function is loaded as Lambda loads it, with nothing behind it, and asked for its operations: paths and methods,
who may call, the types of bodies. Words come from the handlers' docstrings.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, is_typeddict

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from grantkeeper.edge import admin_schemas, schemas
from grantkeeper.edge.http import App
from grantkeeper.edge.operations import Operation
from local.aws import ROOT
from local.openapi_words import FAILURES, IF_MATCH, REFERENCE, SECURITY, TAGS, about, example

TYPES = {**vars(schemas), **vars(admin_schemas)}
PARAMETERS = {**schemas.PARAMETERS, **admin_schemas.ADMIN_PARAMETERS}
COMMITTED = ROOT / "functions" / "discovery" / "openapi.json"
STAND_IN = {
    "GRANTS_TABLE": "grants", "REQUESTS_TABLE": "requests", "AUDIT_TABLE": "audit", "ISSUER": "https://id.example.com",
    "PARAMETER_PREFIX": "/grantkeeper", "DUE_SHARDS": "16", "AWS_DEFAULT_REGION": "eu-west-1",
    "POWERTOOLS_METRICS_NAMESPACE": "Grantkeeper", "POWERTOOLS_SERVICE_NAME": "openapi",
}  # fmt: skip


def main() -> int:
    """Returns 1 when `--check` finds a difference."""
    text = json.dumps(describe(), indent=1, sort_keys=False, ensure_ascii=False) + "\n"
    if "--check" in sys.argv:
        if COMMITTED.exists() and COMMITTED.read_text() == text:
            return 0
        print("functions/discovery/openapi.json is not what the functions do: run python -m local.openapi")
        return 1
    COMMITTED.write_text(text)
    return 0


def describe() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    used: set[str] = {"Problem", "OAuthProblem"}
    for function, app in apps():
        for route_key, operation in app.operations.items():
            method, _, path = route_key.partition(" ")
            handler = app.routes[route_key]
            paths.setdefault(path, {})[method.lower()] = _operation(function, route_key, handler, operation, used)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Grantkeeper",
            "version": "1",
            "summary": "Sign users in, connect their accounts, and read working access tokens.",
            "description": about(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.values() if _is_used(name, paths)],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": _schemas(used), "responses": FAILURES, "securitySchemes": SECURITY},
    }


def apps() -> Iterator[tuple[str, App]]:
    """Every function that answers HTTP, by its folder's name."""
    os.environ.update({name: value for name, value in STAND_IN.items() if name not in os.environ})
    for place in sorted((ROOT / "functions").glob("*/app.py")):
        module = _load(place)
        for value in vars(module).values():
            if isinstance(value, App) and value.operations:
                yield place.parent.name, value
                break


def _load(place: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"described_{place.parent.name}", place)
    if spec is None or spec.loader is None:
        raise LookupError(place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _operation(function: str, route_key: str, handler: Any, operation: Operation, used: set[str]) -> dict[str, Any]:
    method, _, path = route_key.partition(" ")
    words = inspect.cleandoc(handler.__doc__ or "")
    summary, _, description = words.partition("\n\n")
    described: dict[str, Any] = {
        "operationId": _operation_id(function, method, handler),
        "tags": [TAGS[function][0]],
        "summary": " ".join(summary.split()),
    }
    if description:
        described["description"] = description
    parameters = [_in_path(name) for name in re.findall(r"{(\w+)}", path)] + [_in_query(n) for n in operation.query]
    if operation.versioned:
        parameters.append(dict(IF_MATCH))
    if parameters:
        described["parameters"] = parameters
    body = _body(operation, used)
    if body:
        described["requestBody"] = body
    described["responses"] = _responses(path, operation, used)
    described["security"] = _security(operation)
    if operation.access is not None:
        described["x-access"] = asdict(operation.access) | {"callers": list(operation.access.callers)}
    return described


def _operation_id(function: str, method: str, handler: Any) -> str:
    name: str = handler.__name__
    return name if name.startswith(method.lower()) else f"{method.lower()}_{name.partition('_')[2] or function}"


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(name: str) -> dict[str, Any]:
    required, name = name.startswith("*"), name.removeprefix("*")
    kind, text = PARAMETERS[name]
    name = name.partition(":")[0]  # `status:user` is the parameter `status`, as it is told of users
    described = {"name": name, "in": "query", "description": text, "schema": TypeAdapter(kind).json_schema()}
    return {**described, "required": True} if required else described


def _body(operation: Operation, used: set[str]) -> dict[str, Any] | None:
    for name, media in ((operation.takes, "application/json"), (operation.form, "application/x-www-form-urlencoded")):
        if name is not None:
            used.add(name)
            return {"required": True, "content": {media: {"schema": _reference(name)} | example(name)}}
    return None


def _responses(path: str, operation: Operation, used: set[str]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done" if operation.answers is None else operation.answers}
    if operation.answers is not None:
        used.add(operation.answers)
        shown = {"schema": _reference(operation.answers)} | example(operation.answers)
        good["content"] = {operation.media: shown}
    elif operation.status == 303:
        good = {"description": "The browser goes on", "headers": {"Location": {"schema": {"type": "string"}}}}
    elif operation.media != "application/json":
        good["content"] = {media: {"schema": {"type": "string"}} for media in (operation.media, *operation.also)}
    statuses = _failures(path, operation)
    answers = {str(operation.status): good}
    if operation.conditional or operation.versioned:
        good["headers"] = {"ETag": {"schema": {"type": "string"}}}
    if operation.conditional:
        answers["304"] = {"description": "What the caller has is still right"}
    if operation.fails == "page" and operation.status == 303:
        answers["200"] = {
            "description": "A page for the user",
            "content": {"text/html": {"schema": {"type": "string"}}},
        }
    failed = {
        str(status): {"$ref": f"#/components/responses/{operation.fails}-{status}"} for status in sorted(statuses)
    }
    return dict(sorted(answers.items())) | failed


def _failures(path: str, operation: Operation) -> set[int]:
    statuses = {400, 500, 503, *operation.errors}
    if operation.access is not None:
        statuses |= {401, 403, 429}
    if "{" in path or "user_sub" in operation.query:
        statuses.add(404)
    if operation.takes or operation.form:
        statuses |= {413, 415}
    if operation.versioned:
        statuses |= {412, 428}
    return statuses


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    if operation.access is not None:
        return [{caller: []} for caller in operation.access.callers]
    match operation.security:
        case "client":
            return [{"client": []}, {}]
        case "confidential_client":
            return [{"client": []}]
        case "access_token":
            return [{"user": []}]
        case None:
            return []


def _schemas(used: set[str]) -> dict[str, Any]:
    """The named types, and whatever they are made of."""
    adapters = [(name, "serialization", TypeAdapter(TYPES[name])) for name in sorted(used)]
    _, definitions = TypeAdapter.json_schemas(
        [(name, "serialization", adapter) for name, _, adapter in adapters],
        ref_template=REFERENCE,
        schema_generator=_Plain,
    )
    found: dict[str, Any] = definitions.get("$defs", {})
    return dict(sorted(found.items()))


class _Plain(GenerateJsonSchema):
    """Without a title for every member: the names say it."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic passes it
        """Never."""
        return False


def _reference(name: str) -> dict[str, str]:
    if not is_typeddict(TYPES[name]):
        raise TypeError(f"{name} is no type of edge.schemas or edge.admin_schemas")
    return {"$ref": REFERENCE.format(model=name)}


def _is_used(tag: str, paths: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(tag in operation["tags"] for methods in paths.values() for operation in methods.values())


if __name__ == "__main__":
    sys.exit(main())
