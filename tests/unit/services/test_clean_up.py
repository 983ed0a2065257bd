"""What is dead goes after a while; what a refresh, a revocation or a restore may still need does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grantkeeper.errors import BadRequest, NotFound, StoreUnavailable
from grantkeeper.model import Consent
from grantkeeper.services import clean_up as module
from grantkeeper.services.acting import Acting
from grantkeeper.services.clean_up import DAY, KINDS, Cleaned, CleanUp, clean_up, dry_run
from grantkeeper.services.manage_api_keys import revoke_key
from grantkeeper.services.what_counts import increments
from grantkeeper.stores.consents import consent_put
from grantkeeper.stores.table import Table
from tests.doubles.aws import memory_wiring
from tests.stores.records import NOON, api_key, connection, event, grant, lease

LATER = NOON + 100 * DAY
BY = Acting("user:usr_admin", LATER, "req")
PROVIDERS = ("google", "github")


@pytest.fixture
def world() -> Any:
    return memory_wiring()


def connect(world: Any, connection_id: str = "con_1", **fields: Any) -> None:
    made = replace(connection(connection_id, account_id=f"account of {connection_id}", **fields), status="active")
    sealed = grant(connection_id, generation=1, sub=made.sub, provider=made.provider, service=made.service)
    world.connections.add_api_key(made, sealed, consent_client_id="cli_1", audit=event())


def end(world: Any, connection_id: str = "con_1", *, at: int = NOON, erased: bool = True, **fields: Any) -> None:
    """Connected, used, disconnected, and revoked upstream."""
    connect(world, connection_id, **fields)
    world.grants.take_lease(lease(connection_id=connection_id))
    world.connections.disconnect(connection_id, now=at, audit=event("connection.revoked", connection_id=connection_id))
    if erased:
        world.connections.erase(connection_id, audit=event("grant.erased", connection_id=connection_id))


def rows(world: Any, connection_id: str = "con_1") -> list[str]:
    """What is left of a connection, in its partition and among its user's."""
    items = world.aws.dynamodb.dump("grants")
    own = [i for i in items if i["pk"]["S"] == f"CONNECTION#{connection_id}"]
    named = [i for i in items if i.get("connection_id") == {"S": connection_id} and i not in own]
    return sorted(item["sk"]["S"] for item in (*own, *named))


def clean(world: Any, *, by: Acting = BY, position: str | None = None, **wanted: Any) -> Cleaned:
    return clean_up(CleanUp(**wanted), rows=world.dead_rows, providers=PROVIDERS, by=by, position=position)


def look(world: Any, *, days: int = 90, now: int = LATER, position: str | None = None) -> Cleaned:
    return dry_run(rows=world.dead_rows, providers=PROVIDERS, days=days, now=now, position=position)


def removals(world: Any) -> list[Any]:
    events = world.audit.day("2027-03-01", limit=999)[0]
    return [each for each in events if each.action.endswith(".removed")]


def test_a_tombstone_goes_with_its_leases_and_consents(world: Any) -> None:
    """And with an entry of its own; another connection of the same user is not touched."""
    end(world)
    connect(world, "con_2")
    kept = rows(world, "con_2")
    assert rows(world) == ["CONSENT#cli_1#con_1", "GRANT#main", "LEASE#main", "META"]
    assert clean(world).removed == {"revoked_connections": 1}
    assert rows(world) == []
    assert rows(world, "con_2") == kept
    (told,) = removals(world)
    assert (told.action, told.actor, told.sub, told.connection_id, told.provider) == (
        "connection.removed", "user:usr_admin", "usr_1", "con_1", "google",
    )  # fmt: skip


def test_the_trail_of_a_removed_connection_stays(world: Any) -> None:
    """It is what says that there was one, for as long as the trail is kept."""
    end(world)
    clean(world)
    actions = [each.action for each in world.audit.for_connection("con_1", limit=9)[0]]
    assert actions == ["connection.removed", "grant.erased", "connection.revoked"]


@pytest.mark.parametrize("days", [35, 90])
def test_nothing_goes_before_its_age(world: Any, days: int) -> None:
    """To the second; and the dry run says so too."""
    end(world, at=LATER - days * DAY)
    assert look(world, days=days).young == clean(world, days=days).young == {"revoked_connections": 1}
    by = replace(BY, now=LATER + 1)
    assert look(world, days=days, now=LATER + 1).removable == {"revoked_connections": 1}
    assert clean(world, by=by, days=days).removed == {"revoked_connections": 1}


def test_i5_a_tombstone_with_a_sealed_set_stays_until_it_is_revoked_upstream(world: Any) -> None:
    """However old: whoever revokes it upstream needs it. Afterwards it goes."""
    end(world, erased=False)
    before = rows(world)
    assert clean(world).kept == {"revoked_connections": 1}
    assert rows(world) == before
    world.connections.erase("con_1", audit=event("grant.erased"))
    assert clean(world).removed == {"revoked_connections": 1}


def test_i5_tokens_that_come_late_are_put_on_the_tombstone_and_keep_it(world: Any) -> None:
    """Between the look and the removal as well: the condition is in the transaction."""
    end(world)
    late = replace(grant(generation=2), write_id="late", refreshed_at=LATER)
    dead = world.dead_rows.connections("google", after=None, limit=9)[0][0]
    original = world.dead_rows._consents
    world.dead_rows._consents = lambda each: (world.grants.keep_for_revocation(late), original(each))[1]
    assert not world.dead_rows.remove_connection(dead, ended_before=LATER, audit=event())
    world.dead_rows._consents = original
    assert world.grants.get("con_1").sealed == late.sealed
    assert clean(world).kept == {"revoked_connections": 1}


def test_i1_a_refresh_that_was_under_way_finds_nothing_to_revive(world: Any) -> None:
    """What is missing counts as revoked: a save of the next generation writes nothing."""
    end(world)
    clean(world)
    saved = world.grants.save(replace(grant(generation=2), write_id="late"))
    assert saved.outcome != "saved"
    assert not world.grants.keep_for_revocation(replace(grant(generation=2), write_id="late"))
    assert rows(world) == []


def test_what_is_live_is_never_looked_at(world: Any) -> None:
    """Neither an active connection nor one that needs its user."""
    connect(world)
    connect(world, "con_2")
    world.grants.mark_needs_reauth(world.grants.get("con_2"), "revoked_by_user", now=NOON, audit=event())
    assert look(world).looked_at == 0
    assert clean(world).removed == {}


def test_a_late_index_removes_nothing_twice(world: Any) -> None:
    """It is a hint; the rows decide."""
    end(world)
    world.aws.dynamodb.freeze_indexes()
    assert clean(world).removed == {"revoked_connections": 1}
    assert clean(world).kept == {"revoked_connections": 1}
    world.aws.dynamodb.thaw_indexes()
    assert len(removals(world)) == 1


def test_withdrawn_consents_of_a_removed_connection_go_too_and_too_many_keep_it(world: Any) -> None:
    """One transaction has room for sixty; what has more stays as it is, and is told."""
    end(world)
    world.consents.withdraw("usr_1", "cli_1", "con_1", now=NOON, audit=event())
    assert "WITHDRAWN#cli_1#con_1#1795262400" in rows(world)
    clean(world)
    assert rows(world) == []
    end(world, "con_2")
    table = Table(world.aws.dynamodb, "grants")
    for number in range(61):
        consent = Consent("usr_1", f"cli_{number:03d}", "con_2", NOON)
        table.transact([consent_put(table, consent)])
    assert clean(world).kept == {"revoked_connections": 1}


def test_an_expired_or_revoked_key_goes_and_a_good_one_stays(world: Any) -> None:
    """Whatever came first counts; a user's key leaves his list."""
    world.api_keys.put(api_key(key_id="expired", secret_hash="1", sub="usr_1", expires_at=NOON), audit=event())
    world.api_keys.put(api_key(key_id="revoked", secret_hash="2", sub="usr_1", expires_at=LATER + DAY), audit=event())
    world.api_keys.put(api_key(key_id="good", secret_hash="3", expires_at=LATER + DAY), audit=event())
    world.api_keys.put(api_key(key_id="young", secret_hash="4", expires_at=LATER - DAY), audit=event())
    revoke_key("revoked", api_keys=world.api_keys, by=replace(BY, now=NOON))
    seen = look(world)
    assert (seen.removable, seen.young) == ({"api_keys": 2}, {"api_keys": 1})
    done = clean(world)
    assert (done.removed, done.young, done.kept) == ({"api_keys": 2}, {"api_keys": 1}, {})
    assert {key.key_id for key in world.api_keys.list()} == {"good", "young"}
    assert world.api_keys.of_user("usr_1") == world.erasure.traces("usr_1") == []
    assert {each.details["key_id"] for each in removals(world)} == {"expired", "revoked"}
    with pytest.raises(NotFound):
        revoke_key("expired", api_keys=world.api_keys, by=BY)


def test_a_key_that_was_revoked_before_that_was_noted_waits_for_its_expiry(world: Any) -> None:
    """Its end is not known otherwise, and it is a year away at most."""
    old = api_key(key_id="old", secret_hash="1", status="revoked", expires_at=LATER - DAY)
    world.api_keys.put(old, audit=event())
    assert clean(world).young == {"api_keys": 1}
    assert clean(world, by=replace(BY, now=LATER + 90 * DAY)).removed == {"api_keys": 1}


def test_a_dry_run_changes_nothing_and_its_pages_add_up(world: Any, monkeypatch: Any) -> None:
    """However few rows a call may look at."""
    for number in range(7):
        end(world, f"con_{number}", provider="google" if number % 2 else "github")
    for number in range(5):
        world.api_keys.put(api_key(key_id=f"k{number}", secret_hash=str(number), expires_at=NOON), audit=event())
    monkeypatch.setattr(module, "MAX_LOOKED_AT", 3)
    before, total, position, calls = world.aws.dynamodb.dump("grants"), dict.fromkeys(KINDS, 0), None, 0
    while calls < 20:
        seen = look(world, position=position)
        for kind, count in seen.removable.items():
            total[kind] += count
        position, calls = seen.position, calls + 1
        assert seen.looked_at <= 3
        if position is None:
            break
    assert (total, position) == ({"revoked_connections": 7, "api_keys": 5}, None)
    assert world.aws.dynamodb.dump("grants") == before


@pytest.mark.parametrize("follow", [True, False])
def test_steps_go_on_to_the_end_with_and_without_their_cursor(world: Any, *, follow: bool) -> None:
    """A step removes so many; one that begins anew finds what is left."""
    for number in range(9):
        end(world, f"con_{number}", provider="google" if number % 2 else "github")
    world.api_keys.put(api_key(key_id="k", secret_hash="1", expires_at=NOON), audit=event())
    removed, position = 0, None
    for _ in range(20):
        done = clean(world, limit=2, position=position if follow else None)
        removed += sum(done.removed.values())
        assert sum(done.removed.values()) <= 2
        position = done.position
        if position is None:
            break
    assert (removed, position) == (10, None)
    assert [item for item in world.aws.dynamodb.dump("grants") if item["pk"]["S"].startswith("CONNECTION#")] == []


def test_a_step_that_fails_midway_has_done_what_it_has_done(world: Any) -> None:
    """And nothing by halves; the next one goes on."""
    for number in range(3):
        end(world, f"con_{number}")
    faults = world.aws.dynamodb.faults
    faults.throttle(
        "transact_write_items", times=50, code="AccessDeniedException",
        when=lambda request: "con_1" in str(request),
    )  # fmt: skip
    with pytest.raises(StoreUnavailable):
        clean(world)
    assert (rows(world, "con_0"), len(rows(world, "con_1"))) == ([], 4)
    faults._planned.clear()
    assert clean(world).removed == {"revoked_connections": 2}


def test_one_kind_can_be_cleaned_alone(world: Any) -> None:
    """The other is not looked at."""
    end(world)
    world.api_keys.put(api_key(key_id="k", secret_hash="1", expires_at=NOON), audit=event())
    assert clean(world, kinds=("api_keys",)).removed == {"api_keys": 1}
    assert rows(world) != []


def test_the_counter_of_revoked_connections_follows() -> None:
    """Or it would drift from the table with every clean-up."""
    gone = event("connection.removed", provider="google", connection_id="con_1")
    assert increments(gone) == {"connections/google/revoked": -1}


@pytest.mark.parametrize(
    "body",
    [
        {}, {"kinds": []}, {"kinds": "api_keys"}, {"kinds": ["grants"]}, {"kinds": [["api_keys"]]},
        {"kinds": ["api_keys"], "limit": 0}, {"kinds": ["api_keys"], "limit": 101},
        {"kinds": ["api_keys"], "limit": True}, {"kinds": ["api_keys"], "older_than_days": 34},
        {"kinds": ["api_keys"], "older_than_days": 3651}, {"kinds": ["api_keys"], "older_than_days": "90"},
        {"kinds": ["api_keys"], "force": True},
    ],
)  # fmt: skip
def test_what_is_malformed_or_too_young_is_refused(body: dict[str, Any]) -> None:
    """35 days are the least: so far a restore reaches, and so long late answers may come."""
    with pytest.raises(BadRequest):
        CleanUp.parse(body)
