"""Looking things up in the audit trail: by whom, by what, by when, and never by one read without end."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.errors import BadRequest
from grantkeeper.services.search_audit import DAY, MAX_DAYS, AuditQuestion, export_day, search_audit
from tests.doubles.aws import memory_wiring
from tests.stores.records import NOON, event

RETENTION = 400


@pytest.fixture
def world() -> Any:
    return memory_wiring()


def ask(**parameters: str) -> AuditQuestion:
    return AuditQuestion.parse(parameters.get)


def pages(world: Any, question: AuditQuestion, *, limit: int = 25) -> list[list[str]]:
    """Ids of all pages to the end."""
    found: list[list[str]] = []
    position: str | None = None
    for _ in range(200):
        part = search_audit(
            question, trail=world.audit_search, now=NOON, retention_days=RETENTION, limit=limit, position=position
        )
        found.append([each.id for each in part.events])
        position = part.position
        if position is None:
            return found
    raise AssertionError("the pages do not end")


def record(world: Any, count: int, **fields: Any) -> list[str]:
    """Entries a second apart, the last at noon; their ids, newest first."""
    made = [event(**{"time": NOON - at, **fields}) for at in range(count)]
    for each in made:
        world.audit.record(each)
    return [each.id for each in made]


def flat(found: list[list[str]]) -> list[str]:
    return [each for page in found for each in page]


def test_without_a_question_the_whole_trail_is_told_newest_first(world: Any) -> None:
    """Page after page over the day's shards, nothing twice and nothing left out."""
    today = record(world, 60, sub="usr_1")
    yesterday = record(world, 7, sub="usr_2", time=NOON - DAY)
    found = pages(world, ask(), limit=10)
    assert flat(found)[:60] == today
    assert sorted(flat(found)[60:]) == sorted(yesterday)
    assert max(map(len, found)) == 10


@pytest.mark.parametrize("limit", [1, 3, 25, 100])
def test_pages_of_any_size_tell_a_users_trail_once(world: Any, limit: int) -> None:
    """Others' entries are not among them."""
    record(world, 5, sub="usr_2")
    mine = record(world, 30, sub="usr_1")
    assert flat(pages(world, ask(user="usr_1"), limit=limit)) == mine


@pytest.mark.parametrize("limit", [1, 3, 25, 100])
def test_what_an_actor_did_is_found_by_the_index(world: Any, limit: int) -> None:
    """The index holds keys; the entries are fetched by them, in their order."""
    record(world, 20, actor="user:usr_2")
    did = record(world, 30, actor="key:ops", sub="usr_1", connection_id="con_1")
    assert flat(pages(world, ask(actor="key:ops"), limit=limit)) == did


def test_what_the_system_did_has_no_index_and_is_found_by_day(world: Any) -> None:
    """So is what the operator's CLI did."""
    record(world, 20, actor="user:usr_2")
    swept = record(world, 3, actor="system:sweeper", time=NOON - 3 * DAY)
    assert sorted(flat(pages(world, ask(actor="system:sweeper")))) == sorted(swept)


def test_a_connections_trail_holds_its_refreshes(world: Any) -> None:
    """They stand by generation, the rest by time; both are told in the order of time."""
    saved = [
        event(
            "grant.refreshed", id=f"evt_con_1.main.{n}", time=NOON + n, connection_id="con_1", sub="usr_1",
            details={"name": "main", "generation": str(n)},
        )
        for n in range(1, 8)
    ]  # fmt: skip
    for each in saved:
        world.audit.record(each)
    activated = record(world, 1, action="connection.activated", connection_id="con_1", sub="usr_1")
    newest_first = [each.id for each in reversed(saved)]
    assert flat(pages(world, ask(connection="con_1"), limit=3)) == [*newest_first, *activated]
    assert flat(pages(world, ask(connection="con_1", action="grant."))) == newest_first
    assert flat(pages(world, ask(connection="con_1", **{"from": str(NOON + 6)}))) == newest_first[:2]
    assert flat(pages(world, ask(connection="con_1", user="usr_2"))) == []


def test_an_action_or_all_that_begin_alike(world: Any) -> None:
    """`connection.` is every action of connections."""
    revoked = record(world, 2, action="connection.revoked", sub="usr_1")
    activated = record(world, 2, action="connection.activated", sub="usr_1", time=NOON - 100)
    record(world, 40, action="user.signed_in", sub="usr_1")
    assert flat(pages(world, ask(action="connection.revoked"))) == revoked
    both = flat(pages(world, ask(user="usr_1", action="connection.")))
    assert (both[:2], sorted(both[2:])) == (revoked, sorted(activated))
    assert flat(pages(world, ask(actor="user:usr_1", action="connection.revoked"), limit=1)) == revoked


def test_a_time_range_holds_both_its_ends(world: Any) -> None:
    """However the trail is asked."""
    made = record(world, 10, sub="usr_1", actor="key:ops", connection_id="con_1")
    within = {"from": str(NOON - 5), "to": str(NOON - 2)}
    for by in ({"user": "usr_1"}, {"actor": "key:ops"}, {"connection": "con_1"}, {"action": "test.happened"}, {}):
        assert flat(pages(world, ask(**by, **within), limit=2)) == made[2:6], by


def test_a_rare_action_of_a_year_ago_is_paged_to(world: Any) -> None:
    """No page looks through more than some sixty days, and the last one finds it."""
    record(world, 30, action="user.signed_in", sub="usr_1")
    rare = record(world, 1, action="signing_key.revoked", time=NOON - 390 * DAY)
    calls = world.aws.dynamodb.faults.calls
    found, position, most = [], None, 0
    for _ in range(20):
        before = len(calls)
        part = search_audit(
            ask(action="signing_key.revoked"), trail=world.audit_search, now=NOON, retention_days=RETENTION, limit=25,
            position=position,
        )  # fmt: skip
        most = max(most, len(calls) - before)
        found += [each.id for each in part.events]
        position = part.position
        if position is None:
            break
    assert found == rare
    assert position is None
    assert most <= 4 * (MAX_DAYS + 16)


def test_a_rare_action_in_a_crowded_day_is_paged_to(world: Any) -> None:
    """A filter is applied to what was read: a page stops after so many rows, and the next goes on there."""
    rare = record(world, 1, action="client.created", time=NOON - 4000)
    record(world, 3000, action="user.signed_in", sub="usr_1")
    question = ask(action="client.created", **{"from": str(NOON - 5000)})
    found = pages(world, question)
    assert flat(found) == rare


def test_nothing_older_than_the_retention_is_looked_for(world: Any) -> None:
    """Empty days that nobody could have kept cost nothing."""
    calls = world.aws.dynamodb.faults.calls
    part = search_audit(ask(**{"from": "0"}), trail=world.audit_search, now=NOON, retention_days=3, limit=25)
    assert (part.events, part.position) == ([], None)
    assert len(calls) <= 5 * 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", "usr 1"), ("user", ""), ("connection", "../x"), ("actor", ""), ("actor", "é"), ("action", "a" * 101),
        ("from", "-1"), ("from", "today"), ("to", "99999999999"), ("to", "\u0661"),
    ],
)  # fmt: skip
def test_a_malformed_question_is_refused(name: str, value: str) -> None:
    """And the parameter is named."""
    with pytest.raises(BadRequest) as refused:
        ask(**{name: value})
    assert refused.value.extensions["parameter"] == name


def test_a_time_that_ends_before_it_begins_is_refused() -> None:
    """Rather than finding nothing."""
    with pytest.raises(BadRequest):
        ask(**{"from": "2", "to": "1"})


def test_a_day_is_exported_whole_in_pages_of_a_thousand(world: Any) -> None:
    """Every entry once, whatever it is of; the days beside it are not in it."""
    made = record(world, 2300, sub="usr_1")
    record(world, 3, time=NOON - DAY)
    found, sizes, position = [], [], None
    for _ in range(10):
        part = export_day("2026-11-21", trail=world.audit_search, position=position)
        found += [each.id for each in part.events]
        sizes.append(len(part.events))
        position = part.position
        if position is None:
            break
    assert found == made
    assert max(sizes) <= 1000
    assert len(sizes) <= 4


@pytest.mark.parametrize("day", ["", "2026-11", "2026-13-01", "26-1-1", "2026-11-21T00:00", "2026-1-2", "9999-12-31"])
def test_what_is_no_day_is_not_exported(world: Any, day: str) -> None:
    """It is refused by name."""
    with pytest.raises(BadRequest):
        export_day(day, trail=world.audit_search)
