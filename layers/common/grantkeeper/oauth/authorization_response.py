"""The provider's redirect back to us (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from grantkeeper.errors import AuthorizationResponseRejected, ProviderDeclined
from grantkeeper.oauth.issuers import can_be_issuer, knows_issuer
from grantkeeper.oauth.registered import AUTHORIZATION_ERRORS, CONFIGURATION_ERRORS, OUTAGE_ERRORS

if TYPE_CHECKING:
    from grantkeeper.model import ProviderCredentials
    from grantkeeper.providers.record import Provider

MAX_CODE = 4096
_TOKENS = ("access_token", "id_token", "refresh_token", "token_type")


def check_authorization_response(
    query: Mapping[str, tuple[str, ...]], *, provider: Provider, credentials: ProviderCredentials
) -> str:
    """
    Judge the redirect's parameters; only what passes may be redeemed at the token endpoint.

    Unknown parameters are ignored (RFC 6749 section 4.1.2); `state` is the caller's to compare, before this.

    Args:
        query: Every value of every parameter, decoded once.
        provider: The record of the trip, its variables filled.
        credentials: The registration the trip was started with.

    Returns:
        The authorization code, byte for byte as it came.

    Raises:
        ProviderDeclined: The provider answered an error. `error` is a registered code, never the provider's own word;
            `reason` is `declined`, `provider_misconfigured` or `provider_unavailable`.
        AuthorizationResponseRejected: `reason` is one of `provider_mismatch`, `parameter_repeated`, `token_in_query`,
            `issuer_missing`, `issuer_mismatch`, `issuer_unexpected`, `error_and_code`, `code_missing`, `code_too_long`.
    """
    if credentials.provider not in (provider.id, provider.credentials_id):
        _reject("provider_mismatch", "The registration is another provider's.")
    if any(len(values) != 1 for values in query.values()):
        _reject("parameter_repeated", "A parameter is repeated.")
    if any(name in query for name in _TOKENS):  # an injected token is not even looked at (RFC 9700 section 2.1.2)
        _reject("token_in_query", "Tokens are not accepted in a redirect.")

    # Before anything else is believed, errors included: it must be this provider who speaks.
    _check_issuer(query.get("iss", (None,))[0], provider)

    error = query.get("error", (None,))[0]
    code = query.get("code", (None,))[0]
    if error is not None and code is not None:
        _reject("error_and_code", "The answer holds an error and a code.")
    if error is not None:
        raise _declined(error, provider)
    if not code:
        _reject("code_missing", "The answer holds no code.")
    if len(code.encode("utf-8", "surrogatepass")) > MAX_CODE:
        _reject("code_too_long", "The code is over 4 KiB.")
    return code


def _check_issuer(issuer: str | None, provider: Provider) -> None:
    """RFC 9207 section 2.4, with exact string comparison: no normalising of case, slashes or escapes."""
    if issuer is None:
        if provider.authorization_response_iss == "required":
            _reject("issuer_missing", "The answer does not name its issuer.")
        return
    if provider.authorization_response_iss == "absent":
        _reject("issuer_unexpected", "This provider does not name its issuer.")
    if knows_issuer(provider) and not can_be_issuer(provider, issuer):
        _reject("issuer_mismatch", "The answer is another issuer's.")


def _declined(error: str, provider: Provider) -> ProviderDeclined:
    """Map a provider's code to a registered one: its own words may hold anything (C-22)."""
    code = error if error in AUTHORIZATION_ERRORS else "server_error"
    listed = next((rule for rule in provider.errors if rule.error == error), None)
    if code in CONFIGURATION_ERRORS or (listed is not None and listed.outcome == "config"):
        return ProviderDeclined(
            "The provider refused our registration.",
            error=code if code in CONFIGURATION_ERRORS else "unauthorized_client",
            reason="provider_misconfigured",
        )
    if listed is not None and listed.outcome in ("user_action", "dead"):
        code = code if code in AUTHORIZATION_ERRORS - OUTAGE_ERRORS else "access_denied"
    if code in OUTAGE_ERRORS:
        return ProviderDeclined("The provider could not answer.", error=code, reason="provider_unavailable")
    return ProviderDeclined("Access was not granted at the provider.", error=code, reason="declined")


def _reject(reason: str, detail: str) -> NoReturn:
    raise AuthorizationResponseRejected(detail, reason=reason)
