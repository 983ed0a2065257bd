"""A picture behind a token is fetched while the token is in hand, as far as there is time, and nobody waits for it."""

from __future__ import annotations

import hashlib

from grantkeeper import ids
from grantkeeper.errors import ProviderUnavailable, TokenResponseRejected
from grantkeeper.model import Avatar
from grantkeeper.oauth.avatar import avatar_request, read_avatar
from grantkeeper.ports import ProviderHttp
from grantkeeper.providers.record import Provider
from grantkeeper.services.fetch_profile import access_token_of, sources_of
from grantkeeper.services.redeem_provider_code import ProviderTokens

BUDGET = 1.5  # seconds
LEAST = 0.3  # seconds under which asking is no use


def fetch_avatar(
    *, provider: Provider, tokens: ProviderTokens, provider_http: ProviderHttp, most: float, now: int
) -> Avatar | None:
    """
    Fetch the account's picture, if its provider keeps it behind the token. No trouble of the provider's is raised.

    Args:
        provider: The record, its variables filled.
        tokens: The access token goes along, to the address of the record and nowhere else.
        provider_http: Follows no redirect, and refuses private addresses.
        most: Seconds there are; at most 1.5 are taken, and under 0.3 nothing is asked.
        now: Epoch seconds.

    Returns:
        None when there is nothing to go by, and what is kept stands.
    """
    if provider.profile.avatar.kind != "binary" or most < LEAST:
        return None
    try:
        request = avatar_request(provider, access_token_of(tokens, provider), sources_of(provider, tokens, {}))
        found = None if request is None else read_avatar(provider_http.send(request, budget=min(BUDGET, most)))
    except (ProviderUnavailable, TokenResponseRejected):
        return None
    if found is None:
        return None
    content_type, image = found
    return Avatar(provider.id, now, content_type, ids.b64url(hashlib.sha256(image).digest()) if image else "", image)


def same_picture(fresh: Avatar, kept: Avatar | None) -> bool:
    """Tell whether there is nothing to write: the bytes are those we have, or there are none on either side."""
    return (kept.digest if kept is not None else "") == fresh.digest
