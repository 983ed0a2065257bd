"""Box: refresh tokens of single use, sixty days."""

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

BOX = Provider(
    id="box",
    display_name="Box",
    protocol="oauth2",
    authorization_endpoint="https://account.box.com/api/oauth2/authorize",
    token_endpoint="https://api.box.com/oauth2/token",
    nonce=False,
    pkce="unsupported",  # not documented: not sent
    scope=ScopeRule(omitted_means="requested"),
    services=(
        Service(
            id="box",
            display_name="Box",
            access={"read": ("root_readonly",), "write": ("root_readwrite",)},  # within the application's own
            docs_url="https://developer.box.com/guides/api-calls/permissions-and-errors/scopes",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_response=TokenResponseRule(default_expires_in=3600),
    refresh=RefreshRule(
        rotation="always",
        previous_refresh_token="revoked",  # single use
        previous_access_token="valid",
        inactivity_days=60,
        keepalive_days=20,
    ),
    revocation=RevocationRule(
        kind="custom",  # RFC 7009 without its hint
        url_template="https://api.box.com/oauth2/revoke",
        auth="client_secret_post",
        token_hint="refresh_token",
        effect="grant",
        success_statuses=(200,),
        manual_url="https://app.box.com/account/security",
    ),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://api.box.com/2.0/users/me"),),
        map={
            "provider_user_id": ("me#/id",),
            "email": ("me#/login",),
            "name": ("me#/name",),
            "avatar_url": ("me#/avatar_url",),
            "locale": ("me#/language",),
        },
    ),
    registration_url="https://app.box.com/developers/console",
    sources=(
        Source(
            "https://workos.com/blog/refresh-token-behavior-across-fourteen-providers",
            "2026-11-21",
            note="refresh tokens of single use",
        ),
        Source(
            "https://github.com/NangoHQ/nango/blob/master/packages/providers/providers.yaml",
            "2026-11-21",
            note="endpoints, authentication, revocation",
        ),
        Source(
            "https://developer.box.com/guides/authentication/tokens/refresh",
            "2026-11-21",
            status="unverified",
            note="60 days; PKCE; how far a revocation reaches; whether avatar_url opens without a token; manual_url",
        ),
    ),
)
