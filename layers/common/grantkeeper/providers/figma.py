"""Figma: refreshed at another address, one live token per user and application."""

from __future__ import annotations

from grantkeeper.providers.record import (
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

FIGMA = Provider(
    id="figma",
    display_name="Figma",
    protocol="oauth2",
    authorization_endpoint="https://www.figma.com/oauth",
    token_endpoint="https://api.figma.com/v1/oauth/token",
    refresh_endpoint="https://api.figma.com/v1/oauth/refresh",
    nonce=False,
    scope=ScopeRule(separator=","),
    services=(
        Service(
            id="figma",
            display_name="Figma",
            access={
                "read": ("file_content:read",),
                "comments": ("file_content:read", "file_comments:read", "file_comments:write"),
            },
            base_scopes=("current_user:read",),
            docs_url="https://developers.figma.com/docs/rest-api/scopes/",
        ),
    ),
    token_endpoint_auth_method="client_secret_basic",
    token_response=TokenResponseRule(default_expires_in=7_776_000),  # 90 days
    refresh=RefreshRule(
        rotation="none",  # left out of the answer
        previous_refresh_token="valid",
        previous_access_token="valid",
        max_live_grants_per_user=1,  # connecting again ends the connection before
    ),
    revocation=RevocationRule(
        kind="none",
        manual_url="https://www.figma.com/settings",
    ),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://api.figma.com/v1/me"),),
        map={
            "provider_user_id": ("me#/id",),
            "email": ("me#/email",),
            "name": ("me#/handle",),
            "avatar_url": ("me#/img_url",),
        },
    ),
    registration_url="https://www.figma.com/developers/apps",
    sources=(
        Source(
            "https://github.com/NangoHQ/nango/blob/master/packages/providers/providers.yaml",
            "2026-11-21",
            note="endpoints, the refresh endpoint, Basic, comma, one live token per user and application",
        ),
        Source(
            "https://github.com/better-auth/better-auth/blob/main/packages/core/src/social-providers/figma.ts",
            "2026-11-21",
            note="PKCE, members of /v1/me",
        ),
        Source(
            "https://developers.figma.com/docs/rest-api/authentication/",
            "2026-11-21",
            status="unverified",
            note="90 days; comma or space between scopes; the code is good for 30 seconds; manual_url",
        ),
    ),
)
