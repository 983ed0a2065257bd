"""HeyGen: users bring an API key they made there."""

from __future__ import annotations

from grantkeeper.providers.record import (
    Provider,
    RefreshRule,
    RevocationRule,
    ScopeRule,
    Service,
    Source,
)

HEYGEN = Provider(
    id="heygen",
    display_name="HeyGen",
    protocol="api_key",  # sent as X-Api-Key by whoever asks us for it
    authorization_endpoint="",
    token_endpoint="",
    nonce=False,
    pkce="unsupported",
    scope=ScopeRule(parameter=None, omitted_means="unknown"),
    services=(
        Service(
            id="heygen",
            display_name="HeyGen",
            access={"full": ()},  # a key may do what its owner may
            default_access="full",
            docs_url="https://docs.heygen.com/reference/authentication",
        ),
    ),
    refresh=RefreshRule(supported="never", rotation="none", previous_refresh_token="valid"),
    revocation=RevocationRule(kind="none", manual_url="https://app.heygen.com/settings"),
    registration_url="https://app.heygen.com/settings",
    sources=(
        Source(
            "https://docs.heygen.com/reference/authentication",
            "2026-11-21",
            status="unverified",
            note="keys, their header, where they are made and withdrawn",
        ),
    ),
)
