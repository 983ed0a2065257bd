"""GitHub: OAuth Apps, whose tokens do not expire, and GitHub Apps, whose tokens rotate. Two records."""

from __future__ import annotations

from dataclasses import replace

from grantkeeper.providers.record import (
    ErrorRule,
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

_API_HEADERS = (
    ("accept", "application/vnd.github+json"),
    ("user-agent", "grantkeeper"),  # the API refuses calls without one
    ("x-github-api-version", "2022-11-28"),
)

GITHUB = Provider(
    id="github",
    display_name="GitHub",
    protocol="oauth2",  # discovery documents exist, ID tokens do not
    issuer="https://github.com/login/oauth",
    authorization_endpoint="https://github.com/login/oauth/authorize",
    token_endpoint="https://github.com/login/oauth/access_token",
    authorization_response_iss="if_present",  # sent since April 2026, unannounced
    nonce=False,
    token_endpoint_auth_method="client_secret_post",
    # without it the answer is form-encoded
    token_request_headers=(("accept", "application/json"),),
    prompt_values_supported=("select_account",),
    scope=ScopeRule(response_separator=","),  # asked with spaces, answered with commas
    signin_scopes=("read:user", "user:email"),
    connect_params=(("prompt", "select_account"),),
    services=(
        Service(
            id="github",
            display_name="GitHub",
            access={
                "read": ("read:org",),  # and all that is public; OAuth Apps have no read-only scope for private code
                "write": ("repo", "read:org"),
                "workflow": ("repo", "workflow", "read:org"),
            },
            base_scopes=("read:user", "user:email"),
            docs_url="https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps",
        ),
    ),
    token_response=TokenResponseRule(default_expires_in="never"),
    refresh=RefreshRule(
        supported="never",
        rotation="none",
        inactivity_days=365,
        max_live_grants_per_user=10,  # per user, app and scope set, and 10 new ones an hour; the oldest is dropped
    ),
    revocation=RevocationRule(
        kind="custom",
        method="DELETE",
        # `/grant` would take every token of the user at this app with it, those of sign-in too
        url_template="https://api.github.com/applications/{client_id}/token",
        auth="client_secret_basic",
        encoding="json",
        token_parameter="access_token",
        token_hint="access_token",
        effect="token",
        success_statuses=(204,),
        manual_url="https://github.com/settings/applications",
    ),
    profile=ProfileRule(
        requests=(
            ProfileRequest("user", "https://api.github.com/user", headers=_API_HEADERS),
            # `email` of the user is null when private
            ProfileRequest("emails", "https://api.github.com/user/emails", headers=_API_HEADERS),
        ),
        map={
            "provider_user_id": ("user#/id",),  # `login` may change hands
            "email": ("emails#primary_verified",),
            "email_verified": ("emails#primary_verified",),
            "name": ("user#/name", "user#/login"),
            "avatar_url": ("user#/avatar_url",),
        },
        email_verified_policy="claim",  # the selector takes only an address GitHub has verified
    ),
    errors=(  # all of them in a 200
        ErrorRule("config", error="incorrect_client_credentials"),
        ErrorRule("config", error="redirect_uri_mismatch"),
        ErrorRule("user_action", error="bad_verification_code"),
        ErrorRule("user_action", error="unverified_user_email"),
    ),
    registration_url="https://github.com/settings/developers",
    sources=(
        Source(
            "https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps",
            "2026-11-21",
            note="endpoints, parameters, answers, redirect rules, limits",
        ),
        Source(
            "https://github.blog/changelog/2025-07-14-pkce-support-for-oauth-and-github-app-authentication",
            "2026-11-21",
            note="PKCE, S256 only",
        ),
        Source(
            "https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors",
            "2026-11-21",
            note="errors in a 200",
        ),
        Source(
            "https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/token-expiration-and-revocation",
            "2026-11-21",
            note="a year unused, leaks, caps",
        ),
        Source("https://docs.github.com/en/rest/apps/oauth-applications", "2026-11-21", note="revocation"),
        Source(
            "https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api",
            "2026-11-21",
            status="unverified",
            note="user-agent required, API version; manual_url and docs_url; read:org as the least level",
        ),
    ),
)

# Permissions are the app's, cut with the user's: there is no scope, and the answer's is always empty.
GITHUB_APP = replace(
    GITHUB,
    id="github-app",
    display_name="GitHub App",
    icon="github",
    registration_url="https://github.com/settings/apps",
    scope=ScopeRule(parameter=None, response_separator=",", omitted_means="unknown"),
    signin_scopes=(),  # an app for sign-in registers as `github`
    services=(
        Service(
            id="github-app",
            display_name="GitHub (App)",
            access={"app": ()},
            default_access="app",
            icon="github",
            docs_url="https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app",
        ),
    ),
    token_response=TokenResponseRule(
        refresh_token_expires_in="/refresh_token_expires_in",
        default_expires_in="never",  # expiry is a setting of the app
    ),
    refresh=RefreshRule(
        supported="conditional",
        rotation="always",
        # single use, and the old access token stops with it: a lost answer loses the grant
        previous_refresh_token="revoked",
        previous_access_token="revoked",
        inactivity_days=183,  # refresh_token_expires_in is 15811200 seconds
        keepalive_days=60,
    ),
    revocation=replace(GITHUB.revocation, requires_live_access_token=True),
    errors=(*GITHUB.errors, ErrorRule("dead", error="bad_refresh_token", reason="revoked_by_user")),
    sources=(
        Source(
            "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
            "2026-11-21",
            note="lifetimes, rotation, bad_refresh_token",
        ),
        *GITHUB.sources,
    ),
)
