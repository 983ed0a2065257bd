"""What a user took back stays taken back, also for a table that was restored to the hour before (I5)."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli import operator
from cli.main import cli
from cli.stack import Stack
from grantkeeper.services.consents import withdraw_consent
from tests.doubles.connect_world import ALICE
from tests.doubles.errand_world import ALICE_SIGNED_IN, SECOND, ErrandWorld
from tests.doubles.provider import ISSUER, Account

SINCE = "2027-01-15T08:00:30"  # half a minute after NOON of the doubles


@pytest.fixture
def world(monkeypatch):
    """Two consents and a second identity; one consent withdrawn, the identity unlinked, then every row put back."""
    world = ErrandWorld()
    world.gone, world.stays = world.connect(ALICE).id, world.connect(ALICE, account=Account("work")).id
    identity = world.link(account=Account("alice-2"))
    rows = world.wiring.aws.dynamodb.dump("grants")
    world.now += 60
    withdraw_consent(
        "app", world.gone, principal=ALICE_SIGNED_IN, consents=world.wiring.consents, now=world.now, request_id="r"
    )
    world.unlink(identity)
    world.now += 60
    for row in rows:
        world.wiring.aws.dynamodb.restore("grants", row)
    monkeypatch.setattr(Stack, "wiring", world.wiring)
    monkeypatch.setattr(operator, "now", lambda: world.now)
    return world


def run(*arguments):
    done = CliRunner(mix_stderr=False).invoke(cli, ["after-restore", "--since", SINCE, "--json", *arguments])
    assert done.exit_code == 0, done.output
    return {(row["what"], row["done"]) for row in json.loads(done.stdout)}


def consents(world):
    return [world.wiring.connections.has_consent("usr_alice", "app", each) for each in (world.gone, world.stays)]


def test_i5_a_withdrawn_consent_and_an_unlinked_identity_are_taken_back_again(world):
    """And nothing else; the second time there is nothing to do."""
    assert consents(world) == [True, True]
    assert run() == {("consent.withdrawn", "would be withdrawn"), ("identity.unlinked", "would be unlinked")}

    assert run("--apply") == {("consent.withdrawn", "withdrawn"), ("identity.unlinked", "unlinked")}

    assert consents(world) == [False, True]
    assert world.wiring.users.find(SECOND, "alice-2") is None
    assert world.identities() == {(ISSUER, "usr_alice")}
    assert run("--apply") == set()


def test_what_was_given_again_since_is_left_alone(world):
    """A consent and a link that are younger than the withdrawal."""
    world.connect(ALICE)
    world.wiring.users.unlink(
        world.wiring.users.find(SECOND, "alice-2"),
        kept=world.wiring.users.find(ISSUER, "usr_alice"),
        user=None,
        audit=world.event("test"),
    )
    world.link(account=Account("alice-2"))

    assert run("--apply") == set()
    assert consents(world) == [True, True]


def test_the_only_identity_that_is_left_is_told_and_not_taken(world):
    """The one he kept was linked after that moment, and is gone with it."""
    first, second = world.wiring.users.find(ISSUER, "usr_alice"), world.wiring.users.find(SECOND, "alice-2")
    assert world.wiring.users.unlink(first, kept=second, user=None, audit=world.event("test"))

    told = {done for what, done in run("--apply") if what == "identity.unlinked"}

    assert told == {"is the only one left: suspend the user, or leave it"}
    assert world.identities() == {(SECOND, "alice-2")}
