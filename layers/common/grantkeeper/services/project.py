"""
What audit entries mean to the outside: events on the bus, and counters.

Everything follows from an entry alone, so that a stream delivered again, in other batches or in another order, says the
same again: the same event ids, and no second effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grantkeeper.model import AuditEvent
from grantkeeper.ports import Counters, EventBus
from grantkeeper.services.what_counts import COUNTED, ENTERED, GONE, REMOVED, counted

# action → detail type on the bus; what is not named here is for the trail alone
ANNOUNCED: Mapping[str, str] = {
    "user.provisioned": "User Provisioned",
    "user.signed_in": "User Signed In",
    "user.erased": "User Erased",
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
    "counters.drifted": "Counter Drift Found",
}

TOLD = ANNOUNCED.keys() | COUNTED.keys() | ENTERED.keys() | {REMOVED, GONE}


def project(events: Sequence[AuditEvent], *, bus: EventBus, counters: Counters, now: int) -> Sequence[AuditEvent]:
    """
    Publish first, then count, each entry once.

    A batch that fails half way comes again: what was counted is neither published nor counted a second time, what was
    only published is published again under the id it had.

    Args:
        events: Entries of the trail, in any order, in any company.
        bus: Where what is announced goes.
        counters: Where what is counted goes; they remember what was told.
        now: Epoch seconds.

    Returns:
        Entries that cannot be counted, whose names or times are none: for the caller to park, lest they block the rest.
        They are told to nobody.

    Raises:
        StoreUnavailable: The bus or the table refused. A batch that comes again is counted once all the same.
    """
    told = {event.id: event for event in events if event.action in TOLD}
    sound = {event_id: whole for event_id, event in told.items() if (whole := counted(event)) is not None}
    new = counters.unseen(list(sound.values()))
    announced = [announcement(told[each.id]) for each in new if told[each.id].action in ANNOUNCED]
    if announced:
        bus.publish(announced)
    counters.add_once(new, now=now)
    return [event for event_id, event in told.items() if event_id not in sound]


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
