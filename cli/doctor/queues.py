"""The queues: what lies dead, where it would go, and whether messages stay hidden as long as they are worked on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cli.doctor.findings import Family, Finding, failing, ok, warning
from cli.doctor.patient import Patient

TIMES = 6  # as long as its function may run, says AWS's guide for queues that feed one


@dataclass(frozen=True, slots=True)
class Line:
    """One queue with its dead letters and the function that works it off."""

    name: str
    queue: str  # outputs
    dead: str
    function: str  # logical id


LINES: Sequence[Line] = (
    Line("work", "WorkQueueUrl", "DeadLetterQueueUrl", "RefreshWorkerFunction"),
    Line("rescue", "RescueQueueUrl", "RescueDeadLetterQueueUrl", "RescueFunction"),
)


def dead_letters(patient: Patient) -> Iterator[Finding]:
    """Dead letters. Those of the rescue queue are grants whose only valid tokens they are."""
    for line in LINES:
        waiting = int(_attributes(patient, line.dead)["ApproximateNumberOfMessages"])
        if not waiting:
            yield ok("queues.dead_letters", "None.", about=line.name)
            continue
        mend = patient.command(f"queues redrive {line.name} --dry-run")
        if line.name == "rescue":
            told = f"{waiting} answers of providers wait to be saved, and their grants with them."
            yield failing("queues.dead_letters", told, mend=mend, about=line.name)
        else:
            yield warning("queues.dead_letters", f"{waiting} wait.", mend=mend, about=line.name)


def redrive(patient: Patient) -> Iterator[Finding]:
    """Whether what fails again and again goes to its own dead letters."""
    for line in LINES:
        attributes, dead = _attributes(patient, line.queue), _attributes(patient, line.dead)["QueueArn"]
        policy = json.loads(attributes.get("RedrivePolicy") or "{}")
        if policy.get("deadLetterTargetArn") == dead:
            times = policy.get("maxReceiveCount")
            yield ok("queues.redrive", f"Dead after {times} tries.", about=line.name)
            continue
        wanted = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 5 if line.name == "work" else 60})
        told = "What cannot be handled comes back until it is deleted." if not policy else "They go elsewhere."
        yield failing("queues.redrive", told, mend=_set(patient, line, RedrivePolicy=wanted), about=line.name)


def visibility(patient: Patient) -> Iterator[Finding]:
    """Whether a message is given to nobody else while it is worked on."""
    for line in LINES:
        hidden = int(_attributes(patient, line.queue)["VisibilityTimeout"])
        function = patient.physical(line.function)
        timeout = patient.client("lambda").get_function_configuration(FunctionName=function)["Timeout"]
        mend = _set(patient, line, VisibilityTimeout=str(TIMES * timeout + 10))
        told = f"Hidden for {hidden} s; its function may run {timeout} s."
        if hidden < timeout:
            yield failing("queues.visibility", told, mend=mend, about=line.name)
        elif hidden < TIMES * timeout:
            yield warning("queues.visibility", told, mend=mend, about=line.name)
        else:
            yield ok("queues.visibility", told, about=line.name)


def encryption(patient: Patient) -> Iterator[Finding]:
    """Whether what lies in a queue is encrypted under the stack's TableKey."""
    key = patient.outputs["TableKeyArn"]
    for line in LINES:
        for output in (line.queue, line.dead):
            about = output.removesuffix("Url")
            if _attributes(patient, output).get("KmsMasterKeyId", "").endswith(key.rpartition("/")[2]):
                yield ok("queues.encryption", "Under the stack's TableKey.", about=about)
            else:
                url = patient.outputs[output]
                mend = f"aws sqs set-queue-attributes --queue-url {url} --attributes KmsMasterKeyId={key}"
                yield failing("queues.encryption", "It is not under the stack's TableKey.", mend=mend, about=about)


def _attributes(patient: Patient, output: str) -> Mapping[str, str]:
    answer = patient.client("sqs").get_queue_attributes(QueueUrl=patient.outputs[output], AttributeNames=["All"])
    attributes: Mapping[str, str] = answer["Attributes"]
    return attributes


def _set(patient: Patient, line: Line, **attributes: str) -> str:
    url = patient.outputs[line.queue]
    return f"aws sqs set-queue-attributes --queue-url {url} --attributes '{json.dumps(attributes)}'"


FAMILY = Family("queues", (dead_letters, redrive, visibility, encryption))
