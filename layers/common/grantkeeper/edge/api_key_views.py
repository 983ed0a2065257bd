"""A user's own API keys as the JSON of the API. Times are epoch seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.model import ApiKey
from grantkeeper.services.own_api_keys import ShownKey

if TYPE_CHECKING:
    from grantkeeper.edge import schemas


def api_key_view(key: ApiKey, *, now: int) -> schemas.OwnApiKey:
    """A key without its secret, and without a hash of it."""
    state = key.state(now)
    return {
        "id": key.key_id,
        "name": key.name,
        "client_id": key.client_id or "",
        "scopes": list(key.scopes),
        "status": state,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "old_secret_ends_at": key.old_secret_ends_at if state == "rotating" else None,
        "used_day": key.used_day,
    }


def shown_key_view(shown: ShownKey, *, now: int) -> schemas.ShownApiKey:
    """The one answer that holds the key's text."""
    return {**api_key_view(shown.key, now=now), "api_key": shown.text}
