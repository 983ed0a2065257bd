"""
How the deployment does, looked at part by part.

The parts are looked at at once, each for a few seconds at most. One that fails or hangs is told as such and hides none
of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Literal

from grantkeeper.admin_ports import Probes, SweepMark
from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import SigningKeyRing
from grantkeeper.ports import SigningKeys
from grantkeeper.providers.record import Provider
from grantkeeper.services.admin_providers import SeenProvider
from grantkeeper.services.rotate_keys import ALGORITHMS

Status = Literal["ok", "warning", "failing"]
WORST: tuple[Status, ...] = ("ok", "warning", "failing")

DEADLINE = 6.0  # seconds for all parts together
LATE, TOO_LATE = 150, 300  # seconds since the last sweep; it comes every minute
OVERDUE, LOST = 120, 300  # seconds that the oldest grant is overdue; 300 rings the alarm
CROWDED = 1000  # messages of work: the sweeper stops long before
OLD_KEY = 100 * 86_400  # seconds a signing key signs before the alarm rings; it is rotated after 90 days


@dataclass(frozen=True, slots=True)
class Check:
    """A part: how it does, in a sentence and in figures."""

    name: str
    status: Status
    detail: str
    measured: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """All parts, and the worst of them."""

    status: Status
    checks: Sequence[Check]


@dataclass(frozen=True, slots=True)
class HealthPorts:
    """What is looked at; `providers` is asked when its turn comes."""

    probes: Probes
    sweep_mark: SweepMark
    signing_keys: SigningKeys
    providers: Callable[[], Sequence[SeenProvider]]


def deep_health(ports: HealthPorts, *, now: int, deadline: float = DEADLINE) -> Health:
    """
    Look at everything.

    Args:
        ports: Where to look.
        now: Epoch seconds.
        deadline: Seconds after which what has not answered is told as failing.
    """
    parts: dict[str, Callable[[], Check]] = {
        "tables": lambda: _tables(ports.probes),
        "vault_key": lambda: _vault_key(ports.probes),
        "queues": lambda: _queues(ports.probes),
        "schedule": lambda: _schedule(ports.sweep_mark, now=now),
        "due": lambda: _due(ports.sweep_mark),
        "signing_keys": lambda: _signing_keys(ports.signing_keys, now=now),
        "providers": lambda: _providers(ports.providers()),
        "provider_secrets": lambda: _secrets(ports.providers()),
        "alarms": lambda: _alarms(ports.probes),
    }
    checks = _all_at_once(parts, deadline=deadline)
    return Health(max((check.status for check in checks), key=WORST.index), checks)


def _all_at_once(parts: Mapping[str, Callable[[], Check]], *, deadline: float) -> list[Check]:
    executor = ThreadPoolExecutor(max_workers=len(parts), thread_name_prefix="health")
    futures = {name: executor.submit(look) for name, look in parts.items()}
    wait(futures.values(), timeout=deadline)
    executor.shutdown(wait=False, cancel_futures=True)
    return [_outcome(name, future, deadline=deadline) for name, future in futures.items()]


def _outcome(name: str, future: Future[Check], *, deadline: float) -> Check:
    if not future.done() or future.cancelled():
        return Check(name, "failing", f"It did not answer within {deadline:g} seconds.")
    error = future.exception()
    if error is None:
        return future.result()
    code = error.extensions.get("code") if isinstance(error, GrantkeeperError) else None
    measured = {"error": type(error).__name__, **({"code": str(code)} if code else {})}
    return Check(name, "failing", "It could not be looked at.", measured)


def _tables(probes: Probes) -> Check:
    return Check(
        "tables", "ok", "Every table answers, so the key they are encrypted with is good.", probes.read_tables()
    )


def _vault_key(probes: Probes) -> Check:
    state = probes.vault_key()
    if state == "Enabled":
        return Check("vault_key", "ok", "The key of the vault is enabled.", {"state": state})
    return Check("vault_key", "failing", "The key of the vault is not enabled: no grant opens.", {"state": state})


def _queues(probes: Probes) -> Check:
    depths = probes.queues()
    if depths["rescue_dead_letters"]:
        return Check("queues", "failing", "Answers of providers were given up: redrive the rescue queue now.", depths)
    if depths["rescue"]:
        return Check("queues", "warning", "Answers of providers wait for the table to take them.", depths)
    if depths["dead_letters"]:
        return Check("queues", "warning", "What nobody could handle waits in the dead-letter queue.", depths)
    if depths["work"] > CROWDED:
        return Check("queues", "warning", "Work comes in faster than it is done.", depths)
    return Check("queues", "ok", "Nothing waits for a person.", depths)


def _schedule(sweep_mark: SweepMark, *, now: int) -> Check:
    facts = sweep_mark.read()
    if facts is None:
        return Check("schedule", "warning", "No sweep has got through yet.")
    age = max(0, now - facts["at"])
    measured = {"at": facts["at"], "age": age}
    if age > TOO_LATE:
        return Check("schedule", "failing", "No sweep gets through: nothing is refreshed ahead of time.", measured)
    if age > LATE:
        return Check("schedule", "warning", "The last sweep is late.", measured)
    return Check("schedule", "ok", "The sweeper gets through every minute.", measured)


def _due(sweep_mark: SweepMark) -> Check:
    facts = sweep_mark.read()
    if facts is None:
        return Check("due", "warning", "No sweep has told what is due yet.")
    measured = {name: value for name, value in facts.items() if name != "at"}
    if facts["oldest_due"] > LOST:
        return Check("due", "failing", "A grant has been due for over five minutes.", measured)
    if facts["oldest_due"] > OVERDUE or facts["shards_unread"]:
        return Check("due", "warning", "Due work waits, or part of the index could not be read.", measured)
    return Check("due", "ok", "What was due at the last sweep is under way.", measured)


def _signing_keys(signing_keys: SigningKeys, *, now: int) -> Check:
    ring = SigningKeyRing(keys=tuple(signing_keys.public()))
    active = {alg: ring.active(alg, now=now) for alg in ALGORITHMS}
    ages = {alg: now - key.active_from for alg, key in active.items() if key is not None}
    measured = {"age": ages, "published": len(ring.keys)}
    if len(ages) < len(ALGORITHMS):
        return Check("signing_keys", "failing", "A key to sign tokens with is missing.", measured)
    if max(ages.values()) > OLD_KEY:
        return Check("signing_keys", "warning", "A signing key should have been rotated days ago.", measured)
    return Check("signing_keys", "ok", "Tokens are signed with keys that are young enough.", measured)


def _providers(seen: Sequence[SeenProvider]) -> Check:
    down = sorted(each.provider.id for each in seen if each.breaker == "open")
    refusing = sorted(each.provider.id for each in seen if each.facts.refused_at)
    disabled = sorted(each.provider.id for each in seen if each.state == "disabled")
    measured = {"breakers_open": down, "refuse_us": refusing, "disabled": disabled}
    if refusing:
        return Check("providers", "warning", "A provider refuses our registration: an operator must act.", measured)
    if down:
        return Check("providers", "warning", "A provider is not called for a while, because it fails.", measured)
    return Check("providers", "ok", "No provider is known to be in trouble.", measured)


def _secrets(seen: Sequence[SeenProvider]) -> Check:
    missing = sorted(
        each.provider.id
        for each in seen
        if each.credentials.registered and not each.credentials.secret and _needs_secret(each.provider)
    )
    registered = sum(each.credentials.registered for each in seen)
    measured = {"registered": registered, "without_secret": missing}
    if missing:
        return Check("provider_secrets", "warning", "A registration has no secret although its record asks.", measured)
    return Check("provider_secrets", "ok", "Every registration that takes a secret names one.", measured)


def _needs_secret(provider: Provider) -> bool:
    return provider.protocol != "api_key" and provider.token_endpoint_auth_method.startswith("client_secret")


def _alarms(probes: Probes) -> Check:
    states = probes.alarms()
    ringing = sorted(name for name, state in states.items() if state == "ALARM")
    unknown = sum(state == "INSUFFICIENT_DATA" for state in states.values())
    measured = {"ringing": ringing, "alarms": len(states), "without_data": unknown}
    if ringing:
        return Check("alarms", "warning", "An alarm rings: docs/operations.md has its runbook.", measured)
    return Check("alarms", "ok", "No alarm rings, that of the streams' age among them.", measured)
