"""
Whose identity is it (C-100 to C-107)? Nobody becomes another by an e-mail address, a forwarded link, a lucky order.

Mallory wants his own identity among Alice's, to sign in as her, or hers among his, so that she signs in as him.
Each test plays one attempt to its end and looks at both lists.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.errors import (
    BrowserMismatch,
    ConfirmationRefused,
    Conflict,
    ErrandExpired,
    GrantkeeperError,
    NotFound,
)
from grantkeeper.services.complete_signin import identity_key
from tests.doubles.errand_world import (
    ALICE_SIGNED_IN,
    ALICES,
    BOB_SIGNED_IN,
    BOBS,
    SECOND,
    ErrandWorld,
)
from tests.doubles.provider import ISSUER, Account
from tests.handlers.test_sign_in import Deployment, told

MALLORY, MALLORYS = BOB_SIGNED_IN, BOBS
SECOND_OF_ALICE = Account("alice-2", {"email": "alice@second.example", "email_verified": True})
SECOND_OF_MALLORY = Account("mallory-2", {"email": "usr_alice@example.com", "email_verified": True})
FIRST = {(ISSUER, "usr_alice")}
MALLORYS_FIRST = {(ISSUER, "usr_bob")}


@pytest.fixture
def world() -> ErrandWorld:
    return ErrandWorld()


@pytest.fixture
def deployment() -> Deployment:
    return Deployment()


def actions_of(world: ErrandWorld, sub: str = "usr_alice") -> list[tuple[str, str | None]]:
    return [(event.action, event.reason) for event in world.trail(sub) if event.action.startswith("identity.")]


# --- C-100, C-101, C-104, C-105: what names a person -----------------------------------------------------------------


def test_c100_same_email_under_another_tenant_is_another_person() -> None:
    """nOAuth: the attacker's own tenant says the victim's address; issuer and subject are not the victim's."""
    provider = SimpleNamespace(issuer=None, issuer_aliases=(), id="microsoft")
    victim = {
        "iss": "https://login.example/tenant-a/v2.0",
        "sub": "s",
        "tid": "tenant-a",
        "oid": "o",
        "email": "v@x.org",
    }
    attacker = victim | {"iss": "https://login.example/tenant-b/v2.0", "tid": "tenant-b", "oid": "p"}
    profile: Any = SimpleNamespace(provider_user_id="s", email="v@x.org")

    assert identity_key(provider, profile, victim) != identity_key(provider, profile, attacker)  # type: ignore[arg-type]


@pytest.mark.parametrize("said", [True, "true", 1, None])
def test_c101_a_verified_address_links_nothing(deployment, said) -> None:
    """Whatever the provider says of it: two subjects, two users, and only the truth is taken for verified."""
    alice = deployment.sub(deployment.sign_in())
    claims = {"email": "alice@example.com", "email_verified": said}
    other = deployment.sub(deployment.sign_in(account=Account("mallory", claims)))

    assert alice != other
    assert deployment.wiring.users.get(other).email_verified is (said is True)
    assert {i.subject for i in deployment.wiring.users.identities(alice)} == {"alice"}


@pytest.mark.parametrize(
    "twin",
    [
        "Alice@example.com",
        "al\u0131ce@example.com",
        "\u0430lice@example.com",
        "alice\uff20example.com",
        "\u202ealice@example.com",
    ],
)
def test_c104_twins_of_an_address_are_strangers(deployment, twin) -> None:
    """Case, dotless i, Cyrillic a, full-width @, right-to-left: they are shown, and compared with nothing."""
    alice = deployment.sub(deployment.sign_in())
    other = deployment.sub(deployment.sign_in(account=Account("mallory", {"email": twin, "email_verified": True})))

    assert alice != other


def test_c105_the_same_subject_at_two_providers_is_two_identities(world) -> None:
    """Linked to one user they stay two; the one at the other provider names nobody before."""
    assert world.wiring.users.find(SECOND, "usr_alice") is None

    world.link(account=Account("usr_alice", {}))

    assert world.identities() == {*FIRST, (SECOND, "usr_alice")}
    assert world.wiring.users.find(ISSUER, "usr_alice").id != world.wiring.users.find(SECOND, "usr_alice").id


# --- C-102, C-103: nothing is merged without proof of both ----------------------------------------------------------


def test_c102_an_account_made_first_under_her_address_is_not_hers(deployment) -> None:
    """Mallory came first, under Alice's address; Alice signs in and gets an account of her own, without his."""
    mallory = deployment.sub(
        deployment.sign_in(account=Account("mallory", {"email": "alice@example.com", "email_verified": False}))
    )
    alice = deployment.sub(deployment.sign_in())

    assert alice != mallory
    assert {i.subject for i in deployment.wiring.users.identities(alice)} == {"alice"}
    assert {i.subject for i in deployment.wiring.users.identities(mallory)} == {"mallory"}


def test_c102_both_identities_are_proven_in_one_browser(world) -> None:
    """The honest way: who she is, then which identity, then the client's word; audited, and hers from then on."""
    identity = world.link(account=SECOND_OF_ALICE)

    assert world.identities() == {*FIRST, (SECOND, "alice-2")}
    assert world.wiring.users.find(SECOND, "alice-2").sub == "usr_alice"
    assert (identity.provider, identity.linked_at) == ("second", world.now)
    assert {action for action, _ in actions_of(world)} == {"identity.link_opened", "identity.proven", "identity.linked"}


def test_c102_a_forwarded_link_attaches_nothing_of_alices_to_mallory(world) -> None:
    """Mallory opens a link and sends it to Alice: at the first provider she is not him, and the link is over."""
    opened = world.open_link(MALLORY)

    with pytest.raises(ConfirmationRefused):
        world.prove(opened, account=ALICES, browser="alice's")

    assert world.errand(opened.id).status == "ended"
    assert ("identity.link_refused", "other_user") in actions_of(world, "usr_bob")
    assert world.identities() == FIRST
    with pytest.raises(ErrandExpired):
        world.prove(opened, account=MALLORYS)


def test_c102_a_link_of_alices_in_mallorys_hands_attaches_nothing_of_his(world) -> None:
    """He found it before she opened it: he cannot prove to be her, so his second identity is never asked for."""
    opened = world.open_link(ALICE_SIGNED_IN)

    with pytest.raises(ConfirmationRefused):
        world.prove(opened, account=MALLORYS, browser="mallory's")

    assert world.identities() == FIRST
    assert ("identity.link_refused", "other_user") in actions_of(world)


def test_c102_the_second_trip_ends_in_the_browser_the_first_ended_in(world) -> None:
    """Alice is half way; the address of the second consent page, in Mallory's browser, is worth nothing."""
    onward = world.prove(world.open_link())

    with pytest.raises(BrowserMismatch):
        world.link_at("second", onward, account=SECOND_OF_MALLORY, browser="mallory's")
    assert world.identities() == FIRST
    world.confirm_link(world.link_at("second", onward, account=SECOND_OF_ALICE))
    assert world.identities() == {*FIRST, (SECOND, "alice-2")}, "and nothing was consumed"


@pytest.mark.parametrize(
    ("principal", "confirmation", "reason"),
    [
        (MALLORY, None, "other_user"),
        (replace(ALICE_SIGNED_IN, client_id="other"), None, "other_client"),
        (ALICE_SIGNED_IN, ids.new_secret(), "wrong_confirmation"),
    ],
    ids=["other user", "other client", "guessed"],
)
def test_c102_a_confirmation_of_anybody_else_ends_the_link(world, principal, confirmation, reason) -> None:
    """One answer for all, the reason in the trail alone; and what was right before is over too."""
    back = world.link_at("second", world.prove(world.open_link()), account=SECOND_OF_ALICE)
    tried = back if confirmation is None else replace(back, told={**back.told, "confirmation": confirmation})

    with pytest.raises(ConfirmationRefused):
        world.confirm_link(tried, principal)
    with pytest.raises(ErrandExpired):
        world.confirm_link(back)

    assert world.identities() == FIRST
    assert ("identity.link_refused", reason) in actions_of(world)


def test_c102_an_identity_that_is_somebodys_stays_his(world) -> None:
    """Refused without a word of whose it is; nothing is merged."""
    world.link(MALLORY, own=MALLORYS, account=SECOND_OF_MALLORY)

    with pytest.raises(Conflict) as refused:
        world.link(account=SECOND_OF_MALLORY)

    assert "bob" not in str(refused.value) + str(refused.value.extensions)
    assert world.identities() == FIRST
    assert world.identities("usr_bob") == {*MALLORYS_FIRST, (SECOND, "mallory-2")}
    assert ("identity.link_refused", "belongs_to_another") in actions_of(world)


def test_c102_a_client_that_is_told_no_may_try_the_link_again(world) -> None:
    """The provider refused: the client is told in a registered word, and the link stays open."""
    opened = world.open_link()
    onward = world.prove(opened)

    back = world.back_from("second", onward, deny="access_denied")

    assert "error=access_denied" in back
    assert "state=theirs" in back
    assert world.errand(opened.id).status == "open"
    world.confirm_link(world.link_at("second", world.prove(opened), account=SECOND_OF_ALICE))


def test_confirming_again_answers_the_same_and_of_32_racers_one_links(world) -> None:
    """A lost answer is asked for again; nobody is punished for it."""
    back = world.link_at("second", world.prove(world.open_link()), account=SECOND_OF_ALICE)

    first = world.confirm_link(back)

    assert all(world.confirm_link(back) == first for _ in range(3))
    assert [action for action, _ in actions_of(world)].count("identity.linked") == 1


def test_linking_what_one_has_changes_nothing(world) -> None:
    """His own already: answered with it."""
    first = world.link(account=SECOND_OF_ALICE)
    world.now += 60

    assert world.link(account=SECOND_OF_ALICE).linked_at == first.linked_at
    assert len(world.identities()) == 2


def test_a_user_has_twenty_identities_at_most(world) -> None:
    """So that his list is one page; the link stays good for when there is room."""
    others = [world.link(account=Account(f"alice-{number}")) for number in range(19)]
    back = world.link_at("second", world.prove(world.open_link()), account=SECOND_OF_MALLORY)

    with pytest.raises(Conflict) as refused:
        world.confirm_link(back)
    assert refused.value.extensions["reason"] == "too_many"
    world.unlink(others[0])
    world.confirm_link(back)
    assert len(world.identities()) == 20


def test_c103_a_link_left_open_is_over_after_ten_minutes(world) -> None:
    """No pending change waits for its victim."""
    back = world.link_at("second", world.prove(world.open_link()), account=SECOND_OF_ALICE)
    world.now += 600

    with pytest.raises(ErrandExpired):
        world.confirm_link(back)
    assert world.identities() == FIRST


def test_c103_who_is_unlinked_is_out_at_once(world) -> None:
    """A trojan identity: whoever came in by it loses every session of its provider, and cannot come in again."""
    trojan = world.link(account=SECOND_OF_MALLORY)
    world.signed_in("usr_alice", provider="second", sid="sid_trojan")

    world.unlink(trojan)

    assert world.wiring.sessions.find("usr_alice", "sid_trojan").status == "revoked"
    assert world.wiring.sessions.find("usr_alice", "sid_usr_alice").status == "active", "of another provider"
    assert world.wiring.users.find(SECOND, "mallory-2") is None
    assert world.identities() == FIRST
    assert ("identity.unlinked", None) in actions_of(world)


def test_c103_the_profile_forgets_what_came_from_the_unlinked_alone(world) -> None:
    """Its name goes with it."""
    named = Account("alice-2", {"email": "x@second.example", "name": "Trojan"})
    identity = world.link(account=named)
    assert world.wiring.users.get("usr_alice").name == "Trojan"

    world.unlink(identity)

    assert world.wiring.users.get("usr_alice").name is None


def test_the_last_identity_that_can_sign_in_stays(world) -> None:
    """One at a provider that is switched off, or a client's own id, does not count."""
    second = world.link(account=SECOND_OF_ALICE)
    first = world.wiring.users.find(ISSUER, "usr_alice")
    items = world.wiring.provider_items
    items.put("second", record=None, registrations=None, disabled=True, audit=world.event("provider.changed"))

    with pytest.raises(Conflict) as refused:
        world.unlink(first)
    assert refused.value.extensions["reason"] == "last_identity"
    world.unlink(second)
    with pytest.raises(Conflict):
        world.unlink(first)


def test_of_two_who_unlink_the_last_two_at_once_one_is_refused(world) -> None:
    """Each removal stands on the other identity still being there."""
    second = world.link(account=SECOND_OF_ALICE)
    first = world.wiring.users.find(ISSUER, "usr_alice")
    users, event = world.wiring.users, world.event("identity.unlinked")

    assert users.unlink(second, kept=first, user=None, audit=event)
    assert not users.unlink(first, kept=second, user=None, audit=replace(event, id=ids.new_id("evt")))


def test_t02_somebody_elses_identity_does_not_exist(world) -> None:
    """By its id, which nobody tells him, or by none."""
    bobs = world.wiring.users.find(ISSUER, "usr_bob")

    for identity in (bobs, replace(bobs, subject="nobody")):
        with pytest.raises(NotFound):
            world.unlink(identity)
    assert world.identities("usr_bob") == MALLORYS_FIRST


# --- C-106, C-107 ---------------------------------------------------------------------------------------------------


def test_c106_taken_and_refused_read_the_same_at_the_provider(world) -> None:
    """Until the client confirms, nothing differs between an identity that is free and one that is somebody's."""
    world.link(MALLORY, own=MALLORYS, account=SECOND_OF_MALLORY)

    taken = world.link_at("second", world.prove(world.open_link()), account=SECOND_OF_MALLORY)
    free = world.link_at("second", world.prove(world.open_link()), account=SECOND_OF_ALICE)

    assert set(taken.told) == set(free.told) == {"identity_link", "confirmation", "state"}


def test_c107_a_subject_with_another_address_is_told_in_the_trail(deployment) -> None:
    """
    A recycled account cannot be told from a person who changed his address: OpenID Connect Core section 2 forbids it to
    the provider. What changed is audited, and nobody who has the new address is touched.
    """
    alice = deployment.sub(deployment.sign_in())
    bob = deployment.sub(
        deployment.sign_in(account=Account("bob", {"email": "bob@example.com", "email_verified": True}))
    )

    told(deployment.sign_in(account=Account("alice", {"email": "bob@example.com", "email_verified": True})))

    users = deployment.wiring.users
    changes = [
        e.details["changed"] for e in deployment.wiring.audit.for_user(alice, limit=20)[0] if e.action == "user.updated"
    ]
    assert changes == ["email"]
    assert {i.subject for i in users.identities(bob)} == {"bob"}
    assert {i.subject for i in users.identities(alice)} == {"alice"}


def test_who_is_suspended_links_nothing(world) -> None:
    """Neither by proving himself nor by confirming."""
    back = world.link_at("second", world.prove(world.open_link()), account=SECOND_OF_ALICE)
    opened = world.open_link()
    user = world.wiring.users.get("usr_alice")
    suspended = replace(user, status="suspended")
    world.wiring.users.update(suspended, expected_version=user.version, audit=world.event("user.suspended"))

    for attempt in (lambda: world.confirm_link(back), lambda: world.prove(opened)):
        with pytest.raises(GrantkeeperError):
            attempt()
    assert world.identities() == FIRST
