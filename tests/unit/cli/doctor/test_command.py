"""`grantkeeper doctor` as people and scripts call it."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from click.testing import CliRunner

from cli.doctor import command, deployment, tables
from cli.doctor.findings import failing, ok, warning
from cli.main import cli
from cli.stack import OUTPUTS
from tests.infrastructure.template import of_type, source

FOUND = [
    ok("tables.exists", "There.", about="Grants"),
    warning("alarms.actions", "They tell nobody.", mend="sam deploy"),
    failing("tables.recovery", "None.", mend="aws dynamodb update-continuous-backups", about="Grants"),
]


@pytest.fixture
def run(monkeypatch):
    def invoke(*arguments, findings=FOUND):
        monkeypatch.setattr(command, "look", lambda *_, **__: findings)
        return CliRunner(mix_stderr=False).invoke(cli, ["doctor", *arguments])

    return invoke


def test_json_has_one_stable_shape(run):
    """Status, counts, findings; each finding with all its fields."""
    answer = run("--json")

    told = json.loads(answer.stdout)
    assert set(told) == {"stack", "status", "counts", "findings"}
    assert (told["stack"], told["status"]) == ("grantkeeper", "failing")
    assert told["counts"] == {"failing": 1, "warning": 1, "skipped": 0, "ok": 1}
    assert told["findings"][2] == {
        "check": "tables.recovery", "status": "failing", "found": "None.",
        "mend": "aws dynamodb update-continuous-backups", "about": "Grants",
    }  # fmt: skip


def test_only_what_fails_makes_the_exit_code(run):
    """A warning is for somebody to look at, not for a pipeline to stop at."""
    assert run().exit_code == 1
    assert run(findings=FOUND[:2]).exit_code == 0


def test_every_finding_comes_with_its_mend(run):
    """Below it; without colours, where no terminal is."""
    answer = run()

    assert "✗ tables.recovery (Grants): None.\n    → aws dynamodb update-continuous-backups\n" in answer.stdout
    assert "grantkeeper: 1 failing, 1 warning, 1 ok." in answer.stdout
    assert "\x1b[" not in answer.stdout


def test_hints_are_a_script_with_what_each_line_is_for(run):
    """Nothing for what is well."""
    lines = run("--fix-hints").stdout.splitlines()

    assert lines == [
        "# warning: alarms.actions: They tell nobody.", "sam deploy", "",
        "# failing: tables.recovery (Grants): None.", "aws dynamodb update-continuous-backups", "",
    ]  # fmt: skip


def test_nothing_that_was_found_becomes_a_command(run):
    """A comment is one line; the script is what the doctor says, and not what somebody called his things."""
    planted = warning("a.b", "It says\nrm -rf /\r\nand more.", mend="sam deploy", about="x\ny")

    lines = run("--fix-hints", findings=[planted]).stdout.splitlines()

    assert lines == ["# warning: a.b (x y): It says rm -rf / and more.", "sam deploy", ""]


def test_a_stack_that_is_not_there_is_one_finding(monkeypatch):
    """Forty others would only repeat it."""
    for name, value in (("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_REGION", "us-east-1"),
                        ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")):  # fmt: skip
        monkeypatch.setenv(name, value)

    answer = CliRunner(mix_stderr=False).invoke(cli, ["doctor", "--json"])

    (finding,) = json.loads(answer.stdout)["findings"]
    assert (answer.exit_code, finding["check"], finding["found"]) == (1, "stack.state", "AWS does not answer.")


class Told:
    """A stack as CloudFormation tells of it."""

    name, now = "grantkeeper", 1_800_000_000

    def __init__(self, *, ahead=0, status="CREATE_COMPLETE"):
        headers = {"date": formatdate(self.now - ahead, usegmt=True)}
        self.described = {"Stacks": [{"StackStatus": status}], "ResponseMetadata": {"HTTPHeaders": headers}}
        self.outputs = dict.fromkeys(deployment.template()["Outputs"], "x")
        self.resources = dict.fromkeys(deployment.template()["Resources"], ("x", "y"))

    def deploy(self):
        return "sam deploy"


@pytest.mark.parametrize(("ahead", "status"), [(0, "ok"), (-45, "warning"), (600, "failing")])
def test_a_clock_that_is_off_is_found_before_aws_refuses_its_signatures(ahead, status):
    """Both ways."""
    (finding,) = deployment.clock(Told(ahead=ahead))

    assert finding.status == status


@pytest.mark.parametrize(
    ("state", "status"),
    [("UPDATE_COMPLETE", "ok"), ("UPDATE_IN_PROGRESS", "warning"), ("UPDATE_ROLLBACK_COMPLETE", "warning"),
     ("UPDATE_ROLLBACK_FAILED", "failing"), ("DELETE_FAILED", "failing")],
)  # fmt: skip
def test_a_deployment_that_went_wrong_is_told(state, status):
    """By how bad it is."""
    (finding,) = deployment.state(Told(status=state))

    assert finding.status == status


def test_a_stack_of_another_version_is_told(monkeypatch):
    """By what it lacks of this version's template."""
    told = Told()
    del told.resources["TamperingAlarm"]
    del told.outputs["WorkQueueUrl"]

    (lacking,), (unsaid,) = deployment.version(told), deployment.outputs(told)

    assert (lacking.status, unsaid.status) == ("warning", "failing")
    assert "TamperingAlarm" in lacking.found
    assert "WorkQueueUrl" in unsaid.found
    assert unsaid.mend == "sam deploy"


def test_the_doctor_reads_the_template_as_sam_does():
    """Names and key policies; short forms are the node behind them."""
    assert set(deployment.template()["Resources"]) == set(source()["Resources"])
    assert set(OUTPUTS) <= set(deployment.template()["Outputs"])


def test_the_tables_the_doctor_wants_are_those_of_the_template():
    """Indexes, streams and backups: written down twice, since a template that lost one would be no witness."""
    found = of_type("AWS::DynamoDB::Table")
    assert {each.output for each in tables.TABLES} == {f"{name}Name" for name in found}
    for each in tables.TABLES:
        body = found[each.output.removesuffix("Name")]["Properties"]
        indexes = {}
        for index in body.get("GlobalSecondaryIndexes", []):
            keys = [key["AttributeName"] for key in index["KeySchema"]]
            indexes[index["IndexName"]] = (*keys, index["Projection"]["ProjectionType"])
        assert indexes == each.indexes
        assert ("StreamSpecification" in body, "PointInTimeRecoverySpecification" in body) == (each.kept, each.kept)
