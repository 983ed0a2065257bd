"""F-28: what the operator or the user takes away in the middle of a refresh, at every point of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import Principal, Work
from grantkeeper.providers.record import RevocationRule
from grantkeeper.services.disconnect import disconnect
from grantkeeper.services.lease_policy import LEASE_SECONDS, RESCUE_HORIZON
from grantkeeper.services.rescue import rescue
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.services.work import work_through
from grantkeeper.stores.queues import rescued_grant
from tests.doubles.refresh_world import ALICE, CLIENT, RULES, RefreshWorld, assert_works, grant_write

HOUR = 3600


def key_disabled(world: RefreshWorld) -> Callable[[], None]:
    world.aws.kms.disable()
    return world.aws.kms.enable


def branch_keys_gone(world: RefreshWorld) -> Callable[[], None]:
    rows = [row for row in world.aws.dynamodb.dump("grants") if row["pk"]["S"].startswith("BRANCH#")]
    for row in rows:
        delete(world, row)

    def undo() -> None:
        for row in rows:
            world.aws.dynamodb.restore("grants", row)

    return undo


def keys_rotated(world: RefreshWorld) -> Callable[[], None]:
    new_branch_keys(world, now=world.now + 400 * 86_400)
    return lambda: None


def secret_changed(world: RefreshWorld) -> Callable[[], None]:
    world.wiring.secrets.put("/grantkeeper/example", "wrong")
    return lambda: world.wiring.secrets.put("/grantkeeper/example", world.provider.client_secret)


def credentials_removed(world: RefreshWorld) -> Callable[[], None]:
    change = {"record": None, "disabled": None, "audit": world.event("provider.changed")}
    registrations = world.wiring.provider_items.registrations()["example"]
    world.wiring.provider_items.put("example", registrations=[], **change)
    return lambda: world.wiring.provider_items.put(
        "example", registrations=registrations, **change | {"audit": world.event("provider.changed")}
    )


def record_removed(world: RefreshWorld) -> Callable[[], None]:
    record = world.records.pop("example")
    return lambda: world.records.update(example=record)


MIDWAY = [key_disabled, branch_keys_gone, keys_rotated, secret_changed, credentials_removed, record_removed]


def new_branch_keys(world: RefreshWorld, *, now: int) -> None:
    wiring = world.wiring
    ensure_keys(key_maker=wiring.key_maker, signing_keys=wiring.signing_keys, branch_keys=wiring.branch_keys, now=now)


def delete(world: RefreshWorld, row: Any) -> None:
    world.aws.dynamodb.delete_item(TableName="grants", Key={"pk": row["pk"], "sk": row["sk"]})


def refresh_with(world: RefreshWorld, point: int, happen: Callable[[], Any]) -> bool:
    """One token call, before whose step number `point` something happens; False when there are not so many."""
    state = {"left": point, "done": False, "busy": False}

    def step(_operation: Any = None, _request: Any = None) -> None:
        if state["done"] or state["busy"]:
            return
        if state["left"] == 0:
            state["done"] = state["busy"] = True
            happen()
            state["busy"] = False
        state["left"] -= 1

    for faults in (world.aws.dynamodb.faults, world.aws.kms.faults, world.aws.ssm.faults):
        faults.yield_point = step
    world.provider_http.before = world.provider_http.during = step
    with contextlib.suppress(GrantkeeperError):
        world.read(wiring=world.container())
    for faults in (world.aws.dynamodb.faults, world.aws.kms.faults, world.aws.ssm.faults):
        faults.yield_point = None
    return state["done"]


@pytest.mark.parametrize("midway", MIDWAY)
@pytest.mark.parametrize("rule", ["strict", "lasting"])
def test_f28_what_the_operator_takes_away_midway_costs_no_grant(monkeypatch, rule, midway):
    """It finishes or fails closed; when it is given back, the grant works and nobody was told to connect again."""
    point = 0
    while True:
        world = RefreshWorld(monkeypatch, rule=RULES[rule])
        new_branch_keys(world, now=world.now)
        world.pass_time(HOUR)
        undo = []
        if not refresh_with(world, point, lambda world=world, undo=undo: undo.append(midway(world))):
            break
        for wait in (LEASE_SECONDS, 60):
            world.pass_time(wait)
            with contextlib.suppress(GrantkeeperError):
                world.read(wiring=world.container())
        assert world.grant().status == "active", point
        undo[0]()
        for wait in (LEASE_SECONDS, RESCUE_HORIZON, 60):
            world.pass_time(wait)
            with contextlib.suppress(GrantkeeperError):
                world.read(wiring=world.container())
        assert world.grant().status == "active", point
        assert world.grant().generation > 1, point
        world.pass_time(HOUR)
        assert_works(world, generation=world.grant().generation)
        assert world.read(wiring=world.container()).generation == world.grant().generation
        point += 1
    assert point > 6


@pytest.mark.parametrize("rule", RULES)
def test_f28_a_connection_deleted_midway_comes_back_by_nothing(monkeypatch, rule):
    """The user is erased: no save, no mark and no rescue makes a row of it again."""
    point = 0
    while True:
        world = RefreshWorld(monkeypatch, rule=RULES[rule])
        world.pass_time(HOUR)
        mine = f"CONNECTION#{world.connection_id}"

        def erase(world=world, mine=mine):
            for row in world.aws.dynamodb.dump("grants"):
                if row["pk"]["S"] == mine:
                    delete(world, row)

        if not refresh_with(world, point, erase):
            break
        left = [row["sk"]["S"] for row in world.aws.dynamodb.dump("grants") if row["pk"]["S"] == mine]
        assert set(left) <= {"LEASE#main"}, point
        with pytest.raises(GrantkeeperError):
            world.read(wiring=world.container())
        point += 1
    assert point > 6


def disconnect_as_the_user(world: RefreshWorld) -> None:
    disconnect(
        world.connection_id,
        principal=Principal("user", frozenset({"connections:write"}), client_id=CLIENT, sub=ALICE),
        connections=world.wiring.connections,
        work_queue=world.wiring.work_queue,
        catalog=world.ports().catalog,
        now=world.now,
        request_id="req",
    )


@pytest.mark.parametrize("save", ["works", "refused"])
@pytest.mark.parametrize("revocation", [RevocationRule(kind="none"), RevocationRule(kind="rfc7009", effect="token")])
@pytest.mark.parametrize("rule", RULES)
def test_f27_a_disconnect_that_erases_at_once_leaves_no_late_tokens(monkeypatch, rule, revocation, save):
    """Where nobody can be told the sets go here and now; those that arrive later go with the next sweep."""
    point = 0
    while True:
        world = RefreshWorld(monkeypatch, rule=RULES[rule], revocation=revocation)
        world.pass_time(HOUR)

        def happen(world=world):
            if save == "refused":
                world.aws.dynamodb.faults.throttle("put_item", times=1000, when=grant_write)
            disconnect_as_the_user(world)

        if not refresh_with(world, point, happen):
            break
        world.aws.dynamodb.faults.clear()
        for body in world.parked():
            rescue(rescued_grant(body), grants=world.wiring.grants)
        for wait in (LEASE_SECONDS, RESCUE_HORIZON, RESCUE_HORIZON):
            world.pass_time(wait)
            work = Work("revoke", "example", ((world.connection_id, world.grant().generation),))
            assert work_through([work], ports=world.ports(), run=world.run(), parallel=one_by_one) == frozenset()

        assert world.grant().status == "revoked", point
        assert world.grant().sealed == b"", point
        assert world.grant().due_at is None, point
        if revocation.kind != "none":
            assert world.provider.live_refresh_tokens == [], point
        point += 1
    assert point > 6


def one_by_one(tasks: Any) -> None:
    for task in tasks:
        task()
