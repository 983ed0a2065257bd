"""`grantkeeper doctor` itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click

from cli import operator
from cli.doctor import deployment, encryption, functions, issuer, people, providers, queues, tables, watching
from cli.doctor.examine import examine
from cli.doctor.findings import Family, Finding, summary, worst
from cli.doctor.patient import Patient
from cli.output import console, json_option, progress
from cli.stack import Stack

FIRST = deployment.FAMILY  # without a stack, nothing else has an answer
FAMILIES: Sequence[Family] = (
    issuer.FAMILY, tables.FAMILY, encryption.FAMILY, functions.FAMILY, queues.FAMILY, watching.FAMILY,
    providers.FAMILY, people.FAMILY,
)  # fmt: skip
MARKS = {"ok": ("✓", "green"), "skipped": ("-", "dim"), "warning": ("!", "yellow"), "failing": ("✗", "bold red")}


@click.command()
@json_option
@click.option("--fix-hints", is_flag=True, help="Only the commands that mend what was found.")
@click.pass_obj
def doctor(stack: Stack, *, as_json: bool, fix_hints: bool) -> None:
    r"""
    Find what is misconfigured, and say how to mend it. Nothing is changed.

    The stack, its tables, keys, queues, functions, schedule, alarms, providers, clients and API keys are looked at
    with your AWS credentials; it takes a few seconds. Exit code 1 when something is failing.

    \b
    Examples:
      grantkeeper doctor
      grantkeeper --stack staging doctor --json | jq '.findings[] | select(.status == "failing")'
      grantkeeper doctor --fix-hints > mend.sh
    """
    findings = look(stack, quiet=as_json or fix_hints)
    if as_json:
        told = {"stack": stack.name, "status": worst(findings), "counts": summary(findings)}
        click.echo(json.dumps({**told, "findings": [each.as_json() for each in findings]}, indent=2))
    elif fix_hints:
        _script(findings)
    else:
        _report(stack, findings)
    if worst(findings) == "failing":
        sys.exit(1)


def look(stack: Stack, *, quiet: bool) -> list[Finding]:
    """Every finding about a stack; when it cannot be read at all, only what is wrong with that."""
    patient = Patient(stack, now=operator.now())
    findings = examine(patient, families=[FIRST])
    if "described" not in patient.__dict__:
        return findings[:1]
    with progress("Looking", total=len(FAMILIES), quiet=quiet) as step:
        return findings + examine(patient, families=FAMILIES, progress=lambda _name: step())


def _report(stack: Stack, findings: Sequence[Finding]) -> None:
    out = console()
    for each in findings:
        mark, style = MARKS[each.status]
        about = f" ({each.about})" if each.about else ""
        out.print(f"{mark} {each.check}{about}: {each.found}", style=style, markup=False, soft_wrap=True)
        if each.mend and each.status != "ok":
            out.print(f"    → {each.mend}", markup=False, soft_wrap=True)
    counts = ", ".join(f"{count} {status}" for status, count in summary(findings).items() if count)
    out.print(f"\n{stack.name}: {counts}.", markup=False)


def _script(findings: Sequence[Finding]) -> None:
    """Commands with what they are for; whoever runs them has read them."""
    for each in findings:
        if each.mend and each.status in ("warning", "failing"):
            about = f" ({each.about})" if each.about else ""
            told = " ".join(f"{each.status}: {each.check}{about}: {each.found}".split())  # a line, whatever was found
            click.echo(f"# {told}\n{each.mend}\n")
