"""Trello by OAuth 2.0 (3LO with PKCE, since September 2026), behind Atlassian's authorization server."""

from __future__ import annotations

from grantkeeper.providers.record import (
    AvatarRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
)

_IDENTITY = ("read:member:trello",)
_OFFLINE = ("offline_access",)
_READ = ("read:board:trello", "read:organization:trello")

TRELLO = Provider(
    id="trello",
    display_name="Trello",
    protocol="oauth2",
    authorization_endpoint="https://auth.atlassian.com/authorize",
    # Trello's OpenAPI file prints /authorize/oauth/token; code that works uses this one
    token_endpoint="https://auth.atlassian.com/oauth/token",
    nonce=False,
    scope=ScopeRule(never_returned=_OFFLINE),
    connect_params=(("prompt", "consent"),),
    services=(
        Service(
            id="trello",
            display_name="Trello",
            access={"read": _READ, "write": (*_READ, "write:board:trello")},
            base_scopes=_IDENTITY,
            offline_scopes=_OFFLINE,
            docs_url="https://developer.atlassian.com/cloud/trello/guides/rest-api/oauth-2-getting-started",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_request_encoding="json",  # credentials in a JSON body
    token_response=TokenResponseRule(default_expires_in=3600),
    refresh=RefreshRule(
        rotation="always",
        previous_refresh_token="revoked",  # single use
        previous_access_token="valid",
        inactivity_days=90,
        keepalive_days=30,
    ),
    revocation=RevocationRule(
        kind="none",  # DELETE /1/tokens is for the tokens of OAuth 1.0a
        manual_url="https://trello.com/my/account",
    ),
    profile=ProfileRule(
        requests=(
            ProfileRequest(
                "me", "https://api.trello.com/1/members/me?fields=id,username,fullName,email,avatarUrl,prefs"
            ),
        ),
        map={
            "provider_user_id": ("me#/id",),  # never `username`, which may change
            "email": ("me#/email",),
            "name": ("me#/fullName", "me#/username"),
            "locale": ("me#/prefs/locale",),
        },
        avatar=AvatarRule("computed", "{me#/avatarUrl}/170.png"),  # the address wants a size behind it
    ),
    registration_url="https://developer.atlassian.com/console/myapps",
    sources=(
        Source(
            "https://developer.atlassian.com/cloud/trello/guides/rest-api/oauth-2-getting-started",
            "2026-11-21",
            note="endpoints, PKCE, scopes, Bearer at api.trello.com",
        ),
        Source(
            "https://developer.atlassian.com/cloud/trello/guides/rest-api/oauth-2-confidential-client-usage",
            "2026-11-21",
            note="JSON body, rotation, 90 days",
        ),
        Source(
            "https://github.com/api-evangelist/trello/blob/main/scopes/trello-scopes.yml",
            "2026-11-21",
            note="the ten published scopes",
        ),
        Source(
            "https://developer.atlassian.com/cloud/trello/guides/rest-api/oauth-2-getting-started",
            "2026-11-21",
            status="unverified",
            note="whether `audience` is wanted; whether PKCE is enforced; no revocation endpoint; lifetime of an "
            "access token; the avatar's size suffix; manual_url; prefs.locale",
        ),
    ),
)
