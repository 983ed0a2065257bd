"""Revoked is final, also for a table that was restored to the hour before (I5)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cli import after_restore as module
from cli import operator
from cli.archive.ledger import Ledger
from cli.archive.tables import Tables
from cli.last_words import NOT_FROZEN
from cli.main import cli
from cli.stack import Stack
from grantkeeper.errors import ConnectionRevoked
from grantkeeper.model import ApiKey, AuditEvent
from grantkeeper.services.lease_policy import new_lease
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
    world.pass_time(120)
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
    late = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", "2027-01-15T09:01:30", "--json"])

    assert json.loads(late.stdout) == []


def test_every_page_of_every_day_is_read(world, monkeypatch):
    """However much stands in the trail."""
    monkeypatch.setattr(module, "PAGE", 1)

    assert len(json.loads(run().stdout)) == 2


def test_a_moment_to_come_is_refused(world):
    """A slip of the pen must not look like success."""
    late = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", "2099-01-01"])

    assert late.exit_code != 0


def test_what_was_under_way_at_that_moment_counts_as_after_it(world):
    """An entry bears the time at which its change began: the row may have come a moment too late for the copy."""
    late = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", "2027-01-15T09:00:20", "--json"])

    assert sorted(row["done"] for row in json.loads(late.stdout)) == ["would be disconnected", "would be revoked"]


@pytest.mark.parametrize("seconds", [0, 60])
def test_what_lives_elsewhere_is_frozen_before_anything_is_disconnected(world, monkeypatch, seconds):
    """
    A lease that was restored with its row: while it lives nothing is done, since what is not frozen would be revoked.

    Its holder is gone, and what he may have spent is nothing for this stack to find out.
    """
    moved = AuditEvent(
        "evt_moved", world.now - 300, "connection.frozen", "operator:a", connection_id=world.connection_id,
        details={"archive": "arc_1"},
    )  # fmt: skip
    world.wiring.audit.record(moved)
    wiring = world.container()
    lease = new_lease(wiring.grants.get(world.connection_id), token="t", owner="w", write_id="w1", now=world.now)
    assert wiring.grants.take_lease(lease) is None
    monkeypatch.setattr(Stack, "wiring", world.full_wiring())
    world.pass_time(seconds)

    done = json.loads(run("--apply").stdout)

    if seconds == 0:
        assert [row["done"] for row in done] == [NOT_FROZEN]
        assert state(world) == (["active", "active"], ["active", "active"])
        return
    first, *others = (row["done"] for row in done)
    assert (first, set(others)) == ("frozen", {"disconnected", "revoked"})  # those two happened in one second
    assert world.container().grants.get(world.connection_id).sealed == b""  # erased, and nobody is told


def test_an_archive_that_was_whole_is_whole_again(world):
    """Else another export would take what it froze for free."""
    world.wiring.audit.record(
        AuditEvent("evt_arc", world.now - 60, "archive.frozen", "operator:a", details={"archive": "arc_1"})
    )

    assert ("arc_1", "would be whole again") in {(row["id"], row["done"]) for row in json.loads(run().stdout)}
    run("--apply")

    assert not Ledger(Tables.of(world.container())).give_up("arc_1")
    assert json.loads(run("--apply").stdout) == []
