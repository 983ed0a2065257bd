"""What the providers say of a person, identity by identity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.model import Identity, Profile
from grantkeeper.services.provider_facts import first_identity, following, source, sync_at_sign_in, told_again
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import ALICE, audit_event, trail
from tests.doubles.errand_world import link_identity
from tests.doubles.provider import NOON

GOOGLE = first_identity(
    Profile("g", email="alice@example.com", email_verified=True, name="Alice", locale="en"),
    issuer="https://google.example", subject="g", sub=ALICE.sub, provider="google", now=NOON,
)  # fmt: skip
GITHUB = first_identity(
    Profile("h", email="ally@example.com", name="ally", avatar_url="https://pictures.example/ally"),
    issuer="https://github.example", subject="h", sub=ALICE.sub, provider="github", now=NOON + 5,
)  # fmt: skip
OWN_ID = Identity("client:app", "42", ALICE.sub, "client:app", NOON - 5)


@pytest.fixture
def wiring():
    wiring = memory_wiring()
    wiring.users.provision(following(ALICE, [GOOGLE, GITHUB]), GOOGLE, audit=audit_event("user.provisioned"))
    link_identity(wiring, GITHUB, audit=audit_event("identity.linked"))
    return wiring


def test_each_fact_is_the_word_of_the_identity_linked_first_that_has_one():
    """A client's own user id tells nothing of a person; a later identity fills what the first leaves out."""
    linked = [OWN_ID, GOOGLE, GITHUB]
    user = following(ALICE, linked)

    assert (user.name, user.email, user.email_verified) == ("Alice", "alice@example.com", True)
    assert (user.avatar_url, user.locale) == ("https://pictures.example/ally", "en")
    assert [source(user, linked, name) for name in ("email", "avatar_url")] == [GOOGLE, GITHUB]


def test_an_address_is_verified_by_its_own_source_only():
    """The identity whose address it is says whether it is verified (C-101)."""
    unverified = replace(GOOGLE, email=None, email_verified=True)
    user = following(ALICE, [unverified, GITHUB])

    assert (user.email, user.email_verified) == ("ally@example.com", False)


def test_what_an_unlinked_identity_said_goes_with_it():
    """Nothing of a provider's word outlives the link to it."""
    user = following(following(ALICE, [GOOGLE, GITHUB]), [GITHUB])

    assert (user.name, user.email, user.email_verified, user.locale) == ("ally", "ally@example.com", False, None)


def test_an_identity_from_before_facts_were_kept_has_told_what_the_user_record_says():
    """Nobody loses a name by an upgrade."""
    old = Identity("https://google.example", "g", ALICE.sub, "google", NOON)

    assert following(ALICE, [old, GITHUB]) == replace(ALICE, avatar_url="https://pictures.example/ally")


def test_what_is_left_out_is_not_taken_back():
    """Apple names a person once; the time of the last sign-in moves all the same."""
    later = told_again(GOOGLE, Profile("g"), now=NOON + 60)

    assert later == replace(GOOGLE, synced_at=NOON + 60)


def test_a_change_is_named_and_stays_named_until_the_next():
    """Which fields, and when: also after sign-ins that brought nothing new."""
    moved = told_again(GOOGLE, Profile("g", name="Alicia", email="alice@example.com"), now=NOON + 60)
    same = told_again(moved, Profile("g", name="Alicia"), now=NOON + 90)

    assert (moved.changed, moved.email_verified) == (("email_verified", "name"), False)
    assert (same.changed, same.changed_at, same.synced_at) == (moved.changed, NOON + 60, NOON + 90)


def signed_in(wiring, identity, profile, *, now):
    user = wiring.users.get(ALICE.sub)
    event = replace(audit_event(""), time=now, actor="user:usr_alice")
    return sync_at_sign_in(user, identity, profile, users=wiring.users, event=event, now=now)


def test_a_sign_in_that_tells_nothing_new_moves_the_time_and_no_version(wiring):
    """One small write, no entry in the trail."""
    before, entries = wiring.users.get(ALICE.sub), len(trail(wiring))

    signed_in(wiring, GOOGLE, Profile("g", name="Alice"), now=NOON + 60)

    assert wiring.users.get(ALICE.sub) == before
    assert [i.synced_at for i in wiring.users.identities(ALICE.sub)] == [NOON + 60, NOON + 5]
    assert len(trail(wiring)) == entries


def test_a_second_identitys_change_is_kept_and_leaves_the_profile(wiring):
    """Its facts are its own; the profile follows the identity linked first."""
    signed_in(wiring, GITHUB, Profile("h", name="ally-cat"), now=NOON + 60)

    user = wiring.users.get(ALICE.sub)
    assert (user.name, wiring.users.identities(ALICE.sub)[1].name) == ("Alice", "ally-cat")
    (entry,) = [entry for entry in trail(wiring) if entry["action"] == "user.updated"]
    assert entry["details"] == {"changed": {"S": "name"}}
    assert "ally-cat" not in repr(entry)


def test_a_profile_that_moved_meanwhile_is_not_overwritten(wiring):
    """The user's own change wins; the next sign-in brings the rest."""
    stale = wiring.users.get(ALICE.sub)
    own = replace(stale, overrides={"name": "Al"})
    assert wiring.users.update(own, expected_version=stale.version, audit=audit_event("user.profile_changed"))

    event = replace(audit_event(""), time=NOON + 60)
    kept = sync_at_sign_in(stale, GOOGLE, Profile("g", name="B"), users=wiring.users, event=event, now=NOON + 60)

    assert kept == stale
    assert wiring.users.get(ALICE.sub).overrides == {"name": "Al"}
    assert signed_in(wiring, GOOGLE, Profile("g", name="B"), now=NOON + 90).shown("name") == "Al"
    assert wiring.users.get(ALICE.sub).name == "B"


def test_a_sign_in_goes_on_when_its_time_cannot_be_written_down(wiring):
    """Nothing was news, so nothing is lost."""
    wiring.aws.dynamodb.faults.throttle("update_item", times=50)

    assert signed_in(wiring, GOOGLE, Profile("g", name="Alice"), now=NOON + 60) == wiring.users.get(ALICE.sub)


def test_of_two_sign_ins_at_once_the_one_without_news_undoes_nothing(wiring):
    """It read before the other wrote, and writes after it."""
    told = told_again(GOOGLE, Profile("g", name="Alicia"), now=NOON + 60)
    assert wiring.users.sync(told, user=None, audit=audit_event("user.updated"))
    assert wiring.users.sync(replace(GOOGLE, synced_at=NOON + 61), user=None, audit=None)

    assert wiring.users.identities(ALICE.sub)[0] == replace(told, synced_at=NOON + 61)
