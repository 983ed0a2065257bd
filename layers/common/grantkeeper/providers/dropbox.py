"""Dropbox: a refresh token that stays, a profile by an empty POST, a revocation by the access token itself."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ErrorRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    Service,
    Source,
    TokenResponseRule,
)

_READ = ("files.metadata.read", "files.content.read")

DROPBOX = Provider(
    id="dropbox",
    display_name="Dropbox",
    protocol="oauth2",
    authorization_endpoint="https://www.dropbox.com/oauth2/authorize",
    token_endpoint="https://api.dropboxapi.com/oauth2/token",
    nonce=False,
    connect_params=(("token_access_type", "offline"),),
    services=(
        Service(
            id="dropbox",
            display_name="Dropbox",
            access={"read": _READ, "write": (*_READ, "files.content.write")},
            base_scopes=("account_info.read",),
            docs_url="https://www.dropbox.com/developers/reference/oauth-guide",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_response=TokenResponseRule(
        more_error_pointers=("/error/.tag",),  # of the API's own errors
        # a team's app has a team_id instead of an account_id
        metadata=(("account_id", "/account_id"), ("team_id", "/team_id")),
        default_expires_in=14_400,
    ),
    refresh=RefreshRule(
        rotation="none",  # left out of the answer, and without an end of its own
        previous_refresh_token="valid",
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="custom",
        url_template="https://api.dropboxapi.com/2/auth/token/revoke",
        auth="bearer",
        encoding="none",
        token_hint="access_token",
        requires_live_access_token=True,
        effect="grant",  # its refresh token and all sibling access tokens go with it
        success_statuses=(200,),
        gone=("invalid_access_token",),
        manual_url="https://www.dropbox.com/account/connected_apps",
    ),
    profile=ProfileRule(
        requests=(
            # a POST without a body, and without a content type
            ProfileRequest("me", "https://api.dropboxapi.com/2/users/get_current_account", method="POST"),
        ),
        map={
            "provider_user_id": ("me#/account_id", "metadata#/account_id", "metadata#/team_id"),
            "email": ("me#/email",),
            "email_verified": ("me#/email_verified",),
            "name": ("me#/name/display_name",),
            "avatar_url": ("me#/profile_photo_url",),
            "locale": ("me#/locale",),
        },
        email_verified_policy="claim",
    ),
    errors=(
        ErrorRule("dead", error="invalid_access_token", reason="revoked_by_user"),
        ErrorRule("dead", error="user_suspended", reason="revoked_by_user"),
        ErrorRule("user_action", error="missing_scope"),
    ),
    registration_url="https://www.dropbox.com/developers/apps",
    sources=(
        Source(
            "https://github.com/dropbox/dropbox-sdk-python/blob/main/dropbox/oauth.py",
            "2026-11-21",
            note="endpoints, token_access_type, token response, refresh without a new refresh token",
        ),
        Source(
            "https://github.com/dropbox/dropbox-sdk-python/blob/main/dropbox/base.py",
            "2026-11-21",
            note="auth/token/revoke and its reach; users/get_current_account",
        ),
        Source(
            "https://dropbox.tech/developers/using-oauth-2-0-with-offline-access",
            "2026-11-21",
            note="short-lived access tokens, offline access",
        ),
        Source(
            "https://www.dropbox.com/developers/reference/oauth-guide",
            "2026-11-21",
            status="unverified",
            note="14400 seconds exactly; secret and code_verifier in one request; scope names; manual_url; what the "
            "token endpoint answers for a dead grant",
        ),
    ),
)
