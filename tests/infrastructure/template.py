"""The stack as CloudFormation will see it: template.yaml, translated by SAM's own translator, offline."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

ROOT = Path(__file__).resolve().parents[2]

Resource = Mapping[str, Any]


class _NoManagedPolicies:
    """SAM asks AWS for names of managed policies; the template uses none of them."""

    def load(self) -> dict[str, str]:
        return {}


@dataclass(frozen=True)
class Statement:
    """One statement of one role's policies."""

    sid: str
    actions: frozenset[str]
    resources: tuple[Any, ...]
    condition: Mapping[str, Any]

    def on(self, target: str) -> bool:
        """Whether a resource of the statement is the one of this logical id, or part of it."""
        return any(target in _words(resource) for resource in self.resources)

    def values(self, key: str) -> frozenset[str]:
        """What the conditions allow a key to be."""
        return frozenset(
            str(value)
            for operator in self.condition.values()
            for name, values in operator.items()
            if name == key
            for value in (values if isinstance(values, list) else [values])
        )


def _words(node: Any) -> set[str]:
    """Logical ids a value refers to by Ref, GetAtt or Sub."""
    if isinstance(node, str):
        return {part.partition("}")[0].partition(".")[0] for part in node.split("${")[1:]}
    if isinstance(node, list):
        return set().union(*map(_words, node))
    if isinstance(node, dict):
        words = set().union(*map(_words, node.values()))
        if isinstance(node.get("Ref"), str):
            words.add(node["Ref"])
        if "Fn::GetAtt" in node:
            attribute = node["Fn::GetAtt"]
            words.add(attribute[0] if isinstance(attribute, list) else attribute.partition(".")[0])
        return words
    return set()


refers_to = _words


@cache
def source() -> dict[str, Any]:
    """The template as written."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


@cache
def translated() -> dict[str, Any]:
    """The template as CloudFormation gets it."""
    written = copy.deepcopy(source())
    for resource in written["Resources"].values():
        for code in ("CodeUri", "ContentUri"):
            if code in resource.get("Properties", {}):
                resource["Properties"][code] = "s3://bucket/key"
    with patch.dict(os.environ, AWS_DEFAULT_REGION="eu-west-1"):  # the translator asks for one, and puts it nowhere
        stack: dict[str, Any] = transform(written, {}, _NoManagedPolicies())
    return stack


class _Deployment:
    """Conditions, decided by parameters."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        self._conditions = translated()["Conditions"]
        parameters = translated()["Parameters"]
        assert set(chosen) <= set(parameters), "no such parameter"
        self._values = {name: str(body.get("Default", "")) for name, body in parameters.items()} | dict(chosen)

    def holds(self, condition: Any) -> bool:
        """Whether a condition, by name or written out, is met."""
        if isinstance(condition, str):
            return self.holds(self._conditions[condition])
        [(function, operands)] = condition.items()
        if function == "Fn::Equals":
            one, other = (self._values[each["Ref"]] if isinstance(each, dict) else str(each) for each in operands)
            return one == other
        if function == "Condition":
            return self.holds(operands)
        met = [self.holds(each) for each in operands]
        return {"Fn::Not": not met[0], "Fn::And": all(met), "Fn::Or": any(met)}[function]

    def decided(self, node: Any) -> Any:
        """A value without `Fn::If` and what it leaves out."""
        if isinstance(node, list):
            return [value for each in node if (value := self.decided(each)) != _NO_VALUE]
        if not isinstance(node, dict):
            return node
        if "Fn::If" in node:
            condition, yes, no = node["Fn::If"]
            return self.decided(yes if self.holds(condition) else no)
        return {key: value for key, each in node.items() if (value := self.decided(each)) != _NO_VALUE}


_NO_VALUE = {"Ref": "AWS::NoValue"}


@cache
def deployed(**chosen: str) -> dict[str, Resource]:
    """
    Logical id → resource of a deployment, its conditions decided.

    Args:
        chosen: Parameters; the others have their defaults.
    """
    deployment = _Deployment(chosen)
    resources = translated()["Resources"].items()
    there = {name: body for name, body in resources if "Condition" not in body or deployment.holds(body["Condition"])}
    return {name: deployment.decided(body) for name, body in there.items()}


def of_type(kind: str) -> dict[str, Resource]:
    """Logical id → resource, of one CloudFormation type."""
    return {name: body for name, body in translated()["Resources"].items() if body["Type"] == kind}


def functions() -> dict[str, Resource]:
    """Logical id → properties of every function."""
    return {name: body["Properties"] for name, body in of_type("AWS::Lambda::Function").items()}


def role_of(function: str) -> str:
    """The logical id of a function's role."""
    name: str = functions()[function]["Role"]["Fn::GetAtt"][0]
    return name


def documents(role: str) -> Iterator[Mapping[str, Any]]:
    """Every policy document of a role, those it shares included."""
    properties = translated()["Resources"][role]["Properties"]
    for policy in properties.get("Policies", []):
        yield policy["PolicyDocument"]
    for managed in properties.get("ManagedPolicyArns", []):
        yield translated()["Resources"][managed["Ref"]]["Properties"]["PolicyDocument"]


def statements(role: str) -> list[Statement]:
    """What a role is allowed."""
    return [_statement(body) for document in documents(role) for body in document["Statement"]]


def _statement(body: Mapping[str, Any]) -> Statement:
    assert body["Effect"] == "Allow", body
    actions, resources = body["Action"], body["Resource"]
    return Statement(
        sid=body["Sid"],
        actions=frozenset([actions] if isinstance(actions, str) else actions),
        resources=tuple(resources) if isinstance(resources, list) else (resources,),
        condition=body.get("Condition", {}),
    )


def profile(function: str) -> list[Statement]:
    """What a function is allowed: its access profile."""
    return statements(role_of(function))
