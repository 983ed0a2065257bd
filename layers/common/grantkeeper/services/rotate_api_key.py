"""The next secret of an API key, beside the one in use: for a week both open (K-07)."""

from __future__ import annotations

from dataclasses import replace

from grantkeeper.api_key_format import ApiKeyText, new_secret_of
from grantkeeper.errors import BadRequest, Conflict
from grantkeeper.model import ApiKey

DAY = 86_400
DEFAULT_DAYS, MAX_DAYS = 90, 365  # of a key's life (K-06)
OVERLAP_DAYS = 7  # at most, and unless said otherwise


def rotated(key: ApiKey, *, days: int | None, now: int, overlap_days: int = OVERLAP_DAYS) -> tuple[ApiKeyText, ApiKey]:
    """
    Make a key's next secret; to be stored, and its text shown once.

    Args:
        key: As stored.
        days: How long the key lives from now, 1 to 365; None where its end stays.
        now: Epoch seconds.
        overlap_days: How long the secret in use stays good, 0 to 7; 0 ends it, and any before it, at once.

    Raises:
        BadRequest: Other numbers of days.
        Conflict: Revoked or expired; or two secrets are good already, and neither may be cut short unasked.
    """
    if not 0 <= overlap_days <= OVERLAP_DAYS:
        raise BadRequest("The old secret lives 0 to 7 days more.")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise BadRequest("A key lives 1 to 365 days.")
    state = key.state(now)
    if state in ("revoked", "expired"):
        raise Conflict(f"The key is {state}. Make a new one.")
    if state == "rotating" and overlap_days:
        raise Conflict("The key has two good secrets already. Wait for the old one's end, or make a new key.")

    text = new_secret_of(key.key_id)
    following = replace(
        key,
        secret_hash=text.secret_hash,
        expires_at=key.expires_at if days is None else now + days * DAY,
        rotated_at=now,
        old_secret_hash=key.secret_hash if overlap_days else None,
        old_secret_ends_at=min(now + overlap_days * DAY, key.expires_at) if overlap_days else 0,
    )
    return text, following
