"""
IAM before the doubles: a function's calls pass only if its role in the template allows them.

Actions, resources, leading keys, encryption contexts and the use of the table key through a service are judged from
the translated template, so a statement that is missing there fails here, before it fails in an account.

    aws = GuardedAws(world.wiring.aws, "SessionFunction", world.wiring.env)
    aws.denied    # calls the role does not allow, also those whose failure the product swallowed
    aws.left_over()    # rights of the role that no call so far has needed
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from tests.doubles.dynamodb_values import client_error
from tests.infrastructure.template import Statement, profile

WRITES = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
SINGLE = {
    "get_item": "dynamodb:GetItem",
    "put_item": "dynamodb:PutItem",
    "update_item": "dynamodb:UpdateItem",
    "delete_item": "dynamodb:DeleteItem",
}
PARTITION = re.compile(r"\s*(#\w+|\w+)\s*=\s*(:\w+)")


@dataclass(frozen=True)
class Request:
    """What IAM is asked: an action on a resource, under these conditions."""

    action: str
    resource: str
    context: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class GuardedAws:
    """Stands where `stores.aws.Aws` stands, in the function's role."""

    aws: Any
    function: str
    env: Mapping[str, str]
    denied: list[Request] = field(default_factory=list)
    used: list[tuple[Statement, Request]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.statements = profile(self.function)
        names = {"GRANTS_TABLE": "GrantsTable", "REQUESTS_TABLE": "RequestsTable", "AUDIT_TABLE": "AuditTable"}
        names |= {"WORK_QUEUE_URL": "WorkQueue", "RESCUE_QUEUE_URL": "RescueQueue"}
        names |= {"DEAD_LETTER_QUEUE_URL": "DeadLetterQueue", "RESCUE_DEAD_LETTER_QUEUE_URL": "RescueDeadLetterQueue"}
        self.resources = {self.env[variable]: resource for variable, resource in names.items()}
        self.dynamodb = _Client(self, self.aws.dynamodb, _dynamodb)
        self.kms = _Client(self, self.aws.kms, _kms)
        self.sqs = self.rescue_sqs = _Client(self, self.aws.sqs, _sqs)
        self.ssm = _Client(self, self.aws.ssm, _ssm)
        self.events = _Client(self, self.aws.events, _events)
        self.cloudwatch = _Client(self, self.aws.cloudwatch, _cloudwatch)

    def require(self, request: Request) -> None:
        """Let a request pass, or answer as AWS does."""
        for statement in self.statements:
            if _allows(statement, request):
                self.used.append((statement, request))
                return
        self.denied.append(request)
        raise client_error(request.action, "AccessDeniedException", f"{self.function} may not {request}")

    def left_over(self) -> set[tuple[str, str]]:
        """(statement, action or leading key) of everything that no call has needed."""
        rights = {
            (statement.sid, right)
            for statement in self.statements
            for right in statement.actions | statement.values("dynamodb:LeadingKeys")
        }
        needed = {
            (statement.sid, right)
            for statement, request in self.used
            for right in {request.action, *_leading_keys(statement, request)}
        }
        return rights - needed


def _leading_keys(statement: Statement, request: Request) -> set[str]:
    """The patterns a request fitted."""
    partitions = request.context.get("dynamodb:LeadingKeys", frozenset())
    patterns = statement.values("dynamodb:LeadingKeys")
    return {pattern for pattern in patterns if any(_matches(value, pattern) for value in partitions)}


class _Client:
    """A client whose calls are judged first."""

    def __init__(self, guard: GuardedAws, client: Any, requests: Any) -> None:
        self._guard = guard
        self._client = client
        self._requests = requests

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name in {"faults", "exceptions", "meta"} or not callable(attribute):
            return attribute

        def call(**kwargs: Any) -> Any:
            for request in self._requests(self._guard, name, kwargs):
                self._guard.require(request)
            return attribute(**kwargs)

        return call


def _dynamodb(guard: GuardedAws, name: str, kwargs: Mapping[str, Any]) -> Iterator[Request]:
    """The actions an operation is authorised as; a transaction is authorised write by write."""
    if name == "transact_write_items":
        for entry in kwargs["TransactItems"]:
            ((kind, write),) = entry.items()
            request = _item(guard, WRITES[kind], write["TableName"], [write.get("Key") or write["Item"]])
            named = {*write.get("Key", write.get("Item")), *write.get("ExpressionAttributeNames", {}).values()}
            yield replace(request, context={**request.context, "dynamodb:Attributes": frozenset(named)})
    elif name == "batch_get_item":
        for table, wanted in kwargs["RequestItems"].items():
            yield _item(guard, "dynamodb:BatchGetItem", table, wanted["Keys"])
    elif name == "query":
        partition = PARTITION.match(kwargs["KeyConditionExpression"])
        assert partition is not None, kwargs["KeyConditionExpression"]
        value = kwargs["ExpressionAttributeValues"][partition[2]]["S"]
        index = f"/index/{kwargs['IndexName']}" if "IndexName" in kwargs else ""
        request = _request("dynamodb:Query", guard.resources[kwargs["TableName"]] + index, leading_keys={value})
        read = {"dynamodb:Select": frozenset({kwargs.get("Select", "ALL_ATTRIBUTES")})}
        if "ProjectionExpression" in kwargs:
            read["dynamodb:Attributes"] = frozenset(kwargs["ExpressionAttributeNames"].values())
        yield replace(request, context={**request.context, **read})
    elif name in SINGLE:
        yield _item(guard, SINGLE[name], kwargs["TableName"], [kwargs.get("Key") or kwargs["Item"]])
    else:
        yield _request(f"dynamodb:{name}", guard.resources[kwargs["TableName"]])


def _item(guard: GuardedAws, action: str, table: str, keys: Iterable[Mapping[str, Any]]) -> Request:
    return _request(action, guard.resources[table], leading_keys={key["pk"]["S"] for key in keys})


def _kms(guard: GuardedAws, name: str, kwargs: Mapping[str, Any]) -> Iterator[Request]:
    assert kwargs["KeyId"] == guard.env["VAULT_KEY_ARN"]
    action = "kms:" + "".join(word.capitalize() for word in name.split("_"))
    context = {f"kms:EncryptionContext:{k}": frozenset({v}) for k, v in kwargs.get("EncryptionContext", {}).items()}
    yield Request(action, "VaultKey", context)


def _sqs(guard: GuardedAws, name: str, kwargs: Mapping[str, Any]) -> Iterator[Request]:
    queue = guard.resources[kwargs["QueueUrl"]]
    if name == "get_queue_attributes":
        yield _request("sqs:GetQueueAttributes", queue)
        return
    assert name in {"send_message", "send_message_batch"}, name
    yield _request("sqs:SendMessage", queue)
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        yield Request(action, "TableKey", {"kms:ViaService": frozenset({"sqs.${AWS::Region}.amazonaws.com"})})


def _ssm(guard: GuardedAws, name: str, kwargs: Mapping[str, Any]) -> Iterator[Request]:
    assert name == "get_parameter", name
    path = kwargs["Name"].replace(guard.env["PARAMETER_PREFIX"], "/grantkeeper/${AWS::StackName}", 1)
    arn = f"arn:${{AWS::Partition}}:ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter{path}"
    yield _request("ssm:GetParameter", arn)
    context = {"kms:ViaService": {"ssm.${AWS::Region}.amazonaws.com"}, "kms:EncryptionContext:PARAMETER_ARN": {arn}}
    yield Request("kms:Decrypt", "TableKey", {key: frozenset(values) for key, values in context.items()})


def _events(guard: GuardedAws, name: str, kwargs: Mapping[str, Any]) -> Iterator[Request]:
    assert name == "put_events", name
    assert {entry["EventBusName"] for entry in kwargs["Entries"]} == {guard.env["EVENT_BUS_NAME"]}
    yield _request("events:PutEvents", "EventBus")


def _cloudwatch(_guard: GuardedAws, name: str, kwargs: Mapping[str, Any]) -> Iterator[Request]:
    assert name == "describe_alarms", name
    assert kwargs["AlarmTypes"] == ["MetricAlarm"]  # to list composite ones takes the right on every resource
    yield _request(
        "cloudwatch:DescribeAlarms", "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
    )


def _request(action: str, resource: str, *, leading_keys: Iterable[str] = ()) -> Request:
    keys = frozenset(leading_keys)
    return Request(action, resource, {"dynamodb:LeadingKeys": keys} if keys else {})


# --- judging -------------------------------------------------------------------------------------------------------


def _allows(statement: Statement, request: Request) -> bool:
    return (
        request.action in statement.actions
        and any(_matches(request.resource, _text(resource)) for resource in statement.resources)
        and all(_holds(operator, tests, request) for operator, tests in statement.condition.items())
    )


def _text(resource: Any) -> str:
    """`GrantsTable`, `GrantsTable/index/due`, or an ARN with its variables."""
    if isinstance(resource, str):
        return resource
    if "Fn::GetAtt" in resource:
        name: str = resource["Fn::GetAtt"][0]
        return name
    text: str = resource["Fn::Sub"]
    return re.sub(r"\$\{(\w+)\.Arn\}", r"\1", text)


def _holds(operator: str, tests: Mapping[str, Any], request: Request) -> bool:
    """StringEquals and StringLike; for a set of values, `ForAllValues:` asks it of each, and an empty set passes."""
    for key, allowed in tests.items():
        patterns = [_value(p) for p in (allowed if isinstance(allowed, list) else [allowed])]
        present = request.context.get(key, frozenset())
        if not present and not operator.startswith("ForAllValues:"):
            return False
        fits = _matches if operator.endswith("StringLike") else str.__eq__
        if not all(any(fits(value, pattern) for pattern in patterns) for value in present):
            return False
    return True


def _value(node: Any) -> str:
    return node if isinstance(node, str) else node["Fn::Sub"]


def _matches(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern.replace("[", "[[]"))
