"""X by OAuth 2.0: PKCE required, and an `offline.access` with a dot."""

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

_OFFLINE = ("offline.access",)
_IDENTITY = ("users.read", "tweet.read", "users.email")  # users/me wants tweet.read beside users.read

X = Provider(
    id="x",
    display_name="X",
    protocol="oauth2",
    authorization_endpoint="https://x.com/i/oauth2/authorize",
    token_endpoint="https://api.x.com/2/oauth2/token",
    revocation_endpoint="https://api.x.com/2/oauth2/revoke",
    nonce=False,
    pkce="required",
    scope=ScopeRule(never_returned=_OFFLINE),
    signin_scopes=_IDENTITY,
    services=(
        Service(
            id="x",
            display_name="X",
            access={"read": ("tweet.read",), "write": ("tweet.read", "tweet.write")},
            base_scopes=_IDENTITY,
            offline_scopes=_OFFLINE,
            docs_url="https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code",
        ),
    ),
    token_endpoint_auth_method="client_secret_basic",  # of confidential clients
    token_response=TokenResponseRule(default_expires_in=7200),
    refresh=RefreshRule(
        rotation="always",
        previous_refresh_token="revoked",  # single use
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="rfc7009",
        effect="token",
        success_statuses=(200,),
        manual_url="https://x.com/settings/connected_apps",
    ),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://api.x.com/2/users/me?user.fields=profile_image_url,confirmed_email"),),
        map={
            "provider_user_id": ("me#/data/id",),
            "email": ("me#/data/confirmed_email",),
            "name": ("me#/data/name", "me#/data/username"),
            "avatar_url": ("me#/data/profile_image_url",),
        },
        email_verified_policy="by_presence",  # confirmed addresses only are shown
    ),
    registration_url="https://developer.x.com/en/portal/projects-and-apps",
    sources=(
        Source(
            "https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code",
            "2026-11-21",
            note="endpoints, PKCE, Basic, two hours, offline.access",
        ),
        Source(
            "https://github.com/better-auth/better-auth/blob/main/packages/core/src/social-providers/twitter.ts",
            "2026-11-21",
            note="users/me, confirmed_email",
        ),
        Source(
            "https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code",
            "2026-11-21",
            status="unverified",
            note="rotation and single use; how far a revocation reaches; manual_url",
        ),
    ),
)
