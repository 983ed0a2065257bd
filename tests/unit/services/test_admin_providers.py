"""Providers as operators see them, and the switch."""

from __future__ import annotations

from typing import Any

import pytest

from grantkeeper.counter_names import Counted
from grantkeeper.errors import BadRequest, UnknownProvider
from grantkeeper.services.acting import Acting
from grantkeeper.services.admin_providers import list_providers, parse_reason, switch_provider
from tests.doubles.aws import memory_wiring
from tests.stores.records import DAY, NOON, event

BY = Acting("user:usr_admin", NOON, "req")


@pytest.fixture
def world() -> Any:
    wiring = memory_wiring()
    wiring.breakers._clock = lambda: NOON
    for provider in ("google", "github"):
        configure(wiring, provider, {"client_id": "us", "secret_parameter": f"/p/{provider}", "state": "active"})
    return wiring


def configure(world: Any, provider: str, *registrations: dict[str, Any]) -> None:
    world.provider_items.put(provider, record=None, registrations=registrations, disabled=None, audit=event())


def seen(world: Any, *, now: int = NOON) -> dict[str, Any]:
    listed = list_providers(
        catalog=world.catalog,
        provider_items=world.provider_items,
        breakers=world.breakers_seen,
        counters=world.counters,
        now=now,
    )
    assert [each.provider.id for each in listed] == sorted(each.provider.id for each in listed)
    return {each.provider.id: each for each in listed}


def switch(world: Any, provider: str, *, disabled: bool, reason: str | None = None) -> None:
    switch_provider(
        provider, disabled=disabled, reason=reason, catalog=world.catalog, provider_items=world.provider_items, by=BY
    )


def test_every_provider_is_told_with_its_state(world: Any) -> None:
    """Available with a registration, not configured without; one of users' own keys needs none."""
    states = {name: each.state for name, each in seen(world).items()}
    assert (states["google"], states["notion"], states["heygen"]) == ("available", "not_configured", "available")


def test_t09_of_credentials_only_that_they_are_there_is_told(world: Any) -> None:
    """Neither their ids nor where their secrets are."""
    configure(world, "notion", {"client_id": "us", "secret_parameter": None, "state": "active"})
    configure(world, "google", {"client_id": "b", "secret_parameter": "/x", "state": "active"},
              {"client_id": "a", "secret_parameter": "/y", "state": "retiring"})  # fmt: skip
    told = {name: each.credentials for name, each in seen(world).items()}
    assert (told["google"].registered, told["google"].secret, told["google"].live) == (True, True, 2)
    assert (told["notion"].registered, told["notion"].secret) == (True, False)
    assert (told["slack"].registered, told["slack"].secret, told["slack"].live) == (False, False, 0)


def test_a_breaker_is_open_half_open_and_closed(world: Any) -> None:
    """An open one makes the provider degraded; when its time has passed it is tried again."""
    for _ in range(5):
        world.breakers.record_failure("google", now=NOON)
    google = seen(world)["google"]
    assert (google.state, google.breaker, google.facts.failures) == ("degraded", "open", 5)
    assert google.facts.open_until > NOON
    later = seen(world, now=google.facts.open_until)["google"]
    assert (later.state, later.breaker) == ("available", "half_open")
    world.breakers.record_success("google")
    closed = seen(world)["google"]
    assert (closed.state, closed.breaker, closed.facts.failures) == ("available", "closed", 0)
    assert closed.facts.closed_at == NOON


def test_the_last_refusal_of_our_registration_is_told_until_something_works(world: Any) -> None:
    """By the registered code alone."""
    world.breakers.record_refusal("google", error="invalid_client", now=NOON)
    google = seen(world)["google"]
    assert (google.state, google.facts.error, google.facts.refused_at) == ("degraded", "invalid_client", NOON)
    world.breakers.record_success("google")
    assert seen(world)["google"].facts.error == ""


def test_connections_are_counted_by_status_without_being_read(world: Any) -> None:
    """From the projector's counters."""
    changes = {"connections/google/active": 3, "connections/google/needs_reauth": 1, "users": 4, "refreshes/google": 9}
    world.counters.add_once([Counted("evt_1", NOON, changes)], now=NOON)
    calls = len(world.aws.dynamodb.faults.calls)
    told = seen(world)
    assert told["google"].connections == {"active": 3, "needs_reauth": 1}
    assert told["github"].connections == {}
    assert len(world.aws.dynamodb.faults.calls) - calls <= 4


def test_t12_a_provider_is_switched_off_and_on_with_who_and_why(world: Any) -> None:
    """By the item that sign-ins and connects already obey; its registration stays."""
    switch(world, "google", disabled=True, reason="incident 42")
    assert "google" in world.provider_items.disabled()
    assert seen(world)["google"].state == "disabled"
    assert seen(world)["google"].credentials.registered
    switch(world, "google", disabled=False)
    assert seen(world)["google"].state == "available"
    told = {e.action: e for e in world.audit.day(DAY, limit=99)[0] if e.actor == "user:usr_admin"}
    assert set(told) == {"provider.disabled", "provider.enabled"}
    assert (told["provider.disabled"].provider, told["provider.disabled"].details) == (
        "google",
        {"note": "incident 42"},
    )


def test_an_unknown_provider_is_not_switched(world: Any) -> None:
    """Nothing is written for it."""
    with pytest.raises(UnknownProvider):
        switch(world, "gogle", disabled=True)
    assert world.provider_items.disabled() == frozenset()


@pytest.mark.parametrize("body", [{"reason": ""}, {"reason": 7}, {"reason": "a" * 201}, {"reason": "a\nb"}, {"x": 1}])
def test_a_reason_is_a_short_line(body: dict[str, Any]) -> None:
    """It goes into the trail as it is."""
    with pytest.raises(BadRequest):
        parse_reason(body)


def test_a_reason_may_be_left_out() -> None:
    """An incident does not wait for words."""
    assert parse_reason({}) is None
    assert parse_reason({"reason": "incident 42"}) == "incident 42"
