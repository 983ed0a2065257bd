"""Notion: no scopes, no expiry told, Basic authentication around a JSON body."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ErrorRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    SameAccount,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
)

_VERSION = ("notion-version", "2025-09-03")  # the SDK sends it on every call

NOTION = Provider(
    id="notion",
    display_name="Notion",
    protocol="oauth2",
    authorization_endpoint="https://api.notion.com/v1/oauth/authorize",
    token_endpoint="https://api.notion.com/v1/oauth/token",
    introspection_endpoint="https://api.notion.com/v1/oauth/introspect",
    nonce=False,
    pkce="unsupported",  # not documented: not sent
    # capabilities are set where the integration is registered, and the user picks pages
    scope=ScopeRule(parameter=None, omitted_means="unknown"),
    authorization_params=(("owner", "user"),),  # required
    services=(
        Service(
            id="notion",
            display_name="Notion",
            access={"pages": ()},
            default_access="pages",
            docs_url="https://developers.notion.com/guides/get-started/authorization",
        ),
    ),
    token_endpoint_auth_method="client_secret_basic",
    token_request_encoding="json",  # Basic in the header, and the body is JSON all the same
    token_request_headers=(("accept", "application/json"), _VERSION),
    token_response=TokenResponseRule(
        more_error_pointers=("/code",),  # of the API's own errors
        metadata=(
            ("workspace_id", "/workspace_id"),
            ("workspace_name", "/workspace_name"),
            ("bot_id", "/bot_id"),
            ("user_id", "/owner/user/id"),
        ),
        default_expires_in="unknown",  # no expires_in: refreshed when a caller reports a 401, never on a timer
    ),
    refresh=RefreshRule(
        supported="conditional",  # the refresh token may be null
        rotation="always",
        previous_refresh_token="revoked",  # not documented: the safe side
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="custom",  # RFC 7009 but for its JSON
        url_template="https://api.notion.com/v1/oauth/revoke",
        auth="client_secret_basic",
        encoding="json",
        token_hint="access_token",
        effect="grant",
        success_statuses=(200,),
        manual_url="https://www.notion.so/my-integrations",
    ),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://api.notion.com/v1/users/me", headers=(_VERSION,)),),
        # one account per workspace
        id_template="user-{metadata#/user_id}_workspace-{metadata#/workspace_id}",
        same_account=(SameAccount("me#/bot/owner/user/id", ("metadata#/user_id",)),),  # `me` names no workspace id
        map={
            # depends on a capability of the integration
            "email": ("token_response#/owner/user/person/email", "me#/bot/owner/user/person/email"),
            "name": ("token_response#/owner/user/name", "me#/bot/owner/user/name"),
            "avatar_url": ("token_response#/owner/user/avatar_url", "me#/bot/owner/user/avatar_url"),
        },
    ),
    errors=(
        ErrorRule("transient", error="rate_limited"),
        ErrorRule("transient", error="conflict_error"),
        ErrorRule("transient", error="internal_server_error"),
        ErrorRule("transient", error="service_overload"),
        ErrorRule("transient", error="service_unavailable"),
        ErrorRule("transient", error="gateway_timeout"),
    ),
    registration_url="https://www.notion.so/my-integrations",
    sources=(
        Source(
            "https://developers.notion.com/changelog/retrieve-information-about-your-token",
            "2026-11-21",
            note="users/me tells the person who authorized, and no workspace id",
        ),
        Source(
            "https://developers.notion.com/guides/get-started/authorization",
            "2026-11-21",
            note="endpoints, Basic with JSON, redirect_uri, rotation, several grants per user",
        ),
        Source(
            "https://github.com/makenotion/notion-sdk-js/blob/main/src/api-endpoints/oauth.ts",
            "2026-11-21",
            note="token response without expires_in, refresh_token nullable, introspection, revocation",
        ),
        Source("https://developers.notion.com/reference/revoke-token", "2026-11-21", note="revocation"),
        Source(
            "https://developers.notion.com/reference/versioning",
            "2026-11-21",
            status="unverified",
            note="whether the token endpoint wants Notion-Version; PKCE; what becomes of the old refresh token; "
            "which token is revoked; manual_url",
        ),
    ),
)
