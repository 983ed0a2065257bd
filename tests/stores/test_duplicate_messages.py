"""
Duplicates, late messages and overlapping sweeps, with real threads on DynamoDB Local.

Every thread is an execution environment of its own. What the double shows on a virtual clock, an index that really lags
and conditional writes that really race must show again.
"""

from __future__ import annotations

import random

import pytest

from grantkeeper.model import Work
from grantkeeper.providers.record import RevocationRule
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.services.sweep import SweepReport, sweep
from grantkeeper.services.work import work_through
from tests.doubles.aws import InMemoryAws
from tests.doubles.refresh_world import GRACE, LASTING, STRICT, RealClock, RefreshWorld, together
from tests.unit.services.test_revoke_upstream import waiting

COPIES, THREADS = 32, 8
HOUR = 3600
SHARDS = 4
RULES = {"strict": STRICT, "grace": GRACE, "lasting": LASTING}


@pytest.fixture(params=RULES)
def world(request, dynamodb_tables):
    aws = InMemoryAws()
    aws.dynamodb = dynamodb_tables.client
    names = {"GRANTS_TABLE": dynamodb_tables.grants, "REQUESTS_TABLE": dynamodb_tables.requests}
    world = RefreshWorld(
        rule=RULES[request.param],
        clock=RealClock(),
        aws=aws,
        env={**names, "AUDIT_TABLE": dynamodb_tables.audit},
        revocation=RevocationRule(kind="rfc7009", effect="grant"),
    )
    world.provider_http.seconds = 0.02
    keys = {"signing_keys": world.wiring.signing_keys, "branch_keys": world.wiring.branch_keys}
    ensure_keys(key_maker=world.wiring.key_maker, now=world.now, **keys)
    return world


def in_turn(tasks):
    for task in tasks:
        task()


def worker(world, works):
    """An environment of its own that does these messages; returns those it wants again."""
    wiring = world.container()

    def do():
        again = []
        for at in range(0, len(works), 5):
            batch = works[at : at + 5]
            failed = work_through(batch, ports=world.ports(wiring), run=world.run(), parallel=in_turn)
            again += [batch[position] for position in failed]
        return again

    return do


def deliver(world, works, *, seed):
    """Every message thirty-two times, in any order, to eight workers at once, until all are acknowledged."""
    rng = random.Random(seed)
    for _ in range(5):
        copies = works * COPIES
        rng.shuffle(copies)
        results = together(*[worker(world, copies[at::THREADS]) for at in range(THREADS)])
        assert not [result for result in results if isinstance(result, Exception)], results
        works = list({work: None for result in results for work in result})
        if not works:
            return
        world.pass_time(130)
    raise AssertionError(f"never acknowledged: {works}")


def sweeper(world, *, late=0.0):
    """One more sweep, of an environment of its own."""
    wiring = world.container()

    def do():
        world.clock.sleep(late)
        return sweep(
            grants=wiring.grants,
            breakers=wiring.breakers,
            work_queue=wiring.work_queue,
            due_shards=wiring.shard_mark,
            shards=SHARDS,
            workers=10,
            run=world.run(),
        )

    return do


def job(world, kind, connection_id, generation):
    return Work(kind, "example", ((connection_id, generation),))


def spent(world):
    return [call["refresh_token"] for call in world.provider.token_calls if call["grant_type"] == "refresh_token"]


def test_f25_f26_every_kind_of_message_thirty_two_times_at_once(world):
    """One call a generation; an old one is dropped; a grant is revoked once; what is erased stays so."""
    refreshed = [world.connection_id, *(world.connect(account_id=f"user{at}") for at in range(3))]
    left = world.connect(account_id="leaves")
    waiting(world)
    last = world.tokens(world.grant(left)).refresh_token
    world.disconnect(left)
    world.pass_time(HOUR - 100)
    messages = [
        *(job(world, "refresh", each, 1) for each in refreshed),
        *(job(world, "reseal", each, 1) for each in refreshed),
        job(world, "revoke", left, 1),
        job(world, "refresh", left, 1),
        job(world, "erase", "con_new", 0),
        job(world, "refresh", "con_gone", 1),
    ]

    deliver(world, messages, seed=1)
    world.pass_time(HOUR // 2)  # and once more, much later: nothing is due, and nothing is left to do
    deliver(world, messages, seed=2)

    grants = [world.grant(each) for each in refreshed]
    assert [grant.generation for grant in grants] == [2] * len(refreshed)
    assert [grant.status for grant in grants] == ["active"] * len(refreshed)
    assert len(spent(world)) == len(set(spent(world))) == len(refreshed)
    assert world.grant(left).sealed == b""
    revoked = world.provider.revoked_tokens
    assert revoked.count(last) == 1
    # What nobody confirmed has no lease: workers that meet may all tell the provider, to whom it is the same (RFC 7009
    # section 2.2), and none comes afterwards.
    assert len(set(revoked)) == 2
    assert len(revoked) <= 1 + THREADS
    assert world.wiring.connections.unconfirmed("con_new") == []


def test_d26_sweeps_that_overlap_send_twice_and_nothing_happens_twice(world):
    """Eight sweeps begin together, one of them late; what all of them sent is worked off by eight workers."""
    connections = [world.connection_id, *(world.connect(account_id=f"user{at}") for at in range(5))]
    world.pass_time(HOUR - 100)

    reports = together(*[sweeper(world) for _ in range(7)], sweeper(world, late=1.0))

    assert [type(report) for report in reports] == [SweepReport] * 8
    assert world.wiring.shard_mark.mark().high_water == SHARDS
    works = [Work(m["kind"], m["provider"], tuple((c, g) for c, g in m["ids"])) for m in world.queued()]
    assert sum(len(work.ids) for work in works) == 8 * len(connections)
    results = together(*[worker(world, works) for _ in range(THREADS)])
    assert results == [[]] * THREADS
    assert len(spent(world)) == len(set(spent(world))) == len(connections)
    assert {world.grant(each).generation for each in connections} == {2}
