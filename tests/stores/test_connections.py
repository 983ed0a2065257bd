"""Connections: unconfirmed, confirmed, disconnected, erased."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grantkeeper.errors import Conflict, ConnectSessionExpired, StoreUnavailable, TokenTooLarge
from grantkeeper.model import Profile
from grantkeeper.stores import keys
from tests.stores.records import (
    DAY,
    NOON,
    authorized,
    connect_session,
    connected,
    connection,
    event,
    grant,
    lease,
    race,
)

LATER = NOON + 60


def confirm(world: Any, pending: Any, **fields: Any) -> Any:
    arguments = {"consent_client_id": "cli_1", "now": LATER, "audit": event("connection.activated"), **fields}
    return world.connections.confirm(pending, **arguments)


# --- unconfirmed ---


def test_unconfirmed_tokens_are_a_connection_to_nobody(world: Any) -> None:
    """They can be read by their session, and nothing else knows of them."""
    pending = authorized(world, names=("bot", "user"))
    assert world.connections.pending("con_1", "cs_1", now=LATER) == pending
    assert world.connections.unconfirmed("con_1") == [pending]
    assert world.connections.get("con_1") is None
    assert world.connections.list_for_user("usr_1") == []
    assert world.grants.get("con_1", "bot") is None
    assert not world.connections.has_consent("usr_1", "cli_1", "con_1")
    session = world.connect_sessions.get("cs_1", now=LATER)
    assert (session.status, session.confirmation_hash) == ("authorized", "confirmation-hash")


def test_unconfirmed_tokens_count_among_those_who_share_the_account_until_their_time_is_over(world: Any) -> None:
    """By the clock of whoever asks; then they are discarded, and leave no entry behind."""
    pending = authorized(world)
    assert sharing(world, now=LATER) == ["con_1"]
    assert sharing(world, now=pending.over_at - 1) == ["con_1"]
    assert sharing(world, now=pending.over_at) == []

    world.connections.discard("con_1", "cs_1", audit=event("connection.discarded"))

    assert world.connections._table.query(keys.shared_account_partition("registration-1", "account-1")) == []


def test_tokens_thrown_away_count_no_more_among_those_who_share_the_account(world: Any) -> None:
    """From that moment: whoever revokes meanwhile spares nobody for their sake."""
    authorized(world)
    world.connections.abandon("con_1", "cs_1", now=LATER)
    assert sharing(world, now=LATER) == []


def test_a_confirmed_connection_counts_whatever_becomes_of_unconfirmed_tokens_for_it(world: Any) -> None:
    """A re-connect of it that is thrown away, discarded or past its time takes nothing from it."""
    confirm(world, authorized(world))
    again = authorized(world, session_id="cs_2", replaces=True)
    assert sharing(world, now=again.over_at) == ["con_1"]
    world.connections.abandon("con_1", "cs_2", now=LATER)
    assert sharing(world, now=LATER + 1) == ["con_1"]
    world.connections.discard("con_1", "cs_2", audit=event("connection.discarded"))
    assert sharing(world, now=again.over_at) == ["con_1"]


def test_the_radius_never_misses_a_connection_while_it_is_confirmed(world: Any) -> None:
    """Whoever looks at any moment of it sees the account's other user: unconfirmed, or confirmed."""
    pending = authorized(world)
    seen: list[Any] = []
    confirming = race(
        4,
        lambda at: confirm(world, pending) if at == 0 else seen.append([sharing(world, now=LATER) for _ in range(10)]),
    )
    assert confirming[0].status == "active"
    assert seen == [[["con_1"]] * 10] * 3


def sharing(world: Any, *, now: int) -> Any:
    return world.connections.sharing("registration-1", "account-1", now=now)


def test_only_an_open_session_can_be_authorized(world: Any) -> None:
    """A second trip of one session, or one that comes back after its end, stores nothing."""
    authorized(world)
    again = world.connections.pending("con_1", "cs_1", now=NOON)
    with pytest.raises(ConnectSessionExpired):
        world.connections.authorize(
            replace(again, connection=connection("con_2")), connect_session(), now=NOON, audit=event()
        )
    assert world.connections.unconfirmed("con_2") == []


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_tokens_stored_by_a_lost_write_are_stored(world: Any, fault: str) -> None:
    """The provider's answer is not thrown away because an acknowledgement was."""
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items", when=_writes_pending)
    pending = authorized(world)
    assert world.connections.pending("con_1", "cs_1", now=LATER) == pending


def _writes_pending(request: Any) -> bool:
    return any(w.get("Put", {}).get("Item", {}).get("sk", {}).get("S", "") == "PENDING#cs_1"
               for w in request["TransactItems"])  # fmt: skip


def test_d10_unconfirmed_tokens_past_their_time_cannot_be_confirmed(world: Any) -> None:
    """They wait for the worker, which finds them in the due index with generation 0."""
    pending = authorized(world)
    assert world.connections.pending("con_1", "cs_1", now=pending.expires_at) is None
    with pytest.raises(ConnectSessionExpired):
        confirm(world, pending, now=pending.expires_at)
    assert not any(world.grants.due(shard, before=pending.over_at - 1, limit=10) for shard in range(4))
    due = [row for shard in range(4) for row in world.grants.due(shard, before=pending.over_at, limit=10)]
    assert [(row.connection_id, row.name, row.generation, row.provider) for row in due] == [
        ("con_1", "cs_1", 0, "google")
    ]
    assert world.connections.unconfirmed("con_1") == [pending]


def test_abandoned_tokens_cannot_be_confirmed_and_are_due_at_once(world: Any) -> None:
    """Then they are discarded, once, for whoever revokes them upstream."""
    pending = authorized(world)
    assert world.connections.abandon("con_1", "cs_1", now=LATER)
    with pytest.raises(ConnectSessionExpired):
        confirm(world, pending)
    assert any(world.grants.due(shard, before=LATER, limit=10) for shard in range(4))
    outcomes = race(8, lambda _: world.connections.discard("con_1", "cs_1", audit=event("grant.erased")))
    assert [o.grants for o in outcomes if o is not None] == [pending.grants]
    assert world.connections.discard("con_1", "cs_1", audit=event()) is None
    assert not world.connections.abandon("con_1", "cs_1", now=LATER)
    assert not any(world.grants.due(shard, before=LATER, limit=10) for shard in range(4))


def test_d12_a_token_set_far_too_large_is_refused_before_any_write(world: Any) -> None:
    """Neither the tokens nor the session's new state are stored."""
    world.connect_sessions.put(connect_session(), audit=event())
    pending = replace(authorized(world, session_id="cs_2"), session_id="cs_1", grants=(grant(sealed=b"x" * 30_000),))
    with pytest.raises(TokenTooLarge):
        world.connections.authorize(pending, connect_session(), now=NOON, audit=event())
    assert world.connect_sessions.get("cs_1", now=NOON).status == "open"


# --- confirmed ---


def test_confirming_moves_the_sealed_bytes_and_writes_every_entry(world: Any) -> None:
    """All of it in one transaction, the audit entry too."""
    pending = authorized(world, names=("bot", "user"))
    active = confirm(world, pending, consent_client_id="cli_9")
    assert active == replace(pending.connection, status="active", updated_at=LATER)
    assert world.connections.get("con_1") == active
    assert world.connections.list_for_user("usr_1") == [active]
    assert world.connections.find_account("usr_1", "gmail", "account-1") == "con_1"
    assert world.connections.sharing("registration-1", "account-1", now=LATER) == ["con_1"]
    assert world.connections.has_consent("usr_1", "cli_9", "con_1")
    assert world.connections.consented("usr_1", "cli_9") == {"con_1"}
    assert world.grants.names("con_1") == ["bot", "user"]
    for waiting in pending.grants:
        moved = world.grants.get("con_1", waiting.name)
        assert moved == replace(waiting, generation=1, write_id=moved.write_id)
    assert world.connections.unconfirmed("con_1") == []
    assert world.connect_sessions.get("cs_1", now=LATER).status == "confirmed"
    assert [e.action for e in world.audit.for_user("usr_1", limit=9)[0]] == []


def test_confirming_again_answers_the_same_connection(world: Any) -> None:
    """A client that lost our answer may ask again."""
    pending = authorized(world)
    assert confirm(world, pending) == confirm(world, pending)
    assert world.grants.get("con_1").generation == 1


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_confirmation_whose_acknowledgement_was_lost_is_one(world: Any, fault: str) -> None:
    """One effect, one generation, one entry in the trail."""
    pending = authorized(world)
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items")
    confirm(world, pending, audit=event("connection.activated", connection_id="con_1"))
    assert world.grants.get("con_1").generation == 1
    entries = world.audit.for_connection("con_1", limit=9)[0]
    assert [e.action for e in entries].count("connection.activated") == 1


def test_of_32_racing_confirmations_one_moves_the_tokens(world: Any) -> None:
    """All are answered the same connection, at generation 1."""
    pending = authorized(world)
    outcomes = race(32, lambda _: confirm(world, pending))
    assert [o.id for o in outcomes] == ["con_1"] * 32
    assert world.grants.get("con_1").generation == 1


def test_of_two_sessions_for_one_account_the_second_conflicts(world: Any) -> None:
    """An account of a user at a service is one connection."""
    first = authorized(world, connection_id="con_1", session_id="cs_1")
    second = authorized(world, connection_id="con_2", session_id="cs_2")
    outcomes = race(2, lambda n: confirm(world, (first, second)[n]))
    assert sorted(type(o).__name__ for o in outcomes) == ["Conflict", "Connection"]
    assert len(world.connections.list_for_user("usr_1")) == 1


def test_an_ended_session_cannot_be_confirmed(world: Any) -> None:
    """Ending comes first or confirming does; 20 races leave no third outcome."""
    for number in range(20):
        pending = authorized(
            world,
            connection_id=f"con_{number}",
            session_id=f"cs_{number}",
            connection={"account_id": f"account-{number}"},
        )

        def contend(n: int, number: int = number, pending: Any = pending) -> Any:
            if n == 0:
                return world.connect_sessions.end(f"cs_{number}", now=LATER, audit=event())
            return confirm(world, pending)

        ended, confirmed = race(2, contend)
        stored = world.connections.get(f"con_{number}")
        if ended is True:
            assert isinstance(confirmed, ConnectSessionExpired)
            assert stored is None
        else:
            assert confirmed == stored


def test_a_reconnect_keeps_the_connection_and_counts_on(world: Any) -> None:
    """Same id, first client, first day; new bytes at generation + 1, so that older leases are void."""
    before = connected(world, connection={"label": "Mine", "client_id": "cli_0"})
    world.connections.touch("con_1", day=DAY)
    assert world.grants.take_lease(lease(generation=1)) is None
    again = authorized(
        world,
        session_id="cs_2",
        replaces=True,
        connection={"scopes": ("mail.read", "mail.send"), "credentials_id": "registration-2", "created_at": LATER},
    )
    after = confirm(world, again)
    assert (after.id, after.client_id, after.created_at, after.label) == ("con_1", "cli_0", before.created_at, "Mine")
    assert after.used_day == DAY
    assert after.missing_scopes == ()
    moved = world.grants.get("con_1")
    assert (moved.generation, moved.sealed) == (2, b"cs_2 main")
    assert world.grants.take_lease(lease(generation=2, write_id="w_new")) is None
    assert world.connections.sharing("registration-1", "account-1", now=LATER) == []
    assert world.connections.sharing("registration-2", "account-1", now=LATER) == ["con_1"]


def test_a_reconnect_brings_a_dead_connection_back(world: Any) -> None:
    """needs_reauth → active, without its reason."""
    connected(world)
    world.grants.mark_needs_reauth(world.grants.get("con_1"), "revoked_by_user", now=NOON, audit=event())
    after = confirm(world, authorized(world, session_id="cs_2", replaces=True))
    assert (after.status, after.reason) == ("active", None)
    assert (world.grants.get("con_1").status, world.grants.get("con_1").reason) == ("active", None)


def test_a_refresh_between_read_and_write_of_a_reconnect_is_counted_on(world: Any) -> None:
    """Whoever saves first, generations never repeat: 20 races."""
    connected(world)
    for number in range(20):
        again = authorized(world, session_id=f"cs_again_{number}", replaces=True)
        current = world.grants.get("con_1")
        refreshed = replace(current, generation=current.generation + 1, write_id=f"w_{number}", sealed=b"refreshed")

        def contend(n: int, again: Any = again, refreshed: Any = refreshed) -> Any:
            return world.grants.save(refreshed).outcome if n == 0 else confirm(world, again).status

        saved, confirmed = race(2, contend)
        assert confirmed == "active"
        stored = world.grants.get("con_1")
        assert stored.sealed == f"cs_again_{number} main".encode()
        assert stored.generation == current.generation + (2 if saved == "saved" else 1)


def test_a_disconnected_connection_is_not_revived_by_a_reconnect(world: Any) -> None:
    """Revoked is final."""
    connected(world)
    again = authorized(world, session_id="cs_2", replaces=True)
    world.connections.disconnect("con_1", now=LATER, audit=event())
    with pytest.raises(Conflict):
        confirm(world, again)
    assert world.grants.get("con_1").status == "revoked"


def test_a_key_of_the_users_own_is_stored_at_once(world: Any) -> None:
    """With its consent, its list entry and its grant; a second one for the account conflicts."""
    made = connection(kind="api_key", status="active", profile=None, credentials_id="")
    world.connections.add_api_key(made, grant(generation=1), consent_client_id="cli_1", audit=event())
    assert world.connections.get("con_1") == made
    assert world.grants.get("con_1") == grant(generation=1)
    assert world.connections.has_consent("usr_1", "cli_1", "con_1")
    other = replace(made, id="con_2")
    with pytest.raises(Conflict):
        world.connections.add_api_key(other, grant("con_2", generation=1), consent_client_id="cli_1", audit=event())
    assert world.connections.get("con_2") is None


# --- beside the grant ---


def test_a_profile_is_replaced_without_touching_the_grant(world: Any) -> None:
    """Nobody else's write touches a grant; a revoked connection keeps what it had."""
    connected(world)
    before = world.grants.get("con_1")
    fresh = Profile("account-1", name="Ada")
    assert world.connections.update_profile("con_1", fresh, now=LATER, audit=event())
    assert world.connections.get("con_1").profile == fresh
    assert world.grants.get("con_1") == before
    world.connections.disconnect("con_1", now=LATER, audit=event())
    assert not world.connections.update_profile("con_1", Profile("x"), now=LATER, audit=event())
    assert not world.connections.update_profile("unknown", Profile("x"), now=LATER, audit=event())


def test_use_is_noted_once_a_day_and_never_fails_a_call(world: Any) -> None:
    """And never makes an item of nothing."""
    connected(world)
    world.connections.touch("con_1", day=DAY)
    world.connections.touch("con_1", day=DAY)
    world.connections.touch("con_2", day=DAY)
    assert world.connections.get("con_1").used_day == DAY
    assert world.connections.get("con_2") is None
    world.aws.dynamodb.faults.throttle("update_item", times=99)
    world.connections.touch("con_1", day="2026-11-22")


def test_a_users_connections_are_listed_whole(world: Any) -> None:
    """Oldest first, past the 100 keys of one batch, and nobody else's."""
    numbers = range(105)
    for number in numbers:
        made = connection(f"con_{number:03d}", account_id=f"a{number}", created_at=NOON + number, kind="api_key")
        world.connections.add_api_key(made, grant(made.id, generation=1), consent_client_id="cli_1", audit=event())
    assert [c.id for c in world.connections.list_for_user("usr_1")] == [f"con_{number:03d}" for number in numbers]
    assert len(world.connections.consented("usr_1", "cli_1")) == 105
    assert world.connections.list_for_user("usr_2") == []


def test_who_shares_a_providers_account_is_known_across_users(world: Any) -> None:
    """The radius of a revocation: same registration, same account, whoever's connection it is."""
    connected(world, "con_1")
    connected(world, "con_2", connection={"sub": "usr_2"})
    connected(world, "con_3", connection={"sub": "usr_3", "account_id": "account-3"})
    connected(world, "con_4", connection={"sub": "usr_4", "credentials_id": "registration-4"})
    assert sorted(world.connections.sharing("registration-1", "account-1", now=LATER)) == ["con_1", "con_2"]
    world.connections.disconnect("con_1", now=LATER, audit=event())
    assert world.connections.sharing("registration-1", "account-1", now=LATER) == ["con_2"]


# --- revoked ---


def test_a_disconnect_revokes_connection_and_every_grant_at_once(world: Any) -> None:
    """The sealed sets stay for the worker, and stay due until they are erased."""
    connected(world, names=("bot", "user"))
    gone = world.connections.disconnect("con_1", now=LATER, audit=event("connection.revoked", connection_id="con_1"))
    assert (gone.status, gone.reason, gone.updated_at) == ("revoked", "revoked_by_user", LATER)
    assert world.connections.get("con_1") == gone
    for name in ("bot", "user"):
        tombstone = world.grants.get("con_1", name)
        assert (tombstone.status, tombstone.reason) == ("revoked", "revoked_by_user")
        assert tombstone.sealed
        assert tombstone.due_at > LATER
    assert world.connections.list_for_user("usr_1") == []
    assert world.connections.find_account("usr_1", "gmail", "account-1") is None
    own = world.audit.for_user("usr_1", limit=9)[0]
    assert [e.action for e in own] == ["connection.revoked"]


def test_disconnecting_twice_is_disconnecting_once(world: Any) -> None:
    """32 at the same time too: one entry in the trail, one answer."""
    connected(world)
    outcomes = race(
        32,
        lambda _: world.connections.disconnect(
            "con_1", now=LATER, audit=event("connection.revoked", connection_id="con_1")
        ),
    )
    assert [o.status for o in outcomes] == ["revoked"] * 32
    entries = world.audit.for_connection("con_1", limit=50)[0]
    assert [e.action for e in entries].count("connection.revoked") == 1
    assert world.connections.disconnect("unknown", now=LATER, audit=event()) is None


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_disconnect_whose_acknowledgement_was_lost_is_one(world: Any, fault: str) -> None:
    """One effect, one entry."""
    connected(world)
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items")
    assert world.connections.disconnect("con_1", now=LATER, audit=event(connection_id="con_1")).status == "revoked"


def test_the_same_account_can_be_connected_anew_after_a_disconnect(world: Any) -> None:
    """Under a new id; the tombstone keeps its own."""
    connected(world, "con_1")
    world.connections.disconnect("con_1", now=LATER, audit=event())
    again = connected(world, "con_2")
    assert world.connections.find_account("usr_1", "gmail", "account-1") == "con_2"
    assert (again.status, world.connections.get("con_1").status) == ("active", "revoked")


def test_erasing_empties_tombstones_and_only_those(world: Any) -> None:
    """And takes them off the due index. A live connection is left alone."""
    connected(world)
    world.connections.erase("con_1", audit=event("grant.erased"))
    assert world.grants.get("con_1").sealed == b"cs_of_con_1 main"
    world.connections.disconnect("con_1", now=LATER, audit=event())
    for _ in range(2):
        world.connections.erase("con_1", audit=event("grant.erased", connection_id="con_1"))
    tombstone = world.grants.get("con_1")
    assert (tombstone.status, tombstone.sealed, tombstone.due_at) == ("revoked", b"", None)
    assert not any(world.grants.due(shard, before=LATER * 2, limit=10) for shard in range(4))
    entries = world.audit.for_connection("con_1", limit=50)[0]
    assert [e.action for e in entries].count("grant.erased") == 1


def test_d05_transactions_that_meet_are_tried_again(world: Any) -> None:
    """A conflict is no answer; it passes."""
    pending = authorized(world)
    world.aws.dynamodb.faults.conflict("transact_write_items", times=3)
    assert confirm(world, pending).status == "active"
    world.aws.dynamodb.faults.conflict("transact_write_items", times=2)
    assert world.connections.disconnect("con_1", now=LATER, audit=event()).status == "revoked"


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "RequestLimitExceeded"])
def test_d06_a_store_that_refuses_to_the_end_leaves_nothing_half_made(world: Any, code: str) -> None:
    """The caller is told to come back; the session can still be confirmed."""
    pending = authorized(world)
    world.aws.dynamodb.faults.throttle("transact_write_items", times=99, code=code)
    with pytest.raises(StoreUnavailable):
        confirm(world, pending)
    world.aws.dynamodb.faults.clear()
    assert world.connections.get("con_1") is None
    assert confirm(world, pending).status == "active"
