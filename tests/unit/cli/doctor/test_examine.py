"""Checks that hang, crash or are refused: each is a finding of its own, and nothing stops the rest."""

from __future__ import annotations

import threading

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cli.doctor.examine import examine
from cli.doctor.findings import Family, failing, ok, summary, warning, worst
from grantkeeper.errors import StoreUnavailable


def refusing(code, status=400):
    def check(_patient):
        answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(answer, "GetKeyPolicy")

    return check


def raising(error):
    def check(_patient):
        raise error

    return check


def sound(_patient):
    yield ok("x.sound", "Well.")


def only(check):
    return examine(None, families=[Family("x", (check, sound))])


@pytest.mark.parametrize(
    ("check", "status", "found"),
    [
        (refusing("AccessDeniedException"), "skipped", "Your credentials may not call GetKeyPolicy."),
        (refusing("UnknownOperationException"), "skipped", "GetKeyPolicy is not supported here."),
        (refusing("InternalFailure", 501), "skipped", "GetKeyPolicy is not supported here."),
        (refusing("NotFoundException"), "failing", "GetKeyPolicy answered NotFoundException: no"),
        (raising(EndpointConnectionError(endpoint_url="https://kms")), "failing", "AWS does not answer."),
        (raising(StoreUnavailable("It is down.")), "failing", "It is down."),
        (raising(KeyError("secret")), "warning", "The check itself failed: KeyError."),
    ],
)
def test_what_cannot_be_looked_at_is_said_and_the_rest_goes_on(check, status, found):
    """A right that is missing, a call the emulator lacks, an outage, a bug: told apart."""
    first, second = only(check)

    assert (first.status, first.found) == (status, found)
    assert first.check == "x.check"
    assert second == ok("x.sound", "Well.")


def test_a_check_that_hangs_costs_its_deadline_and_no_more():
    """It is left behind; the command ends."""
    never = threading.Event()

    def hanging(_patient):
        never.wait(30)
        return []

    first, second = examine(None, families=[Family("x", (hanging, sound))], deadline=0.05)
    never.set()

    assert (first.status, first.found) == ("warning", "No answer within 0.05 s.")
    assert second.status == "ok"


def test_the_gravest_finding_is_the_whole_answer():
    """And every status has its number."""
    findings = [ok("a", "x"), warning("b", "x", mend="y"), failing("c", "x", mend="y"), ok("d", "x")]

    assert worst(findings) == "failing"
    assert worst(findings[:2]) == "warning"
    assert worst([]) == "ok"
    assert summary(findings) == {"failing": 1, "warning": 1, "skipped": 0, "ok": 2}
