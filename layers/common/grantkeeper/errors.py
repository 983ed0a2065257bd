"""
Every error the product can answer, as facts of the domain.

    GrantkeeperError
    ├── problems        rendered as application/problem+json (RFC 9457)
    └── OAuthError      rendered in the form of RFC 6749 section 5.2

The message of an instance is safe to show: it never holds a token, a code, a
`state` or a provider's own words. Anything that is not a `GrantkeeperError`
is a bug and answers 500 with nothing in the body.
"""

from __future__ import annotations

from typing import Any, ClassVar


class GrantkeeperError(Exception):
    """The base of all errors: a stable slug, a title, an HTTP status."""

    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    status: int = 500

    def __init__(self, detail: str = "", **extensions: Any) -> None:
        """Args: detail: one safe sentence; extensions: extra problem members, safe as well."""
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions

    @property
    def retry_after(self) -> int | None:
        """Seconds for the `Retry-After` header, when waiting helps."""
        value = self.extensions.get("retry_after")
        return None if value is None else int(value)


# --- the request -----------------------------------------------------------


class BadRequest(GrantkeeperError):
    """A parameter is missing, repeated or malformed; `parameter` names it."""

    slug, title, status = "bad-request", "Bad request", 400


class Unauthenticated(GrantkeeperError):
    """No principal, or one that does not verify."""

    slug, title, status = "unauthenticated", "Authentication required", 401


class Forbidden(GrantkeeperError):
    """The principal is known and may not do this."""

    slug, title, status = "forbidden", "Forbidden", 403


class InsufficientScope(Forbidden):
    """The principal lacks a scope; `scope` names it (RFC 6750 section 3.1)."""

    slug, title = "insufficient-scope", "Insufficient scope"


class ConsentRequired(Forbidden):
    """The user has not allowed this client to use the connection."""

    slug, title = "consent-required", "Consent required"


class NotFound(GrantkeeperError):
    """Unknown, or not the caller's: the two are told apart by nobody."""

    slug, title, status = "not-found", "Not found", 404


class MethodNotAllowed(GrantkeeperError):
    """The route exists, not for this method."""

    slug, title, status = "method-not-allowed", "Method not allowed", 405


class Conflict(GrantkeeperError):
    """The state of the resource forbids the request."""

    slug, title, status = "conflict", "Conflict", 409


class PayloadTooLarge(GrantkeeperError):
    """The body is over 64 KiB."""

    slug, title, status = "payload-too-large", "Payload too large", 413


class UnsupportedMediaType(GrantkeeperError):
    """The body is not of the type the route takes."""

    slug, title, status = "unsupported-media-type", "Unsupported media type", 415


class PreconditionFailed(GrantkeeperError):
    """It was changed since the caller read it (RFC 9110 section 13.1.1)."""

    slug, title, status = "precondition-failed", "Changed meanwhile", 412


class PreconditionRequired(GrantkeeperError):
    """A change must say which state it is of, by If-Match (RFC 6585 section 3)."""

    slug, title, status = "precondition-required", "If-Match required", 428


class TooManyRequests(GrantkeeperError):
    """A rate window is spent; `retry_after` in seconds."""

    slug, title, status = "too-many-requests", "Too many requests", 429


# --- providers and services ------------------------------------------------


class UnknownProvider(NotFound):
    """No record of this id."""

    slug, title = "unknown-provider", "Unknown provider"


class UnknownService(NotFound):
    """No service of this id."""

    slug, title = "unknown-service", "Unknown service"


class ProviderNotConfigured(Conflict):
    """The record exists, the deployment has no credentials for it."""

    slug, title = "provider-not-configured", "Provider not configured"


class ProviderDisabled(Conflict):
    """An admin switched the provider off."""

    slug, title = "provider-disabled", "Provider disabled"


class InvalidProviderRecord(GrantkeeperError):
    """A record breaks the schema; `field` names where."""

    slug, title, status = "invalid-provider-record", "Invalid provider record", 400


class ProviderMisconfigured(GrantkeeperError):
    """The provider refused *our* registration (`invalid_client`): an operator must act, no user can."""

    slug, title, status = "provider-misconfigured", "Provider misconfigured", 503


class ProviderUnavailable(GrantkeeperError):
    """The provider is down, slow or throttling; `outcome_unknown` when a request may have been obeyed."""

    slug, title, status = "provider-unavailable", "Provider unavailable", 503

    def __init__(self, detail: str = "", *, outcome_unknown: bool = False, **extensions: Any) -> None:
        """Args: outcome_unknown: the request was sent and its answer was lost."""
        super().__init__(detail, **extensions)
        self.outcome_unknown = outcome_unknown


class AuthorizationResponseRejected(GrantkeeperError):
    """The provider's redirect failed a check; `reason` says which. Nothing was stored."""

    slug, title, status = "authorization-response-rejected", "Authorization response rejected", 400


class ProviderDeclined(AuthorizationResponseRejected):
    """The user or the provider said no in the redirect (RFC 6749 section 4.1.2.1)."""

    slug, title = "provider-declined", "Provider declined"


class TokenResponseRejected(GrantkeeperError):
    """The provider's token response is not one (RFC 6749 section 5.1); `reason` says why."""

    slug, title, status = "token-response-rejected", "Token response rejected", 502


class IdTokenRejected(GrantkeeperError):
    """An ID token failed OpenID Connect Core section 3.1.3.7; `reason` says at which step."""

    slug, title, status = "id-token-rejected", "ID token rejected", 400


# --- trips -----------------------------------------------------------------


class AuthorizationRequestExpired(GrantkeeperError):
    """The `state` was never issued, has expired, or was already redeemed."""

    slug, title, status = "authorization-request-expired", "Authorization request expired", 400


class BrowserMismatch(GrantkeeperError):
    """The browser is not the one the trip was started in. Nothing was consumed."""

    slug, title, status = "browser-mismatch", "Other browser", 400


class ProviderMismatch(AuthorizationResponseRejected):
    """The `state` belongs to another provider's callback path."""

    slug, title = "provider-mismatch", "Provider mismatch"


class ConnectSessionExpired(GrantkeeperError):
    """The connect session is unknown, over or expired."""

    slug, title, status = "connect-session-expired", "Connect session expired", 410


class ErrandExpired(GrantkeeperError):
    """A link to prove an identity, or to ask for consent, is unknown, over or expired."""

    slug, title, status = "link-expired", "Link expired", 410


class NoSignIn(Conflict):
    """The user has no identity that can sign in, so nobody can prove to be him."""

    slug, title = "no-sign-in", "The user cannot sign in"


class ConfirmationRefused(Forbidden):
    """Whoever confirms is not who the session is for. The session is over and its tokens are gone."""

    slug, title = "confirmation-refused", "Confirmation refused"


class AccountMismatch(Conflict):
    """A re-connect came back with another account of the provider."""

    slug, title = "account-mismatch", "Account mismatch"


class ScopeNotAllowed(Forbidden):
    """The client may not ask for this scope or service; nothing was sent to the provider."""

    slug, title = "scope-not-allowed", "Scope not allowed"


# --- grants ----------------------------------------------------------------


class ReauthorizationRequired(Conflict):
    """The user must connect again; `reason` is one of `model.Reason`."""

    slug, title = "reauthorization-required", "Reauthorization required"


class ConnectionRevoked(Conflict):
    """The connection was disconnected; revoked is final."""

    slug, title = "connection-revoked", "Connection revoked"


class RefreshPending(GrantkeeperError):
    """Another caller refreshes; `retry_after` is the rest of its lease in seconds."""

    slug, title, status = "refresh-pending", "Refresh pending", 503


class StoreUnavailable(GrantkeeperError):
    """DynamoDB, SQS or KMS did not answer in time. No status was changed."""

    slug, title, status = "store-unavailable", "Store unavailable", 503


class KeyServiceUnavailable(StoreUnavailable):
    """KMS refused or did not answer: the operator's alarm tells it from the tables, callers need not."""


class GrantUnreadable(GrantkeeperError):
    """A sealed grant does not open for its own record: moved, swapped or edited. Audited as tampering."""

    slug, title, status = "grant-unreadable", "Grant unreadable", 500


class TokenTooLarge(GrantkeeperError):
    """A token set over 16 KiB, refused before any write."""

    slug, title, status = "token-too-large", "Token too large", 502


# --- OAuth endpoints -------------------------------------------------------


class OAuthError(GrantkeeperError):
    """
    An error in the form of RFC 6749 sections 4.1.2.1 and 5.2.

    At the authorization endpoint it travels in the redirect once the
    redirect_uri is trusted; at all other OAuth endpoints it is the JSON body.
    """

    slug, title, status = "oauth-error", "OAuth error", 400

    def __init__(self, error: str, detail: str = "", *, status: int = 400, **extensions: Any) -> None:
        """Args: error: a registered code such as `invalid_grant`; status: HTTP status of the answer."""
        super().__init__(detail, **extensions)
        self.error = error
        self.status = status
