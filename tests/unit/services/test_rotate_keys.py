"""The life of our own keys, minute by minute, over the real stores and a faithful KMS."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper import sealing
from grantkeeper.errors import NotFound, StoreUnavailable
from grantkeeper.key_maker import KmsKeyMaker
from grantkeeper.model import AuditEvent, SigningKey
from grantkeeper.services import rotate_keys
from grantkeeper.services.rotate_keys import (
    DAY,
    Operator,
    RotationSchedule,
    ensure_keys,
    revoke_signing_key,
    signing_key_age,
)
from grantkeeper.stores.branch_keys import DynamoBranchKeys
from grantkeeper.stores.signing_keys import DynamoSigningKeys
from tests.doubles.dynamodb import InMemoryDynamoDB
from tests.doubles.kms import VAULT_KEY_ARN, InMemoryKms
from tests.doubles.tables import create_tables

NOON = 1_800_000_000
SCHEDULE = RotationSchedule()


class Sweeper:
    """One execution environment; several may share a world."""

    def __init__(self, kms: InMemoryKms, dynamodb: InMemoryDynamoDB) -> None:
        self.now = NOON
        self.kms, self.dynamodb = kms, dynamodb
        self.key_maker = KmsKeyMaker(kms, VAULT_KEY_ARN)
        self.signing_keys = DynamoSigningKeys(dynamodb, "grants", "audit")
        self.branch_keys = DynamoBranchKeys(dynamodb, "grants", "audit", clock=lambda: self.now)

    def ensure(self, **schedule: int) -> list[AuditEvent]:
        return list(
            ensure_keys(
                key_maker=self.key_maker,
                signing_keys=self.signing_keys,
                branch_keys=self.branch_keys,
                now=self.now,
                schedule=replace(SCHEDULE, **schedule),
            )
        )

    def keys(self, alg: str) -> list[SigningKey]:
        return sorted((k for k in self.signing_keys.public() if k.alg == alg), key=lambda k: k.active_from)

    def revoke(self, kid: str) -> AuditEvent | None:
        return revoke_signing_key(kid, signing_keys=self.signing_keys, now=self.now, by=Operator("operator:ops"))

    def audited(self) -> list[str]:
        return sorted(item["action"]["S"] for item in self.dynamodb.dump("audit"))


def new_sweeper() -> Sweeper:
    dynamodb = InMemoryDynamoDB()
    create_tables(dynamodb)
    return Sweeper(InMemoryKms(), dynamodb)


@pytest.fixture
def sweeper() -> Sweeper:
    return new_sweeper()


def actions(events: list[AuditEvent]) -> list[str]:
    return sorted(event.action for event in events)


# --- the first minute ---


def test_the_first_keys_are_active_at_once(sweeper):
    """A fresh deployment signs and seals after its first sweep: two signing keys, a branch key for each bucket."""
    changed = sweeper.ensure()

    assert actions(changed) == ["branch_key.created"] * 16 + ["signing_key.published"] * 2
    for alg in ("ES256", "RS256"):
        (key,) = sweeper.keys(alg)
        assert (key.active_from, key.retire_at, key.state) == (NOON, None, "live")
    assert all(sweeper.branch_keys.newest(bucket).version == 1 for bucket in range(sealing.BUCKETS))


def test_nobody_sees_a_private_key(sweeper):
    """Only the calls without plaintext are made, and what is stored opens by KMS alone."""
    sweeper.ensure()

    assert {name for name, _ in sweeper.kms.faults.calls} == {
        "generate_data_key_without_plaintext",
        "generate_data_key_pair_without_plaintext",
    }
    assert {context["purpose"] for context in sweeper.kms.contexts()} == {"branch", "signing"}


def test_done_again_it_changes_nothing(sweeper):
    """A day of sweeps: no call of KMS, no write, no audit entry."""
    sweeper.ensure()
    calls = len(sweeper.kms.faults.calls)

    for _ in range(1440):
        sweeper.now += 60
        assert sweeper.ensure() == []

    assert len(sweeper.kms.faults.calls) == calls
    assert sweeper.dynamodb.faults.count("transact_write_items") == 18


def test_every_change_has_its_audit_entry_with_ids_and_no_key(sweeper):
    """Who, what, which kid; never a wrapped half."""
    changed = sweeper.ensure()

    assert sweeper.audited() == actions(changed)
    event = next(event for event in changed if event.action == "signing_key.published")
    assert event.actor == "system:sweeper"
    assert set(event.details) == {"kid", "alg", "active_from"}
    branch = next(event for event in changed if event.action == "branch_key.created")
    assert set(branch.details) == {"bucket", "version"}


# --- rotation ---


def test_s25_a_later_key_is_published_a_day_before_it_signs(sweeper):
    """And the old one stays until a day after: longer than any of its tokens lives."""
    sweeper.ensure()
    (first,) = sweeper.keys("ES256")
    sweeper.now = NOON + 89 * DAY - 60
    assert sweeper.ensure() == []

    sweeper.now = NOON + 89 * DAY
    changed = sweeper.ensure()

    assert actions(changed) == ["signing_key.published"] * 2
    old, new = sweeper.keys("ES256")
    assert new.active_from == NOON + 90 * DAY
    assert old == replace(first, retire_at=new.active_from + SCHEDULE.keep)
    ring = sweeper.signing_keys.load()
    assert ring.active("ES256", now=NOON + 90 * DAY - 1).kid == old.kid
    assert ring.active("ES256", now=NOON + 90 * DAY).kid == new.kid


def test_s25_a_sweeper_that_slept_still_publishes_a_day_ahead(sweeper):
    """Late is late: the successor does not sign before relying parties could have fetched it."""
    sweeper.ensure()
    sweeper.now = NOON + 200 * DAY
    sweeper.ensure()

    old, new = sweeper.keys("RS256")
    assert new.active_from == sweeper.now + DAY
    assert old.retire_at == new.active_from + DAY


def test_an_old_key_leaves_when_its_last_token_has_expired(sweeper):
    """Its wrapped private half goes with it."""
    sweeper.ensure()
    (first,) = sweeper.keys("ES256")
    sweeper.now = NOON + 89 * DAY
    sweeper.ensure()
    sweeper.now = NOON + 91 * DAY - 1
    assert sweeper.ensure() == []
    assert first.kid in sweeper.signing_keys.load().wrapped

    sweeper.now += 1
    changed = sweeper.ensure()

    assert actions(changed) == ["signing_key.retired"] * 2
    ring = sweeper.signing_keys.load()
    assert first.kid not in {key.kid for key in ring.keys}
    assert set(ring.wrapped) == {key.kid for key in ring.keys}
    assert len(ring.keys) == 2


def test_s25_throughout_two_years_one_key_of_each_algorithm_signs(sweeper):
    """And at every switch the signing key had been published for a day, its predecessor stays for one."""
    published_at: dict[str, int] = {}
    signed_until: dict[str, int] = {}
    for step in range(2 * 365 * 4):
        sweeper.now = NOON + step * DAY // 4
        sweeper.ensure(branch_period=10**12)
        ring = sweeper.signing_keys.load()
        for key in ring.keys:
            published_at.setdefault(key.kid, sweeper.now)
        for alg in ("ES256", "RS256"):
            active = ring.active(alg, now=sweeper.now)
            assert active is not None
            assert published_at[active.kid] == NOON or published_at[active.kid] <= sweeper.now - DAY
            signed_until[active.kid] = sweeper.now
        for kid, last in signed_until.items():
            if sweeper.now - last < DAY:
                assert any(key.kid == kid and key.is_live(sweeper.now) for key in ring.keys)

    assert len(signed_until) == 2 * (1 + 2 * 365 // 90)


def test_periods_are_parameters(sweeper):
    """An operator in a hurry may have his keys changed daily."""
    sweeper.ensure()
    sweeper.now += 3600

    changed = sweeper.ensure(signing_period=7200, publish_ahead=3600, keep=60, branch_period=3600)

    assert actions(changed) == ["branch_key.created"] * 16 + ["signing_key.published"] * 2
    assert sweeper.keys("ES256")[1].active_from == NOON + 7200
    assert sweeper.branch_keys.newest(0).version == 2


def test_branch_keys_get_a_version_a_year_and_keep_the_old_ones(sweeper):
    """What the old version sealed must open for ever."""
    sweeper.ensure()
    sweeper.now += 365 * DAY
    sweeper.ensure()

    assert sweeper.branch_keys.newest(3).version == 2
    assert sweeper.branch_keys.get(3, 1).version == 1
    assert sweeper.branch_keys.get(3, 1).wrapped != sweeper.branch_keys.get(3, 2).wrapped


# --- races and faults ---


def test_racing_sweepers_make_each_key_once():
    """Eight sweepers meet in the first minute: two signing keys, sixteen branch keys, eighteen audit entries."""
    first = new_sweeper()
    sweepers = [first] + [Sweeper(first.kms, first.dynamodb) for _ in range(7)]
    start = threading.Barrier(8)
    changed: list[list[AuditEvent]] = []

    def sweep(sweeper: Sweeper) -> None:
        start.wait()
        changed.append(sweeper.ensure())

    threads = [threading.Thread(target=sweep, args=(sweeper,)) for sweeper in sweepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(changed) == 8
    assert sum(len(events) for events in changed) == 18
    assert len(first.audited()) == 18
    assert [len(first.keys(alg)) for alg in ("ES256", "RS256")] == [1, 1]


def test_a_loser_reads_again_and_goes_on(sweeper, monkeypatch):
    """Another sweeper writes the ring between our read and our write: nothing of it is lost."""
    rival = Sweeper(sweeper.kms, sweeper.dynamodb)
    load = sweeper.signing_keys.load

    def load_and_lose() -> Any:
        ring = load()
        monkeypatch.undo()
        rival.ensure()
        return ring

    monkeypatch.setattr(sweeper.signing_keys, "load", load_and_lose)

    assert sweeper.ensure() == []
    assert [len(sweeper.keys(alg)) for alg in ("ES256", "RS256")] == [1, 1]
    assert len(sweeper.audited()) == 18


def test_a_loser_never_overwrites_the_key_of_the_winner(sweeper, monkeypatch):
    """The other sweeper made one key and died: ours adds the one that is missing and leaves the first alone."""
    rival = Sweeper(sweeper.kms, sweeper.dynamodb)
    load = sweeper.signing_keys.load

    def load_and_lose() -> Any:
        ring = load()
        monkeypatch.undo()
        sweeper.kms.faults.throttle(
            "generate_data_key_pair_without_plaintext", when=lambda request: request["KeyPairSpec"] == "RSA_2048"
        )
        with pytest.raises(StoreUnavailable):
            rival.ensure()
        return ring

    monkeypatch.setattr(sweeper.signing_keys, "load", load_and_lose)
    changed = sweeper.ensure()

    assert actions(changed).count("signing_key.published") == 1
    assert [len(sweeper.keys(alg)) for alg in ("ES256", "RS256")] == [1, 1]
    audited = [item["details"]["M"] for item in sweeper.dynamodb.dump("audit") if "kid" in item["details"]["M"]]
    assert {details["kid"]["S"] for details in audited} == {key.kid for key in sweeper.signing_keys.public()}


@pytest.mark.parametrize("lost", ["lose_acknowledgement", "retry_silently"])
def test_a_lost_acknowledgement_changes_nothing_twice(sweeper, lost):
    """The transaction is repeated under its request token."""
    getattr(sweeper.dynamodb.faults, lost)("transact_write_items", times=3)
    sweeper.ensure()

    assert [len(sweeper.keys(alg)) for alg in ("ES256", "RS256")] == [1, 1]
    assert len(sweeper.audited()) == 18


def test_kms_trouble_half_way_is_finished_by_the_next_sweep(sweeper):
    """What was written stands, with its audit entry; nothing is half there."""
    sweeper.kms.faults.throttle(
        "generate_data_key_without_plaintext",
        code="ThrottlingException",
        when=lambda request: request["EncryptionContext"]["bucket"] == "5",
    )
    with pytest.raises(StoreUnavailable):
        sweeper.ensure()
    sweeper.now += 60

    assert actions(sweeper.ensure()) == ["branch_key.created"] * 11
    assert len(sweeper.audited()) == 18
    assert sweeper.ensure() == []


def test_a_write_without_its_audit_entry_does_not_happen(sweeper):
    """Both stand in one transaction: when the audit table refuses, so does the key."""
    ring = sweeper.signing_keys.load()
    event = AuditEvent("evt_1", NOON, "signing_key.published", "system:sweeper")
    assert sweeper.signing_keys.replace(replace(ring, version=1), audit=event)

    assert not sweeper.signing_keys.replace(replace(ring, version=2), audit=event)
    assert sweeper.signing_keys.load().version == 1


# --- revocation ---


def test_s26_a_revoked_key_is_gone_at_once_and_replaced_by_the_next_sweep(sweeper):
    """It is published no more and its private half is deleted; the replacement signs at once."""
    sweeper.ensure()
    (key,) = sweeper.keys("ES256")

    event = sweeper.revoke(key.kid)

    assert (event.action, event.actor, event.details["kid"]) == ("signing_key.revoked", "operator:ops", key.kid)
    ring = sweeper.signing_keys.load()
    assert ring.live("ES256", now=NOON) == []
    assert key.kid not in ring.wrapped

    assert actions(sweeper.ensure()) == ["signing_key.published"]
    assert sweeper.signing_keys.load().active("ES256", now=NOON).kid != key.kid
    assert len(sweeper.keys("RS256")) == 1


def test_s26_a_successor_already_published_signs_in_its_place(sweeper):
    """Nobody waits for the next sweep when relying parties know the next key."""
    sweeper.ensure()
    sweeper.now = NOON + 89 * DAY
    sweeper.ensure()
    old, new = sweeper.keys("ES256")

    sweeper.revoke(old.kid)

    assert sweeper.signing_keys.load().active("ES256", now=sweeper.now).kid == new.kid
    assert sweeper.ensure() == []


def test_s26_revoking_the_successor_leaves_the_old_key_and_plans_another(sweeper):
    """The key in use does not retire before the new successor took over."""
    sweeper.ensure()
    sweeper.now = NOON + 89 * DAY
    sweeper.ensure()
    old, planned = sweeper.keys("ES256")

    sweeper.revoke(planned.kid)
    sweeper.now += 3600
    assert actions(sweeper.ensure()) == ["signing_key.published"]

    ring = sweeper.signing_keys.load()
    assert ring.active("ES256", now=sweeper.now).kid == old.kid
    newest = ring.live("ES256", now=sweeper.now)[-1]
    assert newest.kid not in {old.kid, planned.kid}
    assert newest.active_from == sweeper.now + DAY
    assert next(key for key in ring.keys if key.kid == old.kid).retire_at == newest.active_from + DAY


def test_revoking_twice_is_one_revocation_and_an_unknown_kid_is_said_so(sweeper):
    """Idempotent; a typo is not silently fine."""
    sweeper.ensure()
    (key,) = sweeper.keys("RS256")

    assert sweeper.revoke(key.kid) is not None
    assert sweeper.revoke(key.kid) is None
    assert sweeper.audited().count("signing_key.revoked") == 1
    with pytest.raises(NotFound):
        sweeper.revoke("x" * 43)


def test_a_revoked_key_is_listed_a_day_and_then_forgotten(sweeper):
    """The operator sees what he did; after that the audit trail remembers."""
    sweeper.ensure()
    (key,) = sweeper.keys("ES256")
    sweeper.revoke(key.kid)
    sweeper.ensure()
    assert [k.state for k in sweeper.keys("ES256") if k.kid == key.kid] == ["revoked"]

    sweeper.now += DAY
    assert actions(sweeper.ensure()) == ["signing_key.retired"]
    assert key.kid not in {k.kid for k in sweeper.keys("ES256")}


def test_a_revocation_wins_against_writers_that_come_between(sweeper, monkeypatch):
    """It reads again and writes on top; it does not overwrite them."""
    sweeper.ensure()
    (key,) = sweeper.keys("ES256")
    rival = Sweeper(sweeper.kms, sweeper.dynamodb)
    load = sweeper.signing_keys.load

    def load_and_lose() -> Any:
        ring = load()
        monkeypatch.undo()
        rival.now = NOON + 89 * DAY
        rival.ensure()
        return ring

    monkeypatch.setattr(sweeper.signing_keys, "load", load_and_lose)
    sweeper.now = NOON + 89 * DAY

    assert sweeper.revoke(key.kid) is not None
    assert [k.state for k in sweeper.keys("ES256")] == ["revoked", "live"]


def test_the_age_of_the_oldest_key_in_use_is_what_the_alarm_watches(sweeper):
    """Zero without keys, and growing when rotation stands still."""
    assert signing_key_age(sweeper.signing_keys.load(), now=NOON) == 0
    sweeper.ensure()

    assert signing_key_age(sweeper.signing_keys.load(), now=NOON + 95 * DAY) == 95 * DAY


def test_keys_are_kept_longer_than_any_token_lives():
    """Access tokens live 15 minutes; a day covers ID tokens, clocks and caches as well."""
    assert SCHEDULE.keep >= 3600
    assert SCHEDULE.publish_ahead >= DAY
    assert rotate_keys.ALGORITHMS == ("ES256", "RS256")
