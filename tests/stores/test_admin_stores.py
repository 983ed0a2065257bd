"""What the administration keeps and takes away, over the double and over DynamoDB Local."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.stores.records import NOON, api_key, client, connection, event, grant, race

LATER = NOON + 100 * 86_400


def test_of_racing_editors_of_one_version_one_is_first(world: Any) -> None:
    """The others are told, and what is stored is the one's, with its origins."""
    world.client_versions.create(client(origins=("https://a.example",)), audit=event())
    found = world.client_versions.versioned("cli_1")

    def edit(number: int) -> bool:
        changed = replace(found.client, client_name=f"Editor {number}", origins=(f"https://{number}.example",))
        return bool(world.client_versions.replace(changed, version=found.version, audit=event()))

    outcomes = race(8, edit)
    assert sorted(outcomes) == [False] * 7 + [True]
    winner = outcomes.index(True)
    assert world.clients.get("cli_1").client_name == f"Editor {winner}"
    allowed = [number for number in range(8) if world.clients.allows_origin(f"https://{number}.example")]
    assert (allowed, world.clients.allows_origin("https://a.example")) == ([winner], False)


def test_clients_and_keys_are_paged_by_their_index(world: Any) -> None:
    """Each once, from where the page before ended."""
    for number in range(5):
        world.client_versions.create(client(client_id=f"cli_{number}"), audit=event())
        world.api_keys.put(api_key(key_id=f"k{number}", secret_hash=f"h{number}", client_id="cli_1"), audit=event())
    for page in (
        lambda after: world.client_versions.page(limit=2, after=after),
        lambda after: world.api_key_pages.page(client_id="cli_1", where={"status": "active"}, limit=2, after=after),
        lambda after: world.dead_rows.api_keys(limit=2, after=after),
    ):
        found, after = page(None)
        while after is not None:
            more, after = page(after)
            found = [*found, *more]
        assert len(found) == 5
        assert found == sorted(found, key=str)


def test_a_tombstone_is_taken_away_once_whoever_races(world: Any) -> None:
    """With its lease, its consent and one entry; what is sealed keeps it."""
    made = replace(connection(), status="active")
    world.connections.add_api_key(made, grant(generation=1), consent_client_id="cli_1", audit=event())
    world.connections.disconnect("con_1", now=NOON, audit=event())
    (dead,), _ = world.dead_rows.connections("google", after=None, limit=9)
    assert dead.ended_at == NOON

    def remove(_: int) -> bool:
        gone = event("connection.removed", connection_id="con_1", sub="usr_1")
        return bool(world.dead_rows.remove_connection(dead, ended_before=LATER, audit=gone))

    assert not remove(0)
    world.connections.erase("con_1", audit=event())
    assert sorted(race(4, remove)) == [False, False, False, True]
    assert world.connections.get("con_1") is None
    assert world.grants.names("con_1") == []
    assert not world.connections.has_consent("usr_1", "cli_1", "con_1")
    actions = [each.action for each in world.audit.for_connection("con_1", limit=9)[0]]
    assert actions.count("connection.removed") == 1


def test_a_key_is_taken_away_when_it_is_over_and_not_before(world: Any) -> None:
    """By the clock of whoever asks, in the condition of the write."""
    world.api_keys.put(api_key(key_id="k1", secret_hash="h", sub="usr_1", expires_at=NOON + 10), audit=event())
    (dead,), _ = world.dead_rows.api_keys(after=None, limit=9)
    assert not world.dead_rows.remove_key(dead, ended_before=NOON + 10, audit=event())
    assert world.dead_rows.remove_key(dead, ended_before=NOON + 11, audit=event())
    assert (world.api_keys.get("k1"), world.api_keys.of_user("usr_1")) == (None, [])


def test_what_the_last_sweep_left_is_read_back(world: Any) -> None:
    """Numbers, and nothing before the first."""
    assert world.sweep_mark.read() is None
    for at in (NOON, NOON + 60):
        world.sweep_mark.put({"at": at, "due": 3})
    assert world.sweep_mark.read() == {"at": NOON + 60, "due": 3}


def test_breakers_are_seen_as_they_stand(world: Any) -> None:
    """All asked for in one read; those without an item are left out."""
    world.breakers.record_failure("google", now=NOON, retry_after=30)
    world.breakers.record_refusal("github", error="invalid_client", now=NOON)
    facts = world.breakers_seen.facts(["google", "github", "slack"])
    assert set(facts) == {"google", "github"}
    assert (facts["google"].failures, facts["google"].open_until) == (1, NOON + 30)
    assert (facts["github"].refused_at, facts["github"].error) == (NOON, "invalid_client")
