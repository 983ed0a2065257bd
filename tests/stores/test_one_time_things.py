"""State, codes and connect sessions: spent once, by whoever comes first, and never after their time."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.errors import AuthorizationRequestExpired, ConnectSessionExpired, StoreUnavailable
from tests.stores.records import (
    NOON,
    authorization_code,
    authorization_request,
    authorized,
    connect_session,
    event,
    race,
)

CONTENDERS = 32


def test_a_request_comes_back_as_it_was_put(world: Any) -> None:
    """Order of variables, empty strings and zeros included: the sealed part is bound to them."""
    world.authorization_requests.put(authorization_request())
    assert world.authorization_requests.get("state-hash", now=NOON) == authorization_request()
    assert world.authorization_requests.redeem("state-hash", now=NOON) == authorization_request()


def test_state_is_redeemed_once(world: Any) -> None:
    """A replayed callback finds nothing, neither to read nor to redeem."""
    world.authorization_requests.put(authorization_request())
    world.authorization_requests.redeem("state-hash", now=NOON)
    with pytest.raises(AuthorizationRequestExpired):
        world.authorization_requests.redeem("state-hash", now=NOON)
    with pytest.raises(AuthorizationRequestExpired):
        world.authorization_requests.get("state-hash", now=NOON)


def test_c20_of_32_racing_callbacks_one_redeems_the_state(world: Any) -> None:
    """Exactly one goes on to the provider; the others are told that the trip is over."""
    world.authorization_requests.put(authorization_request())
    outcomes = race(CONTENDERS, lambda _: world.authorization_requests.redeem("state-hash", now=NOON))
    assert outcomes.count(authorization_request()) == 1
    assert sum(isinstance(o, AuthorizationRequestExpired) for o in outcomes) == CONTENDERS - 1


@pytest.mark.parametrize("late", [0, 1, 86_400 * 3])
def test_d10_a_request_past_its_time_is_refused_though_the_item_is_there(world: Any, late: int) -> None:
    """TTL deletes when it likes; the time is compared on every read and in the condition."""
    world.authorization_requests.put(authorization_request())
    now = authorization_request().expires_at + late
    with pytest.raises(AuthorizationRequestExpired):
        world.authorization_requests.get("state-hash", now=now)
    with pytest.raises(AuthorizationRequestExpired):
        world.authorization_requests.redeem("state-hash", now=now)


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_redeem_whose_acknowledgement_was_lost_has_won(world: Any, fault: str) -> None:
    """The repeated write fails its own condition, and knows itself by its mark."""
    world.authorization_requests.put(authorization_request())
    getattr(world.aws.dynamodb.faults, fault)("update_item")
    assert world.authorization_requests.redeem("state-hash", now=NOON) == authorization_request()
    with pytest.raises(AuthorizationRequestExpired):
        world.authorization_requests.redeem("state-hash", now=NOON)


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_put_whose_acknowledgement_was_lost_is_stored(world: Any, fault: str) -> None:
    """The same for storing it in the first place."""
    getattr(world.aws.dynamodb.faults, fault)("put_item")
    world.authorization_requests.put(authorization_request())
    assert world.authorization_requests.get("state-hash", now=NOON) == authorization_request()


def test_a_second_request_under_one_state_is_refused(world: Any) -> None:
    """Nobody overwrites somebody else's trip."""
    world.authorization_requests.put(authorization_request())
    with pytest.raises(StoreUnavailable):
        world.authorization_requests.put(authorization_request(browser_hash="other"))
    assert world.authorization_requests.get("state-hash", now=NOON).browser_hash == "browser-hash"


def test_d11_reads_of_one_time_things_are_consistent(memory: Any) -> None:
    """A spent request is spent for every reader at once, whatever the replicas say."""
    memory.authorization_requests.put(authorization_request())
    memory.aws.dynamodb.freeze_eventual_reads()
    memory.authorization_requests.redeem("state-hash", now=NOON)
    with pytest.raises(AuthorizationRequestExpired):
        memory.authorization_requests.get("state-hash", now=NOON)


# --- codes ---


def test_a_code_is_redeemed_once_and_a_second_use_names_its_family(world: Any) -> None:
    """RFC 6749 section 4.1.2: a second use revokes what the first one got."""
    world.codes.put(authorization_code())
    assert world.codes.redeem("code-hash", now=NOON) == (authorization_code(), True)
    code, first = world.codes.redeem("code-hash", now=NOON)
    assert (code, first) == (authorization_code(), False)


def test_of_32_racing_uses_of_a_code_one_wins(world: Any) -> None:
    """One token response; every other use is known as a second one."""
    world.codes.put(authorization_code())
    outcomes = race(CONTENDERS, lambda _: world.codes.redeem("code-hash", now=NOON))
    assert sorted(first for _, first in outcomes) == [False] * (CONTENDERS - 1) + [True]
    assert {code for code, _ in outcomes} == {authorization_code()}


def test_d10_an_unknown_or_expired_code_is_nothing(world: Any) -> None:
    """Expired is unknown, spent or not."""
    world.codes.put(authorization_code())
    assert world.codes.redeem("another", now=NOON) == (None, False)
    assert world.codes.redeem("code-hash", now=NOON + 60) == (None, False)
    world.codes.redeem("code-hash", now=NOON)
    assert world.codes.redeem("code-hash", now=NOON + 60) == (None, False)


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_code_spent_by_a_lost_write_is_ours(world: Any, fault: str) -> None:
    """A lost acknowledgement is not theft."""
    world.codes.put(authorization_code())
    getattr(world.aws.dynamodb.faults, fault)("update_item")
    assert world.codes.redeem("code-hash", now=NOON) == (authorization_code(), True)


# --- connect sessions ---


def test_a_connect_session_is_found_by_id_and_by_ticket_as_often_as_asked(world: Any) -> None:
    """Opening the link twice, or by a link preview, consumes nothing."""
    world.connect_sessions.put(connect_session(), audit=event())
    for _ in range(3):
        assert world.connect_sessions.find_by_ticket("ticket-hash", now=NOON) == connect_session()
    assert world.connect_sessions.get("cs_1", now=NOON) == connect_session()


def test_d10_a_connect_session_past_its_time_is_refused(world: Any) -> None:
    """By id, by ticket, and for binding a browser."""
    world.connect_sessions.put(connect_session(), audit=event())
    late = connect_session().expires_at
    for attempt in (
        lambda: world.connect_sessions.get("cs_1", now=late),
        lambda: world.connect_sessions.get("cs_2", now=NOON),
        lambda: world.connect_sessions.find_by_ticket("ticket-hash", now=late),
        lambda: world.connect_sessions.find_by_ticket("another", now=NOON),
        lambda: world.connect_sessions.bind_browser("cs_1", "browser", now=late),
    ):
        with pytest.raises(ConnectSessionExpired):
            attempt()


def test_the_last_browser_is_remembered_while_the_session_is_open(world: Any) -> None:
    """After the provider came back, no browser can be put in another's place."""
    world.connect_sessions.put(connect_session(), audit=event())
    world.connect_sessions.bind_browser("cs_1", "first", now=NOON)
    world.connect_sessions.bind_browser("cs_1", "second", now=NOON)
    assert world.connect_sessions.get("cs_1", now=NOON).browser_hash == "second"
    assert world.connect_sessions.end("cs_1", now=NOON, audit=event())
    with pytest.raises(ConnectSessionExpired):
        world.connect_sessions.bind_browser("cs_1", "third", now=NOON)


def test_a_session_ends_once(world: Any) -> None:
    """Of 16 who end it one did, and writes the one audit entry."""
    authorized(world)
    outcomes = race(16, lambda n: world.connect_sessions.end("cs_1", now=NOON, audit=event("connect_session.refused")))
    assert sorted(outcomes) == [False] * 15 + [True]
    entries, _ = world.audit.day("2026-11-21", limit=100)
    assert [e.action for e in entries].count("connect_session.refused") == 1
    assert world.connect_sessions.get("cs_1", now=NOON).status == "ended"


def test_a_confirmed_session_does_not_end(world: Any) -> None:
    """What was confirmed stays."""
    pending = authorized(world)
    world.connections.confirm(pending, consent_client_id="cli_1", now=NOON, audit=event())
    assert not world.connect_sessions.end("cs_1", now=NOON, audit=event())
    assert world.connect_sessions.get("cs_1", now=NOON).status == "confirmed"


def test_one_time_items_carry_a_ttl_after_their_expiry(world: Any) -> None:
    """DynamoDB clears them away, and never before they have expired by the clock."""
    world.authorization_requests.put(authorization_request())
    world.codes.put(authorization_code())
    world.connect_sessions.put(connect_session(), audit=event())
    rows = world.aws.dynamodb.scan(TableName=world.env["REQUESTS_TABLE"])["Items"]
    assert len(rows) == 4
    assert all(int(row["ttl"]["N"]) > NOON + 60 for row in rows)
    assert all(int(row["ttl"]["N"]) > int(row["expires_at"]["N"]) for row in rows if "expires_at" in row)
