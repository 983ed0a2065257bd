"""Slack: an app in a workspace with a bot's and a user's token, and sign-in by OpenID Connect. Two records."""

from __future__ import annotations

from dataclasses import replace

from grantkeeper.providers.record import (
    ErrorRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RedirectUriRule,
    RefreshRule,
    RevocationRule,
    SameAccount,
    ScopeParameter,
    ScopeRule,
    Service,
    Source,
    TokenPath,
    TokenResponseRule,
)

_READ = ("channels:read", "channels:history", "users:read", "users:read.email")
_USER_READ = ("user:channels:read", "user:channels:history", "user:users:read", "user:users:read.email")
_REDIRECTS = RedirectUriRule(localhost="forbidden", loopback_ip="forbidden")  # https only: local work needs a tunnel

_ERRORS = (  # all of them in a 200
    ErrorRule("dead", error="invalid_refresh_token", reason="revoked_by_user"),
    ErrorRule("dead", error="token_revoked", reason="revoked_by_user"),
    ErrorRule("dead", error="token_expired", reason="expired_no_refresh_token"),
    ErrorRule("dead", error="account_inactive", reason="revoked_by_user"),
    ErrorRule("dead", error="invalid_auth", reason="credentials_rejected"),
    ErrorRule("config", error="invalid_client_id"),
    ErrorRule("config", error="bad_client_secret"),
    ErrorRule("config", error="bad_redirect_uri"),
    ErrorRule("config", error="no_scopes"),
    ErrorRule("user_action", error="invalid_code"),
    ErrorRule("user_action", error="code_already_used"),
    ErrorRule("transient", error="ratelimited"),
    ErrorRule("transient", error="internal_error"),
    ErrorRule("transient", error="fatal_error"),
    ErrorRule("transient", error="service_unavailable"),
)

_ERROR_SOURCE = Source(
    "https://docs.slack.dev/reference/methods/oauth.v2.access",
    "2026-11-21",
    status="unverified",
    note="the error table beyond invalid_code and invalid_refresh_token; docs_url and manual_url; scope names",
)

SLACK = Provider(
    id="slack",
    display_name="Slack",
    protocol="oauth2",
    authorization_endpoint="https://slack.com/oauth/v2/authorize",
    token_endpoint="https://slack.com/api/oauth.v2.access",
    nonce=False,
    # taking PKCE is an opt-in that turns the app into a public client for good and ends refresh tokens after 30 days
    pkce="unsupported",
    token_endpoint_auth_method="client_secret_basic",
    scope=ScopeRule(
        separator=",",
        # what the user's own token may do is asked in a parameter of its own
        extra=(ScopeParameter("user_scope", prefix="user:"),),
    ),
    services=(
        Service(
            id="slack",
            display_name="Slack",
            access={
                "read": _READ,
                "write": (*_READ, "chat:write"),
                "user": _USER_READ,  # the user's token alone
                "full": (*_READ, "chat:write", *_USER_READ, "user:chat:write"),
            },
            docs_url="https://docs.slack.dev/reference/scopes",
        ),
    ),
    token_response=TokenResponseRule(
        token_types=("bearer", "bot", "user"),
        success_pointer="/ok",  # failures come with HTTP 200
        # one consent, two tokens, each with a refresh token of its own once rotation is on
        tokens=(
            TokenPath("bot", optional=True),
            TokenPath(
                "user",
                access_token="/authed_user/access_token",
                refresh_token="/authed_user/refresh_token",
                expires_in="/authed_user/expires_in",
                scope="/authed_user/scope",
                token_type="/authed_user/token_type",
                optional=True,
                scope_prefix="user:",
            ),
        ),
        flat_refresh=True,  # a refresh answers with one token at the top, the user's too
        metadata=(
            ("team_id", "/team/id"),
            ("team_name", "/team/name"),
            ("enterprise_id", "/enterprise/id"),
            ("user_id", "/authed_user/id"),
            ("bot_user_id", "/bot_user_id"),
            ("app_id", "/app_id"),
        ),
        default_expires_in="never",  # without rotation; with it each token says 43200
    ),
    refresh=RefreshRule(
        supported="conditional",  # rotation is a setting of the app, and cannot be switched off again
        rotation="always",
        # single use, revoked after a grace period Slack calls short and does not measure: count on as little as helps
        previous_refresh_token="grace",
        grace_seconds=30,
        previous_access_token="valid",  # at most two live ones, the oldest goes
        max_live_grants_per_user=2,
        throttled="connection",  # limits are per method, workspace and app
    ),
    revocation=RevocationRule(
        kind="custom",
        url_template="https://slack.com/api/auth.revoke",
        auth="bearer",
        encoding="none",
        token_hint="access_token",
        requires_live_access_token=True,
        # without rotation it usually ends the whole authorization
        effect="installation",
        success_statuses=(200,),
        success_pointer="/ok",
        # the bot's token is the workspace's: colleagues' connections stand on it
        tokens=("user",),
        gone=("token_revoked", "invalid_auth", "account_inactive", "token_expired"),
        manual_url="https://slack.com/apps/manage",
    ),
    profile=ProfileRule(
        requests=(
            # the workspace and the person are in the token response; this shows that the token works
            ProfileRequest("auth", "https://slack.com/api/auth.test", method="POST", success_pointer="/ok"),
            ProfileRequest(
                "user",
                "https://slack.com/api/users.info?user={metadata#/user_id}&include_locale=true",
                success_pointer="/ok",
            ),
        ),
        # a person in two workspaces is two accounts; auth.test would name the bot, not its installer
        id_template="{metadata#/team_id}_{metadata#/user_id}",
        same_account=(
            SameAccount("auth#/team_id", ("metadata#/team_id",)),
            SameAccount("auth#/user_id", ("metadata#/bot_user_id", "metadata#/user_id")),  # whichever token asked
        ),
        map={
            "email": ("user#/user/profile/email",),
            "name": ("user#/user/real_name", "user#/user/name", "metadata#/team_name"),
            "avatar_url": ("user#/user/profile/image_192",),
            "locale": ("user#/user/locale",),
        },
    ),
    errors=_ERRORS,
    redirect_uris=_REDIRECTS,
    registration_url="https://api.slack.com/apps",
    sources=(
        Source(
            "https://docs.slack.dev/reference/methods/oauth.v2.access",
            "2026-11-21",
            note="endpoints, authentication, token response with authed_user, errors in a 200",
        ),
        Source(
            "https://docs.slack.dev/authentication/using-token-rotation",
            "2026-11-21",
            note="rotation, 43200 seconds, grace, two live tokens, auth.revoke and apps.uninstall",
        ),
        Source(
            "https://docs.slack.dev/apis/web-api/rate-limits",
            "2026-11-21",
            note="limits per API method, workspace and app; Retry-After",
        ),
        Source(
            "https://docs.slack.dev/authentication/using-pkce",
            "2026-11-21",
            note="PKCE makes the app public for good; refresh tokens then end after 30 days",
        ),
        Source(
            "https://github.com/slackapi/python-slack-sdk/blob/main/slack_sdk/oauth/token_rotation/rotator.py",
            "2026-11-21",
            note="flat answer of a refresh, its token_type",
        ),
        Source(
            "https://docs.slack.dev/reference/methods/users.info",
            "2026-11-21",
            status="unverified",
            note="fields of users.info; length of the grace period",
        ),
        _ERROR_SOURCE,
    ),
)

# Sign in with Slack: the same app, another endpoint, OpenID Connect
SLACK_SIGNIN = Provider(
    id="slack-signin",
    display_name="Slack",
    icon="slack",
    credentials_ref="slack",
    issuer="https://slack.com",
    authorization_endpoint="https://slack.com/openid/connect/authorize",
    token_endpoint="https://slack.com/api/openid.connect.token",
    jwks_uri="https://slack.com/openid/connect/keys",
    userinfo_endpoint="https://slack.com/api/openid.connect.userInfo",
    pkce="unsupported",
    token_endpoint_auth_method="client_secret_post",
    signin_scopes=("openid", "profile", "email"),
    token_response=TokenResponseRule(success_pointer="/ok", default_expires_in="never"),
    refresh=RefreshRule(supported="never", rotation="none", previous_refresh_token="valid"),  # sign-in keeps no tokens
    revocation=RevocationRule(kind="none", manual_url="https://slack.com/apps/manage"),
    profile=ProfileRule(
        # claims with URLs for names, their slashes escaped as RFC 6901 has it
        id_template="{id_token#/https:~1~1slack.com~1team_id}_{id_token#/https:~1~1slack.com~1user_id}",
        email_verified_policy="claim",
    ),
    errors=_ERRORS,
    redirect_uris=_REDIRECTS,
    registration_url="https://api.slack.com/apps",
    sources=(
        Source(
            "https://slack.com/.well-known/openid-configuration",
            "2026-11-21",
            note="issuer, endpoints, keys, claims; as seen in public code",
        ),
        Source(
            "https://github.com/pennersr/django-allauth/tree/main/allauth/socialaccount/providers/slack",
            "2026-11-21",
            note="composite id, ok in the token answer",
        ),
        replace(_ERROR_SOURCE, note="the error table; manual_url; authentication method"),
    ),
)
