"""The answer of our authorization endpoint, sent to a checked redirect_uri (RFC 6749 section 4.1.2, RFC 9207)."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

# What RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6 let us say to a client.
CLIENT_ERRORS = frozenset(
    {
        "invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope",
        "server_error", "temporarily_unavailable", "interaction_required", "login_required",
        "account_selection_required", "consent_required", "request_not_supported", "request_uri_not_supported",
        "registration_not_supported", "invalid_target",
    }
)  # fmt: skip


def success_redirect(redirect_uri: str, *, code: str, state: str | None, issuer: str) -> str:
    """The URL that hands the client its code; `iss` lets it tell us from other authorization servers."""
    return _with_query(redirect_uri, {"code": code, "state": state, "iss": issuer})


def error_redirect(redirect_uri: str, *, error: str, detail: str, state: str | None, issuer: str) -> str:
    """
    The URL that tells the client why there is no code.

    Args:
        error: A registered code; anything else becomes `server_error`.
        detail: One safe sentence of ours, never a provider's words.
    """
    code = error if error in CLIENT_ERRORS else "server_error"
    return _with_query(redirect_uri, {"error": code, "error_description": detail, "state": state, "iss": issuer})


def _with_query(uri: str, parameters: dict[str, str | None]) -> str:
    """Append to a query the client registered, if it has one; every value is percent-encoded."""
    query = urlencode({k: v for k, v in parameters.items() if v}, quote_via=quote)
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{query}"
