"""Atlassian: Jira and Confluence in the cloud, one client, refresh tokens of single use."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ErrorRule,
    PostConnect,
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

_OFFLINE = ("offline_access",)
_IDENTITY = ("read:me",)
_JIRA = ("read:jira-work", "read:jira-user")
_CONFLUENCE = ("read:confluence-content.all", "read:confluence-space.summary")
_SCOPES = "https://developer.atlassian.com/cloud/jira/platform/scopes-for-oauth-2-3LO-and-forge-apps/"

# A token is good for several sites, each with a cloud id: https://api.atlassian.com/ex/jira/{id} is the API of one.
ATLASSIAN = Provider(
    id="atlassian",
    display_name="Atlassian",
    protocol="oauth2",
    authorization_endpoint="https://auth.atlassian.com/authorize",
    token_endpoint="https://auth.atlassian.com/oauth/token",
    nonce=False,
    pkce="unsupported",  # Jira's 3LO does not use it
    scope=ScopeRule(never_returned=_OFFLINE),
    authorization_params=(("audience", "api.atlassian.com"),),
    connect_params=(("prompt", "consent"),),
    services=(
        Service(
            id="jira",
            display_name="Jira",
            access={"read": _JIRA, "write": (*_JIRA, "write:jira-work")},
            base_scopes=_IDENTITY,
            offline_scopes=_OFFLINE,
            docs_url=_SCOPES,
        ),
        Service(
            id="confluence",
            display_name="Confluence",
            access={"read": _CONFLUENCE, "write": (*_CONFLUENCE, "write:confluence-content")},
            base_scopes=_IDENTITY,
            offline_scopes=_OFFLINE,
            docs_url="https://developer.atlassian.com/cloud/confluence/scopes-for-oauth-2-3LO-and-forge-apps/",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_request_encoding="json",  # as in Atlassian's own examples
    token_response=TokenResponseRule(default_expires_in=3600),
    refresh=RefreshRule(
        rotation="always",
        # a reuse window of ten minutes is said to exist and is not documented: not counted on
        previous_refresh_token="revoked",
        previous_access_token="valid",
        absolute_days=365,
        inactivity_days=90,
        keepalive_days=30,
    ),
    revocation=RevocationRule(
        kind="none",
        manual_url="https://id.atlassian.com/manage-profile/apps",
    ),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://api.atlassian.com/me"),),
        map={
            "provider_user_id": ("me#/account_id",),
            "email": ("me#/email",),
            "name": ("me#/name",),
            "avatar_url": ("me#/picture",),
            "locale": ("me#/locale",),
        },
    ),
    post_connect=(
        PostConnect(
            ProfileRequest("sites", "https://api.atlassian.com/oauth/token/accessible-resources"),
            keep=(("id", "/id"), ("url", "/url"), ("name", "/name"), ("scopes", "/scopes")),
        ),
    ),
    errors=(
        # "Unknown or invalid refresh token" comes with 403
        ErrorRule("dead", error="invalid_grant", status=403, reason="revoked_by_user"),
    ),
    registration_url="https://developer.atlassian.com/console/myapps",
    sources=(
        Source(
            "https://developer.atlassian.com/cloud/oauth/getting-started/refresh-tokens",
            "2026-11-21",
            note="rotation, 90 days unused, 365 days in all",
        ),
        Source(
            "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
            "2026-11-21",
            note="endpoints, audience, JSON body, accessible-resources",
        ),
        Source(
            "https://nango.dev/blog/jira-oauth-refresh-token-invalid-grant",
            "2026-11-21",
            note="403 invalid_grant for a dead refresh token",
        ),
        Source(
            _SCOPES,
            "2026-11-21",
            status="unverified",
            note="scope names; no revocation endpoint; manual_url; members of /me and of a site beyond their id; "
            "the reuse window",
        ),
    ),
)
