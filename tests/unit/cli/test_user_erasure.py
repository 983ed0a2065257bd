"""`grantkeeper users erase` and `users traces`: erased in parts, with the list that proves it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli import operator, user_erasure
from cli.main import cli
from cli.stack import Stack
from grantkeeper.services.erase_user import SETTLES
from grantkeeper.services.refresh_run import Cause, Run
from grantkeeper.services.revoke_upstream import revoke_upstream
from tests.doubles.connect_world import ConnectWorld
from tests.doubles.dynamodb_values import client_error
from tests.doubles.provider import Account

SUB = "usr_alice"


@pytest.fixture
def world(monkeypatch):
    """Alice with two connections; while the command sleeps, time passes and the worker works."""
    world = ConnectWorld()
    world.gone = [world.connect().id, world.connect(account=Account("work")).id]
    monkeypatch.setattr(Stack, "wiring", world.wiring)
    monkeypatch.setattr(operator, "now", lambda: world.now)
    monkeypatch.setattr(user_erasure.time, "sleep", lambda seconds: sleep(world, seconds))
    world.slept = []
    return world


def sleep(world, seconds):
    world.slept.append(seconds)
    world.now += int(seconds)
    run = Run(clock=lambda: world.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)
    for connection_id in world.gone:
        if world.wiring.connections.get(connection_id) is not None:
            revoke_upstream(connection_id, cause=Cause("sweep", "system"), ports=world.wiring, run=run)


def run(*arguments, ok=True):
    done = CliRunner(mix_stderr=False).invoke(cli, ["users", *arguments])
    assert (done.exit_code == 0) is ok, (done.output, done.stderr, done.exception)
    return done


def told(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def test_the_first_part_ends_all_that_can_end_at_once(world):
    """He is refused everywhere; what waits for providers and for the clock is told, with when to come back."""
    assert told("traces", SUB)["left"] == {"connections": 2, "consents": 2, "identities": 1}

    done = told("erase", SUB, "--yes")

    assert (done["state"], world.slept) == ("erasing", [])
    assert done["removed"] == {"connections": 2, "consents": 2, "identities": 1, "one_time": 2}
    assert done["left"] == {"past_connections": 2}
    assert done["again_at"] == world.now + SETTLES
    assert world.wiring.users.get(SUB).status == "erased"
    assert world.wiring.users.find("https://idp.example", SUB) is None


def test_waiting_brings_it_to_its_end_and_the_list_is_empty(world):
    """A quarter of an hour later nothing is left, and the providers were told."""
    done = told("erase", SUB, "--yes", "--wait")

    assert (done["state"], done["left"], done["again_at"]) == ("erased", {}, None)
    assert done["removed"]["past_connections"] == 2
    assert SETTLES <= sum(world.slept) < SETTLES + 300
    assert max(world.slept) <= 60
    assert len(world.provider.revoked_tokens) == 2
    assert told("traces", SUB)["left"] == {}
    assert told("traces", SUB)["state"] == "erased"
    assert "Nothing is left" in run("traces", SUB).stdout
    assert not [
        row for row in world.wiring.aws.dynamodb.dump("grants")
        if SUB in row["pk"]["S"] and row["sk"]["S"] != "USER"
    ]  # fmt: skip


def test_it_may_be_called_again_and_again(world):
    """From where the last call stopped."""
    told("erase", SUB, "--yes")
    assert told("erase", SUB, "--yes")["removed"] == {}
    sleep(world, SETTLES + 120)

    assert told("erase", SUB, "--yes")["state"] == "erased"
    assert told("erase", SUB, "--yes")["state"] == "erased"


def test_nobody_is_erased_without_being_asked(world):
    """Unless the command says --yes."""
    run("erase", SUB, ok=False)

    assert world.wiring.users.get(SUB).status == "active"


def test_a_store_that_is_busy_is_asked_again(world):
    """A part that died half-way left less to do."""
    error = client_error("TransactWriteItems", "AccessDeniedException", "")
    world.wiring.aws.dynamodb.faults.fail("transact_write_items", error, times=2)

    assert told("erase", SUB, "--yes")["state"] == "erasing"
    assert len(world.slept) == 2


def test_an_unknown_user_is_told(world):
    """And for people, kinds are lines."""
    assert "No such user" in str(run("traces", "usr_nobody", ok=False).exception)
    assert "left connections" in run("traces", SUB).stdout
    assert "Call it again in 16 min" in run("erase", SUB, "--yes").stderr
