"""Races of real threads on DynamoDB Local: a grant is refreshed, read and re-sealed under newer keys at once."""

from __future__ import annotations

import pytest

from grantkeeper.model import Work
from grantkeeper.sealing import BranchWrapping, bucket_of, parse
from grantkeeper.services.read_token import TokenAnswer
from grantkeeper.services.rotate_keys import Operator, add_branch_key, ensure_keys
from grantkeeper.services.work import work_through
from tests.doubles.aws import InMemoryAws
from tests.doubles.refresh_world import ALICE, STRICT, RealClock, RefreshWorld, together

HOUR = 3600
ROUNDS = 4


@pytest.fixture
def world(dynamodb_tables):
    aws = InMemoryAws()
    aws.dynamodb = dynamodb_tables.client
    names = {"GRANTS_TABLE": dynamodb_tables.grants, "REQUESTS_TABLE": dynamodb_tables.requests}
    made = RefreshWorld(rule=STRICT, clock=RealClock(), aws=aws, env={**names, "AUDIT_TABLE": dynamodb_tables.audit})
    wiring = made.container()
    ensure_keys(
        key_maker=wiring.key_maker, signing_keys=wiring.signing_keys, branch_keys=wiring.branch_keys, now=made.now
    )
    return made


def add_version(world):
    wiring = world.container()
    bucket = bucket_of(ALICE)
    newest, by = wiring.branch_keys.newest(bucket), Operator("operator:ops")
    assert add_branch_key(wiring.key_maker, wiring.branch_keys, newest, bucket=bucket, now=world.now, by=by)
    return newest.version + 1


def reseal(world, generation, connection_id=None):
    wiring = world.container()
    message = Work("reseal", "re-seal", ((connection_id or world.connection_id, generation),))
    return lambda: work_through([message], ports=world.ports(wiring), run=world.run())


def token_call(world):
    wiring = world.container()
    return lambda: world.read(wiring=wiring, run=world.run())


def test_f25_a_refresh_that_races_a_reseal_keeps_the_grant(world):
    """One refresh upstream, one generation more, and what is stored opens: whichever of them writes last."""
    for generation in range(1, ROUNDS + 1):
        world.pass_time(HOUR + 1)
        add_version(world)

        answers = together(
            *[token_call(world) for _ in range(6)], *[reseal(world, generation + ahead) for ahead in (0, 1) * 5]
        )

        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        told = {answer.access_token for answer in answers if isinstance(answer, TokenAnswer)}
        assert told == {world.tokens().access_token}
        assert world.grant().generation == generation + 1
        assert world.grant().n == generation + 1
        assert world.refreshes == generation


def test_re_seals_that_race_each_other_leave_one_readable_grant(world):
    """Under the newest key, with the tokens and the generation it had."""
    tokens = world.tokens()
    for _ in range(ROUNDS):
        version = add_version(world)

        assert set(together(*[reseal(world, 1) for _ in range(8)])) == {frozenset()}

        wrapping = parse(world.grant().sealed).wrapping
        assert isinstance(wrapping, BranchWrapping)
        assert wrapping.version == version
        assert (world.grant().generation, world.tokens()) == (1, tokens)


def test_a_re_seal_that_races_an_erasure_brings_nothing_back(world):
    """Whoever is first, nothing sealed is left."""
    for number in range(ROUNDS):
        connection_id = world.connect(account_id=f"account {number}")
        add_version(world)
        world.wiring.connections.disconnect(connection_id, now=world.now, audit=world.event("connection.revoked"))

        def erase(connection_id=connection_id):
            world.container().connections.erase(connection_id, audit=world.event("grant.erased"))

        together(erase, *[reseal(world, 1, connection_id) for _ in range(6)])

        assert world.grant(connection_id).sealed == b""
