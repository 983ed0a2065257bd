"""Linear: scopes separated by commas, a profile by GraphQL."""

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

LINEAR = Provider(
    id="linear",
    display_name="Linear",
    protocol="oauth2",
    authorization_endpoint="https://linear.app/oauth/authorize",
    token_endpoint="https://api.linear.app/oauth/token",
    nonce=False,
    scope=ScopeRule(separator=","),
    connect_params=(("prompt", "consent"), ("actor", "user")),
    services=(
        Service(
            id="linear",
            display_name="Linear",
            access={"read": ("read",), "issues": ("read", "issues:create"), "write": ("read", "write")},
            docs_url="https://linear.app/developers/oauth-2-0-authentication",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    # 24 hours since October 2025; older applications have tokens of ten years and say so
    token_response=TokenResponseRule(default_expires_in=86_400),
    refresh=RefreshRule(
        supported="conditional",  # older applications have no refresh tokens
        rotation="always",
        previous_refresh_token="revoked",  # not documented: the safe side
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="custom",
        url_template="https://api.linear.app/oauth/revoke",
        auth="bearer",  # the token that is revoked, itself
        encoding="none",
        token_hint="access_token",
        requires_live_access_token=True,
        effect="grant",
        success_statuses=(200,),
        manual_url="https://linear.app/settings/account/applications",
    ),
    profile=ProfileRule(
        requests=(
            ProfileRequest(
                "graph",
                "https://api.linear.app/graphql",
                method="POST",
                body='{"query":"{viewer{id name email avatarUrl}}"}',
            ),
        ),
        map={
            "provider_user_id": ("graph#/data/viewer/id",),
            "email": ("graph#/data/viewer/email",),
            "name": ("graph#/data/viewer/name",),
            "avatar_url": ("graph#/data/viewer/avatarUrl",),
        },
    ),
    registration_url="https://linear.app/settings/api/applications/new",
    sources=(
        Source(
            "https://github.com/NangoHQ/nango/blob/master/packages/providers/providers.yaml",
            "2026-11-21",
            note="endpoints, separator, prompt, tokens before October 2025",
        ),
        Source(
            "https://linear.app/developers/oauth-2-0-authentication",
            "2026-11-21",
            status="unverified",
            note="24 hours; what becomes of the old refresh token; PKCE; how far a revocation reaches; manual_url",
        ),
    ),
)
