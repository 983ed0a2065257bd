"""How the deployment does: every part told, the worst of them on top, and no part hidden by another."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper.services.admin_providers import list_providers
from grantkeeper.services.deep_health import HealthPorts, deep_health
from tests.doubles.aws import ENVIRONMENT
from tests.doubles.deployment import deployment, register_provider
from tests.doubles.kms import VAULT_KEY_ARN, InMemoryKms
from tests.doubles.provider import NOON, FakeProvider
from tests.stores.records import event

QUIET = {"due": 0, "sent": 0, "held_back": 0, "left": 0, "oldest_due": 0, "shards": 16, "shards_unread": 0}


@pytest.fixture
def world() -> Any:
    wiring = deployment()
    register_provider(wiring, FakeProvider(now=NOON))
    wiring.sweep_mark.put({"at": NOON - 40, **QUIET})
    ring = wiring.signing_keys.load()
    young = tuple(replace(key, active_from=NOON - 86_400) for key in ring.keys)
    wiring.signing_keys.replace(replace(ring, version=ring.version + 1, keys=young), audit=event())
    wiring.aws.__dict__["kms"] = InMemoryKms()  # a deployment's is one for the whole run
    return wiring


def health(world: Any, *, deadline: float = 6.0, now: int = NOON) -> Any:
    ports = HealthPorts(
        probes=world.probes,
        sweep_mark=world.sweep_mark,
        signing_keys=world.signing_keys,
        providers=lambda: list_providers(
            catalog=world.catalog,
            provider_items=world.provider_items,
            breakers=world.breakers_seen,
            counters=world.counters,
            now=now,
        ),
    )
    return deep_health(ports, now=now, deadline=deadline)


def odd(world: Any, **more: Any) -> dict[str, Any]:
    """The parts that are not well."""
    return {check.name: check for check in health(world, **more).checks if check.status != "ok"}


def test_all_is_well_in_a_deployment_that_is_left_alone(world: Any) -> None:
    """Nine parts, each with a sentence; and nothing was written for it."""
    before = world.aws.dynamodb.dump("grants")
    found = health(world)
    assert (found.status, odd(world)) == ("ok", {})
    assert len(found.checks) == 9
    assert all(check.detail.endswith(".") for check in found.checks)
    assert world.aws.dynamodb.dump("grants") == before


def test_one_part_that_fails_hides_none_of_the_others(world: Any) -> None:
    """It is told with AWS's word for it, and the rest is as it is."""
    world.aws.kms.faults.throttle("describe_key", times=50, code="AccessDeniedException")
    world.aws.cloudwatch.faults.throttle("describe_alarms", times=50, code="AccessDenied")
    found = odd(world)
    assert {name: check.status for name, check in found.items()} == {"vault_key": "failing", "alarms": "failing"}
    assert found["vault_key"].measured == {"error": "StoreUnavailable", "code": "AccessDeniedException"}


def test_a_part_that_hangs_is_given_up(world: Any, monkeypatch: Any) -> None:
    """The answer comes in time, without it."""
    release = threading.Event()
    monkeypatch.setattr(world.probes, "queues", lambda: release.wait(30))
    try:
        found = odd(world, deadline=0.3)
    finally:
        release.set()
    assert set(found) == {"queues"}
    assert found["queues"].status == "failing"
    assert "0.3 seconds" in found["queues"].detail


def test_a_bug_in_one_part_is_told_without_its_words(world: Any, monkeypatch: Any) -> None:
    """A message may quote what it should not."""

    def broken() -> Any:
        raise KeyError("secret")

    monkeypatch.setattr(world.probes, "vault_key", broken)
    found = odd(world)["vault_key"]
    assert (found.status, found.measured) == ("failing", {"error": "KeyError"})


@pytest.mark.parametrize(
    ("age", "status"), [(0, None), (150, None), (151, "warning"), (300, "warning"), (301, "failing"), (-60, None)]
)
def test_a_schedule_that_stopped_is_told(world: Any, age: int, status: str | None) -> None:
    """A sweep comes every minute; a clock that is behind ours is no sweep from the future."""
    world.sweep_mark.put({"at": NOON - age, **QUIET})
    found = odd(world).get("schedule")
    assert (None if found is None else found.status) == status


def test_a_deployment_that_was_never_swept_is_no_failure_yet(world: Any) -> None:
    """Its first minute."""
    world.aws.dynamodb.forget("grants", {"pk": {"S": "CONFIG"}, "sk": {"S": "SWEEP"}})
    assert {name: check.status for name, check in odd(world).items()} == {"schedule": "warning", "due": "warning"}


@pytest.mark.parametrize(
    ("facts", "status"),
    [({"oldest_due": 121}, "warning"), ({"oldest_due": 301}, "failing"), ({"shards_unread": 1}, "warning")],
)
def test_due_work_that_waits_is_told(world: Any, facts: dict[str, int], status: str) -> None:
    """By what the last sweep saw."""
    world.sweep_mark.put({"at": NOON, **QUIET, **facts})
    assert {name: check.status for name, check in odd(world).items()} == {"due": status}


@pytest.mark.parametrize(
    ("queue", "status"),
    [("dead_letters", "warning"), ("rescue", "warning"), ("rescue_dead_letters", "failing")],
)
def test_what_waits_for_a_person_is_told(world: Any, queue: str, status: str) -> None:
    """An answer that was given up is worst: its grant may be lost."""
    url = ENVIRONMENT[f"{queue.removesuffix('s').upper()}_QUEUE_URL"]
    world.aws.sqs.send_message(QueueUrl=url, MessageBody="{}")
    found = odd(world)
    assert {name: check.status for name, check in found.items()} == {"queues": status}
    assert found["queues"].measured == {"work": 0, "dead_letters": 0, "rescue": 0, "rescue_dead_letters": 0, queue: 1}


def test_a_key_that_is_disabled_is_told(world: Any) -> None:
    """By its state; the tables answer all the same."""
    world.aws.kms.disable(VAULT_KEY_ARN)
    found = odd(world)
    assert {name: check.measured for name, check in found.items()} == {"vault_key": {"state": "Disabled"}}


def test_a_table_that_does_not_answer_is_told(world: Any) -> None:
    """With the code of its refusal."""
    refused = "AccessDeniedException"
    world.aws.dynamodb.faults.throttle(
        "get_item", times=50, code=refused, when=lambda request: request["TableName"] == "audit"
    )
    assert odd(world)["tables"].measured["code"] == refused


def test_signing_keys_that_are_old_or_missing_are_told(world: Any) -> None:
    """Before the first one nobody can sign in."""
    later = odd(world, now=NOON + 101 * 86_400)
    assert later["signing_keys"].status == "warning"
    world.aws.dynamodb.forget("grants", {"pk": {"S": "SIGNER"}, "sk": {"S": "SIGNER"}})
    assert odd(world)["signing_keys"].status == "failing"


def test_providers_in_trouble_are_told_by_name(world: Any) -> None:
    """Those that are not called, those that refuse us, and those that are switched off, which is no trouble."""
    world.provider_items.put("github", record=None, registrations=None, disabled=True, audit=event())
    assert odd(world) == {}
    world.breakers.record_failure("google", now=NOON, retry_after=60)
    assert odd(world)["providers"].measured["breakers_open"] == ["google"]
    world.breakers.record_refusal("example", error="invalid_client", now=NOON)
    found = odd(world)["providers"]
    assert (found.status, found.measured["refuse_us"], found.measured["disabled"]) == (
        "warning", ["example"], ["github"],
    )  # fmt: skip


def test_t09_a_registration_without_its_secret_is_told_by_its_provider(world: Any) -> None:
    """No secret is read for it."""
    entry = {"client_id": "us", "secret_parameter": None, "state": "active"}
    world.provider_items.put("google", record=None, registrations=[entry], disabled=None, audit=event())
    reads = len(world.aws.ssm.faults.calls)
    assert odd(world)["provider_secrets"].measured["without_secret"] == ["google"]
    assert len(world.aws.ssm.faults.calls) == reads


def test_alarms_of_this_stack_that_ring_are_told(world: Any) -> None:
    """Those of a stack whose name begins alike are not ours."""
    world.aws.cloudwatch.states = {
        "grantkeeper-DeadLettersAlarm-1A2B3C": "ALARM",
        "grantkeeper-StreamAgeAlarm-1A2B3C": "INSUFFICIENT_DATA",
        "grantkeeper-RescueAlarm-1A2B3C": "OK",
        "grantkeeper-staging-RescueAlarm-1A2B3C": "ALARM",
        "grantkeeper2-RescueAlarm-1A2B3C": "ALARM",
    }
    found = odd(world)["alarms"]
    assert (found.status, found.measured) == (
        "warning", {"ringing": ["DeadLettersAlarm"], "alarms": 3, "without_data": 1},
    )  # fmt: skip
