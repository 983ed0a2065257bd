"""Erasing a user while everything he could be doing is under way: real threads, on DynamoDB Local."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import Identity, Session
from grantkeeper.services.change_user import By
from grantkeeper.services.erase_user import erase_user, erasure_state
from tests.doubles.aws import InMemoryAws, memory_wiring
from tests.doubles.connect_world import ConnectWorld
from tests.doubles.deployment import audit_event
from tests.doubles.errand_world import link_identity
from tests.doubles.provider import NOON, Account
from tests.stores.records import race
from tests.unit.services.test_erase_user import SUB, erased_to_the_end, furnished, of_hers, under_way

ROUNDS = 3


def doings(world):
    """What may land beside it, each made of what was read before."""
    w, live = world.wiring, world.connect(account=Account("alices-live"))
    pending, grant, user = under_way(world), w.grants.get(live.id), w.users.get(SUB)
    renewed = replace(grant, generation=grant.generation + 1, write_id="late")
    (identity, *_) = w.users.identities(SUB)
    session = Session(
        family="fam_late", sid="sid_late", sub=SUB, client_id="app", scopes=("openid",), provider="example",
        created_at=NOON, expires_at=NOON + 86_400, idle_expires_at=NOON + 86_400, current_hash="h",
    )  # fmt: skip
    more = Identity("https://third.example", "alices-work", SUB, "third", NOON)
    return (
        lambda: w.grants.save(renewed),
        lambda: w.connections.confirm(
            pending, consent_client_id="app", now=NOON, audit=world.event("connection.activated")
        ),
        lambda: w.users.sync(identity, user=replace(user, name="Alice again"), audit=audit_event("user.synced")),
        lambda: w.users.update(user, expected_version=user.version, audit=audit_event("user.changed")),
        lambda: w.sessions.create(session, audit=audit_event("user.signed_in")),
        lambda: link_identity(w, more, audit=audit_event("identity.linked"), now=NOON),
        lambda: w.connections.touch(live.id, day="2026-11-21"),
    )


def erase(world):
    return erase_user(SUB, by=By("operator:root", root=True), ports=world.wiring, now=world.now)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_t13_nothing_that_races_an_erasure_brings_anything_back(dynamodb_tables, _round):
    """Whatever lands before, between or after: in the end nothing stands but the tombstone, here and upstream."""
    tables, aws = dynamodb_tables, InMemoryAws()
    aws.dynamodb = tables.client
    names = {"GRANTS_TABLE": tables.grants, "REQUESTS_TABLE": tables.requests, "AUDIT_TABLE": tables.audit}
    deployed = furnished(ConnectWorld(wiring=memory_wiring(aws=aws, **names)))
    others = doings(deployed)
    outcomes = race(len(others) + 2, lambda n: others[n]() if n < len(others) else erase(deployed))
    assert not [each for each in outcomes if isinstance(each, Exception) and not isinstance(each, GrantkeeperError)]

    erased_to_the_end(deployed)

    (tombstone,), named = of_hers(deployed, "grants")
    assert "erased" in tombstone
    assert named == []
    assert deployed.wiring.sessions.get("fam_late") is None
    assert erasure_state(SUB, ports=deployed.wiring, now=deployed.now).left == {}
    assert deployed.wiring.users.find("https://third.example", "alices-work") is None
