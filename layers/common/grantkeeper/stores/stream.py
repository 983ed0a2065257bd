"""Records of DynamoDB streams, as Lambda delivers them, read as what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grantkeeper.counter_names import REFRESH_FAILURE_REASONS, REFRESH_FAILURES, Counted
from grantkeeper.model import AuditEvent, Grant
from grantkeeper.stores.audit_item import event_of
from grantkeeper.stores.grant_item import read_grant

TTL_SERVICE = "dynamodb.amazonaws.com"
LONGEST_WORD = 2048  # letters of an id or enum of ours: far beyond any, and far below what the bus takes


class UnreadableRecord(ValueError):
    """A record that is none of ours: to be parked, not dropped and not retried for ever."""


def new_generation(record: Mapping[str, Any]) -> AuditEvent | None:
    """
    The audit entry of a saved generation, under an id that follows from connection, token and generation.

    None for a change that saved none: a strike, a postponement, a tombstone, an old row put back.

    Raises:
        UnreadableRecord: It is no change of a grant.
    """
    try:
        before, after = _grant(record, "OldImage"), _grant(record, "NewImage")
    except (KeyError, TypeError, ValueError):
        raise UnreadableRecord(_name(record)) from None
    if before is None or after is None or after.generation <= before.generation:
        return None
    replaced = after.caused_by == "connect"
    details = {"name": after.name, "generation": str(after.generation)}
    if before.status == "needs_reauth" and after.status == "active" and not replaced:
        details["from"] = before.status  # a late holder brought its successor; a re-connect has an entry that says so
    return AuditEvent(
        id=f"evt_{after.connection_id}.{after.name}.{after.generation}",
        time=after.refreshed_at,
        action="grant.replaced" if replaced else "grant.refreshed",
        actor=after.actor or "system",
        sub=after.sub,
        connection_id=after.connection_id,
        provider=after.provider,
        service=after.service,
        reason=after.caused_by,
        request_id=after.request_id or None,
        details=details,
    )


def failed_attempt(record: Mapping[str, Any]) -> Counted | None:
    """
    An attempt to refresh that brought no tokens, as the worker and the first strike leave it in the row.

    It has no entry in the trail, for cost, and is counted from here alone. None for any other change, and for a record
    that is parked by whoever reads its generation.
    """
    try:
        before, after = record["dynamodb"]["OldImage"], record["dynamodb"]["NewImage"]
        reason = _failure(before, after)
        if reason is None:
            return None
        provider, token = after["provider"]["S"], f"{after['pk']['S']} {after['sk']['S']} {after['generation']['N']}"
        # of these two the one that moved tells this attempt from all others
        attempt = "@".join(after.get(name, {}).get(kind, "") for name, kind in (("failed", "S"), ("strike_at", "N")))
        return Counted(
            id=f"{token} {attempt}",
            time=int(record["dynamodb"]["ApproximateCreationDateTime"]),
            changes={
                REFRESH_FAILURES: 1,
                f"{REFRESH_FAILURES}/{provider}": 1,
                f"{REFRESH_FAILURE_REASONS}{reason}": 1,
            },
        )
    except (KeyError, TypeError, ValueError):
        return None


def _failure(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    if before.get("generation") != after.get("generation"):
        return None
    if "strike_at" in after and before.get("strike_at") != after["strike_at"]:
        return "refused-once"
    if "failed" in after and before.get("failed") != after["failed"]:
        return str(after["failed"]["S"].partition("@")[0])
    return None


def new_entry(record: Mapping[str, Any]) -> AuditEvent | None:
    """
    The entry a record added to the trail; None for the second place of one entry, and for what its retention removed.

    Raises:
        UnreadableRecord: It is no entry.
    """
    try:
        if record["eventName"] != "INSERT" or "day_pk" not in record["dynamodb"]["NewImage"]:
            return None
        event = event_of(record["dynamodb"]["NewImage"])
        _require_words(event)
    except (KeyError, TypeError, ValueError):
        raise UnreadableRecord(_name(record)) from None
    return event


def _require_words(event: AuditEvent) -> None:
    """An item may hold any type under any name, and what is not a word would hold up its whole shard at every try."""
    always = (event.id, event.action, event.actor)
    mostly = (event.sub, event.connection_id, event.client_id, event.provider, event.service, event.reason)
    words = (*always, *(word for word in (*mostly, event.request_id) if word is not None))
    if not all(isinstance(word, str) and len(word) <= LONGEST_WORD for word in words):
        raise TypeError("an entry is told in words")
    if not isinstance(event.time, int) or not isinstance(event.details, Mapping):
        raise TypeError("an entry has a time and details")


def tampers(record: Mapping[str, Any]) -> bool:
    """True when an entry of the trail was changed, or removed by anyone but its retention."""
    if record.get("eventName") == "MODIFY":
        return True
    by = (record.get("userIdentity") or {}).get("principalId")
    return record.get("eventName") == "REMOVE" and by != TTL_SERVICE


def goes_back(record: Mapping[str, Any]) -> bool:
    """True when a grant's generation fell: no writer of ours does that, so somebody put an old row back."""
    try:
        before, after = _grant(record, "OldImage"), _grant(record, "NewImage")
    except (KeyError, TypeError, ValueError):
        return False  # parked by whoever reads it
    return before is not None and after is not None and after.generation < before.generation


def keys_of(record: Mapping[str, Any]) -> str:
    """`pk sk` of the item a record speaks of, for the log and the parked message: ids only."""
    keys = record.get("dynamodb", {}).get("Keys", {})
    return f"{keys.get('pk', {}).get('S', '?')} {keys.get('sk', {}).get('S', '?')}"


def _grant(record: Mapping[str, Any], image: str) -> Grant | None:
    item = record["dynamodb"].get(image)
    if item is None:
        return None
    grant = read_grant({name: value for name, value in item.items() if "B" not in value})
    if not isinstance(grant.generation, int) or not isinstance(grant.refreshed_at, int):
        raise TypeError("a generation is a number")
    return grant


def _name(record: Mapping[str, Any]) -> str:
    return f"{record.get('eventName', '?')} {keys_of(record)}"
