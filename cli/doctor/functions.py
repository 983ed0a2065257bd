"""The functions: is their environment the stack's, are they fed, and is there concurrency left for them?"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from cli.doctor.findings import Family, Finding, failing, ok, warning
from cli.doctor.mends import event_source_again
from cli.doctor.patient import Patient
from cli.stack import OUTPUTS

FED = (
    ("RefreshWorkerFunction", "WorkQueue"),
    ("RescueFunction", "RescueQueue"),
    ("ProjectorFunction", "GrantsTable"),
    ("ProjectorFunction", "AuditTable"),
)
WELL = ("OK", "No records processed")
FOR_CALLERS = 5  # executions the workers should leave to those who wait for an answer
STARTS_WITH = 10  # concurrency of a new account


def environment(patient: Patient) -> Iterator[Finding]:
    """Whether every function has the stack's own names: an edited variable survives until the next deployment."""
    wanted = {variable: patient.outputs[name] for name, variable in OUTPUTS.items() if name in patient.outputs}
    edited = []
    for logical, name in patient.of_type("AWS::Lambda::Function").items():
        configuration = patient.client("lambda").get_function_configuration(FunctionName=name)
        variables: Mapping[str, str] = configuration.get("Environment", {}).get("Variables", {})
        other = sorted(each for each in wanted if each in variables and variables[each] != wanted[each])
        if variables.get("LOCAL_RUN") == "1" and wanted["ISSUER"].startswith("https://"):
            other.append("LOCAL_RUN")
        for variable in other:
            edited.append(logical)
            told = f"{variable} is not what the stack's outputs say."
            yield failing("functions.environment", told, mend=_variable(name, variables, wanted, variable),
                          about=logical)  # fmt: skip
    if not edited:
        yield ok("functions.environment", "Every function has the stack's names.")


def _variable(name: str, variables: Mapping[str, str], wanted: Mapping[str, str], variable: str) -> str:
    """Lambda replaces the environment whole, so the command has all of it."""
    right = {**variables, **{each: wanted[each] for each in wanted if each in variables}}
    if variable == "LOCAL_RUN":
        right["LOCAL_RUN"] = ""
    whole = shlex.quote(json.dumps({"Variables": right}))
    return f"aws lambda update-function-configuration --function-name {name} --environment {whole}"


def event_sources(patient: Patient) -> Iterator[Finding]:
    """Whether queues and streams reach their functions, and with success."""
    mine = {patient.physical(logical): logical for logical, _ in FED}
    seen = set()
    for mapping in patient.pages("lambda", "list_event_source_mappings", "EventSourceMappings"):
        about = mine.get(mapping["FunctionArn"].split(":function:")[-1].partition(":")[0])
        if about is None:
            continue
        source = _source(mapping, patient)
        seen.add((about, source))
        yield _mapping(mapping, about=f"{about} ← {source}")
    for function, source in FED:
        if (function, source) not in seen:
            mend = event_source_again(patient, function=function, source=source)
            told = "Nothing of it reaches the function."
            yield failing("functions.event_sources", told, mend=mend, about=f"{function} ← {source}")


def _source(mapping: Mapping[str, Any], patient: Patient) -> str:
    arn: str = mapping.get("EventSourceArn", "")
    for _, logical in FED:
        physical = (patient.physical(logical) or logical).rpartition("/")[2]
        if physical in arn:
            return logical
    return arn.rpartition(":")[2]


def _mapping(mapping: Mapping[str, Any], *, about: str) -> Finding:
    state, last = mapping.get("State", ""), mapping.get("LastProcessingResult") or ""
    command = f"aws lambda update-event-source-mapping --uuid {mapping['UUID']} --enabled"
    if state not in ("Enabled", "Enabling", "Updating", "Creating"):
        return failing("functions.event_sources", f"It is {state}.", mend=command, about=about)
    if last and not last.startswith(WELL):
        name = mapping["FunctionArn"].split(":function:")[-1]
        mend = f"sam logs --name {name} --tail  # {last}"
        return failing("functions.event_sources", f"The last batch failed: {last}", mend=mend, about=about)
    return ok("functions.event_sources", state, about=about)


def concurrency(patient: Patient) -> Iterator[Finding]:
    """Whether the workers leave anything to callers: a new account has ten executions for all its functions."""
    limit = patient.client("lambda").get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    workers = int(patient.parameters.get("WorkerMaximumConcurrency", "10"))
    told = f"{limit} executions for all functions of the account; the workers may take {workers}."
    if limit >= workers + FOR_CALLERS:
        yield ok("functions.concurrency", told)
        return
    quota = "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384"
    mend = f"{quota} --desired-value 1000"
    if limit > STARTS_WITH:
        mend = patient.deploy(f"WorkerMaximumConcurrency={max(2, limit - FOR_CALLERS)}")
    yield warning("functions.concurrency", told, mend=mend)


def due_shards(patient: Patient) -> Iterator[Finding]:
    """Whether the sweeper reads every shard that grants are spread over."""
    wanted, mark = patient.wiring.due_shards, patient.wiring.shard_mark.mark().high_water
    if mark >= wanted:
        yield ok("functions.due_shards", f"Grants go to {wanted} shards, and {mark} are read.")
    else:
        told = f"Grants go to {wanted} shards, but only {mark} are read: the sweeper has not run since that changed."
        name = patient.physical("SweeperFunction")
        mend = f"aws lambda invoke --function-name {name} /dev/stdout"
        yield failing("functions.due_shards", told, mend=mend)


FAMILY = Family("functions", (environment, event_sources, concurrency, due_shards))
