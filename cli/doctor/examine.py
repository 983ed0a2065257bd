"""Every check within a deadline of its own: what cannot be looked at is said, and nothing stops the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as OutOfTime

import botocore.exceptions
import click

from cli.doctor.findings import Check, Family, Finding, failing, skipped, warning
from cli.doctor.patient import Patient
from grantkeeper.errors import GrantkeeperError

DEADLINE = 20.0  # seconds for one check; its calls give up sooner, each by itself
IN_ALL = 90.0  # seconds
SIDE_BY_SIDE = 8
# How AWS refuses what an operator may not do, and an emulator what it cannot.
REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
UNSUPPORTED = frozenset(
    {"InvalidAction", "NotImplemented", "NotImplementedException", "UnknownOperation", "UnknownOperationException",
     "UnsupportedOperation", "UnsupportedOperationException"}
)  # fmt: skip


def examine(
    patient: Patient,
    *,
    families: Sequence[Family],
    deadline: float = DEADLINE,
    progress: Callable[[str], None] = lambda _name: None,
) -> list[Finding]:
    """
    Run all checks, a few at once.

    Args:
        families: What to look at; findings come in their order.
        deadline: Seconds for each check.
        progress: Told the name of every family that is done.

    Returns:
        Findings. A check that cannot run is a finding of its own; none is ever lost, and nothing is raised.
    """
    ends_at, gate = time.monotonic() + IN_ALL, threading.Semaphore(SIDE_BY_SIDE)
    begun = [(family, [(check, _begin(check, patient, gate)) for check in family.checks]) for family in families]
    findings: list[Finding] = []
    for family, checks in begun:
        for check, future in checks:
            name = f"{family.name}.{check.__name__}"
            try:
                findings += future.result(timeout=max(min(deadline, ends_at - time.monotonic()), 0.1))
            except OutOfTime:
                findings.append(warning(name, f"No answer within {deadline:g} s.", mend="Run it again."))
            except Exception as error:  # noqa: BLE001 - whatever went wrong is what the operator must hear
                findings.append(_told(name, error))
        progress(family.name)
    return findings


def _begin(check: Check, patient: Patient, gate: threading.Semaphore) -> Future[list[Finding]]:
    """Run a check in a daemon: one that hangs must not keep the command from ending."""
    future: Future[list[Finding]] = Future()

    def run() -> None:
        with gate:
            try:
                future.set_result(list(check(patient)))
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _told(name: str, error: Exception) -> Finding:
    """What an error means for the operator."""
    found = warning(name, f"The check itself failed: {type(error).__name__}.", mend="Tell us: it is a bug of ours.")
    if isinstance(error, botocore.exceptions.ClientError):
        found = _refused(name, error)
    elif isinstance(error, botocore.exceptions.EndpointConnectionError | botocore.exceptions.HTTPClientError):
        found = failing(name, "AWS does not answer.", mend="Check the network and AWS_REGION, and run it again.")
    elif isinstance(error, botocore.exceptions.BotoCoreError):
        found = failing(name, str(error), mend="Mend it and run it again.")
    elif isinstance(error, GrantkeeperError):
        told = error.detail or error.title
        found = failing(name, told, mend="Run it again; if it stays, see docs/operations.md.")
    elif isinstance(error, click.ClickException):
        found = failing(name, error.message, mend="Mend it and run it again.")
    return found


def _refused(name: str, error: botocore.exceptions.ClientError) -> Finding:
    """What an answer of AWS's means: a right the operator lacks, a call the emulator lacks, or something broken."""
    code, action = error.response.get("Error", {}).get("Code", ""), error.operation_name
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in REFUSED:
        return skipped(name, f"Your credentials may not call {action}.", mend=f"Allow {action} and run it again.")
    if code in UNSUPPORTED or status == 501:
        return skipped(name, f"{action} is not supported here.")
    told = error.response.get("Error", {}).get("Message", "")
    return failing(name, f"{action} answered {code or status}: {told}", mend="Mend what the answer says.")
