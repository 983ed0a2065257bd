"""A hundred thousand events through a stream that repeats itself: the numbers are those of a plain recount."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.services.count_stats import stats
from grantkeeper.services.project import ANNOUNCED, project
from tests.doubles.aws import memory_wiring

NOON = 1_795_262_400  # 2026-11-21 12:00 UTC
DAYS = ("2026-11-21", "2026-11-22", "2026-11-23")
EVENTS = 100_000
PER_SECOND = 60
SHARDS = 6
PROVIDERS = ("google", "github", "slack", "notion")
REASONS = ("revoked_by_user", "expired_unused", "spent_elsewhere")
QUIET = ("user.updated", "connection.metadata_synced", "connection.pending")  # for the trail alone


def events_of(rng):
    """Connections with lives of their own, people who sign in, and what nobody counts."""
    states = [("none", rng.choice(PROVIDERS)) for _ in range(3000)]
    for number in range(EVENTS):
        time = NOON + number // PER_SECOND + number * len(DAYS) // EVENTS * 86_400
        if number % 10 == 0:
            time -= rng.randrange(60)  # told late: in the midst of later seconds
        kind = rng.random()
        at = rng.randrange(len(states))
        status, provider = states[at]
        fields = {"connection_id": f"con_{at}", "provider": provider, "sub": f"usr_{at}"}
        if kind < 0.55:
            action, fields["details"] = "grant.refreshed", {"name": "main", "generation": f"{number}"}
        elif kind < 0.7:
            action = rng.choice(("user.signed_in", "user.sign_in_refused", "user.provisioned"))
        elif kind < 0.8:
            action = rng.choice(QUIET)
        else:
            action, left, fields["reason"] = _turn(rng, status)
            states[at] = (left, provider)
            fields["details"] = {"from": status}
        yield AuditEvent(id=f"evt_{number}", time=time, action=action, actor="system:test", **fields)


def _turn(rng, status):
    """What may happen to a connection with this status: action, its next status, reason."""
    if status == "active" and rng.random() < 0.6:
        return "connection.needs_reauth", "needs_reauth", rng.choice(REASONS)
    if status in {"active", "needs_reauth"} and rng.random() < 0.4:
        return "connection.revoked", "revoked", None
    return "connection.activated", "active", None


@dataclass
class Shard:
    """A shard of the stream: records in order, and how far its poller believes to be."""

    records: list[AuditEvent]
    checkpoint: int = 0

    def batch(self, rng):
        """What is delivered next: mostly from the checkpoint on, sometimes of what was delivered long ago."""
        start = self.checkpoint
        if rng.random() < 0.15:
            start = rng.randrange(max(self.checkpoint, 1))
        size = rng.choice((3, 50, 90, 100, 100, 100))
        batch = self.records[start : start + size]
        if rng.random() < 0.1:
            rng.shuffle(batch)
        return start, batch


def deliver(shard, rng, wiring):
    """Once; what goes wrong leaves the checkpoint where it was, and the next batch begins and ends where it likes."""
    start, batch = shard.batch(rng)
    luck = rng.random()
    if luck < 0.05:
        wiring.aws.events.reject_entries = 40  # the bus refuses
    elif luck < 0.1:
        wiring.aws.dynamodb.faults.throttle("transact_write_items", code="AccessDeniedException")
    elif luck < 0.12:
        wiring.aws.dynamodb.faults.throttle("batch_get_item", code="AccessDeniedException")
    elif luck < 0.17:
        wiring.aws.dynamodb.faults.retry_silently("transact_write_items")
    try:
        project(batch, bus=wiring.event_bus, counters=wiring.counters, now=NOON)
        done = start + len(batch)
    except StoreUnavailable:
        done = start
    finally:
        wiring.aws.events.reject_entries = 0
        wiring.aws.dynamodb.faults.clear()
        wiring.aws.dynamodb.faults.calls.clear()
    if start <= shard.checkpoint <= done and rng.random() < 0.9:  # else the poller died before it noted how far it was
        shard.checkpoint = done


def recount(events):
    """By hand, from the entries as they are: no table of the product's is asked."""
    sums = {"users": 0, "connections": {}, "signed_in": {}, "refreshed": {}, "reasons": Counter(), "refused": 0}
    days = {day: Counter() for day in DAYS}
    status, provider_of = {}, {}
    for event in events:
        day = days[DAYS[(event.time - NOON + 43_200) // 86_400]]
        provider_of[event.connection_id] = event.provider
        if event.action == "grant.refreshed":
            sums["refreshed"][event.provider] = sums["refreshed"].get(event.provider, 0) + 1
            day["refreshes"] += 1
        elif event.action == "user.signed_in":
            sums["signed_in"][event.provider] = sums["signed_in"].get(event.provider, 0) + 1
            day["sign_ins"] += 1
        elif event.action == "user.sign_in_refused":
            sums["refused"] += 1
            day["sign_ins_refused"] += 1
        elif event.action == "user.provisioned":
            sums["users"] += 1
            day["users"] += 1
        elif event.action == "connection.activated":
            status[event.connection_id] = "active"
            day["connected"] += 1
        elif event.action == "connection.revoked":
            status[event.connection_id] = "revoked"
            day["disconnected"] += 1
        elif event.action == "connection.needs_reauth":
            status[event.connection_id] = "needs_reauth"
            sums["reasons"][event.reason] += 1
            day["needs_reauth"] += 1
    for connection_id, now in status.items():
        by_status = sums["connections"].setdefault(provider_of[connection_id], {})
        by_status[now] = by_status.get(now, 0) + 1
    return sums, days


@pytest.mark.story
def test_f21_a_hundred_thousand_events_delivered_with_duplicates_are_counted_exactly():
    """Repeats, retries, regrouped and shuffled batches, six shards interleaved; stats equal a plain recount."""
    rng = random.Random(20261121)
    events = list(events_of(rng))
    shards = [Shard([]) for _ in range(SHARDS)]
    for event in events:
        shards[int(event.connection_id[4:]) % SHARDS].records.append(event)
    wiring = memory_wiring()

    unfinished = list(shards)
    while unfinished:
        shard = rng.choice(unfinished)
        deliver(shard, rng, wiring)
        if shard.checkpoint >= len(shard.records):
            unfinished.remove(shard)

    sums, days = recount(events)
    counted = wiring.counters.of_days(DAYS)
    shown = stats(wiring.counters.totals(), days=counted, today=DAYS[-1])
    assert shown["users"] == sums["users"]
    assert shown["connections"]["by_provider"] == sums["connections"]
    assert shown["sign_ins"]["by_provider"] == sums["signed_in"]
    assert shown["refreshes"] == {"total": sum(sums["refreshed"].values()), "by_provider": sums["refreshed"]}
    assert shown["needs_reauth_reasons"] == sums["reasons"]
    assert shown["refusals"]["sign_ins"] == sums["refused"]
    for row in shown["days"]:
        day = days[row.pop("day")]
        assert row == {name: day[name] for name in row}
        assert day.keys() <= row.keys()
    told = {json.loads(entry["Detail"])["id"] for entry in wiring.aws.events.published}
    assert told == {event.id for event in events if event.action in ANNOUNCED}
