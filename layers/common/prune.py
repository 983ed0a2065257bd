"""
Keep of botocore's data what the product calls, and nothing else.

Botocore carries the models of four hundred services; finding and reading them
is a fifth of a cold start (50 ms) and 27 MB. What stays is trimmed to
`OPERATIONS` and written as plain JSON, which needs no unpacking at start.
A test walks every AWS call in the source against this table.

    python3.13 prune.py SITE_PACKAGES
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "cloudwatch": ("DescribeAlarms",),
    "dynamodb": (
        "BatchGetItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactWriteItems",
        "UpdateItem",
    ),
    "events": ("PutEvents",),
    "kms": (
        "Decrypt",
        "DescribeKey",
        "GenerateDataKey",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
    ),
    "sqs": ("GetQueueAttributes", "SendMessage", "SendMessageBatch"),
    "ssm": ("GetParameter", "PutParameter"),
}

# Client methods get docstrings made from the models, for `help()`; loading their generator is 5 % of a cold start.
# The classes stay, as the empty strings they are before anybody asks.
DOCSTRINGS = """class ClientMethodDocstring(str):
    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)


class WaiterDocstring(ClientMethodDocstring):
    pass


class PaginatorDocstring(ClientMethodDocstring):
    pass
"""

SHARED_FILES = ("_retry.json", "sdk-default-configuration.json", "partitions.json", "endpoints.json")


def main(site: Path) -> None:
    """
    Prune the botocore and boto3 below `site` in place.

    Raises:
        LookupError: A model lacks an operation of the table: botocore moved, the table did not.
    """
    data = site / "botocore" / "data"
    for entry in data.iterdir():
        if entry.is_dir() and entry.name not in OPERATIONS:
            shutil.rmtree(entry)
        elif entry.is_file() and entry.name.removesuffix(".gz") not in SHARED_FILES:
            entry.unlink()
    for service, operations in OPERATIONS.items():
        prune_service(data / service, operations)
    prune_endpoints(data)
    prune_docstrings(site / "botocore" / "docs")
    # Resource models: `boto3.resource` is used nowhere.
    for entry in (site / "boto3" / "data").iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
    shutil.rmtree(site / "boto3" / "examples", ignore_errors=True)


def prune_service(folder: Path, operations: Iterable[str]) -> None:
    """Keep the newest version of a service's model and endpoint rules, with these operations and what they refer to."""
    *older, newest = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    for version in older:
        shutil.rmtree(version)
    model = read(newest / "service-2.json")
    rules = read(newest / "endpoint-rule-set-1.json")
    shutil.rmtree(newest)
    newest.mkdir()
    write(newest / "service-2.json", pruned_model(model, operations))
    write(newest / "endpoint-rule-set-1.json", rules)


def pruned_model(model: dict[str, Any], operations: Iterable[str]) -> dict[str, Any]:
    """
    Make a model of these operations: their shapes, no documentation.

    Raises:
        LookupError: The model lacks one of them.
    """
    kept = {name: model["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    waiting = list(references(kept))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            waiting += references(shapes[name])
    rest = {key: value for key, value in model.items() if key not in ("operations", "shapes", "documentation")}
    pruned: dict[str, Any] = without_documentation({**rest, "operations": kept, "shapes": shapes})
    return pruned


def references(node: Any) -> Iterator[str]:
    """Name every shape a part of a model refers to."""
    if isinstance(node, dict):
        if isinstance(node.get("shape"), str):
            yield node["shape"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def without_documentation(node: Any) -> Any:
    """Drop the prose. A member that is called `documentation` holds a dict and stays."""
    if isinstance(node, dict):
        return {
            key: without_documentation(value)
            for key, value in node.items()
            if not (key == "documentation" and isinstance(value, str))
        }
    if isinstance(node, list):
        return [without_documentation(value) for value in node]
    return node


def prune_docstrings(docs: Path) -> None:
    """Leave of the documentation generator what clients and handlers import."""
    for entry in docs.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "utils.py":
            entry.unlink()
    (docs / "__init__.py").write_text("", encoding="utf-8")
    (docs / "docstring.py").write_text(DOCSTRINGS, encoding="utf-8")


def prune_endpoints(data: Path) -> None:
    """Keep every partition and region; of the services, ours."""
    endpoints = read(data / "endpoints.json")
    for partition in endpoints["partitions"]:
        partition["services"] = {name: service for name, service in partition["services"].items() if name in OPERATIONS}
    (data / "endpoints.json.gz").unlink(missing_ok=True)
    write(data / "endpoints.json", endpoints)


def read(path: Path) -> dict[str, Any]:
    """Read a JSON file that may be packed."""
    packed = path.with_name(path.name + ".gz")
    text = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    content: dict[str, Any] = json.loads(text)
    return content


def write(path: Path, content: dict[str, Any]) -> None:
    """Write compact JSON; the same input makes the same bytes, so that the layer is reproducible."""
    path.unlink(missing_ok=True)  # uv may have linked it to its cache: another installation must not change with it
    path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
