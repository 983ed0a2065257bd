"""Zoom: scopes are fixed where the app is registered, refresh tokens rotate."""

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

ZOOM = Provider(
    id="zoom",
    display_name="Zoom",
    protocol="oauth2",
    authorization_endpoint="https://zoom.us/oauth/authorize",
    token_endpoint="https://zoom.us/oauth/token",
    revocation_endpoint="https://zoom.us/oauth/revoke",
    nonce=False,
    # the parameter is optional and cannot widen what the app was registered with
    scope=ScopeRule(parameter=None, omitted_means="unknown"),
    services=(
        Service(
            id="zoom",
            display_name="Zoom",
            access={"app": ()},
            default_access="app",
            docs_url="https://developers.zoom.us/docs/integrations/oauth-scopes-granular/",
        ),
    ),
    token_endpoint_auth_method="client_secret_basic",
    token_response=TokenResponseRule(default_expires_in=3600),
    refresh=RefreshRule(
        rotation="always",
        previous_refresh_token="revoked",
        previous_access_token="valid",
        inactivity_days=90,
        keepalive_days=30,
    ),
    revocation=RevocationRule(
        kind="custom",  # RFC 7009 but for the hint, answered with {"status": "success"}
        url_template="https://zoom.us/oauth/revoke",
        auth="client_secret_basic",
        token_hint="access_token",
        requires_live_access_token=True,
        effect="grant",
        success_statuses=(200,),
        manual_url="https://marketplace.zoom.us/user/installed",
    ),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://api.zoom.us/v2/users/me"),),
        map={
            "provider_user_id": ("me#/id",),
            "email": ("me#/email",),
            "email_verified": ("me#/verified",),
            "name": ("me#/display_name",),
            "avatar_url": ("me#/pic_url",),
            "locale": ("me#/language",),
        },
        email_verified_policy="claim",
        email_verified_values=(1, True),  # a number
    ),
    registration_url="https://marketplace.zoom.us/develop/create",
    sources=(
        Source(
            "https://developers.zoom.us/docs/integrations/oauth/",
            "2026-11-21",
            note="endpoints, Basic, PKCE, one hour, rotation, revocation and its answer",
        ),
        Source(
            "https://github.com/better-auth/better-auth/blob/main/packages/core/src/social-providers/zoom.ts",
            "2026-11-21",
            note="members of users/me",
        ),
        Source(
            "https://developers.zoom.us/docs/integrations/oauth/",
            "2026-11-21",
            status="unverified",
            note="90 days; which token is revoked and how far that reaches; manual_url",
        ),
    ),
)
