"""
The demo provider of the local run: `oidc-provider-mock` from PyPI. Any name signs in, any client secret is right.

The record exists on a local run only; a deployment's overlay may move its endpoints to another port.
"""

from __future__ import annotations

from grantkeeper.providers.record import ProfileRule, Provider, RefreshRule, RevocationRule, Service, Source

DEMO_BASE = "http://localhost:9400"  # the package's default port

DEMO = Provider(
    id="demo",
    display_name="Demo",
    issuer=DEMO_BASE,
    authorization_endpoint=f"{DEMO_BASE}/oauth2/authorize",
    token_endpoint=f"{DEMO_BASE}/oauth2/token",
    jwks_uri=f"{DEMO_BASE}/jwks",
    userinfo_endpoint=f"{DEMO_BASE}/userinfo",
    end_session_endpoint=f"{DEMO_BASE}/oauth2/end_session",
    allow_private_addresses=True,
    signin_scopes=("openid", "email", "profile"),
    services=(
        Service(
            id="demo",
            display_name="Demo",
            # scopes of OpenID Connect: the provider leaves all others out of its answer
            access={"read": ("profile",), "write": ("profile", "address", "phone")},
            base_scopes=("openid", "email"),
            docs_url="https://oidc-provider-mock.readthedocs.io",
        ),
    ),
    refresh=RefreshRule(
        rotation="none",  # the answer leaves the refresh token out
        previous_refresh_token="valid",
        previous_access_token="revoked",  # of the pair the refresh token came with
    ),
    revocation=RevocationRule(kind="none"),  # POST /users/{sub}/revoke-tokens plays the user who withdraws
    profile=ProfileRule(email_verified_policy="claim"),
    sources=(
        Source("https://github.com/geigerzaehler/oidc-provider-mock", "2026-11-21", note="read in its source, 0.4.8"),
    ),
)
