"""
Races of real threads on DynamoDB Local: one refresh upstream, one generation more, everybody served.

Every caller is an execution environment of its own, with its own caches, over the same tables and the same provider.
"""

from __future__ import annotations

import pytest

from grantkeeper.errors import ConnectionRevoked, GrantkeeperError, ReauthorizationRequired, RefreshPending
from grantkeeper.model import Work
from grantkeeper.providers.record import RevocationRule
from grantkeeper.services.read_token import TokenAnswer
from grantkeeper.services.work import work_through
from tests.doubles.aws import InMemoryAws
from tests.doubles.refresh_world import GRACE, LASTING, STRICT, RealClock, RefreshWorld, together

CALLERS = 32
HOUR = 3600
RULES = {"strict": STRICT, "grace": GRACE, "lasting": LASTING}


@pytest.fixture(params=RULES)
def world(request, dynamodb_tables):
    aws = InMemoryAws()
    aws.dynamodb = dynamodb_tables.client
    names = {"GRANTS_TABLE": dynamodb_tables.grants, "REQUESTS_TABLE": dynamodb_tables.requests}
    return RefreshWorld(
        rule=RULES[request.param],
        clock=RealClock(),
        aws=aws,
        env={**names, "AUDIT_TABLE": dynamodb_tables.audit},
        revocation=RevocationRule(kind="rfc7009", effect="grant"),
    )


def token_call(world, **wanted):
    wiring = world.container()
    return lambda: world.read(wiring=wiring, run=world.run(), **wanted)


def job(world, generation):
    wiring = world.container()
    message = Work("refresh", "example", ((world.connection_id, generation),))
    return lambda: work_through([message], ports=world.ports(wiring), run=world.run())


def test_f25_thirty_two_callers_and_one_refresh(world):
    """An expired token, everybody at once: one call upstream, and all are served the same new token."""
    for generation in (2, 3, 4):
        world.pass_time(HOUR + 1)

        answers = together(*[token_call(world) for _ in range(CALLERS)])

        assert [type(answer) for answer in answers] == [TokenAnswer] * CALLERS
        assert {answer.generation for answer in answers} == {generation}
        assert {answer.access_token for answer in answers} == {world.tokens().access_token}
        assert world.refreshes == generation - 1
        assert world.grant().generation == generation


def test_f25_callers_jobs_and_reports_together(world):
    """Token calls, reports of a 401 and duplicates of the sweeper's message: still one."""
    world.pass_time(HOUR - 100)

    results = together(
        *[token_call(world, min_ttl=300) for _ in range(10)],
        *[token_call(world, rejected_generation=1) for _ in range(10)],
        *[token_call(world, force=True) for _ in range(4)],
        *[job(world, 1) for _ in range(8)],
    )

    assert not [result for result in results if isinstance(result, Exception)]
    assert {result.generation for result in results[10:24]} == {2}
    assert world.refreshes == 1
    assert world.grant().generation == 2


@pytest.mark.parametrize("round_", range(5))
def test_f27_a_revoke_that_races_wins(world, round_):
    """I5: whoever is refreshing when the user disconnects, nothing of it survives, here or at the provider."""
    world.provider_http.seconds = 0.02 * round_
    world.pass_time(HOUR + 1)

    results = together(*[token_call(world) for _ in range(8)], world.disconnect, *[token_call(world) for _ in range(8)])

    for result in results[:8] + results[9:]:
        assert isinstance(result, TokenAnswer | ConnectionRevoked | RefreshPending), result
    assert world.refreshes <= 1
    with pytest.raises(ConnectionRevoked):
        world.read()

    world.pass_time(HOUR)  # a lease that a dying refresh left runs out
    message = Work("revoke", "example", ((world.connection_id, world.grant().generation),))
    workers = [world.container() for _ in range(4)]
    together(*[lambda w=w: work_through([message], ports=world.ports(w), run=world.run()) for w in workers])
    work_through([message], ports=world.ports(), run=world.run())

    assert world.grant().status == "revoked"
    assert world.grant().sealed == b""
    assert world.provider.live_refresh_tokens == []


def test_i7_a_dead_grant_is_declared_once(world):
    """Two crowds, 60 s apart: two calls upstream, one event."""
    world.pass_time(HOUR + 1)
    world.provider.revoke_everything()

    first = together(*[token_call(world) for _ in range(4)])
    assert all(isinstance(result, RefreshPending) for result in first)
    assert world.grant().status == "active"

    world.pass_time(60)
    second = together(*[token_call(world) for _ in range(8)])

    assert all(isinstance(result, ReauthorizationRequired | RefreshPending) for result in second)
    assert world.grant().status == "needs_reauth"
    assert world.refreshes == 2
    assert world.actions().count("connection.needs_reauth") == 1


def test_strangers_do_not_wait_for_each_other(world):
    """Twenty connections at once: twenty refreshes, each its own."""
    connections = [world.connect(account_id=f"user{at}") for at in range(20)]
    world.pass_time(HOUR + 1)

    answers = together(*[token_call(world, connection_id=each) for each in connections])

    assert not [answer for answer in answers if isinstance(answer, GrantkeeperError)]
    assert len({answer.access_token for answer in answers}) == 20
    assert world.refreshes == 20
