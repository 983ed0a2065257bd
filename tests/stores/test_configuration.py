"""Provider records, registrations and their secrets."""

from __future__ import annotations

import time
from typing import Any

import pytest

from grantkeeper.errors import ProviderNotConfigured, StoreUnavailable
from grantkeeper.model import ProviderCredentials
from grantkeeper.stores.credentials import RegisteredCredentials
from grantkeeper.stores.providers import DynamoProviders
from grantkeeper.stores.secrets import SsmSecrets
from tests.doubles.aws import InMemorySsm, memory_wiring
from tests.stores.records import DAY, NOON, event, race

REGISTRATIONS = [
    {"client_id": "new", "secret_parameter": "/gk/google/new", "state": "active"},
    {"client_id": "old", "secret_parameter": "/gk/google/old", "state": "retiring"},
]


class Clock:
    now = float(NOON)

    def __call__(self) -> float:
        return self.now


def put(providers: Any, provider_id: str, **parts: Any) -> None:
    given = {"record": None, "registrations": None, "disabled": None, **parts}
    providers.put(provider_id, **given, audit=event("provider.changed", provider=provider_id))


def providers_of(world: Any, clock: Clock) -> DynamoProviders:
    return DynamoProviders(world.aws.dynamodb, world.env["GRANTS_TABLE"], world.env["AUDIT_TABLE"], clock=clock)


def test_each_part_of_a_provider_is_kept_when_another_is_changed(world: Any) -> None:
    """Switching a provider off forgets neither its record nor its registrations."""
    providers = world.provider_items
    record = {"id": "acme", "nonce": False, "scope": {"separator": ","}, "services": [], "empty": "", "number": 1.5}
    put(providers, "acme", record=record)
    put(providers, "acme", registrations=REGISTRATIONS)
    put(providers, "acme", disabled=True)
    put(providers, "google", registrations=[])
    assert providers.disabled() == {"acme"}
    assert [dict(r) for r in providers.registrations()["acme"]] == REGISTRATIONS
    overrides = providers.overrides()
    assert set(overrides) == {"acme"}
    assert {**overrides["acme"], "services": list(overrides["acme"]["services"])} == record
    put(providers, "acme", disabled=False)
    assert providers.disabled() == frozenset()
    assert len(world.audit.day(DAY, limit=99)[0]) == 5


def test_d01_a_record_may_hold_any_text(world: Any) -> None:
    """Names and values of a record are data: nothing in them is an expression."""
    odd = {"#name": ":value", "a.b[0]": "SET x = :y", "size": "REMOVE pk", "words": ["", "#", "'; --"]}
    put(world.provider_items, "acme#1.[0]", record=odd)
    (stored,) = world.provider_items.overrides().items()
    assert stored == ("acme#1.[0]", {**odd, "words": tuple(odd["words"])})


def test_what_was_read_serves_for_a_minute_and_an_hour_when_the_store_is_down(world: Any) -> None:
    """A deployment goes on signing users in through a short outage."""
    clock = Clock()
    providers = providers_of(world, clock)
    put(providers, "google", registrations=REGISTRATIONS)
    providers.registrations()
    put(providers_of(world, clock), "google", disabled=True)
    assert providers.disabled() == frozenset()
    clock.now += 61
    assert providers.disabled() == {"google"}
    world.aws.dynamodb.faults.throttle("query", times=99, code="AccessDeniedException")
    clock.now += 61
    assert providers.disabled() == {"google"}
    clock.now += 3600
    with pytest.raises(StoreUnavailable):
        providers.disabled()


def test_d22_an_environment_that_was_frozen_reads_again(world: Any) -> None:
    """Age is wall time, and a clock that went back makes nothing fresh for ever."""
    clock = Clock()
    providers = providers_of(world, clock)
    providers.disabled()
    put(providers_of(world, clock), "google", disabled=True)
    clock.now -= 7200
    assert providers.disabled() == {"google"}


# --- secrets ---


def test_a_secret_is_read_at_first_use_and_again_after_five_minutes() -> None:
    """A rotated one is taken up without a deployment."""
    ssm, clock = InMemorySsm(parameters={"/gk/a": "one"}), Clock()
    secrets = SsmSecrets(ssm, clock=clock)
    assert [secrets.get("/gk/a") for _ in range(5)] == ["one"] * 5
    assert ssm.faults.count("get_parameter") == 1
    ssm.parameters["/gk/a"] = "two"
    clock.now += 299
    assert secrets.get("/gk/a") == "one"
    clock.now += 2
    assert secrets.get("/gk/a") == "two"


def test_threads_that_miss_a_secret_together_read_it_once() -> None:
    """Parameter Store answers forty times a second for the whole account: a batch's threads would use up most of it."""
    ssm = InMemorySsm(parameters={"/gk/a": "one"})
    ssm.faults.yield_point = lambda *_: time.sleep(0.1)
    secrets = SsmSecrets(ssm)
    assert race(25, lambda _: secrets.get("/gk/a")) == ["one"] * 25
    assert ssm.faults.count("get_parameter") == 1


def test_a_secret_that_cannot_be_read_is_served_for_an_hour() -> None:
    """And not for longer; one never read is not served at all."""
    ssm, clock = InMemorySsm(parameters={"/gk/a": "one"}), Clock()
    secrets = SsmSecrets(ssm, clock=clock)
    secrets.get("/gk/a")
    ssm.faults.throttle("get_parameter", times=999, code="AccessDeniedException")
    clock.now += 3599
    assert secrets.get("/gk/a") == "one"
    clock.now += 2
    with pytest.raises(StoreUnavailable):
        secrets.get("/gk/a")
    with pytest.raises(StoreUnavailable):
        secrets.get("/gk/b")


def test_a_secret_that_is_put_is_read_back_at_once() -> None:
    """Encrypted, and in place of the old one."""
    ssm = InMemorySsm(parameters={"/gk/a": "one"})
    secrets = SsmSecrets(ssm)
    assert secrets.get("/gk/a") == "one"
    secrets.put("/gk/a", "two")
    assert secrets.get("/gk/a") == "two"
    ((_, request),) = [call for call in ssm.faults.calls if call[0] == "put_parameter"]
    assert request["Type"] == "SecureString"


def test_a_secret_is_written_under_the_key_that_the_roles_may_use() -> None:
    """They open nothing that the account's default key encrypts."""
    wiring = memory_wiring(TABLE_KEY_ARN="arn:aws:kms:eu-west-1:111122223333:key/table")
    wiring.secrets.put("/grantkeeper/stack/providers/google/1", "secret")
    ((_, request),) = wiring.aws.ssm.faults.calls
    assert request["KeyId"] == "arn:aws:kms:eu-west-1:111122223333:key/table"


# --- credentials ---


def credentials_of(world: Any) -> RegisteredCredentials:
    world.aws.ssm.parameters |= {"/gk/google/new": "new secret", "/gk/google/old": "old secret"}
    put(world.provider_items, "google", registrations=REGISTRATIONS)
    return RegisteredCredentials(world.provider_items, world.secrets)


def test_new_trips_are_made_with_the_newest_live_registration(memory: Any) -> None:
    """A retiring one serves what was made with it, and nothing new."""
    credentials = credentials_of(memory)
    assert credentials.active("google") == ProviderCredentials("google", "new", "new secret")
    old = credentials.by_client_id("google", "old")
    assert (old.client_secret, old.state) == ("old secret", "retiring")
    put(memory.provider_items, "google", registrations=REGISTRATIONS[1:])
    with pytest.raises(ProviderNotConfigured):
        credentials.active("google")


def test_without_a_registration_there_are_no_credentials(memory: Any) -> None:
    """Neither of an unknown provider nor of an unknown client id."""
    credentials = credentials_of(memory)
    with pytest.raises(ProviderNotConfigured):
        credentials.active("github")
    with pytest.raises(ProviderNotConfigured):
        credentials.by_client_id("google", "gone")


def test_a_registration_without_a_secret_reads_none(memory: Any) -> None:
    """Public registrations, and those that sign with a key."""
    put(memory.provider_items, "acme", registrations=[{"client_id": "public", "auth_method": "none"}])
    assert memory.credentials.active("acme") == ProviderCredentials("acme", "public", None, "none")
    assert memory.aws.ssm.faults.count("get_parameter") == 0
