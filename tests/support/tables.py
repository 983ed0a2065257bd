"""The three tables as `template.yaml` defines them, created wherever a test needs them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"

LOGICAL_IDS = {"grants": "GrantsTable", "requests": "RequestsTable", "audit": "AuditTable"}


@dataclass(frozen=True, slots=True)
class Tables:
    """Three tables of one test's own, and the client that reaches them."""

    client: Any
    endpoint_url: str
    grants: str
    requests: str
    audit: str

    @property
    def env(self) -> dict[str, str]:
        """The environment `wiring.from_environment` needs to reach these tables."""
        return {
            "GRANTS_TABLE": self.grants,
            "REQUESTS_TABLE": self.requests,
            "AUDIT_TABLE": self.audit,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }


def create(client: Any, *, suffix: str, endpoint_url: str) -> Tables:
    """Create the three tables under names of their own; DynamoDB Local has them at once."""
    names = {}
    for key, definition in definitions().items():
        names[key] = f"{key}-{suffix}"
        client.create_table(TableName=names[key], **definition)
    return Tables(client=client, endpoint_url=endpoint_url, **names)


def drop(tables: Tables) -> None:
    """Delete what `create` made."""
    for name in (tables.grants, tables.requests, tables.audit):
        tables.client.delete_table(TableName=name)


@functools.cache
def definitions() -> Mapping[str, Mapping[str, Any]]:
    """CreateTable arguments without the name: keys and indexes; TTL, streams and encryption do not matter here."""
    resources = load_template(TEMPLATE)["Resources"]
    return {key: _create_arguments(resources[logical_id]["Properties"]) for key, logical_id in LOGICAL_IDS.items()}


def load_template(path: Path) -> dict[str, Any]:
    """Parse a CloudFormation template; `!Ref x` becomes `{"Ref": x}` and so on."""
    return yaml.load(path.read_text(), Loader=_CloudFormationLoader)


def _create_arguments(properties: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    arguments = {name: properties[name] for name in kept if name in properties}
    return {**arguments, "BillingMode": "PAY_PER_REQUEST"}


class _CloudFormationLoader(yaml.SafeLoader):
    """SafeLoader that knows CloudFormation's short forms."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_CloudFormationLoader.add_multi_constructor("!", _short_form)
