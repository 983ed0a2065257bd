"""
Half a day in which every message comes thirty-two times, in any order and up to six hours late.

Two sweepers run at every tick, one of them 40 s late and with the index as it was before. The clock is virtual, all
else is the product's own.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from grantkeeper.model import Work
from grantkeeper.providers.record import RevocationRule
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.services.sweep import sweep
from grantkeeper.services.work import work_through
from tests.doubles.refresh_world import STRICT, RefreshWorld
from tests.unit.services.test_revoke_upstream import waiting

COPIES, LATEST = 32, 6 * 3600
TICK, DAY_PART = 600, 12 * 3600
SHARDS = 4


class Post:
    """A queue at its worst: whatever is sent is delivered once soon, and again and again, whenever it likes."""

    def __init__(self, world, rng):
        self.world, self.rng = world, rng
        self.under_way: list[tuple[float, float, Work]] = []
        self.sent = self.delivered = 0

    def collect(self):
        """Take what the product has sent, and multiply it."""
        for message in self.world.queued():
            work = Work(message["kind"], message["provider"], tuple(tuple(each) for each in message["ids"]))
            self.sent += 1
            times = [0.0, *(self.rng.random() * LATEST for _ in range(COPIES - 1))]
            self.under_way += [(self.world.now + late, self.rng.random(), work) for late in times]
        self.world.aws.sqs._queues[self.world.wiring.env["WORK_QUEUE_URL"]] = []

    def deliver(self):
        """Hand the worker what has arrived, shuffled, in batches of any size up to ten."""
        ready = [each for each in self.under_way if each[0] <= self.world.now]
        self.under_way = [each for each in self.under_way if each[0] > self.world.now]
        works = [work for _, _, work in sorted(ready, key=lambda each: each[1])]
        while works:
            size = self.rng.randint(1, 10)
            batch, works = works[:size], works[size:]
            self.delivered += len(batch)
            container = self.world.container() if self.rng.random() < 0.1 else self.world.wiring
            again = work_through(batch, ports=self.world.ports(container), run=self.world.run(), parallel=in_turn)
            for at in again:
                self.under_way.append((self.world.now + 130, self.rng.random(), batch[at]))


def in_turn(tasks):
    for task in tasks:
        task()


def sweep_with(world, wiring):
    return sweep(
        grants=wiring.grants,
        breakers=wiring.breakers,
        work_queue=wiring.work_queue,
        due_shards=wiring.shard_mark,
        shards=SHARDS,
        workers=10,
        run=world.run(),
    )


def tick(world, post):
    """Two sweeps; the later one sees the index as the earlier did."""
    world.aws.dynamodb.freeze_indexes()
    report = sweep_with(world, world.wiring)
    post.collect()
    post.deliver()
    world.pass_time(40)
    sweep_with(world, world.container())
    world.aws.dynamodb.thaw_indexes()
    post.collect()
    post.deliver()
    world.pass_time(TICK - 40)
    return report


@pytest.mark.parametrize("seed", range(4))
def test_f25_f26_thirty_two_copies_up_to_six_hours_late_are_one_call_a_generation(monkeypatch, seed):
    """Refresh, revoke, erase and reseal alike: what was done stays done, nothing is done for an old generation."""
    rng = random.Random(seed)
    world = RefreshWorld(monkeypatch, rule=STRICT, revocation=RevocationRule(kind="rfc7009", effect="grant"))
    ensure_keys(
        key_maker=world.wiring.key_maker,
        signing_keys=world.wiring.signing_keys,
        branch_keys=world.wiring.branch_keys,
        now=world.now,
    )
    post = Post(world, rng)
    kept = [world.connection_id, *(world.connect(account_id=f"user{at}") for at in range(2))]
    left = world.connect(account_id="leaves")
    waiting(world)
    everybody = [(each, 1) for each in (*kept, left)]
    oldest = []

    for minute in range(0, DAY_PART // 60, TICK // 60):
        if minute == 60:
            world.wiring.work_queue.send([Work("reseal", "example", (pair,)) for pair in everybody])
        if minute == 180:
            last = world.tokens(world.grant(left)).refresh_token
            world.disconnect(left)
            world.wiring.work_queue.send([Work("revoke", "example", ((left, world.grant(left).generation),))])
        if minute == 240:  # out of the blue: work for somebody who is gone, and for generations that never were
            world.wiring.work_queue.send([Work("refresh", "example", (("con_gone", 3), (kept[0], 99), (left, 1)))])
        oldest.append(tick(world, post).oldest_due)

    spent = [call["refresh_token"] for call in world.provider.token_calls if call["grant_type"] == "refresh_token"]
    assert len(spent) == len(set(spent))
    grants = [world.grant(each) for each in kept]
    assert len(spent) == sum(grant.generation - 1 for grant in (*grants, world.grant(left)))
    assert all(grant.status == "active" and grant.generation > 10 and grant.strikes == 0 for grant in grants)
    assert world.grant(left).status == "revoked"
    assert world.grant(left).sealed == b""
    assert world.provider.revoked_tokens.count(last) == 1
    assert len(world.provider.revoked_tokens) == 2  # the one who left, and the one nobody confirmed
    assert world.wiring.connections.unconfirmed("con_new") == []
    assert max(oldest) <= TICK
    assert post.delivered > COPIES * post.sent // 2
    assert world.reports.of("tampering_detected") == []


def test_f26_a_message_from_before_a_reconnect_reaches_nothing(monkeypatch):
    """The user left and came back: neither the old revocation nor the old refresh touches what he has now."""
    world = RefreshWorld(monkeypatch, rule=STRICT, revocation=RevocationRule(kind="rfc7009", effect="token"))
    old = [Work(kind, "example", ((world.connection_id, 1),)) for kind in ("revoke", "refresh", "erase", "reseal")]
    before = world.grant()
    again = replace(world.new_grant(world.wiring.connections.get(world.connection_id)), generation=2)
    assert world.wiring.grants.save(again).outcome == "saved"
    assert before.generation == 1

    for _ in range(COPIES):
        assert work_through(old, ports=world.ports(), run=world.run(), parallel=in_turn) == frozenset()
        world.pass_time(60)

    assert world.refreshes == 0
    assert world.provider.revoked_tokens == []
    assert world.grant().sealed
    assert world.read().generation == 2
