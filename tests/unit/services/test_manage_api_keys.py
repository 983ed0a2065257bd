"""API keys that an admin makes for clients, and revokes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grantkeeper.errors import BadRequest, NotFound
from grantkeeper.model import ALL_SCOPES
from grantkeeper.services.acting import Acting
from grantkeeper.services.manage_api_keys import (
    AT_ONCE,
    CLIENT_SCOPES,
    OPERATOR_SCOPES,
    WantedClientKey,
    create_key,
    revoke_all,
    revoke_key,
)
from tests.doubles.aws import ENVIRONMENT, memory_wiring
from tests.stores.records import NOON, api_key, client, event

BY = Acting("user:usr_admin", NOON, "req", "console")
BODY = {"client_id": "cli_1", "name": "backend", "scopes": ["connections:write"]}


@pytest.fixture
def world() -> Any:
    wiring = memory_wiring()
    wiring.clients.put(client(), audit=event())
    return wiring


def create(world: Any, **changes: Any) -> Any:
    wanted = WantedClientKey.parse({**BODY, **changes})
    return create_key(wanted, clients=world.clients, api_keys=world.api_keys, by=BY)


def keep(world: Any, key_id: str, **fields: Any) -> None:
    world.api_keys.put(api_key(key_id=key_id, secret_hash=f"hash of {key_id}", **fields), audit=event())


def live(world: Any) -> set[str]:
    return {key.key_id for key in world.api_keys.list() if key.status == "active"}


def all_of(world: Any, client_id: str, position: str | None = None) -> Any:
    keys, pages = world.api_keys, world.api_key_pages
    return revoke_all(client_id, clients=world.clients, api_keys=keys, pages=pages, by=BY, position=position)


def test_k03_a_key_is_made_for_a_client_and_shown_once(world: Any) -> None:
    """Of its secret there is a hash, here and in the trail's silence."""
    shown = create(world, expires_in_days=30)
    assert world.api_keys.get(shown.key.key_id) == shown.key
    assert (shown.key.client_id, shown.key.expires_at) == ("cli_1", NOON + 30 * 86_400)
    secret = shown.text.rpartition("_")[2]
    for table in ("GRANTS_TABLE", "AUDIT_TABLE"):
        assert secret not in str(world.aws.dynamodb.dump(ENVIRONMENT[table]))
    assert secret not in repr(shown)
    (told,) = [each for each in world.audit.day("2026-11-21", limit=9)[0] if each.action == "api_key.created"]
    assert (told.actor, told.client_id, told.details["scopes"]) == ("user:usr_admin", "cli_1", "connections:write")


def test_t08_no_key_that_reads_tokens_is_made_through_the_api() -> None:
    """Whoever makes one reads what the client's users allowed it: that takes IAM (decision 0025)."""
    assert "connections:token" in CLIENT_SCOPES
    with pytest.raises(BadRequest):
        WantedClientKey.parse({**BODY, "scopes": ["connections:read", "connections:token"]})


@pytest.mark.parametrize("scope", sorted(set(ALL_SCOPES) - set(CLIENT_SCOPES) - {"account:write"}))
def test_k14_no_key_with_an_operators_scope_is_made_through_the_api(scope: str) -> None:
    """Nor with one that signs people in; the first admin key is made with IAM alone."""
    with pytest.raises(BadRequest):
        WantedClientKey.parse({**BODY, "scopes": ["connections:read", scope]})


def test_k14_an_operators_scopes_are_none_of_a_clients() -> None:
    """The two lists share nothing."""
    assert set(OPERATOR_SCOPES).isdisjoint({*CLIENT_SCOPES, "account:write"})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("client_id", None), ("client_id", "a b"), ("client_id", 7), ("name", ""), ("name", "a" * 101),
        ("name", "a\nb"), ("scopes", []), ("scopes", "connections:read"), ("scopes", [["connections:read"]]),
        ("expires_in_days", 0), ("expires_in_days", 366), ("expires_in_days", True), ("expires_in_days", "30"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_by_name(member: str, value: Any) -> None:
    """Before anything is read."""
    with pytest.raises(BadRequest) as refused:
        WantedClientKey.parse({**BODY, member: value})
    assert refused.value.extensions["parameter"] == member


@pytest.mark.parametrize("member", ["key_id", "secret_hash", "sub", "status", "created_at", "used_day"])
def test_t06_what_the_sender_may_not_say_is_refused(member: str) -> None:
    """A key of a user's, above all, is made by that user alone."""
    with pytest.raises(BadRequest):
        WantedClientKey.parse({**BODY, member: "x"})


def test_a_key_of_no_client_or_of_a_disabled_one_is_not_made(world: Any) -> None:
    """It would be refused wherever it was shown."""
    world.clients.put(replace(client(), status="disabled"), audit=event())
    for client_id in ("cli_1", "cli_unknown"):
        with pytest.raises(NotFound):
            create(world, client_id=client_id)
    assert world.api_keys.list() == []


def test_any_key_is_revoked_once(world: Any) -> None:
    """A user's leaves his list; a second time, or an unknown one, is not found."""
    keep(world, "k1", sub="usr_1")
    revoke_key("k1", api_keys=world.api_keys, by=BY)
    assert world.api_keys.get("k1").status == "revoked"
    assert world.api_keys.of_user("usr_1") == []
    for key_id in ("k1", "k2", "a b", ""):
        with pytest.raises(NotFound):
            revoke_key(key_id, api_keys=world.api_keys, by=BY)


def test_k13_all_of_a_clients_keys_are_revoked_and_nobody_elses(world: Any) -> None:
    """Its users' among them; each with an entry of its own."""
    keep(world, "k1")
    keep(world, "k2", sub="usr_1")
    keep(world, "k3", status="revoked")
    keep(world, "k4", client_id="cli_12")
    keep(world, "k5", client_id=None)
    assert all_of(world, "cli_1").revoked == 2
    assert live(world) == {"k4", "k5"}
    told = [each for each in world.audit.day("2026-11-21", limit=99)[0] if each.action == "api_key.revoked"]
    assert {each.details["key_id"] for each in told} == {"k1", "k2"}
    assert (all_of(world, "cli_1").revoked, all_of(world, "cli_1").position) == (0, None)


def test_k13_more_keys_than_one_call_may_revoke_are_told(world: Any) -> None:
    """And the next call goes on."""
    for number in range(AT_ONCE + 5):
        keep(world, f"k{number:03d}")
    first = all_of(world, "cli_1")
    assert first.revoked == AT_ONCE
    second = all_of(world, "cli_1", first.position)
    assert (second.revoked, second.position) == (5, None)
    assert live(world) == set()


def test_k13_keys_that_ended_long_ago_hide_no_live_one(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that looks at dead ones alone revokes none, and says where the next goes on: the end is reached."""
    monkeypatch.setattr("grantkeeper.stores.list_pages.READ_AT_ONCE", 3)
    for number in range(30):
        keep(world, f"k{number:02d}", status="active" if number > 27 else "revoked")
    position, revoked, calls = None, 0, 0
    while calls == 0 or (position is not None and calls < 9):
        done = all_of(world, "cli_1", position)
        position, revoked, calls = done.position, revoked + done.revoked, calls + 1
    assert (revoked, position) == (2, None)
    assert calls > 1
    assert live(world) == set()


def test_k13_a_late_index_makes_nothing_happen_twice(world: Any) -> None:
    """What it still shows as live was revoked: it is not counted, and leaves no second entry."""
    keep(world, "k1")
    world.aws.dynamodb.freeze_indexes()
    assert [all_of(world, "cli_1").revoked for _ in range(2)] == [1, 0]
    told = [item for item in world.aws.dynamodb.dump("audit") if item["action"] == {"S": "api_key.revoked"}]
    assert len(told) == 1


def test_all_keys_of_an_unknown_client_are_not_found(world: Any) -> None:
    """Rather than none."""
    with pytest.raises(NotFound):
        all_of(world, "cli_unknown")


def test_keys_are_listed_page_by_page_by_client_and_by_user(world: Any) -> None:
    """Each once; a client whose id begins like another's has keys of its own."""
    for number in range(5):
        keep(world, f"k{number}", sub="usr_1" if number % 2 else None)
    keep(world, "k8", client_id="cli_12")
    keep(world, "k9", client_id=None)

    def listed(client_id: str | None, **where: str) -> list[str]:
        found: list[str] = []
        after: str | None = None
        for _ in range(9):
            page, after = world.api_key_pages.page(client_id=client_id, where=where, after=after, limit=2)
            found += [key.key_id for key in page]
            if after is None:
                return found
        raise AssertionError("the pages do not end")

    assert listed(None) == ["k9", "k0", "k1", "k2", "k3", "k4", "k8"]
    assert listed("cli_1") == ["k0", "k1", "k2", "k3", "k4"]
    assert listed(None, sub="usr_1") == ["k1", "k3"]
