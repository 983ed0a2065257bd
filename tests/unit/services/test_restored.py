"""
A table restored to an hour ago, while the trail stays: what happens to every kind of row, at every kind of provider.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import GrantkeeperError, ReauthorizationRequired
from grantkeeper.services.refresh import refresh
from grantkeeper.services.refresh_run import Cause
from tests.doubles.refresh_world import GRACE, LASTING, RULES, STRICT, RefreshWorld, assert_works

HOUR = 3600
MANY = 12


def told(world, connection_id):
    """The projector has told the trail of the grant as it is."""
    grant = world.grant(connection_id)
    event = replace(
        world.event("grant.refreshed"),
        connection_id=connection_id,
        details={"name": "main", "generation": str(grant.generation)},
    )
    world.wiring.audit.record(event)


def refresh_one(world, connection_id):
    return refresh(world.grant(connection_id), cause=Cause("sweep", "t"), ports=world.ports(), run=world.run())


def rows(world, *prefixes):
    return [row for row in world.aws.dynamodb.dump("grants") if row["sk"]["S"].startswith(prefixes)]


def an_hour_ago(monkeypatch, rule, *, refreshes):
    """Many connections, each refreshed some times since the rows were taken, all an hour old."""
    world = RefreshWorld(monkeypatch, rule=rule)
    others = [world.connect(account_id=f"user{number}") for number in range(MANY - 1)]
    everyone = [world.connection_id, *others]
    world.pass_time(HOUR)
    kept = rows(world, "GRANT#", "LEASE#", "META")
    for _ in range(refreshes):
        for each in everyone:
            refresh_one(world, each)
            told(world, each)
        world.pass_time(HOUR)
    return world, everyone, kept


@pytest.mark.parametrize("leases", ["restored", "left"])
@pytest.mark.parametrize("refreshes", [1, 3])
@pytest.mark.parametrize("rule", [STRICT, GRACE], ids=["strict", "grace"])
def test_rows_restored_under_a_trail_that_knows_better_spend_nothing(monkeypatch, rule, refreshes, leases):
    """Their tokens are spent: each is found by its first refresh, not five minutes later, and told to its user."""
    world, everyone, kept = an_hour_ago(monkeypatch, rule, refreshes=refreshes)
    if leases == "restored":
        for row in rows(world, "LEASE#"):
            world.aws.dynamodb.delete_item(TableName="grants", Key={"pk": row["pk"], "sk": row["sk"]})
    for row in kept:
        world.aws.dynamodb.restore("grants", row)
    calls = world.refreshes

    for each in everyone:
        with pytest.raises(ReauthorizationRequired) as error:
            refresh_one(world, each)
        assert error.value.extensions["reason"] == "spent_elsewhere"
        assert world.wiring.connections.get(each).status == "needs_reauth"
        assert "grant.tampering_detected" in world.actions(each)
    assert world.refreshes == calls


@pytest.mark.parametrize("leases", ["restored", "left"])
@pytest.mark.parametrize("refreshes", [1, 3])
def test_rows_restored_where_tokens_last_heal_themselves(monkeypatch, refreshes, leases):
    """Their refresh tokens are as good as ever; leases of generations they do not know stop nobody."""
    world, everyone, kept = an_hour_ago(monkeypatch, LASTING, refreshes=refreshes)
    if leases == "restored":
        for row in rows(world, "LEASE#"):
            world.aws.dynamodb.delete_item(TableName="grants", Key={"pk": row["pk"], "sk": row["sk"]})
    for row in kept:
        world.aws.dynamodb.restore("grants", row)

    for _ in range(refreshes + 2):
        for each in everyone:
            refresh_one(world, each)
        world.pass_time(HOUR)
    for each in everyone:
        refresh_one(world, each)
    assert_works(world, generation=refreshes + 4)


def test_i3_the_generation_of_a_lease_falls_for_no_restored_row(monkeypatch):
    """Who still holds a later generation's lease keeps it."""
    world, _, kept = an_hour_ago(monkeypatch, LASTING, refreshes=3)
    for row in kept:
        world.aws.dynamodb.restore("grants", row)
    before = world.lease().generation

    refresh_one(world, world.connection_id)

    assert all(int(row["generation"]["N"]) >= before for row in rows(world, "LEASE#"))


@pytest.mark.parametrize("rule", RULES)
def test_a_lease_restored_alone_is_an_orphan_like_any_other(monkeypatch, rule):
    """An old lease under a newer grant is overwritten by the next holder."""
    world = RefreshWorld(monkeypatch, rule=RULES[rule])
    world.pass_time(HOUR)
    world.refresh()
    old = rows(world, "LEASE#")
    world.pass_time(HOUR)
    world.refresh()
    for row in old:
        world.aws.dynamodb.restore("grants", row)
    world.pass_time(HOUR)

    world.refresh()

    assert_works(world, generation=4)


@pytest.mark.parametrize("rule", [STRICT, GRACE], ids=["strict", "grace"])
def test_i1_a_row_put_back_while_its_refresh_is_in_flight_is_not_refreshed_beside_it(monkeypatch, rule):
    """The living holder's lease stands, and its save finds the generation it expects."""
    world = RefreshWorld(monkeypatch, rule=rule)
    [row] = rows(world, "GRANT#")
    world.pass_time(HOUR)

    def meanwhile():
        world.aws.dynamodb.restore("grants", row)
        with pytest.raises(GrantkeeperError):
            refresh(
                world.grant(), cause=Cause("sweep", "t"), ports=world.ports(world.container()), run=world.run(),
                patience=0,
            )  # fmt: skip

    world.provider_http.during = meanwhile
    world.refresh()

    assert world.refreshes == 1
    assert_works(world, generation=2)
