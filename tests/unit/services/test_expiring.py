"""Connection Expiring: once, in time, and seen at the connection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Work
from grantkeeper.providers.record import RefreshRule
from grantkeeper.services.forecast import plan
from grantkeeper.services.note_use import day_of
from grantkeeper.services.project import announcement
from grantkeeper.services.sweep import sweep
from grantkeeper.services.work import work_through
from grantkeeper.stores.grant_item import grant_item
from tests.doubles.refresh_world import RefreshWorld

HOUR, DAY = 3600, 86_400
YEARLY = RefreshRule(rotation="none", previous_refresh_token="valid", absolute_days=365)
UNUSED_YEAR = RefreshRule(supported="never", rotation="none", inactivity_days=365)


def world_of(monkeypatch, rule, **changes):
    """A connection as a callback would have stored it under this rule."""
    world = RefreshWorld(monkeypatch, rule=rule)
    for name, value in changes.items():
        setattr(world.provider, name, value)
    world.connection_id = world.connect(account_id="second")
    grant = world.grant()
    tokens = world.tokens()
    if rule.supported == "never":
        tokens = replace(tokens, refresh_token=None)
    planned = plan(
        tokens,
        rule=rule,
        refreshable=tokens.refresh_token is not None,
        consented_at=world.now,
        received_at=world.now,
        rng=world.run().rng,
    )
    made = replace(
        grant,
        consented_at=world.now,
        refreshable=tokens.refresh_token is not None,
        reconnect_by=planned.reconnect_by,
        due_at=planned.due_at,
    )
    store(world, made)
    world.wiring.connections.update_forecast(
        grant.connection_id, planned.reconnect_by, now=world.now, audit=world.event("connection.activated")
    )
    return world


def store(world, grant):
    world.aws.dynamodb.restore("grants", grant_item(grant, due_shards=world.wiring.due_shards))


def look(world):
    """A sweep finds what is due, a worker does it."""
    url = world.wiring.env["WORK_QUEUE_URL"]
    sweep(
        grants=world.wiring.grants, breakers=world.wiring.breakers, work_queue=world.wiring.work_queue,
        due_shards=world.wiring.shard_mark, shards=world.wiring.due_shards, workers=2, run=world.run(),
    )  # fmt: skip
    works = [Work(m["kind"], m["provider"], tuple(tuple(i) for i in m["ids"])) for m in world.queued()]
    world.aws.sqs._queues[url] = []
    assert (
        work_through(works, ports=world.ports(), run=world.run(), parallel=lambda ts: [t() for t in ts]) == frozenset()
    )


def warnings(world):
    events, _ = world.wiring.audit.for_connection(world.connection_id, limit=100)
    return [event for event in events if event.action == "connection.expiring"]


def test_a_connection_in_use_is_warned_of_once_and_refreshed_all_the_while(monkeypatch):
    """Hour by hour through the last week: one entry, and every token fresh."""
    world = world_of(monkeypatch, YEARLY)
    ends = world.grant().reconnect_by
    world.pass_time(357 * DAY)
    world.read()
    for _ in range(8 * 24):
        world.wiring.connections.touch(world.connection_id, day=day_of(world.now))
        look(world)
        world.pass_time(HOUR)
        if world.now >= ends - HOUR:
            break

    [warning] = warnings(world)
    assert warning.time == ends - 7 * DAY
    assert warning.details["reconnect_by"] == str(ends)
    assert world.grant().generation > 150
    tries = world.aws.dynamodb.faults.count("put_item", when=lambda k: k["Item"].get("action") == {"S": warning.action})
    assert 1 <= tries <= 2, "what was told is not told in vain with every refresh"
    assert world.grant().warned_of == ends


def test_a_new_consent_is_warned_of_anew(monkeypatch):
    """What was told of the forecast before says nothing of the next one."""
    world = world_of(monkeypatch, YEARLY)
    first = world.grant()
    store(world, replace(first, warned_of=first.reconnect_by, reconnect_by=first.reconnect_by + 30 * DAY))
    world.pass_time(365 * DAY + 24 * DAY)
    world.wiring.connections.touch(world.connection_id, day=day_of(world.now))
    look(world)

    [warning] = warnings(world)
    assert warning.details["reconnect_by"] == str(first.reconnect_by + 30 * DAY)


def test_an_idle_connection_comes_up_for_its_warning_and_is_not_refreshed_for_it(monkeypatch):
    """Nobody has used it for a year, and its user is told all the same."""
    world = world_of(monkeypatch, YEARLY)
    world.pass_time(2 * DAY)
    look(world)  # idle: off until the warning
    assert world.grant().due_at == world.grant().reconnect_by - 7 * DAY
    world.pass_time(356 * DAY + 60)

    look(world)

    assert len(warnings(world)) == 1
    assert world.refreshes == 0


def test_a_token_that_cannot_be_refreshed_is_warned_of_before_it_ends(monkeypatch):
    """Sixty days, told on the fifty-third, needs_reauth on the last."""
    world = world_of(monkeypatch, RefreshRule(supported="never", rotation="none"), expires_in=60 * DAY)
    world.pass_time(53 * DAY)
    look(world)

    assert len(warnings(world)) == 1
    assert world.grant().status == "active"
    assert world.grant().due_at == world.grant().expires_at

    world.pass_time(7 * DAY + 10)
    look(world)
    assert world.grant().reason == "expired_no_refresh_token"
    assert len(warnings(world)) == 1


def test_a_token_that_lives_by_its_use_is_forecast_from_the_day_it_was_used(monkeypatch):
    """GitHub's OAuth tokens end after a year without use: whoever uses them is not warned."""
    world = world_of(monkeypatch, UNUSED_YEAR, expires_in=None)
    first = world.grant().reconnect_by
    world.wiring.connections.touch(world.connection_id, day="2027-06-01")
    world.pass_time(358 * DAY)

    look(world)

    assert warnings(world) == []
    moved = world.wiring.connections.get(world.connection_id).reconnect_by
    assert moved > first
    assert world.grant().due_at == moved - 7 * DAY

    world.pass_time(moved - 7 * DAY - world.now + 1)
    look(world)
    assert [event.details["reconnect_by"] for event in warnings(world)] == [str(moved)]


def test_a_warning_that_could_not_be_written_is_written_by_the_next_sweep(monkeypatch):
    """The row stays due until it was told."""
    world = world_of(monkeypatch, YEARLY)
    world.pass_time(358 * DAY + 60)
    record = world.wiring.audit.record

    def down(_event):
        raise StoreUnavailable("down")

    monkeypatch.setattr(world.wiring.audit, "record", down)
    look(world)
    assert warnings(world) == []
    monkeypatch.setattr(world.wiring.audit, "record", record)
    world.pass_time(100)
    look(world)

    assert len(warnings(world)) == 1


def test_a_routine_refresh_writes_no_connection(monkeypatch):
    """The forecast stands: nothing is said and nothing written."""
    world = world_of(monkeypatch, YEARLY)
    before = world.wiring.connections.get(world.connection_id)
    world.pass_time(HOUR - 60)

    world.refresh()

    assert world.grant().generation == 2
    assert world.wiring.connections.get(world.connection_id) == before
    assert world.grant().reconnect_by == before.reconnect_by


def test_a_refresh_that_moves_the_forecast_shows_it_at_the_connection(monkeypatch):
    """A rotated token that turns out to have a fixed end: META and the trail say so."""
    rule = RefreshRule(rotation="always", previous_refresh_token="valid")
    world = RefreshWorld(monkeypatch, rule=rule)
    world.records["example"] = replace(
        world.records["example"],
        token_response=replace(
            world.records["example"].token_response, refresh_token_expires_in="/refresh_token_expires_in"
        ),
    )
    world.provider.extra_token_fields = {"refresh_token_expires_in": 30 * DAY}
    world.pass_time(HOUR)
    world.refresh()
    ends = world.now + 30 * DAY
    assert world.wiring.connections.get(world.connection_id).reconnect_by is None
    world.pass_time(2 * DAY)
    world.provider.extra_token_fields = {"refresh_token_expires_in": ends - world.now}
    world.refresh()

    assert world.wiring.connections.get(world.connection_id).reconnect_by == pytest.approx(ends, abs=2)
    assert "connection.forecast_changed" in world.actions()


def test_the_event_says_until_when(monkeypatch):
    """What a client needs to ask its user in time."""
    world = world_of(monkeypatch, YEARLY)
    world.pass_time(358 * DAY + 60)
    look(world)

    name, detail = announcement(warnings(world)[0])
    assert name == "Connection Expiring"
    assert detail["reconnect_by"] == world.grant().reconnect_by
