"""
When a user will have to connect again however well his grant is kept, and when he is to be told. Pure.

    consent ──────── kept fresh, hour by hour ────────┬── at most 7 days ──▶ reconnect_by
                                                      └ Connection Expiring, once

A grant ends for good when its refresh token has an end that refreshing does not move, when the provider ends every
consent after so many days, or when it cannot be refreshed at all. An idle limit is no end where the keep-alive stays
inside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantkeeper.services.schedule import RandomSource, due_at

if TYPE_CHECKING:
    from grantkeeper.model import Grant, TokenSet
    from grantkeeper.providers.record import RefreshRule

MINUTE, DAY = 60, 86_400
NOTICE = 7 * DAY
NOTICE_SHARE = 4  # of a shorter time the last quarter


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a token set: its forecast, the end its refresh token names, and when to look at it next."""

    reconnect_by: int | None
    refresh_token_expires_at: int | None
    due_at: int | None


def plan(
    tokens: TokenSet,
    *,
    rule: RefreshRule,
    refreshable: bool,
    consented_at: int,
    received_at: int,
    rng: RandomSource,
    before: Grant | None = None,
) -> Plan:
    """
    Plan a generation.

    Args:
        tokens: As the provider answered them.
        rule: How it refreshes.
        refreshable: Whether this set can be followed by another without its user.
        consented_at: Epoch second of the consent; 0 when unknown.
        received_at: Epoch second of this answer.
        rng: Source of jitter.
        before: The generation it follows, None at the consent.
    """
    slides = _slides(tokens, rule=rule, received_at=received_at, before=before)
    ends = _end(
        tokens, rule, refreshable=refreshable, slides=slides, consented_at=consented_at, received_at=received_at
    )
    if before is not None:
        ends = _settled(ends, before.reconnect_by, now=received_at)
    due = due_at(expires_at=tokens.expires_at, received_at=received_at, refreshable=refreshable, rng=rng)
    if refreshable:
        token_ends = tokens.refresh_token_expires_at if slides else None
        due = earliest(due, keepalive_at(rule, refreshed_at=received_at, token_ends=token_ends))
    told = warn_at(ends, since=consented_at or received_at)
    if told is not None and told >= (received_at if before is None else before.refreshed_at):
        due = earliest(due, max(told, received_at))  # a warning that fell between two generations is not forgotten
    return Plan(ends, tokens.refresh_token_expires_at, due)


def keepalive_at(rule: RefreshRule, *, refreshed_at: int, token_ends: int | None = None) -> int | None:
    """
    When an unused grant must be refreshed so that it does not end unused; None when it does not.

    By the record's own interval, else half way to its limit; and half way to the end of a refresh token that every
    refresh replaces by a later one.

    Args:
        refreshed_at: Epoch second of the last refresh.
        token_ends: Where such a refresh token ends.
    """
    half = None if rule.inactivity_days is None else rule.inactivity_days * DAY // 2
    interval = (
        half if rule.keepalive_days is None else min(rule.keepalive_days * DAY, half or rule.keepalive_days * DAY)
    )
    limit = None if interval is None else refreshed_at + interval
    return earliest(limit, None if token_ends is None else refreshed_at + max(token_ends - refreshed_at, 0) // 2)


def keepalive_of(grant: Grant, *, rule: RefreshRule) -> int | None:
    """The same for a stored grant: a refresh token's end that is the forecast is not moved by refreshing."""
    ends = grant.refresh_token_expires_at
    fixed = ends is not None and grant.reconnect_by is not None and abs(ends - grant.reconnect_by) <= DAY
    return keepalive_at(rule, refreshed_at=grant.refreshed_at, token_ends=None if fixed else ends)


def warn_at(reconnect_by: int | None, *, since: int) -> int | None:
    """When the user is to be told: seven days before, or the last quarter of what is shorter than four weeks."""
    if reconnect_by is None:
        return None
    return reconnect_by - min(NOTICE, max(reconnect_by - since, 0) // NOTICE_SHARE)


def warning_of(grant: Grant) -> int | None:
    """When the user of a stored grant is to be told."""
    return warn_at(grant.reconnect_by, since=grant.consented_at or grant.refreshed_at)


def earliest(*times: int | None) -> int | None:
    """The first of some times, those that are unknown left out."""
    return min((time for time in times if time is not None), default=None)


def _end(
    tokens: TokenSet, rule: RefreshRule, *, refreshable: bool, slides: bool, consented_at: int, received_at: int
) -> int | None:
    if not refreshable:
        if tokens.expires_at is not None:
            return tokens.expires_at
        return None if rule.inactivity_days is None else received_at + rule.inactivity_days * DAY
    absolute = consented_at + rule.absolute_days * DAY if rule.absolute_days and consented_at else None
    return earliest(None if slides else tokens.refresh_token_expires_at, absolute)


def _slides(tokens: TokenSet, *, rule: RefreshRule, received_at: int, before: Grant | None) -> bool:
    """
    Tell whether refreshing moves the end of the refresh token.

    At the consent the record says: a token that is replaced has a new life. From then on the answers say: an end that
    has moved with the time since the last refresh slides, one that stands is the end.
    """
    ends = tokens.refresh_token_expires_at
    if before is None or before.refresh_token_expires_at is None or ends is None:
        return rule.rotation != "none"
    passed = received_at - before.refreshed_at
    return ends - before.refresh_token_expires_at > max(passed // 2, MINUTE)


def _settled(ends: int | None, before: int | None, *, now: int) -> int | None:
    """The forecast as it was, unless it really moved: seconds of rounding are no news."""
    if ends is None or before is None:
        return ends
    return before if abs(ends - before) <= min(DAY, max(MINUTE, (before - now) // 10)) else ends
