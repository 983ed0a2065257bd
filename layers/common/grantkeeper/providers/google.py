"""Google: sign-in, Gmail, Drive, Calendar and YouTube, one authorization server and one client for all of them."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ErrorRule,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
)

_API = "https://www.googleapis.com/auth/"
_IDENTITY = ("openid", "email", "profile")  # connect asks who the account is

GOOGLE = Provider(
    id="google",
    display_name="Google",
    issuer="https://accounts.google.com",
    # ID tokens may carry the form without scheme; a closed list of two (C-70)
    issuer_aliases=("accounts.google.com",),
    authorization_endpoint="https://accounts.google.com/o/oauth2/v2/auth",
    token_endpoint="https://oauth2.googleapis.com/token",
    jwks_uri="https://www.googleapis.com/oauth2/v3/certs",
    userinfo_endpoint="https://openidconnect.googleapis.com/v1/userinfo",
    revocation_endpoint="https://oauth2.googleapis.com/revoke",
    # `iss` arrives for a part of the users, unannounced in discovery: compare it where it comes
    authorization_response_iss="if_present",
    organization_claim="hd",  # the Workspace domain; absent for everybody else
    token_endpoint_auth_method="client_secret_post",
    prompt_values_supported=("none", "consent", "select_account"),
    scope=ScopeRule(
        # both come back spelled out
        aliases={f"{_API}userinfo.email": "email", f"{_API}userinfo.profile": "profile"},
    ),
    # Sign-in is never offline: each consent with access_type=offline mints a refresh token, and the 101st of an account
    # silently pushes out the oldest, which may be a stored grant.
    signin_scopes=_IDENTITY,
    connect_params=(
        ("access_type", "offline"),
        # a refresh token comes with a consent only; and the user says which account
        ("prompt", "consent select_account"),
    ),
    # include_granted_scopes is never sent: the union is asked for by name
    services=(
        Service(
            id="gmail",
            display_name="Gmail",
            access={
                "read": (f"{_API}gmail.readonly",),
                "send": (f"{_API}gmail.send",),
                "write": (f"{_API}gmail.modify",),  # reads, drafts, labels and sends
            },
            base_scopes=_IDENTITY,
            docs_url="https://developers.google.com/workspace/gmail/api/auth/scopes",
        ),
        Service(
            id="google-drive",
            display_name="Google Drive",
            access={
                "read": (f"{_API}drive.readonly",),
                "files": (f"{_API}drive.file",),  # the files this application made or was given: not a restricted scope
                "write": (f"{_API}drive",),
            },
            base_scopes=_IDENTITY,
            docs_url="https://developers.google.com/workspace/drive/api/guides/api-specific-auth",
        ),
        Service(
            id="google-calendar",
            display_name="Google Calendar",
            access={
                "read": (f"{_API}calendar.readonly",),
                "events": (f"{_API}calendar.events",),
                "write": (f"{_API}calendar",),
            },
            base_scopes=_IDENTITY,
            docs_url="https://developers.google.com/workspace/calendar/api/auth",
        ),
        Service(
            id="youtube",
            display_name="YouTube",
            access={
                "read": (f"{_API}youtube.readonly",),
                "upload": (f"{_API}youtube.readonly", f"{_API}youtube.upload"),
                "write": (f"{_API}youtube",),
            },
            base_scopes=_IDENTITY,
            docs_url="https://developers.google.com/youtube/v3/guides/auth/server-side-web-apps",
        ),
    ),
    token_response=TokenResponseRule(
        refresh_token_expires_in="/refresh_token_expires_in",  # only where the user chose time-based access
        default_expires_in=3600,
    ),
    refresh=RefreshRule(
        rotation="none",  # the answer leaves the refresh token out: concurrent refreshes are harmless
        previous_refresh_token="valid",
        previous_access_token="valid",
        inactivity_days=180,
        keepalive_days=60,
        max_live_grants_per_user=100,  # per account and client; the oldest is dropped silently
    ),
    revocation=RevocationRule(
        kind="custom",  # RFC 7009 but for its reach, and without client authentication
        url_template="https://oauth2.googleapis.com/revoke",
        auth="none",
        # any token takes with it every scope this user gave to any client of the Cloud project
        effect="project_user",
        success_statuses=(200,),
        manual_url="https://myaccount.google.com/connections",
    ),
    profile=ProfileRule(email_verified_policy="claim"),  # Google verifies what it calls verified
    errors=(
        # a Workspace policy asks for re-authentication
        ErrorRule("dead", error="invalid_grant", error_code="invalid_rapt", reason="revoked_by_user"),
        ErrorRule("config", error="deleted_client"),
        ErrorRule("config", error="redirect_uri_mismatch"),
        ErrorRule("user_action", error="org_internal"),
        ErrorRule("user_action", error="admin_policy_enforced"),
        ErrorRule("transient", error="internal_failure"),
    ),
    registration_url="https://console.cloud.google.com/auth/clients",
    sources=(
        Source(
            "https://developers.google.com/identity/protocols/oauth2",
            "2026-11-21",
            note="refresh token expiration: 6 months unused, 100 per account and client, 7 days in testing",
        ),
        Source(
            "https://developers.google.com/identity/protocols/oauth2/web-server",
            "2026-11-21",
            note="parameters, token response, revocation and its reach",
        ),
        Source(
            "https://accounts.google.com/.well-known/openid-configuration",
            "2026-11-21",
            note="endpoints, authentication methods, PKCE methods",
        ),
        Source(
            "https://github.com/panva/openid-client/issues/564",
            "2026-11-21",
            note="iss in the authorization response",
        ),
        Source(
            "https://github.com/googleapis/google-auth-library-python/blob/main/google/oauth2/_client.py",
            "2026-11-21",
            note="which errors are transient",
        ),
        Source(
            "https://developers.google.com/identity/protocols/oauth2/scopes",
            "2026-11-21",
            status="unverified",
            note="scope names, as known from public code",
        ),
        Source(
            "https://myaccount.google.com/connections",
            "2026-11-21",
            status="unverified",
            note="address of manual_url; the services' docs_url; prompt_values_supported; default_expires_in",
        ),
    ),
)
