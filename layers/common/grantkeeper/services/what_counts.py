"""
What an audit entry adds to the counters.

The projector counts by it as entries come, and the nightly recount by it again from the trail: so the two can be
compared, counter by counter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from grantkeeper.counter_names import COUNTER_NAME, Counted
from grantkeeper.model import AuditEvent

# action → counter, for what is simply counted
COUNTED: Mapping[str, str] = {
    "user.provisioned": "users",
    "user.signed_in": "sign_ins",
    "user.sign_in_refused": "sign_ins_refused",
    "session.revoked": "sessions_revoked",
    "session.reuse_detected": "reuse_detected",
    "grant.refreshed": "refreshes",
    "grant.tampering_detected": "tampering_detected",
    "connect_session.opened": "connect_sessions",
    "connect_session.refused": "confirmations_refused",
    "connect_session.failed": "connects_failed",
    "consent.granted": "consents_granted",
    "consent.withdrawn": "consents_withdrawn",
    "api_key.created": "api_keys_created",
    "api_key.rotated": "api_keys_rotated",
    "api_key.revoked": "api_keys_revoked",
    "provider.degraded": "provider_outages",
    "provider.misconfigured": "provider_refusals",
}

# counted by provider as well; the others are not, to keep the counters' items small
BY_PROVIDER = frozenset({
    "sign_ins", "sign_ins_refused", "refreshes", "connects_failed", "provider_outages", "provider_refusals",
    "tampering_detected",
})  # fmt: skip

# action → the status a connection has from then on, and the counter of how often that happened
ENTERED: Mapping[str, tuple[str, str | None]] = {
    "connection.activated": ("active", "connected"),
    "connection.needs_reauth": ("needs_reauth", "needs_reauth"),
    "connection.revoked": ("revoked", "disconnected"),
    "connection.frozen": ("needs_reauth", None),  # by `grantkeeper export --freeze`: nobody is asked to connect again
    "connection.thawed": ("active", None),
}

CONNECTIONS = "connections/"  # <provider>/<status>: how many there are
NEEDS_REAUTH_REASONS = "needs_reauth_reasons/"  # <reason>

REMOVED = "connection.removed"
GONE = "user.erasure_started"  # from then on he stands in no list


def counted(event: AuditEvent) -> Counted | None:
    """
    What an entry adds, and when; None when its names or its time are none.

    Judged by the entry alone, so that it is judged the same whenever it comes.
    """
    try:
        whole = Counted(event.id, event.time, increments(event))
        return whole if countable(whole) else None
    except AttributeError:  # an entry of no writer of ours may hold anything
        return None


def countable(what: Counted) -> bool:
    """Tell whether its names and its time are ones."""
    try:
        datetime.fromtimestamp(what.time, UTC)
        return isinstance(what.time, int) and what.time >= 0 and all(COUNTER_NAME.match(name) for name in what.changes)
    except (ArithmeticError, OSError, TypeError, ValueError):
        return False


def increments(event: AuditEvent) -> Mapping[str, int]:
    """Counter → change. Counters of users and of connections by provider and status move, all others only grow."""
    changes: Counter[str] = Counter()
    if name := COUNTED.get(event.action):
        changes[name] += 1
        if event.provider is not None and name in BY_PROVIDER:
            changes[f"{name}/{event.provider}"] += 1
    if event.action in ENTERED:
        status, how_often = ENTERED[event.action]
        _move(changes, event, to=status)
        if how_often is not None:
            changes[how_often] += 1
        if how_often == "needs_reauth" and event.reason is not None:
            changes[f"{NEEDS_REAUTH_REASONS}{event.reason}"] += 1
    elif event.action == REMOVED:
        changes[f"{CONNECTIONS}{event.provider}/revoked"] -= 1  # its tombstone went, by a clean-up or with its user
    elif event.action == GONE:
        changes["users"] -= 1
        changes["users_erased"] += 1
    elif event.action == "grant.refreshed" and "from" in event.details:
        _move(changes, event, to="active")  # declared dead, and a late holder brought its successor
    return {name: by for name, by in changes.items() if by}


def _move(changes: Counter[str], event: AuditEvent, *, to: str) -> None:
    left = event.details.get("from", "none")
    changes[f"{CONNECTIONS}{event.provider}/{to}"] += 1
    if left != "none":
        changes[f"{CONNECTIONS}{event.provider}/{left}"] -= 1
