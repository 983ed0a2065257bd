"""
What audit entries mean to the outside: events on the bus, and counters.

Everything follows from the entries alone, so that a stream delivered again
says the same again: same event ids, same batch, no second effect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from grantkeeper.counter_names import COUNTER_NAME
from grantkeeper.model import AuditEvent
from grantkeeper.ports import Counters, EventBus

# action → detail type on the bus; what is not named here is for the trail alone
ANNOUNCED: Mapping[str, str] = {
    "user.provisioned": "User Provisioned",
    "user.signed_in": "User Signed In",
    "identity.linked": "Identity Linked",
    "identity.unlinked": "Identity Unlinked",
    "session.reuse_detected": "Refresh Token Reuse Detected",
    "connection.activated": "Connection Activated",
    "connection.needs_reauth": "Connection Needs Reauthorization",
    "connection.expiring": "Connection Expiring",
    "connection.revoked": "Connection Revoked",
    "consent.granted": "Consent Granted",
    "consent.withdrawn": "Consent Withdrawn",
    "grant.erased": "Grant Erased",
    "grant.tampering_detected": "Tampering Detected",
    "provider.degraded": "Provider Degraded",
    "provider.misconfigured": "Provider Misconfigured",
    "provider.recovered": "Provider Recovered",
    "signing_key.published": "Signing Key Published",
}

# action → counter, for what is simply counted
COUNTED: Mapping[str, str] = {
    "user.provisioned": "users",
    "user.signed_in": "sign_ins",
    "user.sign_in_refused": "sign_ins_refused",
    "grant.refreshed": "refreshes",
    "session.reuse_detected": "reuse_detected",
    "grant.tampering_detected": "tampering_detected",
    "connect_session.refused": "confirmations_refused",
}

# action → the status a connection has from then on
ENTERED: Mapping[str, str] = {
    "connection.activated": "active",
    "connection.needs_reauth": "needs_reauth",
    "connection.revoked": "revoked",
    "connection.frozen": "needs_reauth",  # by `grantkeeper export --freeze`: nobody is asked to connect again
    "connection.thawed": "active",
}


def project(events: Sequence[AuditEvent], *, bus: EventBus, counters: Counters) -> Sequence[AuditEvent]:
    """
    Publish first, then count, each batch once.

    A batch that fails half way is delivered again from its first event: events are published again under the ids they
    had, and the counters know the batch by its first event's id.

    Args:
        events: Entries of the trail in the order of their stream.
        bus: Where what is announced goes.
        counters: Where what is counted goes.

    Returns:
        Entries that cannot be counted, whose names or times are none: for the caller to park, lest they block the rest.

    Raises:
        StoreUnavailable: The bus or the table refused. A batch that comes again is counted once all the same.
    """
    announced = [announcement(event) for event in events if event.action in ANNOUNCED]
    if announced:
        bus.publish(announced)
    uncountable = [event for event in events if not _countable(event)]
    for day, of_day in _by_day(event for event in events if event not in uncountable).items():
        changes = increments(of_day)
        if changes:
            counters.add_batch(of_day[0].id, changes, day=day)
    return uncountable


def announcement(event: AuditEvent) -> tuple[str, Mapping[str, Any]]:
    """The event as the bus carries it: ids and enums, no detail that could hold more."""
    detail = {
        "id": event.id,
        "time": event.time,
        "action": event.action,
        "actor": event.actor,
        "sub": event.sub,
        "connection_id": event.connection_id,
        "client_id": event.client_id,
        "provider": event.provider,
        "service": event.service,
        "reason": event.reason,
        "request_id": event.request_id,
        "reconnect_by": _number(event.details.get("reconnect_by")) if event.action == "connection.expiring" else None,
    }
    return ANNOUNCED[event.action], {name: value for name, value in detail.items() if value is not None}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def increments(events: Sequence[AuditEvent]) -> Mapping[str, int]:
    """Counter → change. Counters of connections by provider and status move, all others only grow."""
    changes: Counter[str] = Counter()
    for event in events:
        if name := COUNTED.get(event.action):
            changes[name] += 1
            if event.provider is not None:
                changes[f"{name}/{event.provider}"] += 1
        if status := ENTERED.get(event.action):
            left = event.details.get("from", "none")
            changes[f"connections/{event.provider}/{status}"] += 1
            if left != "none":
                changes[f"connections/{event.provider}/{left}"] -= 1
            if status == "needs_reauth" and event.reason is not None:
                changes[f"needs_reauth_reasons/{event.reason}"] += 1
    return {name: by for name, by in changes.items() if by}


def _countable(event: AuditEvent) -> bool:
    """Judged by the entry alone, so that a batch that comes again is the batch it was."""
    try:
        _day(event)
        return all(COUNTER_NAME.match(name) for name in increments([event]))
    except (AttributeError, ArithmeticError, OSError, TypeError, ValueError):
        return False


def _by_day(events: Iterable[AuditEvent]) -> dict[str, list[AuditEvent]]:
    days: dict[str, list[AuditEvent]] = {}
    for event in events:
        days.setdefault(_day(event), []).append(event)
    return days


def _day(event: AuditEvent) -> str:
    return datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%d")
