"""Spotify: no `localhost` in redirect URIs, no way to revoke."""

from __future__ import annotations

from grantkeeper.providers.record import (
    ProfileRequest,
    ProfileRule,
    Provider,
    RedirectUriRule,
    RefreshRule,
    RevocationRule,
    Service,
    Source,
    TokenResponseRule,
)

_IDENTITY = ("user-read-email", "user-read-private")
_READ = ("user-library-read", "playlist-read-private", "user-read-recently-played")

SPOTIFY = Provider(
    id="spotify",
    display_name="Spotify",
    protocol="oauth2",
    authorization_endpoint="https://accounts.spotify.com/authorize",
    token_endpoint="https://accounts.spotify.com/api/token",
    nonce=False,
    services=(
        Service(
            id="spotify",
            display_name="Spotify",
            access={
                "read": _READ,
                "write": (*_READ, "user-library-modify", "playlist-modify-private", "playlist-modify-public"),
            },
            base_scopes=_IDENTITY,
            docs_url="https://developer.spotify.com/documentation/web-api/concepts/scopes",
        ),
    ),
    signin_scopes=_IDENTITY,
    connect_params=(("show_dialog", "true"),),  # which account is meant
    token_endpoint_auth_method="client_secret_basic",
    token_response=TokenResponseRule(default_expires_in=3600),
    refresh=RefreshRule(
        rotation="optional",  # the answer may leave it out; rotated for public clients
        previous_refresh_token="revoked",
        previous_access_token="valid",
    ),
    revocation=RevocationRule(kind="none", manual_url="https://www.spotify.com/account/apps/"),
    profile=ProfileRule(
        requests=(ProfileRequest("me", "https://api.spotify.com/v1/me"),),
        map={
            "provider_user_id": ("me#/id",),
            "email": ("me#/email",),  # unverified, say Spotify's own docs
            "name": ("me#/display_name",),
            "avatar_url": ("me#/images/0/url",),
        },
    ),
    # for applications since April 2025
    redirect_uris=RedirectUriRule(localhost="forbidden", loopback_ip="allowed"),
    registration_url="https://developer.spotify.com/dashboard",
    sources=(
        Source(
            "https://developer.spotify.com/documentation/web-api/concepts/redirect_uri",
            "2026-11-21",
            note="127.0.0.1 instead of localhost",
        ),
        Source(
            "https://developer.spotify.com/documentation/web-api/tutorials/code-flow",
            "2026-11-21",
            note="endpoints, Basic, one hour, a refresh may leave the refresh token out",
        ),
        Source(
            "https://developer.spotify.com/documentation/web-api/concepts/scopes",
            "2026-11-21",
            status="unverified",
            note="scope names; rotation; show_dialog; members of /v1/me beyond id and email",
        ),
    ),
)
