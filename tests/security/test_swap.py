"""
A sealed grant opens for its own record and nowhere else, whatever is written into the table behind our back.

Mallory can write the table and nothing more: no KMS. He has a connection of his own and wants the tokens of Alice's.
Every attempt is played to the token call, which refuses, hands out nothing and leaves an entry in the trail.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from grantkeeper.errors import GrantkeeperError, GrantUnreadable, NotFound
from grantkeeper.services.read_token import TokenWanted, read_token
from grantkeeper.services.refresh_run import Run
from tests.doubles.connect_world import ALICE, BOB, ConnectWorld

MALLORY = replace(BOB, scopes=frozenset({"connections:token"}))


@pytest.fixture
def world():
    return ConnectWorld()


@pytest.fixture
def alices(world):
    return world.connect(ALICE)


@pytest.fixture
def mallorys(world):
    return world.connect(BOB)


def row(world, connection, sk="GRANT#main"):
    """An item of a connection's partition, as raw as DynamoDB has it."""
    return next(
        item
        for item in world.wiring.aws.dynamodb.dump("grants")
        if item["pk"]["S"] == f"CONNECTION#{connection.id}" and item["sk"]["S"] == sk
    )


def write(world, item):
    world.wiring.aws.dynamodb.restore("grants", item)


def token_call(world, connection, principal=MALLORY):
    reported = []
    run = Run(
        clock=lambda: world.now,
        sleep=lambda _: None,
        remaining_ms=lambda: 20_000,
        rng=random.Random(1),
        report=lambda event, facts: reported.append(event),
    )
    try:
        return read_token(
            TokenWanted(connection.id),
            principal=principal,
            has_consent=world.wiring.connections.has_consent,
            first_use=lambda *_: False,
            ports=world.wiring,
            run=run,
        ), reported
    except GrantkeeperError as error:
        return error, reported


def refused_and_audited(world, connection):
    answer, reported = token_call(world, connection)
    trail, _ = world.wiring.audit.for_connection(connection.id, limit=50)

    assert isinstance(answer, GrantUnreadable)
    assert reported == ["tampering_detected"]
    assert "grant.tampering_detected" in {event.action for event in trail}


def test_each_reads_his_own(world, alices, mallorys):
    """Without tampering everything opens: the refusals below have no other cause."""
    answer, reported = token_call(world, mallorys)

    assert answer.access_token == world.tokens_of(mallorys.id) != world.tokens_of(alices.id)
    assert reported == []


def test_alices_row_moved_into_mallorys_partition_does_not_open(world, alices, mallorys):
    """The whole item under another key, its owner rewritten so that the token call takes it for his."""
    write(world, row(world, alices) | {"pk": row(world, mallorys)["pk"], "sub": {"S": "usr_bob"}})

    refused_and_audited(world, mallorys)


def test_alices_row_moved_as_it_is_stays_hers(world, alices, mallorys):
    """Its owner unchanged, it is no connection of his at all."""
    write(world, row(world, alices) | {"pk": row(world, mallorys)["pk"]})

    answer, _ = token_call(world, mallorys)
    assert isinstance(answer, NotFound)


def test_alices_sealed_bytes_in_mallorys_row_do_not_open(world, alices, mallorys):
    """Only the bytes are exchanged."""
    write(world, row(world, mallorys) | {"sealed": row(world, alices)["sealed"]})

    refused_and_audited(world, mallorys)


def test_alices_sealed_bytes_with_all_they_are_counted_by_do_not_open(world, alices, mallorys):
    """`grant_id` and `n` come along, and still the connection and its user are others."""
    copied = {name: row(world, alices)[name] for name in ("sealed", "grant_id", "n", "generation")}
    write(world, row(world, mallorys) | copied)

    refused_and_audited(world, mallorys)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("grant_id", {"S": "grant_another"}),
        ("n", {"N": "2"}),
        ("credentials_id", {"S": "another-client"}),
        ("variables", {"L": [{"L": [{"S": "tenant"}, {"S": "evil"}]}]}),
    ],
)
def test_an_edited_row_does_not_open(world, mallorys, field, value):
    """What decides where a token may be sent is bound to it."""
    write(world, row(world, mallorys) | {field: value})

    refused_and_audited(world, mallorys)


@pytest.mark.parametrize("position", [0, 1, 5, -1, -20])
def test_edited_bytes_do_not_open(world, mallorys, position):
    """Header, wrapped key, ciphertext or tag: one flipped bit."""
    item = row(world, mallorys)
    sealed = bytearray(item["sealed"]["B"])
    sealed[position] ^= 1
    write(world, item | {"sealed": {"B": bytes(sealed)}})

    refused_and_audited(world, mallorys)


def test_unconfirmed_tokens_of_alice_moved_beside_mallorys_session_do_not_open(world):
    """The swap before the confirmation: what he confirms is his, what it holds does not open."""
    hers = world.come_back(world.follow(world.open(ALICE)))
    his = world.come_back(world.follow(world.open(BOB)))
    sessions = world.wiring.connect_sessions
    pending = {
        who: next(i for i in world.wiring.aws.dynamodb.dump("grants") if i["sk"]["S"] == f"PENDING#{back.session}")
        for who, back in (("alice", hers), ("mallory", his))
    }
    sealed = pending["alice"]["grants"]["M"]["main"]["M"]["sealed"]
    pending["mallory"]["grants"]["M"]["main"]["M"]["sealed"] = sealed
    write(world, pending["mallory"])
    assert sessions.get(his.session, now=world.now).status == "authorized"

    connection = world.confirm(his, BOB)

    refused_and_audited(world, connection)


def test_a_tampered_row_is_one_entry_a_day_however_often_it_is_read(world, alices, mallorys):
    """An alarm, not a flood."""
    write(world, row(world, mallorys) | {"sealed": row(world, alices)["sealed"]})
    for _ in range(5):
        token_call(world, mallorys)

    trail, _ = world.wiring.audit.for_connection(mallorys.id, limit=50)
    assert [event.action for event in trail].count("grant.tampering_detected") == 1


def test_alice_is_not_harmed_by_the_attempts(world, alices, mallorys):
    """Her own row opens as before."""
    write(world, row(world, mallorys) | {"sealed": row(world, alices)["sealed"]})
    token_call(world, mallorys)

    answer, _ = token_call(world, alices, replace(ALICE, scopes=MALLORY.scopes))
    assert answer.access_token == world.tokens_of(alices.id)
