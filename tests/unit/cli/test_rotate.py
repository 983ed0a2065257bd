"""`grantkeeper keys rotate`: what it prints, counts and refuses; the rotation itself is the service's test."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from cli import rotate
from cli.main import cli
from cli.stack import Stack
from tests.doubles.aws import memory_wiring

NOW = 1_900_000_000


@pytest.fixture
def wiring():
    return memory_wiring()


@pytest.fixture
def run(wiring, monkeypatch):
    clock = SimpleNamespace(now=NOW)

    def sleep(seconds):
        clock.now += seconds

    monkeypatch.setattr(Stack, "wiring", wiring)
    monkeypatch.setattr(Stack, "environment", lambda _: dict(wiring.env))
    monkeypatch.setattr(rotate, "time", SimpleNamespace(time=lambda: clock.now, sleep=sleep))

    def invoke(*arguments):
        return CliRunner(mix_stderr=False).invoke(cli, ["keys", "rotate", *arguments])

    CliRunner().invoke(cli, ["init"])
    return invoke


def test_a_rotation_says_what_came_of_it(run, wiring):
    """Sixteen versions more, the old ones retired; a second count knows it."""
    told = json.loads(run("--json").stdout)

    assert told | {"started_at": 0} == {
        "started_at": 0, "resumed": False, "finished": True, "grants": 0, "by_kms": 0, "left": 0, "left_first": [],
        "unreadable": [],
        "retired": [f"{bucket}#1" for bucket in range(16)], "deleted": [],
    }  # fmt: skip
    assert {wiring.branch_keys.newest(bucket).version for bucket in range(16)} == {2}
    assert json.loads(run("--dry-run", "--json").stdout)["rotation"] == "none"


def test_a_parked_answer_ends_it_with_the_next_step(run, wiring):
    """Exit code 1; a count says that the rotation goes on."""
    wiring.aws.sqs.send_message(QueueUrl=wiring.env["RESCUE_DEAD_LETTER_QUEUE_URL"], MessageBody="{}")

    answer = run()

    assert answer.exit_code == 1
    assert "parked answers wait" in answer.stderr
    assert "Run `grantkeeper keys rotate` again to go on." in answer.stderr
    assert json.loads(run("--dry-run", "--json").stdout)["rotation"] == "going on"


def test_the_keys_that_sign_get_successors_once(run, wiring):
    """Published a day ahead; repeating it publishes nothing more, and what signs goes on."""
    before = {key.kid for key in wiring.signing_keys.public()}

    told = json.loads(run("--signing", "--json").stdout)
    again = json.loads(run("--signing", "--json").stdout)

    assert (len(told["published"]), again["published"]) == (2, [])
    ring = wiring.signing_keys.load()
    assert {key.kid for key in ring.keys} == before | set(told["published"])
    for alg in ("ES256", "RS256"):
        old, new = ring.live(alg, now=0)
        assert old.kid in before
        assert new.active_from - old.active_from >= 86_400
        assert old.retire_at == new.active_from + 86_400
