"""Is there a stack, is it whole, was it made from the template of this version, and does our clock agree with AWS's?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cli.doctor.findings import Family, Finding, failing, ok, skipped, warning
from cli.doctor.patient import Patient
from cli.stack import OPTIONAL, OUTPUTS

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
SKEW_NOTICED, SKEW_REFUSED = 30, 240  # seconds; AWS refuses signatures from 300 on
HASHED = "AWS::Serverless::LayerVersion"  # its logical id gets a hash of its content
MOST_NAMED = 5


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # ten times as fast, where it is
    """SafeLoader to which `!Ref` and its like are the node behind them."""


def _node(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _node)


@cache
def template() -> Mapping[str, Any]:
    """The template of this version of the command, as far as names go."""
    parsed: Mapping[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader
    return parsed


def state(patient: Patient) -> Iterator[Finding]:
    """Whether CloudFormation finished what it began."""
    status: str = patient.described["Stacks"][0]["StackStatus"]
    events = f"aws cloudformation describe-stack-events --stack-name {patient.name} --max-items 20"
    if status.endswith("_IN_PROGRESS"):
        yield warning("stack.state", f"CloudFormation is at work: {status}.", mend="Wait, and run it again.")
    elif status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
        yield ok("stack.state", status)
    elif status.endswith("ROLLBACK_COMPLETE"):
        yield warning("stack.state", f"The last deployment was taken back: {status}.", mend=events)
    else:
        yield failing("stack.state", f"The stack is broken: {status}.", mend=events)


def outputs(patient: Patient) -> Iterator[Finding]:
    """Whether the stack tells what this command and its users need."""
    wanted = {name for name, body in template()["Outputs"].items() if "Condition" not in body}
    missing = sorted(wanted - set(patient.outputs))
    needed = sorted(set(missing) & (set(OUTPUTS) - OPTIONAL))
    if needed:
        yield failing("stack.outputs", f"Outputs are missing: {_named(needed)}.", mend=patient.deploy())
    elif missing:
        yield warning("stack.outputs", f"Outputs are missing: {_named(missing)}.", mend=patient.deploy())
    else:
        yield ok("stack.outputs", f"All {len(wanted)} outputs are there.")


def version(patient: Patient) -> Iterator[Finding]:
    """Whether the stack has what the template of this version has; conditions may leave some of it out."""
    wanted = {
        name for name, body in template()["Resources"].items() if "Condition" not in body and body["Type"] != HASHED
    }
    missing = sorted(wanted - set(patient.resources))
    if missing:
        found = f"It was made from another version of the template: it lacks {_named(missing)}."
        yield warning("stack.version", found, mend=patient.deploy())
    else:
        yield ok("stack.version", f"It has all {len(wanted)} resources of this version's template.")


def clock(patient: Patient) -> Iterator[Finding]:
    """Whether our clock agrees with the Date of AWS's answer."""
    headers = patient.described.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        theirs = int(parsedate_to_datetime(headers.get("date", "")).timestamp())
    except (TypeError, ValueError):
        yield skipped("clock.skew", "AWS's answer has no date.")
        return
    skew = patient.now - theirs
    told = f"This machine's clock is {abs(skew)} s {'ahead of' if skew > 0 else 'behind'} AWS's."
    mend = "sudo chronyc makestep  # or whatever sets this machine's clock"
    if abs(skew) >= SKEW_REFUSED:
        yield failing("clock.skew", told, mend=mend)
    elif abs(skew) >= SKEW_NOTICED:
        yield warning("clock.skew", told, mend=mend)
    else:
        yield ok("clock.skew", "The clock agrees with AWS's.")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


FAMILY = Family("stack", (state, outputs, version, clock))
