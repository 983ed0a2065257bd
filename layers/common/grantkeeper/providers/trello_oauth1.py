"""
Trello by OAuth 1.0a, for API keys registered before OAuth 2.0 came.

The fragment flow (`response_type=token`) is never used: a server does not see what stands behind a `#` (C-99).
"""

from __future__ import annotations

from grantkeeper.providers.record import (
    AvatarRule,
    ErrorRule,
    OAuth1Rule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    ScopeRule,
    Service,
    Source,
    TokenPath,
    TokenResponseRule,
)

TRELLO_OAUTH1 = Provider(
    id="trello-oauth1",
    display_name="Trello (API key)",
    icon="trello",
    protocol="oauth1",
    oauth1=OAuth1Rule(
        request_token_endpoint="https://trello.com/1/OAuthGetRequestToken",
        request_method="GET",
    ),
    authorization_endpoint="https://trello.com/1/OAuthAuthorizeToken",
    token_endpoint="https://trello.com/1/OAuthGetAccessToken",
    nonce=False,
    pkce="unsupported",
    scope=ScopeRule(separator=","),  # not in the answer: what was asked is granted
    # 30 days, unless asked otherwise
    connect_params=(("name", "Grantkeeper"), ("expiration", "never")),
    services=(
        Service(
            id="trello-oauth1",
            display_name="Trello (API key)",
            icon="trello",
            access={"read": ("read",), "write": ("read", "write")},
            base_scopes=("account",),  # the e-mail address
            docs_url="https://developer.atlassian.com/cloud/trello/guides/rest-api/authorization",
        ),
    ),
    token_response=TokenResponseRule(
        encoding="form",
        tokens=(TokenPath(access_token="/oauth_token", refresh_token="/oauth_refresh_token"),),
        metadata=(("token_secret", "/oauth_token_secret"),),
        default_expires_in="never",
    ),
    refresh=RefreshRule(supported="never", rotation="none", previous_refresh_token="valid"),
    revocation=RevocationRule(
        kind="custom",
        method="DELETE",
        url_template="https://api.trello.com/1/tokens/{token}?key={client_id}&token={token}",  # authenticates itself
        auth="none",
        encoding="none",
        token_hint="access_token",
        effect="token",
        success_statuses=(200,),
        manual_url="https://trello.com/my/account",
    ),
    profile=ProfileRule(
        requests=(
            ProfileRequest(
                "me",
                "https://api.trello.com/1/members/me?fields=id,username,fullName,email,avatarUrl,prefs",
                auth="oauth1",
            ),
        ),
        map={
            "provider_user_id": ("me#/id",),
            "email": ("me#/email",),
            "name": ("me#/fullName", "me#/username"),
            "locale": ("me#/prefs/locale",),
        },
        avatar=AvatarRule("computed", "{me#/avatarUrl}/170.png"),
    ),
    errors=(
        ErrorRule("dead", status=401, body_text="invalid token", reason="revoked_by_user"),  # plain text, no JSON
        ErrorRule("config", status=401, body_text="invalid key"),
        ErrorRule("config", status=401, body_text="invalid signature"),  # our secret is not the key's
    ),
    registration_url="https://trello.com/power-ups/admin",
    sources=(
        Source(
            "https://developer.atlassian.com/cloud/trello/guides/rest-api/authorization",
            "2026-11-21",
            note="endpoints, scope and expiration, allowed origins, plain-text 401",
        ),
        Source(
            "https://github.com/api-evangelist/trello/blob/main/authentication/trello-authentication.yml",
            "2026-11-21",
            note="revocation by DELETE, no planned end of these tokens",
        ),
        Source(
            "https://trello.com/power-ups/admin",
            "2026-11-21",
            status="unverified",
            note="the words for an unknown key and a wrong secret; the avatar's size suffix; manual_url",
        ),
    ),
)
