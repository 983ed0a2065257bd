"""The operator's page against the code: alarms and their runbooks, metrics and their rows, the dashboard, commands."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache

import pytest

from grantkeeper.edge import reports
from tests.infrastructure.template import ROOT, deployed, of_type, translated

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PARTS = ("**Means.**", "**Look.**", "**Do.**", "**Do not.**", "**Clears**")
DEFAULT_ALARMS = 10

# Metrics of AWS that exist, with their dimensions, from the services' own lists: a misspelt one is an empty graph.
OF_AWS = {
    "AWS/ApiGateway": ({"Count", "4xx", "5xx", "Latency", "IntegrationLatency"}, [{"ApiId"}]),
    "AWS/DynamoDB": (
        {"ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"},
        [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    ),
    "AWS/Lambda": ({"Duration", "Errors", "Throttles", "ConcurrentExecutions", "IteratorAge"}, [{"FunctionName"}]),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}, [{"QueueName"}]),
}


def alarms() -> dict[str, dict]:
    return {name: body["Properties"] for name, body in of_type("AWS::CloudWatch::Alarm").items()}


def sections() -> dict[str, str]:
    """The runbooks, by the alarm they are for."""
    chapter = OPERATIONS.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    return {part.partition("\n")[0]: part for part in chapter.split("\n### ")[1:]}


@cache
def written_metrics() -> set[str]:
    """Every name that code gives a metric: what `Reports` knows, and what is counted by name elsewhere."""
    known = {metric for _, metric in reports._KNOWN.values()} | set(reports._FAILURES.values()) | {reports.ATTENTION}
    shipped = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers" / "common" / "grantkeeper").rglob("*.py")]
    return known | {name for path in shipped for name in _counted(ast.parse(path.read_text()))}


def _counted(tree: ast.Module) -> Iterator[str]:
    """Names given where something is counted: `….count("Name")`, and `counting(env, "Name")`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        at = {"count": 0, "counting": 1}.get(called)
        named = node.args[at] if at is not None and len(node.args) > at else None
        if isinstance(named, ast.Constant) and re.fullmatch(r"[A-Z][A-Za-z]+", str(named.value)):
            yield str(named.value)


def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm():
    """Whoever is paged finds a section by the alarm's name."""
    assert set(sections()) == set(alarms())


@pytest.mark.parametrize("name", sorted(alarms()))
def test_an_alarm_names_its_runbook_and_the_runbook_says_what_to_do(name):
    """What it means, where to look, what to do, what not to do, and when it clears."""
    section = sections()[name]

    assert alarms()[name]["AlarmDescription"].endswith(f" Runbook: docs/operations.md#{name.lower()}")
    positions = [section.find(part) for part in PARTS]
    assert positions == sorted(positions)
    assert min(positions) > 0
    for part, following in zip(PARTS, [*PARTS[1:], None], strict=True):
        said = section.partition(part)[2].partition(following or "\0")[0]
        assert len(said.strip()) > 20, part


def test_ten_alarms_stand_by_default_and_the_others_wait_for_a_parameter():
    """Ten are free; the wider set, and those that watch a gradual deployment or a webhook, are somebody's choice."""
    wider = set(deployed(WiderAlarms="true")) - set(deployed())

    assert len(set(alarms()) & set(deployed())) == DEFAULT_ALARMS
    assert wider == set(alarms()) - set(deployed()) - {"DeploymentErrorsAlarm", "WebhookDeadLettersAlarm"}
    assert f"${len(wider) / 10:.2f} a month" in OPERATIONS


@pytest.mark.parametrize("name", sorted(alarms()))
def test_an_alarm_watches_a_metric_that_exists(name):
    """Ours are written by somebody, with the one dimension; those of AWS are in its lists."""
    alarm = alarms()[name]
    dimensions = {each["Name"] for each in alarm["Dimensions"]}

    _assert_exists(alarm["Namespace"], alarm["MetricName"], dimensions)
    assert alarm["AlarmActions"] == {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= 86_400


def test_the_table_of_metrics_is_the_codes():
    """A metric without a row is one nobody knows of; a row without a metric an alarm that never rings."""
    rows = re.findall(r"^\| `([A-Za-z]+)` \| (?:Count|Seconds) \|", OPERATIONS, re.MULTILINE)

    assert set(rows) == written_metrics()
    assert rows == sorted(rows)


def widgets() -> list[dict]:
    """The dashboard's, its references filled in."""
    body = translated()["Resources"]["OperationsDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    return json.loads(re.sub(r"\$\{([A-Za-z:.]+)\}", r"\1", body))["widgets"]


def expanded(metrics: list[list]) -> Iterator[list[str]]:
    """CloudWatch's shorthand written out: `.` is the field above, `...` are all but those that are given."""
    before: list[str] = []
    for metric in metrics:
        given = [part for part in metric if isinstance(part, str)]
        if given and given[0] == "...":
            given = [*before[: len(before) - len(given) + 1], *given[1:]]
        else:
            given = [before[at] if part == "." else part for at, part in enumerate(given)]
        before = given
        yield given


def test_the_dashboard_shows_what_exists():
    """Valid JSON; every metric is one of ours or of AWS; every resource is the stack's."""
    for widget in widgets():
        for namespace, name, *pairs in expanded(widget["properties"]["metrics"]):
            dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
            _assert_exists(namespace, name, set(dimensions))
            for value in set(dimensions.values()) - {"AWS::StackName", "due"}:
                assert value.partition(".")[0] in translated()["Resources"]


def test_the_dashboard_shows_what_every_alarm_watches():
    """Whoever is paged looks at it first. Lines that overlap hide each other, so no two widgets do."""
    shown = {tuple(metric[:2]) for widget in widgets() for metric in expanded(widget["properties"]["metrics"])}
    watched = {(alarm["Namespace"], alarm["MetricName"]) for alarm in alarms().values()}
    either = {("Grantkeeper", "OperatorAttention")}  # shown as the two that it is the sum of

    assert watched - shown <= either
    places = [(widget["x"], widget["y"]) for widget in widgets()]
    assert len(set(places)) == len(places)
    assert {(w["width"], w["height"], w["x"] % 8, w["y"] % 6) for w in widgets()} == {(8, 6, 0, 0)}


def _assert_exists(namespace: str, name: str, dimensions: set[str]) -> None:
    if namespace == "Grantkeeper":
        assert name in written_metrics()
        assert dimensions == {"service"}
        return
    names, shapes = OF_AWS[namespace]
    assert name in names
    assert dimensions in shapes
