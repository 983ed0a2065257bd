"""The error codes of the IANA registry that a client can meet. A provider's other words are never passed on."""

from __future__ import annotations

# RFC 6749 section 4.1.2.1; OpenID Connect Core section 3.1.2.6; RFC 9126; unmet_authentication_requirements 1.0
AUTHORIZATION_ERRORS = frozenset(
    {
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "interaction_required",
        "login_required",
        "account_selection_required",
        "consent_required",
        "invalid_request_uri",
        "invalid_request_object",
        "request_not_supported",
        "request_uri_not_supported",
        "registration_not_supported",
        "unmet_authentication_requirements",
        "invalid_target",
    }
)

# RFC 6749 section 5.2; RFC 7009 section 2.2.1; RFC 8628 section 3.5; RFC 8707 section 2; RFC 9449 section 5
TOKEN_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "unsupported_token_type",
        "slow_down",
        "invalid_target",
        "invalid_dpop_proof",
        "use_dpop_nonce",
        # sent by token endpoints in practice, registered for the authorization endpoint
        "access_denied",
        "server_error",
        "temporarily_unavailable",
        "interaction_required",
        "login_required",
        "consent_required",
        # RFC 6750 section 3.1
        "invalid_token",
        "insufficient_scope",
    }
)

# What each authorization error asks for. Everything else is the user's or the provider's no.
CONFIGURATION_ERRORS = frozenset(
    {
        "invalid_request",
        "unauthorized_client",
        "unsupported_response_type",
        "invalid_scope",
        "invalid_target",
        "invalid_request_uri",
        "invalid_request_object",
        "request_not_supported",
        "request_uri_not_supported",
        "registration_not_supported",
    }
)
OUTAGE_ERRORS = frozenset({"server_error", "temporarily_unavailable"})
