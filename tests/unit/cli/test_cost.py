"""`grantkeeper cost`: a bill that adds up, by your numbers or those of the stack."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli import operator
from cli.cost.bill import Deployment, bill
from cli.cost.measured import measured
from cli.cost.prices import PRICES, overridden
from cli.main import cli
from cli.stack import Stack
from grantkeeper.counter_names import Counted
from tests.doubles.aws import memory_wiring
from tests.infrastructure.template import of_type

DAY = 86_400


@pytest.fixture
def run(monkeypatch):
    def invoke(*arguments):
        return CliRunner(mix_stderr=False).invoke(cli, ["cost", *arguments])

    return invoke


def told(run, *arguments):
    return json.loads(run(*arguments, "--json").stdout)


def test_a_bill_is_the_sum_of_its_services(run):
    """And needs no stack."""
    shown = told(run, "--connections", "100000", "--hot", "0.2")

    assert shown["total"] == pytest.approx(sum(shown["dollars_a_month"].values()), abs=0.01)
    assert shown["token_calls"] == round(100_000 * 0.2 * 24 * 730 / 24)
    assert set(shown) == {
        "connections", "refreshes", "token_calls", "dollars_a_month", "total", "idle", "idle_with_free_tier",
        "dollars_per_million_refreshes", "strategies",
    }  # fmt: skip


def test_nobody_pays_for_what_nobody_uses(run):
    """Without connections, what stands by is all there is."""
    shown = told(run, "--connections", "0")

    assert shown["total"] == pytest.approx(sum(shown["idle"].values()), abs=0.001)
    assert 2 <= shown["idle_with_free_tier"] < 3


def test_more_of_anything_costs_more(run):
    """Connections, use, reads, size and retention, each by itself."""
    usual = told(run, "--connections", "10000")["total"]

    for more in (
        ("--hot", "0.5"), ("--reads", "500"), ("--item-bytes", "9000"), ("--audit-days", "3000"),
        ("--lifetime", "600"), ("--provider", "strict jwt"),
    ):  # fmt: skip
        assert told(run, "--connections", "10000", *more)["total"] > usual, more


def test_branch_keys_are_what_saves_the_calls_of_kms(run):
    """At a million connections; three dollars a million refreshes for one call each."""
    ways = {each["strategy"]: each for each in told(run, "--connections", "1000000")["strategies"]}

    ours, each_time = ways["by use, branch keys (this one)"], ways["by use, a KMS call for each refresh"]
    assert ours["refreshes"] == each_time["refreshes"]
    assert each_time["dollars"] - ours["dollars"] == pytest.approx(ours["refreshes"] * 3e-6, rel=0.02)


def test_a_price_of_yours_moves_the_bill(run):
    """And `--show-prices` says that it is yours; one that does not exist is refused."""
    before, after = (bill(Deployment(), measured=measured(), prices=prices)
                     for prices in (PRICES, overridden(PRICES, given=["kms_key=5"])))  # fmt: skip
    assert after.total == pytest.approx(before.total + 8)

    rows = {row["name"]: row for row in json.loads(run("--price", "kms_key=5", "--show-prices", "--json").stdout)}
    assert (rows["kms_key"]["dollars"], rows["kms_key"]["source"]) == (5, "given by you")
    refused = run("--price", "kms=5")
    assert (refused.exit_code, "There is no price kms" in refused.stderr) == (1, True)


def test_a_stack_tells_its_own_numbers(run, monkeypatch):
    """Connections that are not revoked, refreshes of the last seven whole days, and how long it keeps its trail."""
    wiring, now = memory_wiring(), 1_900_000_000
    monkeypatch.setattr(Stack, "wiring", wiring)
    monkeypatch.setattr(Stack, "environment", lambda _: {"AUDIT_RETENTION_DAYS": "90"})
    monkeypatch.setattr(operator, "now", lambda: now)
    counted = [Counted("a", now, {"connections/google/active": 30, "connections/slack/needs_reauth": 2,
                                  "connections/google/revoked": 50})]  # fmt: skip
    counted += [Counted(f"day {back}", now - back * DAY, {"refreshes": 70}) for back in range(9)]
    for each in counted:
        wiring.counters.add_once([each], now=now)

    shown = told(run, "--from-stack")

    assert shown["connections"] == 32
    assert shown["refreshes"] == round(70 * 730 / 24)
    longer = told(run, "--from-stack", "--audit-days", "900")
    assert longer["total"] > shown["total"]


def test_what_stands_by_is_what_the_template_has():
    """Two keys, ten alarms unless more are asked for, two queues that feed functions."""
    alarms = [body for body in of_type("AWS::CloudWatch::Alarm").values() if "Condition" not in body]
    fed = [
        b
        for b in of_type("AWS::Lambda::EventSourceMapping").values()
        if "Queue" in str(b["Properties"]["EventSourceArn"])
    ]
    lines = bill(Deployment(), measured=measured()).idle

    assert f"{len(of_type('AWS::KMS::Key'))} KMS keys" in lines
    assert f"{len(alarms)} alarms" in lines
    assert len(fed) == 2


def test_people_see_dollars_and_what_they_are_for(run):
    """To the cent."""
    shown = run("--connections", "1000")

    assert shown.exit_code == 0
    assert "1,000 connections, " in shown.stdout
    assert "2 KMS keys" in shown.stdout
    assert "A million refreshes: $" in shown.stdout
