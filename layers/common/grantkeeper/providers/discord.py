"""Discord: form bodies only, and a picture whose address is computed."""

from __future__ import annotations

from grantkeeper.providers.record import (
    AvatarRule,
    ProfileRequest,
    ProfileRule,
    Provider,
    RefreshRule,
    RevocationRule,
    Service,
    Source,
    TokenResponseRule,
)

_IDENTITY = ("identify", "email")

DISCORD = Provider(
    id="discord",
    display_name="Discord",
    protocol="oauth2",
    authorization_endpoint="https://discord.com/oauth2/authorize",
    token_endpoint="https://discord.com/api/oauth2/token",
    revocation_endpoint="https://discord.com/api/oauth2/token/revoke",
    nonce=False,
    prompt_values_supported=("none", "consent"),
    signin_scopes=_IDENTITY,
    connect_params=(("prompt", "consent"),),
    services=(
        Service(
            id="discord",
            display_name="Discord",
            access={"read": ("guilds",), "members": ("guilds", "guilds.members.read")},
            base_scopes=_IDENTITY,
            docs_url="https://discord.com/developers/docs/topics/oauth2#shared-resources-oauth2-scopes",
        ),
    ),
    token_endpoint_auth_method="client_secret_basic",
    token_request_encoding="form",  # JSON is refused
    refresh_sends_redirect_uri=True,
    token_response=TokenResponseRule(default_expires_in=604_800),
    refresh=RefreshRule(
        rotation="always",
        previous_refresh_token="revoked",  # not documented: the safe side
        previous_access_token="valid",
    ),
    revocation=RevocationRule(
        kind="rfc7009",
        effect="grant",
        success_statuses=(200,),
        manual_url="https://discord.com/channels/@me",
    ),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://discord.com/api/users/@me"),),
        map={
            "provider_user_id": ("me#/id",),
            "email": ("me#/email",),
            "email_verified": ("me#/verified",),
            "name": ("me#/global_name", "me#/username"),
            "locale": ("me#/locale",),
        },
        email_verified_policy="claim",
        # the account has the hash of its picture, not its address
        avatar=AvatarRule("computed", "https://cdn.discordapp.com/avatars/{me#/id}/{me#/avatar}.png"),
    ),
    registration_url="https://discord.com/developers/applications",
    sources=(
        Source(
            "https://github.com/discord/discord-api-docs/blob/main/docs/topics/OAuth2.md",
            "2026-11-21",
            note="endpoints, form bodies only, 604800 seconds, scopes, redirect_uri with the refresh, revocation",
        ),
        Source(
            "https://discord.com/developers/docs/topics/oauth2",
            "2026-11-21",
            status="unverified",
            note="PKCE; what becomes of the old refresh token; how far a revocation reaches; manual_url; global_name",
        ),
    ),
)
