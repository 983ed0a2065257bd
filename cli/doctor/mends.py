"""
Commands that put back what a hand took away.

A deployment changes what changed in the template and nothing else: what was deleted or switched off behind its back
stays so, whatever is deployed. So the commands here say it whole.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from cli.doctor.deployment import template
from cli.doctor.patient import Patient

NUMBERS = frozenset({"due_at"})  # of the index keys; the others are strings
INCLUDED = ("provider", "generation")  # in the one index that holds a part of an item
SETTINGS = ("StartingPosition", "BatchSize", "MaximumBatchingWindowInSeconds", "MaximumRetryAttempts",
            "MaximumRecordAgeInSeconds", "FunctionResponseTypes", "FilterCriteria")  # fmt: skip


def schedule_again(found: Mapping[str, Any], *, function_arn: str) -> str:
    """Switch a schedule on, and have it call this function; Scheduler replaces a schedule whole."""
    target = json.dumps({**found["Target"], "Arn": function_arn}, default=str)
    return (
        f"aws scheduler update-schedule --name {found['Name']} --state ENABLED "
        f"--schedule-expression {shlex.quote(found['ScheduleExpression'])} "
        f"--flexible-time-window Mode=OFF --target {shlex.quote(target)}"
    )


def index_again(table: str, index: str, *, keys: tuple[str, str], projection: str, exists: bool) -> str:
    """Make an index, one at a time as DynamoDB has it; one of another shape goes first."""
    held: dict[str, Any] = {"ProjectionType": projection}
    if projection == "INCLUDE":
        held["NonKeyAttributes"] = list(INCLUDED)
    schema = [{"AttributeName": keys[0], "KeyType": "HASH"}, {"AttributeName": keys[1], "KeyType": "RANGE"}]
    create = [{"Create": {"IndexName": index, "KeySchema": schema, "Projection": held}}]
    kinds = json.dumps([{"AttributeName": key, "AttributeType": "N" if key in NUMBERS else "S"} for key in keys])
    update = f"aws dynamodb update-table --table-name {table}"
    made = (
        f"{update} --attribute-definitions {shlex.quote(kinds)} "
        f"--global-secondary-index-updates {shlex.quote(json.dumps(create))}"
    )
    if not exists:
        return made
    gone = shlex.quote(json.dumps([{"Delete": {"IndexName": index}}]))
    return f"{update} --global-secondary-index-updates {gone}  # and when it is gone: {made}"


def event_source_again(patient: Patient, *, function: str, source: str) -> str:
    """Have a queue or a stream feed its function once more, with the template's settings."""
    settings = _settings(function, source)
    wanted = {name: settings[name] for name in SETTINGS if name in settings}
    if source.endswith("Table"):
        table = patient.client("dynamodb").describe_table(TableName=patient.physical(source))["Table"]
        arn = table["LatestStreamArn"]
        queue = patient.outputs["DeadLetterQueueUrl"]
        wanted["DestinationConfig"] = {"OnFailure": {"Destination": _queue_arn(patient, queue)}}
    else:
        arn = _queue_arn(patient, patient.outputs[f"{source}Url"])
        most = settings["ScalingConfig"]["MaximumConcurrency"]
        of_stack = int(patient.parameters.get("WorkerMaximumConcurrency", "10"))
        wanted["ScalingConfig"] = {"MaximumConcurrency": int(most) if str(most).isdigit() else of_stack}
    wanted |= {"FunctionName": patient.physical(function), "EventSourceArn": arn}
    return f"aws lambda create-event-source-mapping --cli-input-json {shlex.quote(json.dumps(_numbers(wanted)))}"


def _settings(function: str, source: str) -> Mapping[str, Any]:
    """What the template says of one event of a function: the one that names the source."""
    events: Mapping[str, Any] = template()["Resources"][function]["Properties"]["Events"]
    for event in events.values():
        properties: Mapping[str, Any] = event["Properties"]
        if str(properties.get("Queue") or properties.get("Stream")).partition(".")[0] == source:
            return properties
    raise KeyError(source)


def _queue_arn(patient: Patient, url: str) -> str:
    answer = patient.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn: str = answer["Attributes"]["QueueArn"]
    return arn


def _numbers(value: Any) -> Any:
    """The doctor reads every scalar of the template as text; JSON wants numbers."""
    if isinstance(value, dict):
        return {name: _numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value
