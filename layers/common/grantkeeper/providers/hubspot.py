"""HubSpot: the token stands in the path of the calls about it, the refresh token never changes."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ErrorRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    ScopeParameter,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
)

_READ = ("crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read")
_WRITE = ("crm.objects.contacts.write", "crm.objects.companies.write", "crm.objects.deals.write")

HUBSPOT = Provider(
    id="hubspot",
    display_name="HubSpot",
    protocol="oauth2",
    authorization_endpoint="https://app.hubspot.com/oauth/authorize",
    token_endpoint="https://api.hubapi.com/oauth/v1/token",  # newer code calls /oauth/v3/token
    nonce=False,
    pkce="unsupported",
    scope=ScopeRule(
        # what a portal without the product may leave out is asked in a parameter of its own; no level of ours needs it
        extra=(ScopeParameter("optional_scope", prefix="optional:"),),
    ),
    services=(
        Service(
            id="hubspot",
            display_name="HubSpot",
            access={"read": _READ, "write": (*_READ, *_WRITE)},
            base_scopes=("oauth",),
            docs_url="https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_response=TokenResponseRule(
        more_error_pointers=("/status",),  # errors in a form of their own
        metadata=(("hub_id", "/hub_id"),),
        default_expires_in=1800,
    ),
    refresh=RefreshRule(
        rotation="none",  # the same one is answered
        previous_refresh_token="valid",
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="custom",
        method="DELETE",
        url_template="https://api.hubapi.com/oauth/v1/refresh-tokens/{token}",  # in the path
        auth="none",
        encoding="none",
        token_hint="refresh_token",
        effect="grant",
        success_statuses=(200, 204),
        gone=("BAD_REFRESH_TOKEN", "invalid_grant"),
        manual_url="https://app.hubspot.com/l/integrations-settings/installed",
    ),
    profile=ProfileRule(
        requests=(
            ProfileRequest(
                "info",
                "https://api.hubapi.com/oauth/v1/access-tokens/{token}",  # in the path, and in no header
                auth="none",
            ),
        ),
        id_template="{info#/hub_id}:{info#/user_id}",  # a person in a portal
        map={"email": ("info#/user",), "name": ("info#/hub_domain",)},
    ),
    errors=(
        ErrorRule("dead", error="BAD_REFRESH_TOKEN", reason="revoked_by_user"),
        ErrorRule("config", error="BAD_CLIENT_ID"),  # also said of a wrong secret
    ),
    registration_url="https://app.hubspot.com/l/developer-overview",
    sources=(
        Source(
            "https://github.com/NangoHQ/nango/blob/master/packages/providers/providers.yaml",
            "2026-11-21",
            note="endpoints, scopes, revocation by DELETE with the token in the path",
        ),
        Source(
            "https://developers.hubspot.com/docs/api-reference/legacy/authentication/manage-oauth-tokens",
            "2026-11-21",
            status="unverified",
            note="1800 seconds; the move from v1 to v3; BAD_REFRESH_TOKEN and BAD_CLIENT_ID; members of the token's "
            "information; scope names; manual_url",
        ),
    ),
)
