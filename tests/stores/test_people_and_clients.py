"""Users, identities, clients and API keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grantkeeper.errors import StoreUnavailable
from tests.doubles.errand_world import link_identity
from tests.stores.records import DAY, api_key, client, event, identity, race, user


def test_a_first_sign_in_makes_user_and_identity(world: Any) -> None:
    """And both are found by what they are asked for."""
    assert world.users.provision(user(), identity(), audit=event("user.created", sub="usr_1")) == identity()
    assert world.users.get("usr_1") == user()
    assert world.users.find("https://accounts.google.com", "1234567890") == identity()
    assert world.users.identities("usr_1") == [identity()]
    assert [e.action for e in world.audit.for_user("usr_1", limit=10)[0]] == ["user.created"]


def test_of_32_racing_first_sign_ins_one_creates_the_user(world: Any) -> None:
    """All 32 go on with the same user; no other user is left behind."""

    def sign_in(number: int) -> Any:
        sub = f"usr_{number}"
        return world.users.provision(user(sub), identity(sub), audit=event("user.created", sub=sub))

    outcomes = race(32, sign_in)
    subs = {found.sub for found in outcomes}
    assert len(subs) == 1
    assert [number for number in range(32) if world.users.get(f"usr_{number}")] == [int(subs.pop()[4:])]


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_user_made_by_a_lost_write_is_made_once(world: Any, fault: str) -> None:
    """The retry is the same request."""
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items")
    assert world.users.provision(user(), identity(), audit=event(sub="usr_1")) == identity()
    assert len(world.audit.for_user("usr_1", limit=10)[0]) == 1


def test_issuer_and_subject_are_told_apart(world: Any) -> None:
    """`a` + `bc` and `ab` + `c` are two people."""
    world.users.provision(user("usr_1"), identity("usr_1", issuer="a", subject="bc"), audit=event())
    assert world.users.find("ab", "c") is None


def test_a_profile_is_replaced_only_at_the_version_it_was_read(world: Any) -> None:
    """Two editors: the second is told, and what is stored is the version after."""
    world.users.provision(user(), identity(), audit=event())
    assert world.users.update(user(name="Ada"), expected_version=1, audit=event())
    assert not world.users.update(user(name="Grace"), expected_version=1, audit=event())
    assert (world.users.get("usr_1").name, world.users.get("usr_1").version) == ("Ada", 2)


def test_an_identity_is_linked_to_one_user_only(world: Any) -> None:
    """Linking what belongs to somebody else answers whose it is and changes nothing."""
    world.users.provision(user("usr_1"), identity("usr_1"), audit=event())
    world.users.provision(user("usr_2"), identity("usr_2", subject="222"), audit=event())
    second = identity("usr_1", issuer="https://github.com", subject="7")
    assert link_identity(world, second, audit=event()) == second
    assert link_identity(world, identity("usr_1", subject="222"), audit=event()).sub == "usr_2"
    assert world.users.identities("usr_1") == [identity("usr_1"), second]


def test_what_a_provider_said_is_kept_with_the_identity_and_the_profile(world: Any) -> None:
    """Both or neither; overrides come back as they were set."""
    world.users.provision(user(), identity(), audit=event())
    told = identity(name="Ada", synced_at=9, changed=("name",), changed_at=9)
    assert world.users.sync(told, user=None, audit=None)
    follows = user(name="Ada", overrides={"name": "A.", "locale": "de"})
    assert world.users.sync(told, user=follows, audit=event("user.updated", sub="usr_1"))
    assert world.users.identities("usr_1") == [told]
    assert world.users.get("usr_1") == replace(follows, version=2)

    assert not world.users.sync(replace(told, name="Eve"), user=follows, audit=event())
    assert world.users.identities("usr_1") == [told]


@pytest.mark.parametrize("fault", ["retry_silently", "lose_acknowledgement"])
def test_d03_a_sync_by_a_lost_write_is_ours(world: Any, fault: str) -> None:
    """The retry is the same request."""
    world.users.provision(user(), identity(), audit=event())
    getattr(world.aws.dynamodb.faults, fault)("transact_write_items")
    assert world.users.sync(identity(name="Ada"), user=user(name="Ada"), audit=event(sub="usr_1"))
    assert world.users.get("usr_1").version == 2


def test_an_identity_that_was_unlinked_is_not_revived_by_a_sign_in(world: Any) -> None:
    """Neither alone nor with the profile."""
    world.users.provision(user(), identity(), audit=event())
    gone = identity(issuer="https://github.com", subject="7", synced_at=9)
    assert not world.users.sync(gone, user=None, audit=None)
    assert not world.users.sync(gone, user=user(name="Ada"), audit=event())
    assert world.users.identities("usr_1") == [identity()]


def test_clients_are_kept_listed_and_replaced(world: Any) -> None:
    """In the order of their ids."""
    for client_id in ("cli_b", "cli_a"):
        world.clients.put(client(client_id), audit=event())
    changed = client("cli_b", client_name="Renamed", secret_hashes=("h1", "h2"), scopes=("openid",))
    world.clients.put(changed, audit=event())
    assert world.clients.get("cli_b") == changed
    assert world.clients.get("cli_c") is None
    assert world.clients.list() == [client("cli_a"), changed]


def test_an_origin_is_allowed_while_an_active_client_has_it(world: Any) -> None:
    """Exactly as registered; removed with the client's list, or with the client's being disabled."""
    first, second = client("cli_1", origins=("https://app.example.com",)), client("cli_2")
    world.clients.put(first, audit=event())
    assert world.clients.allows_origin("https://app.example.com")
    for other in ("https://app.example.com/", "https://APP.example.com", "https://example.com", "null", "", "x" * 5000):
        assert not world.clients.allows_origin(other)
    world.clients.put(replace(second, origins=("https://app.example.com",)), audit=event())
    world.clients.put(replace(first, origins=()), audit=event())
    assert world.clients.allows_origin("https://app.example.com")
    world.clients.put(replace(second, origins=("https://app.example.com",), status="disabled"), audit=event())
    assert not world.clients.allows_origin("https://app.example.com")


def test_two_admins_editing_one_client_leave_no_origin_behind(world: Any) -> None:
    """Whoever comes last, the allowed origins are those of the client as it stands."""
    world.clients.put(client(origins=("https://start.example.com",)), audit=event())
    outcomes = race(
        4, lambda n: world.clients.put(client(origins=(f"https://{n}.example.com",)), audit=event("client.changed"))
    )
    kept = world.clients.get("cli_1").origins
    allowed = [o for o in (*(f"https://{n}.example.com" for n in range(4)), "https://start.example.com")
               if world.clients.allows_origin(o)]  # fmt: skip
    assert tuple(allowed) == kept
    assert all(o is None or isinstance(o, StoreUnavailable) for o in outcomes)


def test_api_keys_are_kept_listed_revoked_and_touched(world: Any) -> None:
    """The day of last use is a note beside the key."""
    operator = api_key("key_0", client_id=None)
    for key in (api_key(), operator):
        world.api_keys.put(key, audit=event())
    world.api_keys.touch("key_1", day=DAY)
    world.api_keys.touch("key_1", day=DAY)
    world.api_keys.touch("unknown", day=DAY)
    assert world.api_keys.get("unknown") is None
    world.api_keys.put(api_key(status="revoked"), audit=event())
    assert world.api_keys.get("key_1") == api_key(status="revoked")
    assert world.api_keys.list() == [operator, api_key(status="revoked")]


def test_a_key_id_is_never_given_another_secret(world: Any) -> None:
    """A collision is refused, not overwritten."""
    world.api_keys.put(api_key(), audit=event())
    with pytest.raises(StoreUnavailable):
        world.api_keys.put(api_key(secret_hash="another"), audit=event())


def test_touching_a_key_never_fails_a_request(world: Any) -> None:
    """Best effort."""
    world.api_keys.put(api_key(), audit=event())
    world.aws.dynamodb.faults.throttle("update_item", times=50)
    world.api_keys.touch("key_1", day=DAY)


def test_what_no_key_can_hold_is_not_found(world: Any) -> None:
    """Ids that are too long, or empty, are answered and not sent."""
    for odd in ("", "x" * 3000, "#" * 10, "a\x00b"):
        assert world.clients.get(odd) is None
        assert world.api_keys.get(odd) is None
        assert world.users.get(odd) is None
