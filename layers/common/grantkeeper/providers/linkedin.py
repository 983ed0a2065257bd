"""LinkedIn: sixty days and, for most applications, no refresh token."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
)

_IDENTITY = ("openid", "profile", "email")

LINKEDIN = Provider(
    id="linkedin",
    display_name="LinkedIn",
    protocol="oauth2",  # an ID token comes along; its issuer is not documented well enough to rest on it
    authorization_endpoint="https://www.linkedin.com/oauth/v2/authorization",
    token_endpoint="https://www.linkedin.com/oauth/v2/accessToken",
    userinfo_endpoint="https://api.linkedin.com/v2/userinfo",
    nonce=False,
    pkce="unsupported",  # for native applications only
    signin_scopes=_IDENTITY,
    scope=ScopeRule(response_separator=","),
    services=(
        Service(
            id="linkedin",
            display_name="LinkedIn",
            access={"read": _IDENTITY, "write": (*_IDENTITY, "w_member_social")},
            docs_url="https://learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_response=TokenResponseRule(
        refresh_token_expires_in="/refresh_token_expires_in",
        default_expires_in=5_184_000,  # 60 days
    ),
    refresh=RefreshRule(
        supported="conditional",  # approved partners only; all others consent again before sixty days are over
        rotation="none",
        previous_refresh_token="valid",
        previous_access_token="valid",
        absolute_days=365,  # counted from the first grant, not extended by a refresh
    ),
    revocation=RevocationRule(
        kind="custom",
        url_template="https://www.linkedin.com/oauth/v2/revoke",
        auth="client_secret_post",
        token_hint="access_token",
        effect="grant",
        success_statuses=(200,),
        manual_url="https://www.linkedin.com/mypreferences/d/data-sharing-for-permitted-services",
    ),
    profile=ProfileRule(
        map={
            "provider_user_id": ("userinfo#/sub",),
            "email": ("userinfo#/email",),
            "email_verified": ("userinfo#/email_verified",),
            "name": ("userinfo#/name",),
            "avatar_url": ("userinfo#/picture",),
        },
        email_verified_policy="claim",
    ),
    registration_url="https://www.linkedin.com/developers/apps",
    sources=(
        Source(
            "https://learn.microsoft.com/linkedin/shared/authentication/programmatic-refresh-tokens",
            "2026-11-21",
            note="partners only, 60 days and a year",
        ),
        Source(
            "https://learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow",
            "2026-11-21",
            note="endpoints, authentication",
        ),
        Source(
            "https://learn.microsoft.com/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2",
            "2026-11-21",
            status="unverified",
            note="the revocation endpoint and its reach; the issuer; that the year is not extended; "
            "response separator; manual_url",
        ),
    ),
)
