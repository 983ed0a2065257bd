"""The trail, breakers and rate windows."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.model import BranchKey, BreakerState
from grantkeeper.stores.breakers import DynamoBreakers
from tests.doubles.aws import memory_wiring
from tests.stores.records import DAY, NOON, event, race


def pages(read: Any, *, limit: int) -> list[list[Any]]:
    """Read page after page to the end."""
    found, before = [], None
    for _ in range(50):
        events, before = read(limit=limit, before=before)
        found.append(list(events))
        if before is None:
            return found
    raise AssertionError("the pages have no end")


def refreshed(generation: int, *, name: str = "main", time: int = NOON) -> Any:
    return event(
        "grant.refreshed",
        id=f"evt_con_1.{name}.{generation}",
        time=time,
        sub="usr_1",
        connection_id="con_1",
        details={"name": name, "generation": str(generation)},
    )


def test_an_entry_is_found_under_its_user_its_connection_and_its_day(world: Any) -> None:
    """As it was recorded, and on its day once."""
    entry = event(
        "connection.activated",
        sub="usr_1",
        connection_id="con_1",
        client_id="cli_1",
        provider="google",
        service="gmail",
        reason="expired_unused",
        request_id="req_1",
        details={"connect_session": "cs_1"},
    )
    world.audit.record(entry)
    assert world.audit.for_user("usr_1", limit=9) == ([entry], None)
    assert world.audit.for_connection("con_1", limit=9) == ([entry], None)
    assert world.audit.day(DAY, limit=9) == ([entry], None)
    assert world.audit.for_user("usr_2", limit=9) == ([], None)


@pytest.mark.parametrize(("configured", "days"), [(None, 400), ("30", 30), ("3653", 3653)])
def test_an_entry_is_kept_as_long_as_the_deployment_says(configured: str | None, days: int) -> None:
    """Written alone or beside what it tells of."""
    environment = {} if configured is None else {"AUDIT_RETENTION_DAYS": configured}
    wiring = memory_wiring(**environment)
    wiring.audit.record(event("keys.rotated", actor="system:sweeper"))
    wiring.provider_items.put("google", record=None, registrations=None, disabled=True, audit=event("provider.changed"))
    wiring.branch_keys.add(BranchKey(0, 1, b"wrapped", created_at=NOON), audit=event("branch_key.created"))
    kept = [int(item["ttl"]["N"]) - int(item["time"]["N"]) for item in wiring.aws.dynamodb.dump("audit")]
    assert kept == [days * 86_400] * 3


def test_an_entry_of_nobody_stands_under_its_day(world: Any) -> None:
    """A key rotation has neither user nor connection."""
    entry = event("keys.rotated", actor="system:sweeper")
    world.audit.record(entry)
    assert world.audit.day(DAY, limit=9) == ([entry], None)


def test_the_same_id_twice_is_one_entry_and_the_first_stays(world: Any) -> None:
    """Writers only add: no entry is ever changed by another write."""
    first = event("connection.revoked", id="evt_same", sub="usr_1", reason="revoked_by_user")
    world.audit.record(first)
    world.audit.record(event("connection.revoked", id="evt_same", sub="usr_1", reason="forged"))
    assert world.audit.for_user("usr_1", limit=9)[0] == [first]
    rows = world.aws.dynamodb.scan(TableName=world.env["AUDIT_TABLE"])["Items"]
    assert len(rows) == 1


def test_entries_expire_with_their_retention(world: Any) -> None:
    """Thirteen months, by the table's TTL."""
    world.audit.record(event())
    (row,) = world.aws.dynamodb.scan(TableName=world.env["AUDIT_TABLE"])["Items"]
    assert int(row["ttl"]["N"]) == NOON + 400 * 86400


def test_a_trail_is_read_newest_first_page_by_page(world: Any) -> None:
    """Nothing twice, nothing left out, by user, by connection and by day."""
    entries = [event(sub="usr_1", connection_id="con_1", time=NOON + n // 2) for n in range(11)]
    for entry in entries:
        world.audit.record(entry)
    expected = sorted(entries, key=lambda e: (e.time, e.id), reverse=True)
    for read in (
        lambda **k: world.audit.for_user("usr_1", **k),
        lambda **k: world.audit.for_connection("con_1", **k),
        lambda **k: world.audit.day(DAY, **k),
    ):
        for limit in (1, 4, 11, 50):
            found = pages(read, limit=limit)
            assert [e for page in found for e in page] == expected
            assert all(len(page) <= limit for page in found)


def test_refreshes_stand_among_a_connections_entries_in_time(world: Any) -> None:
    """Of each token by its generations, merged with everything else, page by page."""
    entries = [
        event("connection.activated", sub="usr_1", connection_id="con_1", time=NOON),
        refreshed(2, time=NOON + 10),
        refreshed(2, name="user", time=NOON + 15),
        refreshed(3, time=NOON + 20),
        event("connection.used", sub="usr_1", connection_id="con_1", time=NOON + 25),
        *(refreshed(generation, time=NOON + 10 * generation) for generation in range(4, 13)),
    ]
    for entry in entries:
        world.audit.record(entry)
    for limit in (1, 3, 50):
        found = pages(lambda **k: world.audit.for_connection("con_1", **k), limit=limit)
        assert [e for page in found for e in page] == sorted(entries, key=lambda e: e.time, reverse=True)
    assert [e.action for e in world.audit.for_user("usr_1", limit=9)[0]] == ["connection.used", "connection.activated"]
    assert len(world.audit.day(DAY, limit=50)[0]) == len(entries)


def test_a_later_generation_in_the_trail_gives_an_old_row_away(world: Any) -> None:
    """Also when the entry right after it has outlived its retention."""
    world.audit.record(refreshed(7))
    world.audit.record(refreshed(12, name="user"))
    assert world.audit.generation_recorded("con_1", "main", 7)
    assert world.audit.generation_recorded("con_1", "main", 5)
    assert not world.audit.generation_recorded("con_1", "main", 8)
    assert not world.audit.generation_recorded("con_2", "main", 1)
    world.audit.record(event("connection.used", connection_id="con_1", time=NOON + 999))
    assert not world.audit.generation_recorded("con_1", "main", 8)


# --- breakers ---


def test_a_breaker_opens_after_five_failures_in_a_row(world: Any) -> None:
    """And for every execution environment, not just for the one that saw them."""
    breakers = world.breakers
    for second in range(4):
        breakers.record_failure("google", now=NOON + second)
    assert breakers.open_until("google") == 0
    breakers.record_failure("google", now=NOON + 4)
    assert breakers.open_until("google") == NOON + 4 + 15
    assert breakers.open_until("github") == 0


def test_a_failure_after_the_breakers_time_opens_it_for_longer_and_a_success_closes_it(world: Any) -> None:
    """Half open by the passing of time: one failure is enough to open it again."""
    for second in range(5):
        world.breakers.record_failure("google", now=NOON + second)
    world.breakers.record_failure("google", now=NOON + 100)
    assert world.breakers.open_until("google") == NOON + 100 + 30
    world.breakers.record_success("google")
    assert world.breakers.open_until("google") == 0
    world.breakers.record_failure("google", now=NOON + 200)
    assert world.breakers.open_until("google") == 0


def test_of_all_who_fail_or_succeed_one_is_told_that_the_breaker_turned(world: Any) -> None:
    """The turn is an event, and there is one of it, whoever counts at the same time."""
    other = DynamoBreakers(world.aws.dynamodb, world.env["GRANTS_TABLE"])
    told = [breakers.record_failure("google", now=NOON) for _ in range(6) for breakers in (world.breakers, other)]
    assert told.count(True) == 1
    assert told.index(True) == 4
    closed = [world.breakers.record_success("google"), other.record_success("google")]
    assert closed == [True, False]
    assert not world.breakers.record_success("google")


def test_an_open_breaker_is_seen_by_every_function_within_seconds(world: Any) -> None:
    """Another execution environment remembers what it read for five seconds and no longer."""
    clock = [float(NOON)]
    grants = world.env["GRANTS_TABLE"]
    ours, theirs = (DynamoBreakers(world.aws.dynamodb, grants, clock=lambda: clock[0]) for _ in range(2))
    assert theirs.open_until("google") == 0
    ours.record_failure("google", now=NOON, retry_after=60)
    clock[0] += 5
    assert theirs.open_until("google") == NOON + 60
    assert theirs.state("google") == BreakerState(NOON + 60, 0)
    clock[0] += 60
    ours.record_success("google")
    clock[0] += 5
    assert theirs.state("google") == BreakerState(0, NOON + 65)


def test_a_success_that_began_before_the_breaker_opened_does_not_close_it(world: Any) -> None:
    """What it knew of was a failure, not an outage."""
    clock = [float(NOON)]
    grants = world.env["GRANTS_TABLE"]
    ours, theirs = (DynamoBreakers(world.aws.dynamodb, grants, clock=lambda: clock[0]) for _ in range(2))
    ours.record_failure("google", now=NOON)
    theirs.open_until("google")
    ours.record_failure("google", now=NOON, retry_after=60)
    assert not theirs.record_success("google")
    assert ours.open_until("google") == NOON + 60


def test_scattered_failures_do_not_add_up(world: Any) -> None:
    """One every two minutes is a provider's bad day, not an outage."""
    for minute in range(0, 40, 2):
        world.breakers.record_failure("google", now=NOON + minute * 60)
    assert world.breakers.open_until("google") == 0


def test_retry_after_is_obeyed_up_to_an_hour_and_never_cut_short(world: Any) -> None:
    """The first word of a provider counts; a later, shorter one does not end it early."""
    world.breakers.record_failure("google", now=NOON, retry_after=120)
    world.breakers.record_failure("google", now=NOON + 1, retry_after=5)
    assert world.breakers.open_until("google") == NOON + 120
    world.breakers.record_failure("github", now=NOON, retry_after=10**9)
    assert world.breakers.open_until("github") == NOON + 3600


def test_a_success_writes_only_when_there_is_something_to_forget(world: Any) -> None:
    """The usual success costs no write, and within five seconds no read."""
    for _ in range(3):
        world.breakers.record_success("google")
        world.breakers.open_until("google")
    faults = world.aws.dynamodb.faults
    assert (faults.count("get_item"), faults.count("update_item"), faults.count("put_item")) == (1, 0, 0)


def test_a_breaker_that_cannot_be_read_stops_nobody(world: Any) -> None:
    """It is a courtesy to the provider; the store's own trouble is told elsewhere."""
    for operation in ("get_item", "update_item"):
        world.aws.dynamodb.faults.throttle(operation, times=99)
    assert world.breakers.open_until("google") == 0
    world.breakers.record_failure("google", now=NOON)
    world.breakers.record_success("google")


def test_f28_a_refused_registration_is_remembered_until_something_works(world: Any) -> None:
    """It stops no call, and the next success or the operator's hand forgets it."""
    breakers = world.breakers
    breakers.record_refusal("google", error="invalid_client", now=NOON)
    assert breakers.misconfigured("google")
    assert not breakers.misconfigured("github")
    assert breakers.open_until("google") == 0
    breakers.record_success("google")
    assert not breakers.misconfigured("google")
    breakers.record_refusal("google", error=None, now=NOON)
    breakers.forget("google")
    assert not breakers.misconfigured("google")


def test_f28_a_refusal_met_a_thousand_times_is_written_once(world: Any) -> None:
    """Every caller meets it while the registration is wrong."""
    for second in range(5):
        world.breakers.record_refusal("google", error="invalid_client", now=NOON + second)
        assert world.breakers.misconfigured("google")
    assert world.aws.dynamodb.faults.count("update_item") == 1


def test_a_refusal_that_cannot_be_written_costs_its_caller_nothing(world: Any) -> None:
    """The mark is for people; the caller has an answer of his own."""
    for operation in ("get_item", "update_item"):
        world.aws.dynamodb.faults.throttle(operation, times=99)
    world.breakers.record_refusal("google", error="invalid_client", now=NOON)
    world.breakers.forget("google")
    assert not world.breakers.misconfigured("google")


# --- rate windows ---


def test_a_window_allows_its_limit_and_tells_how_long_to_wait(world: Any) -> None:
    """The next window starts from none."""
    start = NOON - NOON % 60
    waits = [world.rate_limits.hit("token#cli_1", limit=3, window=60, now=start + n) for n in range(5)]
    assert waits == [0, 0, 0, 57, 56]
    assert world.rate_limits.hit("token#cli_2", limit=3, window=60, now=start) == 0
    assert world.rate_limits.hit("token#cli_1", limit=3, window=60, now=start + 60) == 0


def test_of_32_racing_hits_the_limit_is_allowed(world: Any) -> None:
    """Neither one more nor one fewer."""
    outcomes = race(32, lambda _: world.rate_limits.hit("key", limit=10, window=60, now=NOON))
    assert outcomes.count(0) == 10


def test_a_spent_window_is_written_to_no_more_and_goes_by_itself(world: Any) -> None:
    """A flood costs reads of a condition, not items, and leaves nothing behind."""
    for _ in range(20):
        world.rate_limits.hit("key", limit=2, window=60, now=NOON)
    (row,) = world.aws.dynamodb.scan(TableName=world.env["REQUESTS_TABLE"])["Items"]
    assert (row["hits"], int(row["ttl"]["N"]) > NOON) == ({"N": "2"}, True)
