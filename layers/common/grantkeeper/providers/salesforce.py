"""Salesforce: a host per kind of org, no expiry told, an address of the API beside the token."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ErrorRule,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    SameAccount,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
    Variable,
)

_HOST = "https://{host}.salesforce.com"
_OFFLINE = ("refresh_token",)  # `offline_access` is another name of it

SALESFORCE = Provider(
    id="salesforce",
    display_name="Salesforce",
    protocol="oauth2",
    # production, sandbox, or a My Domain such as acme.my and acme--uat.sandbox.my
    variables=(Variable("host", r"login|test|[a-z0-9][a-z0-9-]{0,62}(?:\.sandbox)?\.my", "login"),),
    authorization_endpoint=f"{_HOST}/services/oauth2/authorize",
    token_endpoint=f"{_HOST}/services/oauth2/token",
    revocation_endpoint=f"{_HOST}/services/oauth2/revoke",
    userinfo_endpoint=f"{_HOST}/services/oauth2/userinfo",
    nonce=False,
    prompt_values_supported=("login", "consent", "select_account"),
    scope=ScopeRule(aliases={"offline_access": "refresh_token"}, never_returned=_OFFLINE),
    services=(
        Service(
            id="salesforce",
            display_name="Salesforce",
            access={"api": ("api",), "full": ("full",)},  # what may be read or written is the user's own permission
            default_access="api",
            base_scopes=("openid", "email", "profile"),
            offline_scopes=_OFFLINE,
            docs_url="https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_tokens_scopes.htm",
        ),
    ),
    token_endpoint_auth_method="client_secret_post",
    token_response=TokenResponseRule(
        # instance_url is where the API of this org is: callers need it
        metadata=(("instance_url", "/instance_url"), ("id", "/id")),
        default_expires_in="unknown",  # the org's session timeout: refreshed when a caller reports a 401
    ),
    refresh=RefreshRule(
        rotation="optional",  # a policy of the org
        previous_refresh_token="revoked",
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="custom",  # RFC 7009 without client authentication and hint
        url_template=f"{_HOST}/services/oauth2/revoke",
        auth="none",
        token_hint="refresh_token",
        effect="grant",
        success_statuses=(200,),
        manual_url="https://help.salesforce.com/s/articleView?id=sf.remoteaccess_revoking_oauth_tokens.htm",
    ),
    profile=ProfileRule(
        same_account=(SameAccount("userinfo#/sub", ("metadata#/id",)),),  # the same URL
        map={
            "provider_user_id": ("metadata#/id",),  # a URL naming org and user
            "email": ("userinfo#/email",),
            "email_verified": ("userinfo#/email_verified",),
            "name": ("userinfo#/name",),
            "avatar_url": ("userinfo#/picture",),
            "locale": ("userinfo#/locale",),
        },
        email_verified_policy="claim",
    ),
    errors=(
        ErrorRule("dead", error="invalid_grant", body_text="inactive user", reason="revoked_by_user"),
        ErrorRule("dead", error="invalid_grant", body_text="expired access/refresh token", reason="revoked_by_user"),
    ),
    registration_url="https://help.salesforce.com/s/articleView?id=sf.connected_app_create.htm",
    sources=(
        Source(
            "https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_using_userinfo_endpoint.htm",
            "2026-11-21",
            note="userinfo is of the token's own user; email_verified follows a link he was sent",
        ),
        Source(
            "https://developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-using-identity-urls.html",
            "2026-11-21",
            status="unverified",
            note="`sub` of userinfo is the `id` of the token response, host and all",
        ),
        Source(
            "https://github.com/NangoHQ/nango/blob/master/packages/providers/providers.yaml",
            "2026-11-21",
            note="endpoints, hosts, scopes, instance_url; refresh by policy of the org",
        ),
        Source(
            "https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_web_server_flow.htm",
            "2026-11-21",
            status="unverified",
            note="no expires_in; rotation; that the revocation wants no authentication; members of userinfo; "
            "prompt_values_supported; manual_url",
        ),
    ),
)
