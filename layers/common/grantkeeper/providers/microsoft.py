"""Microsoft identity platform: sign-in, Outlook mail, Outlook Calendar and Teams, for any tenant."""

from __future__ import annotations

from grantkeeper.providers.record import (
    AvatarRule,
    ErrorRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RedirectUriRule,
    RefreshRule,
    RevocationRule,
    SameAccount,
    ScopeRule,
    Service,
    Source,
    TokenResponseRule,
    Variable,
)

_LOGIN = "https://login.microsoftonline.com/{tenant}"
_IDENTITY = ("openid", "email", "profile", "User.Read")  # `oid` comes with profile only; User.Read opens the photo
_OFFLINE = ("offline_access",)
_GRAPH = "https://graph.microsoft.com/v1.0"
_USERINFO = "https://graph.microsoft.com/oidc/userinfo"
_GRAPH_DOCS = "https://learn.microsoft.com/graph/permissions-reference"

# A deployment for one tenant overrides `issuer` with the tenant's own, so that no other tenant signs in.
MICROSOFT = Provider(
    id="microsoft",
    display_name="Microsoft",
    # `common` also takes `organizations`, `consumers` or a tenant id
    variables=(
        Variable("tenant", r"common|organizations|consumers|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "common"),
    ),
    authorization_endpoint=f"{_LOGIN}/oauth2/v2.0/authorize",
    token_endpoint=f"{_LOGIN}/oauth2/v2.0/token",
    jwks_uri=f"{_LOGIN}/discovery/v2.0/keys",
    end_session_endpoint=f"{_LOGIN}/oauth2/v2.0/logout",
    userinfo_endpoint=_USERINFO,
    # discovery names a template; the token names the user's tenant, which `tid` must repeat (C-71)
    issuer_template="https://login.microsoftonline.com/{tenantid}/v2.0",
    issuer_claims=(("tenantid", "tid"),),
    organization_claim="tid",
    token_endpoint_auth_method="client_secret_post",
    prompt_values_supported=("none", "login", "consent", "select_account"),
    scope=ScopeRule(
        strip_prefixes=("https://graph.microsoft.com/",),  # answered fully qualified, or not
        case_insensitive=True,
        never_returned=_OFFLINE,
    ),
    signin_scopes=_IDENTITY,
    connect_params=(("prompt", "select_account"),),
    services=(
        Service(
            id="outlook-mail",
            display_name="Outlook Mail",
            access={"read": ("Mail.Read",), "send": ("Mail.Send",), "write": ("Mail.ReadWrite", "Mail.Send")},
            base_scopes=_IDENTITY,
            offline_scopes=_OFFLINE,
            docs_url=_GRAPH_DOCS,
        ),
        Service(
            id="outlook-calendar",
            display_name="Outlook Calendar",
            access={"read": ("Calendars.Read",), "write": ("Calendars.ReadWrite",)},
            base_scopes=_IDENTITY,
            offline_scopes=_OFFLINE,
            docs_url=_GRAPH_DOCS,
        ),
        Service(
            id="teams",
            display_name="Microsoft Teams",
            access={
                "read": ("Team.ReadBasic.All", "Channel.ReadBasic.All", "Chat.Read"),
                "write": (
                    "Team.ReadBasic.All",
                    "Channel.ReadBasic.All",
                    "ChannelMessage.Send",
                    "Chat.ReadWrite",
                    "ChatMessage.Send",
                ),
            },
            base_scopes=_IDENTITY,
            offline_scopes=_OFFLINE,
            docs_url=_GRAPH_DOCS,
        ),
    ),
    token_response=TokenResponseRule(
        default_expires_in=3600,
        kept_claims=(("tid", "/tid"), ("oid", "/oid"), ("sub", "/sub")),
    ),
    refresh=RefreshRule(
        rotation="always",
        previous_refresh_token="valid",  # a new one each time, the old one is not revoked: losing a race loses nothing
        previous_access_token="valid",
        inactivity_days=90,
        keepalive_days=30,
    ),
    revocation=RevocationRule(
        kind="none",  # revokeSignInSessions would end the user's sessions in every app: not a disconnect
        manual_url="https://myapps.microsoft.com",
    ),
    profile=ProfileRule(
        # one account per tenant; `sub` differs per application, e-mail is set by any tenant's admin (nOAuth)
        id_template="{metadata#/tid}:{metadata#/oid}",
        requests=(
            ProfileRequest("userinfo", _USERINFO, when="no_id_token"),
            ProfileRequest("me", f"{_GRAPH}/me?$select=id,displayName,mail,preferredLanguage", optional=True),
        ),
        # Graph's `id` of a personal account is no `oid`; userinfo tells the ID token's `sub`
        same_account=(SameAccount("userinfo#/sub", ("metadata#/sub",)),),
        map={
            "email": ("id_token#/email", "userinfo#/email", "me#/mail"),
            # the optional claim: this tenant owns the address's domain. Absent means unverified.
            "email_verified": ("id_token#/xms_edov",),
            "name": ("id_token#/name", "userinfo#/name", "me#/displayName"),
            "locale": ("me#/preferredLanguage",),
        },
        email_verified_policy="claim",
        email_verified_values=(True, "1"),
        # bytes behind the token, 404 when there is none; the claim `picture` is such an address too
        avatar=AvatarRule("binary", f"{_GRAPH}/me/photos/96x96/$value"),
    ),
    errors=(
        # AADSTS50196: a client that repeats itself is throttled in these words
        ErrorRule("transient", error="invalid_grant", error_code="50196"),
        ErrorRule("dead", error="invalid_grant", error_code="700082", reason="expired_unused"),
        ErrorRule("dead", error="interaction_required", reason="revoked_by_user"),
        ErrorRule("dead", error="consent_required", reason="revoked_by_user"),
        ErrorRule("dead", error="login_required", reason="revoked_by_user"),
        ErrorRule("config", error="invalid_resource"),
    ),
    # without query where personal accounts are let in
    redirect_uris=RedirectUriRule(localhost="allowed", loopback_ip="forbidden", query="forbidden", max_length=256),
    registration_url="https://entra.microsoft.com",
    sources=(
        Source(
            "https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow",
            "2026-11-21",
            note="endpoints, parameters, PKCE, errors",
        ),
        Source("https://learn.microsoft.com/entra/identity-platform/refresh-tokens", "2026-11-21", note="lifetimes"),
        Source(
            "https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference",
            "2026-11-21",
            note="tid, oid, sub, email",
        ),
        Source("https://learn.microsoft.com/entra/identity-platform/reply-url", "2026-11-21", note="redirect rules"),
        Source(
            "https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration",
            "2026-11-21",
            note="issuer template, no revocation endpoint",
        ),
        Source(
            "https://github.com/better-auth/better-auth/blob/main/packages/core/src/social-providers/microsoft-entra-id.ts",
            "2026-11-21",
            note="xms_edov",
        ),
        Source(
            "https://learn.microsoft.com/graph/api/profilephoto-get",
            "2026-11-21",
            note="the photo is binary, wants the token, and is 404 when there is none",
        ),
        Source(
            "https://learn.microsoft.com/entra/identity-platform/userinfo",
            "2026-11-21",
            note="userinfo tells a part of what the ID token tells, `sub` in it; wants openid",
        ),
        Source(
            "https://learn.microsoft.com/graph/api/user-get",
            "2026-11-21",
            status="unverified",
            note="preferredLanguage and mail with User.Read; the 96x96 photo of personal accounts",
        ),
        Source(_GRAPH_DOCS, "2026-11-21", status="unverified", note="scope names; which need an administrator"),
        Source(
            "https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc",
            "2026-11-21",
            status="unverified",
            note="end_session_endpoint; manual_url; scope leaves out offline_access; default_expires_in",
        ),
    ),
)
