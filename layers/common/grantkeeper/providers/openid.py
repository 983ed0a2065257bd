"""
Any OpenID provider, as a base to start from: `{"issuer": "https://id.acme.example"}` is a whole record.

What the issuer's discovery document says is filled in when the record is registered (`services.complete_record`), and
pinned. Until somebody knows better, a provider of this kind rotates refresh tokens and revokes the old ones.
"""

from __future__ import annotations

from grantkeeper.providers.record import ProfileRule, Provider, RefreshRule, Service, Source

OPENID = Provider(
    id="openid",
    display_name="OpenID",
    authorization_endpoint="",  # from discovery
    token_endpoint="",
    signin_scopes=("openid", "email", "profile"),
    services=(
        Service(
            id="{id}",  # becomes the provider's id
            display_name="",
            access={"read": ("profile",)},
            base_scopes=("openid", "email"),
            offline_scopes=("offline_access",),  # OpenID Connect Core section 11
        ),
    ),
    connect_params=(("prompt", "consent"),),  # offline_access needs it, OpenID Connect Core section 11
    refresh=RefreshRule(rotation="optional", previous_refresh_token="revoked", previous_access_token="valid"),
    profile=ProfileRule(email_verified_policy="always_false"),  # the deployment decides whose word it takes
    sources=(
        Source("https://openid.net/specs/openid-connect-core-1_0.html", "2026-11-21"),
        Source("https://openid.net/specs/openid-connect-discovery-1_0.html", "2026-11-21"),
    ),
)
