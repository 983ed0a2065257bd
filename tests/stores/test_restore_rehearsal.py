"""
The rehearsal of a restore, on DynamoDB Local: Grants is copied, life goes on, the copy is put into a new table.

What docs/backup-and-restore.md tells an operator to do is done here in its order, and then judged: nothing that was
taken back is good again, no outlived token of a strict provider is spent, sessions are as they were, and a row opens in
its own place and in no other.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from cli import operator
from cli.archive.frozen import Freezer
from cli.archive.tables import Tables
from cli.main import cli
from cli.stack import Stack
from grantkeeper.errors import ConnectionRevoked, GrantkeeperError, GrantUnreadable, ReauthorizationRequired
from grantkeeper.model import ApiKey, Binding, Principal, Session
from grantkeeper.services.change_user import By, give_role, suspend
from grantkeeper.services.dead_answer import usable
from grantkeeper.services.erase_user import erase_user
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause, Run
from grantkeeper.stores import keys
from grantkeeper.stores.stream import new_generation
from grantkeeper.stores.table import key_item
from tests.doubles.aws import InMemoryAws, memory_wiring
from tests.doubles.connect_world import ALICE, BOB, WRITE, ConnectWorld
from tests.doubles.provider import Account
from tests.support.tables import definitions

HOUR = 3600
STRICT = {"rotation": "always", "previous_refresh_token": "revoked"}
LASTING = {"rotation": "none", "previous_refresh_token": "valid"}
CAROL = Principal("user", WRITE, client_id="app", sub="usr_carol")
DAVE = Principal("user", WRITE, client_id="app", sub="usr_dave")
ROOT = By("operator:test", root=True)


class Deployment:
    """A stack over tables of DynamoDB Local; `world` is whoever lives in it."""

    def __init__(self, tables: Any, rule: dict[str, Any]) -> None:
        doubles = InMemoryAws()
        self.client = tables.client
        self.aws = SimpleNamespace(
            dynamodb=tables.client, sqs=doubles.sqs, ssm=doubles.ssm, events=doubles.events, kms=doubles.kms
        )
        self.names = {"GRANTS_TABLE": tables.grants, "REQUESTS_TABLE": tables.requests, "AUDIT_TABLE": tables.audit}
        self.world = ConnectWorld(wiring=self.wiring(), refresh=rule)
        self.world.provider.rotation = rule["rotation"]
        self.world.provider.previous_refresh_token = rule["previous_refresh_token"]

    def wiring(self) -> Any:
        """An execution environment with caches of its own."""
        return memory_wiring(aws=self.aws, **self.names)

    def live_on(self) -> Any:
        """Functions start anew, over the tables that are named now."""
        self.world.wiring = self.wiring()
        self.world.wiring.__dict__["provider_http"] = self.world.provider
        return self.world.wiring

    def copy(self) -> list[dict[str, Any]]:
        """Every row of Grants at this moment."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.names["GRANTS_TABLE"])
        return [item for page in pages for item in page["Items"]]

    def restore(self, rows: list[dict[str, Any]]) -> str:
        """A new table, as a restore by point in time makes one; the stack is pointed at it."""
        name = f"restored-{secrets.token_hex(6)}"
        self.client.create_table(TableName=name, **definitions()["grants"])
        for row in rows:
            self.client.put_item(TableName=name, Item=row)
        self.names["GRANTS_TABLE"] = name
        self.live_on()
        return name

    def refresh(self, connection_id: str) -> Any:
        """A pass of the protocol an hour later, and what the projector makes of it."""
        wiring, world = self.world.wiring, self.world
        run = Run(clock=lambda: world.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)
        key = key_item(keys.grant(connection_id, "main"))
        before = self.client.get_item(TableName=self.names["GRANTS_TABLE"], Key=key)["Item"]
        grant = usable(wiring.grants.get(connection_id))
        made = refresh(grant, cause=Cause("sweep", "system"), ports=wiring, run=run).grant
        after = self.client.get_item(TableName=self.names["GRANTS_TABLE"], Key=key)["Item"]
        event = new_generation({"dynamodb": {"OldImage": before, "NewImage": after}})
        if event is not None:
            wiring.audit.record(event)
        return made

    def after_restore(self, since: int, *options: str) -> list[dict[str, str]]:
        """The operator's command."""
        moment = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        done = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", moment, "--json", *options])
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(done.stdout)

    def status(self, connection_id: str) -> str:
        return self.world.wiring.connections.get(connection_id).status


@pytest.fixture
def deployment(dynamodb_tables, monkeypatch, request):
    """With four connections, a key, an admin and two sessions; strict unless a test says otherwise."""
    made = Deployment(dynamodb_tables, getattr(request, "param", STRICT))
    world, monkeypatched = made.world, monkeypatch
    world.add_user("usr_erin")
    made.refreshed = world.connect(ALICE).id
    made.disconnected = world.connect(ALICE, account=Account("alice-work")).id
    made.kept = world.connect(BOB, account=Account("bob")).id
    made.moved = world.connect(CAROL, account=Account("carol")).id
    key = ApiKey("key1", "hash", ("admin:read",), world.now, world.now + 99 * HOUR)
    world.wiring.api_keys.put(key, audit=world.event("api_key.created"))
    for family in ("fam_out", "fam_in"):
        session = Session(
            family, f"sid_{family}", "usr_alice", "app", ("openid",), "example", world.now, world.now + 99 * HOUR,
            world.now + 99 * HOUR, "hash",
        )  # fmt: skip
        assert world.wiring.sessions.create(session, audit=world.event("user.signed_in"))
    give_role("usr_bob", "admin", by=ROOT, users=world.wiring.users, changing=world.wiring.people, now=world.now)
    monkeypatched.setattr(Stack, "wiring", property(lambda _: made.world.wiring))
    monkeypatched.setattr(operator, "now", lambda: made.world.now)
    return made


def live_a_while(made: Deployment) -> None:
    """What happens between the moment that is restored to and the loss of the table."""
    world = made.world
    world.now += HOUR
    for connection_id in (made.refreshed, made.refreshed):
        made.refresh(connection_id)
        world.now += HOUR
    world.disconnect(made.disconnected)
    world.work()
    event = operator.event("consent.withdrawn", sub="usr_bob", connection_id=made.kept, client_id="app")
    world.wiring.consents.withdraw("usr_bob", "app", made.kept, now=world.now, audit=event)
    revoked = world.wiring.api_keys.get("key1")
    event = operator.event("api_key.revoked", details={"key_id": "key1"})
    assert world.wiring.api_keys.revoke(revoked, audit=event)
    assert world.wiring.sessions.revoke("fam_out", audit=world.event("session.revoked"))
    suspend("usr_carol", by=ROOT, users=world.wiring.users, changing=world.wiring.people, now=world.now)
    give_role("usr_bob", "user", by=ROOT, users=world.wiring.users, changing=world.wiring.people, now=world.now)
    moved = world.wiring.connections.get(made.moved)
    Freezer(Tables.of(world.wiring), world.wiring, "arc_1").freeze(moved)
    erase_user("usr_erin", by=ROOT, ports=world.wiring, now=world.now)
    world.add_user("usr_dave")
    world.provider.now = world.now
    made.lost = world.connect(DAVE, account=Account("dave")).id
    world.now += 60


def rehearse(made: Deployment) -> int:
    """Copy, live, lose, restore; the moment restored to."""
    moment = made.world.now + 60
    rows = made.copy()
    live_a_while(made)
    made.restore(rows)
    return moment


def test_what_was_taken_back_since_is_taken_back_again(deployment):
    """Connections, consents, keys, roles, people; what moved to another stack is frozen before anything else."""
    moment = rehearse(deployment)
    before = [deployment.status(each) for each in (deployment.disconnected, deployment.moved)]
    assert before == ["active", "active"]  # as the copy has them: this is what the step is for

    foreseen = deployment.after_restore(moment)
    assert deployment.status(deployment.disconnected) == "active"
    done = deployment.after_restore(moment, "--apply")

    assert len(foreseen) == len(done)
    again = "is erased again: `grantkeeper users erase usr_erin --wait`"
    assert {(row["what"], row["id"], row["done"]) for row in done} == {
        ("user.erasure_started", "usr_erin", again),
        ("connection.frozen", deployment.moved, "frozen"),
        ("connection.revoked", deployment.disconnected, "disconnected"),
        ("consent.withdrawn", deployment.kept, "withdrawn"),
        ("api_key.revoked", "key1", "revoked"),
        ("user.suspended", "usr_carol", "suspended"),
        ("user.role_changed", "usr_bob", "is user again"),
    }
    wiring = deployment.world.wiring
    assert [deployment.status(each) for each in (deployment.disconnected, deployment.moved)] == [
        "revoked",
        "needs_reauth",
    ]
    with pytest.raises(ConnectionRevoked):
        deployment.refresh(deployment.disconnected)
    with pytest.raises(ReauthorizationRequired):
        deployment.refresh(deployment.moved)
    assert not wiring.connections.has_consent("usr_bob", "app", deployment.kept)
    assert wiring.api_keys.get("key1").status == "revoked"
    assert wiring.users.get("usr_erin").status == "erased"
    assert (wiring.users.get("usr_carol").status, wiring.users.get("usr_bob").role) == ("suspended", "user")
    assert deployment.after_restore(moment, "--apply") == []


def test_no_outlived_token_of_a_strict_provider_is_spent(deployment):
    """The row knows generation 1, the trail 3: its user connects again, and the provider hears of nothing."""
    moment = rehearse(deployment)
    deployment.after_restore(moment, "--apply")
    deployment.world.now += HOUR
    asked = len(deployment.world.provider.token_calls)

    with pytest.raises(ReauthorizationRequired):
        deployment.refresh(deployment.refreshed)

    assert len(deployment.world.provider.token_calls) == asked
    grant = deployment.world.wiring.grants.get(deployment.refreshed)
    assert (grant.generation, grant.status, grant.reason) == (1, "needs_reauth", "spent_elsewhere")
    actions = {e.action for e in deployment.world.wiring.audit.for_connection(deployment.refreshed, limit=20)[0]}
    assert "grant.tampering_detected" in actions


def test_what_was_not_touched_since_goes_on(deployment):
    """Its token is the one the provider waits for."""
    moment = rehearse(deployment)
    deployment.after_restore(moment, "--apply")
    deployment.world.now += HOUR

    assert deployment.refresh(deployment.kept).generation == 2


@pytest.mark.parametrize("deployment", [LASTING], indirect=True)
def test_where_tokens_last_every_row_heals(deployment):
    """At its next refresh, whatever generation the trail knows."""
    moment = rehearse(deployment)
    deployment.after_restore(moment, "--apply")
    deployment.world.now += HOUR

    for connection_id in (deployment.refreshed, deployment.kept):
        assert deployment.refresh(connection_id).status == "active"


def test_sessions_are_as_they_were(deployment):
    """They stand in another table: who signed out stays out, who was in stays in."""
    rehearse(deployment)
    sessions = deployment.world.wiring.sessions

    assert (sessions.get("fam_out").status, sessions.get("fam_in").status) == ("revoked", "active")


def test_what_was_made_since_is_gone_and_its_user_begins_anew(deployment):
    """The trail still tells of it; the account is free to be connected."""
    rehearse(deployment)
    wiring = deployment.world.wiring

    assert wiring.users.get("usr_dave") is None
    assert wiring.connections.get(deployment.lost) is None
    assert "connection.activated" in {event.action for event in wiring.audit.for_user("usr_dave", limit=9)[0]}
    deployment.world.add_user("usr_dave")
    assert deployment.world.connect(DAVE, account=Account("dave")).status == "active"


def test_t17_a_restored_row_opens_in_its_own_place_and_no_other(deployment):
    """Not under another connection, user, or table; not with another stack's key."""
    rehearse(deployment)
    wiring = deployment.world.wiring
    own, other = (wiring.grants.get(each) for each in (deployment.kept, deployment.refreshed))
    assert wiring.vault.open(own.sealed, binding=Binding.of(own))
    elsewhere = (
        Binding.of(other),
        replace(Binding.of(own), sub="usr_alice"),
        replace(Binding.of(own), table="restored"),
        replace(Binding.of(own), grant_id=other.grant_id),
    )
    for binding in elsewhere:
        with pytest.raises(GrantUnreadable):
            wiring.vault.open(own.sealed, binding=binding)
    stranger = memory_wiring(**deployment.names)
    with pytest.raises(GrantkeeperError):
        stranger.vault.open(own.sealed, binding=Binding.of(own))
