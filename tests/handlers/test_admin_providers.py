"""The function `admin`: providers, and that one that is switched off takes nobody in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doubles.api import api_of
from tests.doubles.connect_world import BACK, SERVICE
from tests.doubles.deployment import trail
from tests.support.desk import person

PROVIDERS, DISABLE, ENABLE = (
    "/v1/admin/providers",
    "/v1/admin/providers/{id}/disable",
    "/v1/admin/providers/{id}/enable",
)


@pytest.fixture
def api(monkeypatch: Any) -> Any:
    return api_of(monkeypatch, "admin", "connections", "refresh")


def switch(api: Any, route: str, provider: str, as_: dict[str, str], body: dict[str, Any]) -> Any:
    return api.call("POST", route.replace("{id}", provider), route=route, as_=as_, json=body)


def seen(api: Any, provider: str = "example") -> Any:
    listed = api.call("GET", PROVIDERS, as_=api.key(None, "admin:read")).body["providers"]
    return next(each for each in listed if each["id"] == provider)


def test_t09_providers_are_told_without_anything_of_their_credentials(api: Any) -> None:
    """That they are there; not the client's id, not where the secret is, not the secret."""
    answer = api.call("GET", PROVIDERS, as_=api.key(None, "admin:read"))
    told = next(each for each in answer.body["providers"] if each["id"] == "example")
    assert told["credentials"] == {"registered": True, "secret": True, "live": 1}
    assert (told["state"], told["breaker"]["state"], told["last_error"]) == ("available", "closed", None)
    (entry,) = api.world.wiring.provider_items.registrations()["example"]
    for hidden in (entry["client_id"], entry["secret_parameter"], *api.world.wiring.aws.ssm.parameters.values()):
        assert f'"{hidden}"'.encode() not in answer.raw


def test_a_provider_in_trouble_is_told_as_such(api: Any) -> None:
    """Its breaker, and by which word it refuses us."""
    api.world.wiring.breakers.record_failure("example", now=api.world.now, retry_after=60)
    api.world.wiring.breakers.record_refusal("example", error="invalid_client", now=api.world.now)
    told = seen(api)
    assert (told["state"], told["breaker"]["state"]) == ("degraded", "open")
    assert told["breaker"]["open_until"] == api.world.now + 60
    assert told["last_error"] == {"at": api.world.now, "error": "invalid_client"}


def test_a_disabled_provider_takes_nobody_in_and_keeps_what_there_is(api: Any) -> None:
    """No new connection; those there are get their tokens as before, or disabling would lose them."""
    operator, connection = api.key(None, "admin:write"), api.world.connect()
    key = api.key("app", "connections:read", "connections:write", "connections:token")
    body = {"service": SERVICE, "redirect_uri": BACK, "user_sub": "usr_alice"}

    def connects() -> int:
        return int(api.call("POST", "/v1/connect-sessions", as_=key, json=body).status)

    def token() -> int:
        path, route = f"/v1/connections/{connection.id}/token", "/v1/connections/{id}/token"
        return int(api.call("GET", path, route=route, as_=key).status)

    assert (connects(), token()) == (201, 200)
    disabled = switch(api, DISABLE, "example", operator, {"reason": "incident 42"})
    assert (disabled.status, disabled.body["state"]) == (200, "disabled")
    assert (connects(), token()) == (409, 200)
    assert switch(api, ENABLE, "example", operator, {}).body["state"] == "available"
    assert connects() == 201
    told = [entry for entry in trail(api.world.wiring) if entry["action"].startswith("provider.")]
    assert sorted(entry["action"] for entry in told if entry["actor"].startswith("key:")) == [
        "provider.disabled",
        "provider.enabled",
    ]


def test_an_auditor_sees_providers_and_switches_none(api: Any) -> None:
    """An admin does, at any age of his sign-in: it takes no power and gives none."""
    auditor = person(api, "auditor")
    assert api.call("GET", PROVIDERS, as_=auditor).status == 200
    assert switch(api, DISABLE, "example", auditor, {}).status == 403
    assert switch(api, DISABLE, "example", person(api, age=3600), {}).status == 200


def test_an_unknown_provider_is_not_found_and_a_long_reason_refused(api: Any) -> None:
    """Nothing is switched for it."""
    operator = api.key(None, "admin:write")
    assert switch(api, DISABLE, "gogle", operator, {}).status == 404
    assert switch(api, DISABLE, "example", operator, {"reason": "a" * 201}).status == 400
    path, route = DISABLE.replace("{id}", "example"), DISABLE
    assert api.call("POST", path, route=route, as_=operator).status == 400  # without a body
    assert seen(api)["state"] == "available"
