"""Grants: the lease, the save, the marks beside them, the due index."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest

from grantkeeper import model
from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Grant, LeaseHeld
from tests.doubles.dynamodb_values import item_size
from tests.stores.records import NOON, authorized, connected, event, grant, lease, race

CONTENDERS = 32
LATER = NOON + 60


def successor(current: Any, **fields: Any) -> Any:
    made = {
        "generation": current.generation + 1,
        "n": current.n + 1,
        "write_id": "w_save",
        "sealed": b"next",
        "refreshed_at": LATER,
        "due_at": LATER + 3000,
        "strikes": 0,
        "strike_generation": 0,
        "strike_at": 0,
        "caused_by": "sweep",
        "actor": "system:sweeper",
        "request_id": "req_1",
        **fields,
    }
    return replace(current, **made)


def due(world: Any, *, before: int, limit: int = 10) -> list[Any]:
    return [row for shard in range(4) for row in world.grants.due(shard, before=before, limit=limit)]


# --- leases ---


def test_one_of_32_takes_the_lease(world: Any) -> None:
    """The others see whose it is."""
    outcomes = race(CONTENDERS, lambda n: world.grants.take_lease(lease(write_id=f"w_{n}", owner=f"run_{n}")))
    assert outcomes.count(None) == 1
    winner = outcomes.index(None)
    held = [o for o in outcomes if o is not None]
    assert all(isinstance(o, LeaseHeld) and o.lease.owner == f"run_{winner}" for o in held)
    assert held[0].lease == lease(write_id=f"w_{winner}", owner=f"run_{winner}")


def test_a_lease_is_free_when_its_outcome_is_known_and_not_when_it_expires(world: Any) -> None:
    """Expired with its intent standing it is an orphan, which is another question."""
    assert world.grants.take_lease(lease()) is None
    late = lease(write_id="w_2", taken_at=NOON + 999, until=NOON + 1029)
    assert world.grants.take_lease(late).lease == lease()
    world.grants.release_lease(lease())
    assert world.grants.take_lease(late) is None


def test_a_lease_of_a_later_generation_voids_the_older_and_never_falls(world: Any) -> None:
    """A reader of yesterday gets no lease."""
    assert world.grants.take_lease(lease(generation=3)) is None
    assert world.grants.take_lease(lease(generation=4, write_id="w_4")) is None
    world.grants.release_lease(lease(generation=4, write_id="w_4"))
    assert world.grants.take_lease(lease(generation=3, write_id="w_3")).lease.generation == 4


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_f04_a_lease_whose_acknowledgement_was_lost_is_ours(world: Any, fault: str) -> None:
    """No stall of 30 s in front of our own lease."""
    getattr(world.aws.dynamodb.faults, fault)("put_item")
    assert world.grants.take_lease(lease()) is None


def test_f03_a_lease_that_cannot_be_written_is_not_taken(world: Any) -> None:
    """No lease, no refresh: the caller hears that the store is down, not that the grant is dead."""
    world.aws.dynamodb.faults.throttle("put_item", times=99)
    with pytest.raises(StoreUnavailable):
        world.grants.take_lease(lease())
    world.aws.dynamodb.faults.clear()
    assert world.grants.take_lease(lease(write_id="w_2")) is None


def test_one_of_32_takes_an_orphans_place(world: Any) -> None:
    """And whoever saw another orphan does not."""
    world.grants.take_lease(lease())
    outcomes = race(CONTENDERS, lambda n: world.grants.take_over(lease(write_id=f"w_{n}", attempt=2), orphan=lease()))
    assert sorted(outcomes) == [False] * (CONTENDERS - 1) + [True]


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_f04_a_take_over_whose_acknowledgement_was_lost_is_ours(world: Any, fault: str) -> None:
    """The same for an orphan's place."""
    world.grants.take_lease(lease())
    getattr(world.aws.dynamodb.faults, fault)("put_item")
    assert world.grants.take_over(lease(write_id="w_2"), orphan=lease())


def test_only_its_holder_releases_a_lease_and_failing_to_is_no_error(world: Any) -> None:
    """Expiry frees it otherwise."""
    world.grants.take_lease(lease())
    world.grants.release_lease(lease(write_id="somebody else"))
    assert world.grants.take_lease(lease(write_id="w_2")) is not None
    world.aws.dynamodb.faults.throttle("update_item", times=99)
    world.grants.release_lease(lease())


def test_nothing_that_must_last_can_carry_the_attribute_dynamodb_sweeps_by() -> None:
    """The table of grants expires marks of counted batches; a record with a field `ttl` would go with them."""
    records = [kind for kind in vars(model).values() if is_dataclass(kind)]

    assert Grant in records
    assert not [kind for kind in records if "ttl" in {field.name for field in fields(kind)}]


def test_leases_never_touch_an_index(world: Any) -> None:
    """A throttled index partition must not be able to refuse a lease."""
    world.grants.take_lease(lease())
    (item,) = world.aws.dynamodb.scan(TableName=world.env["GRANTS_TABLE"])["Items"]
    assert not {"due_shard", "due_at", "list_pk", "list_sk"} & set(item)


# --- the save ---


def test_a_save_is_one_plain_conditional_write(world: Any) -> None:
    """No transaction, no second item, no audit write: the stream tells the trail."""
    connected(world)
    current = world.grants.get("con_1")
    before = len(world.aws.dynamodb.faults.calls)
    assert world.grants.save(successor(current)).outcome == "saved"
    ((operation, request),) = world.aws.dynamodb.faults.calls[before:]
    assert operation == "put_item"
    assert request["Item"]["sk"] == {"S": "GRANT#main"}
    assert {"caused_by", "actor", "request_id", "generation", "write_id"} <= set(request["Item"])
    assert world.grants.get("con_1") == successor(current)


def test_f17_of_32_savers_of_one_generation_one_is_stored(world: Any) -> None:
    """The others are told what is there now."""
    connected(world)
    current = world.grants.get("con_1")
    outcomes = race(
        CONTENDERS, lambda n: world.grants.save(successor(current, write_id=f"w_{n}", sealed=f"{n}".encode()))
    )
    assert sorted(o.outcome for o in outcomes) == ["moved"] * (CONTENDERS - 1) + ["saved"]
    (winner,) = [n for n, o in enumerate(outcomes) if o.outcome == "saved"]
    stored = world.grants.get("con_1")
    assert (stored.generation, stored.sealed) == (2, f"{winner}".encode())
    assert {o.current.sealed for o in outcomes} == {f"{winner}".encode()}


def test_a_stale_saver_never_overwrites_a_newer_generation(world: Any) -> None:
    """The generation never goes back."""
    connected(world)
    first = world.grants.get("con_1")
    second = successor(first)
    world.grants.save(second)
    world.grants.save(successor(second, write_id="w_3"))
    assert world.grants.save(successor(first, write_id="w_late")).outcome == "moved"
    assert world.grants.get("con_1").generation == 3


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_f15_a_save_whose_acknowledgement_was_lost_is_saved(world: Any, fault: str) -> None:
    """No second provider call, no lost grant."""
    connected(world)
    current = world.grants.get("con_1")
    getattr(world.aws.dynamodb.faults, fault)("put_item")
    assert world.grants.save(successor(current)).outcome == "saved"
    assert world.grants.get("con_1") == successor(current)


@pytest.mark.parametrize("times", [1, 3])
def test_f14_a_throttled_save_is_tried_again(world: Any, times: int) -> None:
    """With jitter, within the budget."""
    connected(world)
    current = world.grants.get("con_1")
    world.aws.dynamodb.faults.throttle("put_item", times=times)
    assert world.grants.save(successor(current)).outcome == "saved"


def test_d05_a_save_that_meets_a_transaction_is_tried_again(world: Any) -> None:
    """A disconnect on its way answers TransactionConflict to the save."""
    connected(world)
    world.aws.dynamodb.faults.conflict("put_item", times=2)
    assert world.grants.save(successor(world.grants.get("con_1"))).outcome == "saved"


def test_f16_a_save_refused_to_the_end_says_so_within_its_budget(world: Any) -> None:
    """What happens then is the rescue queue's; nothing is stored."""
    connected(world)
    current = world.grants.get("con_1")
    world.aws.dynamodb.faults.throttle("put_item", times=99)
    with pytest.raises(StoreUnavailable):
        world.grants.save(successor(current))
    assert world.grants.get("con_1") == current


def test_f18_a_save_after_a_disconnect_answers_revoked(world: Any) -> None:
    """Revoked is final; its tokens are for the worker."""
    connected(world)
    current = world.grants.get("con_1")
    world.connections.disconnect("con_1", now=LATER, audit=event())
    saved = world.grants.save(successor(current))
    assert (saved.outcome, saved.current.status) == ("revoked", "revoked")
    assert world.grants.save(successor(grant("con_unknown", generation=1))).outcome == "revoked"
    assert world.grants.get("con_unknown") is None


def test_f18_savers_and_a_disconnect_race_and_the_grant_is_revoked(world: Any) -> None:
    """Whoever comes first: 10 rounds, each ends revoked, and no later save goes through."""
    for number in range(10):
        connected(world, f"con_{number}", connection={"account_id": f"account-{number}"})
        current = world.grants.get(f"con_{number}")

        def contend(n: int, number: int = number, current: Any = current) -> Any:
            if n == 0:
                return world.connections.disconnect(f"con_{number}", now=LATER, audit=event()).status
            return world.grants.save(successor(current, write_id=f"w_{n}")).outcome

        outcomes = race(8, contend)
        assert outcomes[0] == "revoked"
        assert outcomes.count("saved") <= 1
        stored = world.grants.get(f"con_{number}")
        assert stored.status == "revoked"
        assert world.grants.save(successor(stored, status="active", write_id="w_late")).outcome == "revoked"


def test_f18_a_lost_save_that_was_revoked_meanwhile_is_revoked(memory: Any) -> None:
    """Our own write_id on a tombstone is no success: nobody gets a token of it."""
    connected(memory)
    current = memory.grants.get("con_1")

    def disconnect_before_the_retry(operation: str, _: Any) -> None:
        if operation == "put_item" and memory.grants.get("con_1").generation == 2:
            memory.aws.dynamodb.faults.yield_point = None
            memory.connections.disconnect("con_1", now=LATER, audit=event())

    memory.aws.dynamodb.faults.lose_acknowledgement("put_item")
    memory.aws.dynamodb.faults.yield_point = disconnect_before_the_retry
    assert memory.grants.save(successor(current)).outcome == "revoked"


def test_tokens_that_came_after_a_revoke_take_their_predecessors_place(world: Any) -> None:
    """On the tombstone, due for the worker, once."""
    connected(world)
    current = world.grants.get("con_1")
    assert not world.grants.keep_for_revocation(successor(current))
    world.connections.disconnect("con_1", now=LATER, audit=event())
    world.aws.dynamodb.faults.retry_silently("put_item")
    assert world.grants.keep_for_revocation(successor(current))
    kept = world.grants.get("con_1")
    assert (kept.status, kept.sealed, kept.generation) == ("revoked", b"next", 2)
    assert [row.generation for row in due(world, before=LATER + 3600)] == [2]
    assert not world.grants.keep_for_revocation(successor(current, write_id="w_other"))


def test_a_usual_grant_is_under_two_kilobytes(world: Any) -> None:
    """Write units are billed per kilobyte; the cost model stands on it."""
    connected(world)
    usual = successor(
        world.grants.get("con_1"),
        sealed=b"x" * 1100,  # an access and a refresh token, as most providers make them
        write_id="w_abcdefghijklmnopqrstuvwxyz",
        scopes=tuple(f"https://www.googleapis.com/auth/scope.number.{n}" for n in range(4)),
        previous_refresh_token_hash="h" * 43,
        variables=(("tenant", "00000000-0000-4000-8000-000000000000"),),
    )
    world.grants.save(usual)
    item = world.aws.dynamodb.get_item(
        TableName=world.env["GRANTS_TABLE"], Key={"pk": {"S": "CONNECTION#con_1"}, "sk": {"S": "GRANT#main"}}
    )["Item"]
    assert item_size(item) < 2048


def test_resealing_replaces_bytes_and_nothing_else(world: Any) -> None:
    """Same generation, same n, same write; and never what was erased."""
    connected(world)
    current = world.grants.get("con_1")
    assert world.grants.reseal(current, sealed=b"resealed")
    assert world.grants.get("con_1") == replace(current, sealed=b"resealed")
    world.aws.dynamodb.faults.retry_silently("update_item")
    assert world.grants.reseal(current, sealed=b"resealed")
    world.grants.save(successor(current))
    assert not world.grants.reseal(current, sealed=b"late")
    world.connections.disconnect("con_1", now=LATER, audit=event())
    world.connections.erase("con_1", audit=event())
    assert not world.grants.reseal(successor(current), sealed=b"later")
    assert world.grants.get("con_1").sealed == b""


# --- marks ---


def test_strikes_count_for_the_generation_that_is_current(world: Any) -> None:
    """The first makes the grant due for a second look; a newer generation starts from none."""
    connected(world)
    current = world.grants.get("con_1")
    first = world.grants.strike(current, now=LATER)
    assert (first.strikes, first.strike_generation, first.strike_at) == (1, 1, LATER)
    assert LATER + 30 < first.due_at < LATER + 60
    assert world.grants.get("con_1") == first
    second = world.grants.strike(first, now=LATER + 40)
    assert (second.strikes, second.strike_at) == (2, LATER + 40)
    world.grants.save(successor(second))
    assert world.grants.strike(second, now=LATER + 80) is None
    assert world.grants.strike(world.grants.get("con_1"), now=LATER + 90).strikes == 1


def test_strikes_at_the_same_time_count_once(world: Any) -> None:
    """Two dead answers of one moment are one fact."""
    connected(world)
    current = world.grants.get("con_1")
    outcomes = race(8, lambda n: world.grants.strike(current, now=LATER + n))
    assert {o.strikes for o in outcomes} == {1}
    assert len({o.strike_at for o in outcomes}) == 1
    assert world.grants.get("con_1").strikes == 1


def test_a_dead_grant_turns_its_connection_with_it(world: Any) -> None:
    """Both at once, with the reason and the entry, and off the due index."""
    connected(world)
    current = world.grants.get("con_1")
    audit = event("connection.needs_reauth", connection_id="con_1", reason="expired_unused")
    assert world.grants.mark_needs_reauth(current, "expired_unused", now=LATER, audit=audit)
    dead, mirror = world.grants.get("con_1"), world.connections.get("con_1")
    assert (dead.status, dead.reason, dead.due_at) == ("needs_reauth", "expired_unused", None)
    assert (mirror.status, mirror.reason, mirror.updated_at) == ("needs_reauth", "expired_unused", LATER)
    assert due(world, before=NOON * 2) == []
    assert world.audit.for_connection("con_1", limit=5)[0][0] == replace(audit, details={"from": "active"})
    assert not world.grants.mark_needs_reauth(current, "expired_unused", now=LATER, audit=event())


def test_of_two_tokens_that_die_together_one_ends_the_connection(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters follow `from`: of a connection that has two tokens one activity less is counted, not two."""
    connected(world, names=("bot", "user"))
    both = [world.grants.get("con_1", name) for name in ("bot", "user")]
    died = [event("connection.needs_reauth", id=f"evt_{name}", connection_id="con_1") for name in ("bot", "user")]
    read = type(world.grants._table).get

    def get(table: Any, key: Any, **how: Any) -> Any:
        found = read(table, key, **how)
        monkeypatch.undo()  # between this read and its transaction the other token dies
        assert world.grants.mark_needs_reauth(both[1], "revoked_by_user", now=LATER, audit=died[1])
        return found

    monkeypatch.setattr(type(world.grants._table), "get", get)

    assert world.grants.mark_needs_reauth(both[0], "revoked_by_user", now=LATER, audit=died[0])

    told = {entry.id: entry.details["from"] for entry in world.audit.for_connection("con_1", limit=9)[0]}
    assert {told["evt_user"], told["evt_bot"]} == {"active", "needs_reauth"}
    assert [world.grants.get("con_1", name).status for name in ("bot", "user")] == ["needs_reauth"] * 2
    assert world.connections.get("con_1").status == "needs_reauth"


def test_a_generation_that_moved_is_not_declared_dead(world: Any) -> None:
    """A lost race is no death; nor is a revoked grant."""
    connected(world)
    current = world.grants.get("con_1")
    world.grants.save(successor(current))
    assert not world.grants.mark_needs_reauth(current, "revoked_by_user", now=LATER, audit=event())
    assert (world.grants.get("con_1").status, world.connections.get("con_1").status) == ("active", "active")
    newest = world.grants.get("con_1")
    world.connections.disconnect("con_1", now=LATER, audit=event())
    assert not world.grants.mark_needs_reauth(newest, "revoked_by_user", now=LATER, audit=event())


def test_saves_and_declarations_race_and_one_truth_remains(world: Any) -> None:
    """Saved and alive, or dead and not saved: never both."""
    for number in range(10):
        connected(world, f"con_{number}", connection={"account_id": f"account-{number}"})
        current = world.grants.get(f"con_{number}")

        def contend(n: int, current: Any = current) -> Any:
            if n == 0:
                return world.grants.mark_needs_reauth(current, "revoked_by_user", now=LATER, audit=event())
            return world.grants.save(successor(current)).outcome

        marked, _ = race(2, contend)
        stored = world.grants.get(f"con_{number}")
        mirrored = world.connections.get(f"con_{number}").status
        if stored.generation == 2:
            # a save may follow a declaration: the provider answered, so the grant was alive after all
            assert (stored.status, mirrored) == ("active", "active")
        else:
            assert (marked, stored.status, mirrored) == (True, "needs_reauth", "needs_reauth")


def test_a_grant_declared_dead_that_answers_after_all_is_alive_with_its_connection(world: Any) -> None:
    """A late holder holds the only valid successor: its save is taken, and META follows."""
    connected(world)
    current = world.grants.get("con_1")
    world.grants.mark_needs_reauth(current, "rotation_outcome_unknown", now=NOON, audit=event())
    assert world.grants.save(successor(current)).outcome == "saved"
    mirror = world.connections.get("con_1")
    assert (world.grants.get("con_1").status, mirror.status, mirror.reason) == ("active", "active", None)


def test_f15_and_its_connection_follows_also_when_the_acknowledgement_was_lost(world: Any) -> None:
    """The second try of the save does not hear what the first one replaced."""
    connected(world)
    current = world.grants.get("con_1")
    world.grants.mark_needs_reauth(current, "rotation_outcome_unknown", now=NOON, audit=event())
    world.aws.dynamodb.faults.retry_silently("put_item")
    assert world.grants.save(successor(current)).outcome == "saved"
    assert world.connections.get("con_1").status == "active"


def test_a_connection_stays_dead_while_another_of_its_tokens_is(world: Any) -> None:
    """The bot's late holder saves; the user's token still needs him. When that answers too, META follows."""
    connected(world, names=("bot", "user"))
    for name in ("bot", "user"):
        current = world.grants.get("con_1", name)
        world.grants.mark_needs_reauth(current, "rotation_outcome_unknown", now=NOON, audit=event())

    assert world.grants.save(successor(world.grants.get("con_1", "bot"), status="active")).outcome == "saved"
    assert world.connections.get("con_1").status == "needs_reauth"

    late = successor(world.grants.get("con_1", "user"), status="active", write_id="w_user")
    assert world.grants.save(late).outcome == "saved"
    assert world.connections.get("con_1").status == "active"


def test_a_rejected_generation_is_noted_while_it_is_current(world: Any) -> None:
    """However often it is reported; a report for an older one is nothing."""
    connected(world)
    current = world.grants.get("con_1")
    assert world.grants.reject(current)
    assert world.grants.reject(current)
    assert world.grants.get("con_1").rejected_generation == 1
    world.grants.save(successor(current))
    assert not world.grants.reject(current)


# --- the due index ---


def test_due_grants_come_oldest_first_and_not_before_their_time(world: Any) -> None:
    """As many as asked for."""
    for number in range(5):
        connected(world, f"con_{number}", connection={"account_id": f"account-{number}"})
        world.grants.postpone(f"con_{number}", "main", generation=1, due_at=NOON + 100 - number)
    shards = {shard: world.grants.due(shard, before=NOON + 99, limit=10) for shard in range(4)}
    rows = [row for found in shards.values() for row in found]
    assert {row.connection_id for row in rows} == {f"con_{number}" for number in range(1, 5)}
    assert all([row.due_at for row in found] == sorted(row.due_at for row in found) for found in shards.values())
    assert all((row.provider, row.generation, row.name) == ("google", 1, "main") for row in rows)
    assert all(len(world.grants.due(shard, before=NOON + 100, limit=1)) <= 1 for shard in range(4))


def test_due_grants_of_a_provider_can_be_passed_over(world: Any) -> None:
    """However many of its rows stand before the others', and however few are asked for."""
    for number in range(6):
        connected(world, f"con_{number}", connection={"account_id": f"account-{number}"})
        world.grants.postpone(f"con_{number}", "main", generation=1, due_at=NOON + number)
    world.grants.save(replace(successor(world.grants.get("con_5")), provider="github", due_at=NOON + 50))
    without = {"google", "microsoft"}
    rows = [row for shard in range(4) for row in world.grants.due(shard, before=NOON + 99, limit=1, without=without)]
    assert [row.connection_id for row in rows] == ["con_5"]


def test_postponing_is_for_the_generation_that_was_seen(world: Any) -> None:
    """An old message moves nothing; None takes the grant off the index."""
    connected(world)
    world.grants.postpone("con_1", "main", generation=9, due_at=NOON)
    assert world.grants.get("con_1").due_at == NOON + 3000
    world.grants.postpone("con_1", "main", generation=1, due_at=None)
    assert world.grants.get("con_1").due_at is None
    assert due(world, before=NOON * 2) == []
    world.grants.postpone("con_unknown", "main", generation=1, due_at=NOON)
    assert world.grants.get("con_unknown") is None


def test_a_postponement_decided_before_a_disconnect_leaves_the_tombstone_due(world: Any) -> None:
    """Else a worker that read the grant in use would take the upstream revocation off the index."""
    connected(world)
    world.connections.disconnect("con_1", now=LATER, audit=event())
    due_at = world.grants.get("con_1").due_at
    for moved in (None, NOON * 2):
        world.grants.postpone("con_1", "main", generation=1, due_at=moved)
        assert world.grants.get("con_1").due_at == due_at > LATER
    world.grants.postpone("con_1", "main", generation=1, due_at=LATER + 60, revoked=True)
    assert world.grants.get("con_1").due_at == LATER + 60


def test_d09_a_lagging_index_is_only_a_hint(memory: Any) -> None:
    """It may show what was refreshed or revoked long ago; the row itself says so."""
    connected(memory)
    memory.aws.dynamodb.freeze_indexes()
    memory.grants.save(successor(memory.grants.get("con_1")))
    memory.connections.disconnect("con_1", now=LATER, audit=event())
    (hint,) = due(memory, before=NOON + 3600)
    assert hint.generation == 1
    row = memory.grants.get(hint.connection_id, hint.name)
    assert (row.generation, row.status) == (2, "revoked")
    memory.aws.dynamodb.thaw_indexes()
    assert [row.generation for row in due(memory, before=NOON * 2)] == [2]


def test_d08_small_and_empty_pages_do_not_end_the_backlog(memory: Any) -> None:
    """Every due row is found, however DynamoDB cuts its pages."""
    for number in range(30):
        connected(memory, f"con_{number}", connection={"account_id": f"account-{number}"})
    memory.aws.dynamodb.page_size = 1
    assert len(due(memory, before=NOON * 2, limit=100)) == 30
    assert len(memory.connections.list_for_user("usr_1")) == 30


def test_d11_a_grant_is_read_consistently(memory: Any) -> None:
    """Nobody acts on yesterday's generation."""
    connected(memory)
    memory.aws.dynamodb.freeze_eventual_reads()
    memory.grants.save(successor(memory.grants.get("con_1")))
    assert memory.grants.get("con_1").generation == 2
    memory.connections.disconnect("con_1", now=LATER, audit=event())
    assert memory.connections.get("con_1").status == "revoked"


def test_d13_connections_spread_over_the_shards(memory: Any) -> None:
    """10,000 connections of one user land evenly: no shard holds more than a tenth over its part."""
    from collections import Counter

    from grantkeeper import ids
    from grantkeeper.stores.grant_item import due_shard

    counted = Counter(due_shard(ids.new_id("con"), 16) for _ in range(10_000))
    assert len(counted) == 16
    assert max(counted.values()) < 10_000 / 16 * 1.2


def test_unconfirmed_tokens_are_no_grant(world: Any) -> None:
    """`names` and `get` know confirmed ones only."""
    authorized(world)
    assert world.grants.names("con_1") == []
    assert world.grants.get("con_1") is None
