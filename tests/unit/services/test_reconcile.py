"""The nightly recount: what it finds, what it puts up with, and that it ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from grantkeeper.counter_names import Counted
from grantkeeper.errors import StoreUnavailable
from grantkeeper.services.project import project
from grantkeeper.services.reconcile import ENDS_BEFORE, reconcile
from tests.doubles.aws import memory_wiring
from tests.stores.records import DAY, NOON, connected, event, identity, user

NIGHT = NOON - NOON % 86_400 + 86_400 + 3 * 3600  # 03:00 of the day after


@pytest.fixture
def world():
    """Five users, four connections, a day of sign-ins, and all of it counted."""
    world = memory_wiring()
    for number in range(5):
        sub = f"usr_{number}"
        told = event("user.provisioned", sub=sub, provider="google")
        world.users.provision(user(sub), identity(sub, subject=sub), audit=told)
    for number in range(4):
        connected(world, f"con_{number}", connection={"account_id": f"account-{number}"})
        world.audit.record(
            event("connection.activated", connection_id=f"con_{number}", provider="google", details={"from": "none"})
        )
    for number in range(40):
        world.audit.record(event("user.signed_in", time=NOON + number, sub="usr_1", provider="google"))
    world.audit.record(event("connection.activated", provider="Not One"))
    entries = [entry for entry in world.audit.day(DAY, limit=200)[0] if entry.details.get("generation") is None]
    count(world, *(entry for entry in entries if entry.action != "test.happened"))
    return world


def count(world, *entries):
    project(entries, bus=world.event_bus, counters=world.counters, now=NOON)


def spoil(world, time=NOON, **changes):
    """Somebody's hand in the counters of a day and of all time."""
    named = {name.replace("__", "/"): by for name, by in changes.items()}
    world.counters.add_once([Counted(f"odd {changes}", time, named)], now=NOON)


def run(world, *, now=NIGHT, remaining=lambda: 200.0):
    outcome, found = reconcile(
        counters=world.counters,
        records=world.recount_records,
        notes=world.recount_notes,
        now=now,
        remaining=remaining,
    )
    return outcome, None if found is None else dict(found.drift)


def drifted(world):
    return [e for e in world.audit.day("2026-11-22", limit=50)[0] if e.action == "counters.drifted"]


def test_counters_that_are_right_agree(world):
    """The day that ended, and what there is; once a day, and nothing is written into the trail."""
    assert run(world) == ("agrees", {})
    assert run(world) == ("done already", None)
    assert run(world, now=NIGHT + 86_400) == ("agrees", {})

    last = world.recount_notes.load().last
    assert (last.at, last.day, last.drift) == (NIGHT + 86_400, "2026-11-22", {})
    assert drifted(world) == []


def test_counters_that_are_wrong_are_reported_after_a_second_look(world):
    """By counter, with what each lacks; in the trail as well, and never put right."""
    spoil(world, sign_ins=3, users=-1, connections__google__active=2)

    assert run(world) == ("looks again", None)
    outcome, drift = run(world)

    assert outcome == "differs"
    assert drift == {
        "day/sign_ins": -3,
        "day/users": 1,
        "day/connections/google/active": -2,
        "users": 1,
        "connections/google/active": -2,
    }
    (told,) = drifted(world)
    assert told.details == {"day": DAY, "counters": "5", **{name: str(by) for name, by in drift.items()}}
    assert run(world) == ("done already", None)
    assert world.counters.totals()["users"] == 4


def test_a_stream_that_was_late_is_no_drift(world):
    """By the second look it has arrived."""
    late = event("user.signed_in", sub="usr_2", provider="google")
    world.audit.record(late)

    assert run(world) == ("looks again", None)
    count(world, late)

    assert run(world) == ("agrees", {})


def test_entries_that_were_never_counted_are_found(world):
    """What the recount is for."""
    for _ in range(7):
        world.audit.record(event("grant.refreshed", connection_id="con_1", provider="google",
                                 details={"name": f"t{_}", "generation": "9"}))  # fmt: skip

    run(world)

    assert run(world) == ("differs", {"day/refreshes": 7, "day/refreshes/google": 7})


def test_the_day_is_not_judged_within_an_hour_of_its_end(world):
    """Before, the day before it is the last."""
    assert run(world, now=NIGHT - 3 * 3600 + 3599) == ("agrees", {})
    assert world.recount_notes.load().last.day == "2026-11-20"
    assert run(world, now=NIGHT - 3 * 3600 + 3600) == ("agrees", {})
    assert world.recount_notes.load().last.day == DAY


def test_failed_refreshes_are_not_judged(world):
    """The trail does not tell of them."""
    spoil(world, refresh_failures=9, refresh_failures__google=9, **{"refresh_failure_reasons/provider-unavailable": 9})

    assert run(world) == ("agrees", {})


@pytest.mark.parametrize("wrong", [False, True])
def test_a_run_that_ends_early_is_gone_on_with(world, wrong):
    """A page at a time, to the same end, in no more runs than there are pages."""
    if wrong:
        spoil(world, sign_ins=3)
    world.aws.dynamodb.page_size = 4

    outcomes = [run(world, now=NIGHT + minute, remaining=lambda: ENDS_BEFORE - 1)[0] for minute in range(60)]

    assert outcomes.count("goes on") >= 16
    assert outcomes[-1] == "done already"
    assert [o for o in outcomes if o not in {"goes on", "done already"}] == (
        ["looks again", "differs"] if wrong else ["agrees"]
    )
    assert world.recount_notes.load().last.drift == ({"day/sign_ins": -3} if wrong else {})


def test_a_store_that_goes_away_costs_no_more_than_the_pages_since_the_last_note(world, monkeypatch):
    """The next run goes on from there."""
    monkeypatch.setattr("grantkeeper.services.reconcile.NOTE_EVERY", 3)
    world.aws.dynamodb.page_size = 4
    queries = world.aws.dynamodb.faults
    begun = queries.count("query")
    queries.throttle("query", code="AccessDeniedException", when=lambda _: queries.count("query") - begun > 9)

    with pytest.raises(StoreUnavailable):
        run(world)
    ended = queries.count("query")
    noted = world.recount_notes.load().progress

    assert noted.shard > 0
    assert run(world) == ("agrees", {})
    calls = [kwargs for name, kwargs in queries.calls if name == "query"]
    assert calls[ended]["ExpressionAttributeValues"] == {":day": {"S": f"D#{DAY}#{noted.shard}"}}


def test_a_run_that_was_overtaken_stops(world):
    """Lambda may start one event twice."""
    first = world.recount_notes.load()

    def another() -> float:
        world.recount_notes.save(replace(first, last=None))
        return ENDS_BEFORE - 1

    assert run(world, remaining=another) == ("overtaken", None)


@pytest.mark.parametrize(("off", "outcome"), [(-2, "agrees"), (4, "agrees"), (5, "looks again"), (-3, "looks again")])
def test_what_moves_while_the_list_is_read_is_no_drift(world, off, outcome):
    """Of four, two die meanwhile: as many more or fewer may be found than either count says, and not one beyond."""
    spoil(world, NIGHT, connections__google__active=off)
    real = world.recount_records

    def listed(kind, **parts):
        if parts["prefix"] == "active#":
            left = {"provider": "google", "details": {"from": "active"}, "reason": "expired_unused"}
            count(world, *(event("connection.needs_reauth", time=NIGHT, **left) for _ in range(2)))
        return real.listed(kind, **parts)

    world.__dict__["recount_records"] = SimpleNamespace(shards=real.shards, entries=real.entries, listed=listed)

    assert run(world)[0] == outcome
