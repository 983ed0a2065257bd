"""Asana: the refresh token stays, the redirect_uri goes with every refresh, the account is in the token response."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    Service,
    Source,
    TokenResponseRule,
)

_READ = ("tasks:read", "projects:read", "workspaces:read")

ASANA = Provider(
    id="asana",
    display_name="Asana",
    protocol="oauth2",  # OpenID Connect exists too; its issuer is not documented, so nothing rests on its ID token
    authorization_endpoint="https://app.asana.com/-/oauth_authorize",
    token_endpoint="https://app.asana.com/-/oauth_token",
    introspection_endpoint="https://app.asana.com/-/token_info",
    nonce=False,
    services=(
        Service(
            id="asana",
            display_name="Asana",
            # a new consent replaces the old scopes: the whole set is always asked for. Write does not imply read.
            access={"read": _READ, "write": (*_READ, "tasks:write", "projects:write")},
            base_scopes=("users:read",),  # who the account is
            docs_url="https://developers.asana.com/docs/oauth-scopes",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    refresh_sends_redirect_uri=True,
    token_response=TokenResponseRule(
        metadata=(("user_gid", "/data/gid"), ("user_name", "/data/name")),
        default_expires_in=3600,
    ),
    refresh=RefreshRule(
        rotation="none",  # a refresh brings no new one
        previous_refresh_token="valid",
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="custom",  # RFC 7009 without its token_type_hint
        url_template="https://app.asana.com/-/oauth_revoke",
        auth="client_secret_post",
        token_hint="refresh_token",
        effect="grant",
        success_statuses=(200,),
        manual_url="https://app.asana.com/0/my-apps",
    ),
    profile=ProfileRule(
        requests=(
            # everything stands under `data`
            ProfileRequest("me", "https://app.asana.com/api/1.0/users/me?opt_fields=gid,name,email,photo"),
        ),
        map={
            "provider_user_id": ("me#/data/gid", "metadata#/user_gid"),  # `id` is the old, shorter one
            "email": ("me#/data/email", "token_response#/data/email"),
            "name": ("me#/data/name", "metadata#/user_name"),
            "avatar_url": ("me#/data/photo/image_128x128",),
        },
    ),
    registration_url="https://app.asana.com/0/my-apps",
    sources=(
        Source(
            "https://developers.asana.com/docs/oauth",
            "2026-11-21",
            note="endpoints, token response, refresh with redirect_uri, revocation with the refresh token, scopes",
        ),
        Source(
            "https://developers.asana.com/docs/oauth-scopes",
            "2026-11-21",
            status="unverified",
            note="scope names; no end of an unused refresh token; manual_url; invalid_grant in a 400",
        ),
    ),
)
