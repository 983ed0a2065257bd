"""Revoked is final, also for a table that was restored to the hour before (I5)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cli import after_restore as module
from cli import operator
from cli.main import cli
from cli.stack import Stack
from grantkeeper.errors import ConnectionRevoked
from grantkeeper.model import ApiKey, AuditEvent
from tests.doubles.refresh_world import LASTING, RefreshWorld

HOUR = 3600
SINCE = "2027-01-15T07:30:00"  # half an hour before NOON of the doubles, an hour and a half before the revocations


@pytest.fixture
def world(monkeypatch):
    """Two connections and two keys; one of each revoked, then every row put back."""
    world = RefreshWorld(monkeypatch, rule=LASTING)
    world.kept = world.connect(account_id="bob")
    for key_id in ("gone", "stays"):
        key = ApiKey(key_id, "hash", ("admin:read",), world.now, world.now + 10 * HOUR)
        world.wiring.api_keys.put(key, audit=world.event("api_key.created"))
    rows = world.aws.dynamodb.dump("grants")
    world.pass_time(HOUR)
    world.disconnect()
    audit = AuditEvent("evt_key", world.now, "api_key.revoked", "operator:a", details={"key_id": "gone"})
    world.wiring.api_keys.put(replace(world.wiring.api_keys.get("gone"), status="revoked"), audit=audit)
    world.pass_time(60)
    for row in rows:
        world.aws.dynamodb.restore("grants", row)
    monkeypatch.setattr(Stack, "wiring", world.container())
    monkeypatch.setattr(operator, "now", lambda: world.now)
    return world


def run(*arguments):
    return CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", SINCE, "--json", *arguments])


def state(world):
    wiring = world.container()
    return (
        [wiring.connections.get(each).status for each in (world.connection_id, world.kept)],
        [wiring.api_keys.get(each).status for each in ("gone", "stays")],
    )


def test_i5_what_was_revoked_is_revoked_again(world):
    """And nothing else; the second time there is nothing to do."""
    assert state(world) == (["active", "active"], ["active", "active"])

    done = run("--apply")

    assert done.exit_code == 0, done.output
    assert {(row["what"], row["id"], row["done"]) for row in json.loads(done.stdout)} == {
        ("connection.revoked", world.connection_id, "disconnected"),
        ("api_key.revoked", "gone", "revoked"),
    }
    assert state(world) == (["revoked", "active"], ["revoked", "active"])
    with pytest.raises(ConnectionRevoked):
        world.read(wiring=world.container())
    assert world.read(world.kept, wiring=world.container()).generation
    assert json.loads(run("--apply").stdout) == []


def test_without_apply_nothing_is_changed(world):
    """It tells what it would do."""
    told = json.loads(run().stdout)

    assert sorted(row["done"] for row in told) == ["would be disconnected", "would be revoked"]
    assert state(world) == (["active", "active"], ["active", "active"])


def test_what_was_revoked_before_is_left_alone(world):
    """The restored table knows of it already."""
    late = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", "2027-01-15T09:00:30", "--json"])

    assert json.loads(late.stdout) == []


def test_every_page_of_every_day_is_read(world, monkeypatch):
    """However much stands in the trail."""
    monkeypatch.setattr(module, "PAGE", 1)

    assert len(json.loads(run().stdout)) == 2


def test_a_moment_to_come_is_refused(world):
    """A slip of the pen must not look like success."""
    late = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", "2099-01-01"])

    assert late.exit_code != 0
