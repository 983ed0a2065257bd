"""When a grant is due: a rule of time, pure, shared by everything that saves a grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from grantkeeper.model import Grant, TokenSet
    from grantkeeper.providers.record import RefreshRule

MINUTE = 60
LEAST_MARGIN = 5 * MINUTE
JITTER = 0.2


class RandomSource(Protocol):
    """Where jitter comes from: `random.Random` and `secrets.SystemRandom` both fit."""

    def random(self) -> float:
        """A number in [0, 1)."""


def due_at(*, expires_at: int | None, received_at: int, refreshable: bool, rng: RandomSource) -> int | None:
    """
    Say when a grant should next be looked at.

    A refreshable token is due min(lifetime / 2, max(5 min, 10 % of lifetime)) before it expires, and up to a fifth of
    that margin earlier, so that grants made in one minute are not refreshed in one minute. What cannot be refreshed is
    due when it expires, to be told to the user. What does not say when it expires is never due: a reported 401 speaks
    for it.

    Args:
        expires_at: Epoch second the access token ends, None when the provider did not say.
        received_at: Epoch second the token response came in.
        refreshable: True when there is a refresh token, or another way to refresh.
        rng: Source of the jitter.

    Returns:
        An epoch second, never before `received_at`; None when nothing is to be done on schedule.
    """
    if expires_at is None:
        return None
    if not refreshable:
        return max(expires_at, received_at)

    lifetime = max(expires_at - received_at, 0)
    margin = min(lifetime / 2, max(LEAST_MARGIN, lifetime / 10))
    return max(received_at, int(expires_at - margin * (1 + JITTER * rng.random())))


class _Still:
    """No jitter."""

    def random(self) -> float:
        return 0.0


def overdue(grant: Grant, *, now: int) -> int:
    """Seconds since a refreshable grant should have been refreshed; 0 when it should not yet, or nobody knows."""
    due = due_at(expires_at=grant.expires_at, received_at=grant.refreshed_at, refreshable=True, rng=_Still())
    return 0 if due is None else max(0, now - due)


def refreshable(token_set: TokenSet, *, rule: RefreshRule) -> bool:
    """Tell whether a token set can be followed by another without its user."""
    return rule.supported != "never" and token_set.refresh_token is not None
