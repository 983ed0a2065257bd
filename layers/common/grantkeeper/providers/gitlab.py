"""GitLab.com: sign-in and API. A self-managed GitLab is this record as `base` with an issuer of its own."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    Service,
    Source,
    TokenResponseRule,
)

_IDENTITY = ("openid", "profile", "email")

GITLAB = Provider(
    id="gitlab",
    display_name="GitLab",
    issuer="https://gitlab.com",
    authorization_endpoint="https://gitlab.com/oauth/authorize",
    token_endpoint="https://gitlab.com/oauth/token",
    revocation_endpoint="https://gitlab.com/oauth/revoke",
    introspection_endpoint="https://gitlab.com/oauth/introspect",
    userinfo_endpoint="https://gitlab.com/oauth/userinfo",
    jwks_uri="https://gitlab.com/oauth/discovery/keys",
    token_endpoint_auth_method="client_secret_post",
    signin_scopes=_IDENTITY,
    services=(
        Service(
            id="gitlab",
            display_name="GitLab",
            access={"read": ("read_api",), "write": ("api",)},
            base_scopes=(*_IDENTITY, "read_user"),
            docs_url="https://docs.gitlab.com/integration/oauth_provider/#view-all-authorized-applications",
        ),
    ),
    refresh_sends_redirect_uri=True,
    token_response=TokenResponseRule(default_expires_in=7200),
    refresh=RefreshRule(
        rotation="always",
        previous_refresh_token="revoked",  # both die at once
        previous_access_token="revoked",
    ),
    revocation=RevocationRule(
        kind="rfc7009",
        auth="client_secret_post",
        effect="token",
        success_statuses=(200,),
        manual_url="https://gitlab.com/-/user_settings/applications",
    ),
    profile=ProfileRule(email_verified_policy="claim"),
    registration_url="https://gitlab.com/-/user_settings/applications",
    sources=(
        Source(
            "https://docs.gitlab.com/api/oauth2/",
            "2026-11-21",
            note="endpoints, PKCE, 7200 seconds, redirect_uri with the refresh, both tokens replaced",
        ),
        Source(
            "https://gitlab.com/.well-known/openid-configuration",
            "2026-11-21",
            status="unverified",
            note="jwks_uri, introspection_endpoint, email_verified; whether a revocation reaches sibling tokens; "
            "manual_url; docs_url",
        ),
    ),
)
