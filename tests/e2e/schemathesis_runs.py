"""schemathesis as a process of its own, once per kind of caller, each with the routes that are for it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Not asked: `unsupported_method` and `allow_header_conformance` (a method without a route is API Gateway's 404, which
# test_bad_input holds), `positive_data_acceptance` (an id that fits its schema names nothing, a redirect_uri is not
# registered: what refers to something cannot be accepted for its form), and what only a stateful phase asks.
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "missing_required_header", "ignored_auth",
)  # fmt: skip
SETTINGS = """
[phases.coverage]
unexpected-methods = []

# An authorization request that is wrong is told so in the redirect to its client (RFC 6749 section 4.1.2.1).
[checks.negative_data_rejection]
expected-statuses = ["4xx", "303"]

[checks.missing_required_header]
expected-statuses = [400, 401, 403, 404, 428, 429]
"""


@dataclass(frozen=True, slots=True)
class Run:
    """
    One caller and what it asks for.

    Args:
        name: Of the caller, in the summary.
        routes: `"GET /v1/connections"`, …
        security: The scheme of the description that its credential is of; None without one.
        headers: The credential.
        examples: Values of parameters and members that exist here, by name; nothing that exists is deleted by them.
        without: Members of bodies that it leaves out.
    """

    name: str
    routes: tuple[str, ...]
    security: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    examples: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run found; `text` is what schemathesis wrote, with the curl command of every failure."""

    name: str
    cases: int
    seconds: float
    statuses: Counter[int]
    failures: Mapping[str, int]
    complete: bool
    text: str = field(repr=False)


def run(wanted: Run, description: Any, *, api_url: str, directory: Path, examples: int, seed: int) -> Outcome:
    """
    Let schemathesis loose on the routes of one caller.

    Args:
        description: The committed document.
        directory: Where the process works; its own.
        examples: Cases per route and phase, beside those that cover each boundary once.
        seed: The same one makes the same cases.
    """
    directory.mkdir(parents=True)
    place, report, events = directory / "openapi.json", directory / "report.json", directory / "events.ndjson"
    place.write_text(json.dumps(_part(description, wanted)))
    (directory / "schemathesis.toml").write_text(SETTINGS)
    headers = [text for name, value in wanted.headers.items() for text in ("-H", f"{name}: {value}")]
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(place), "--url", api_url, *headers,
        "--phases", "examples,coverage,fuzzing", "--max-examples", str(examples), "--seed", str(seed),
        "--generation-database", "none", "--continue-on-failure", "--no-shrink", "--no-color", "--max-redirects", "0",
        "--request-timeout", "25", "--checks", ",".join(CHECKS), "--suppress-health-check", "all",
        "--report", "json,ndjson", "--report-json-path", str(report), "--report-ndjson-path", str(events),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    assert report.exists(), text[-3000:]
    told = json.loads(report.read_text())
    failures: Counter[str] = Counter()
    for failure in told["failures"]:
        failures[failure["type"]] += failure["count"]
    if told["errors"]:
        failures["errors"] += len(told["errors"])
    return Outcome(
        wanted.name, told["test_cases"]["generated"], told["running_time"], _statuses(events), failures,
        bool(told["complete"]), text,
    )  # fmt: skip


def _part(description: Any, wanted: Run) -> Any:
    """The description as this caller reads it: its routes, its credential, and examples of what is there."""
    part = copy.deepcopy(description)
    for path, methods in list(part["paths"].items()):
        for method, operation in list(methods.items()):
            if f"{method.upper()} {path}" not in wanted.routes:
                del methods[method]
                continue
            operation["security"] = [] if wanted.security is None else [{wanted.security: []}]
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in wanted.examples and method != "delete":
                    parameter["example"] = wanted.examples[parameter["name"]]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                shown = {k: v for k, v in content.get("example", {}).items() if k not in wanted.without}
                here = wanted.examples if "redirect_uri" in shown else {}  # the other services take keys
                content["example"] = shown | {k: here[k] for k in shown if k in here}
        if not methods:
            del part["paths"][path]
    for schema in part["components"]["schemas"].values() if wanted.without else ():
        schema["properties"] = {k: v for k, v in schema.get("properties", {}).items() if k not in wanted.without}
        schema["required"] = [name for name in schema.get("required", ()) if name not in wanted.without]
    return part


def _statuses(events: Path) -> Counter[int]:
    """How often each status was answered."""
    found: Counter[int] = Counter()
    with events.open() as lines:
        for line in lines:
            _count(json.loads(line), found)
    return found


def _count(value: Any, found: Counter[int]) -> None:
    if isinstance(value, dict):
        if isinstance(value.get("status_code"), int):
            found[value["status_code"]] += 1
        for each in value.values():
            _count(each, found)
    elif isinstance(value, list):
        for each in value:
            _count(each, found)
