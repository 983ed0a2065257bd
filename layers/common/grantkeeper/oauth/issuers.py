"""Which issuer strings a record stands for: one exact string, its aliases, or a template filled from a claim."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grantkeeper.providers.record import Provider

_TEMPLATE_VALUE = r"[A-Za-z0-9_-]{1,64}"  # no dot and no slash: the value cannot change host or path


def accepted_issuers(provider: Provider) -> tuple[str, ...]:
    """The closed list of issuer strings without a template (compared exactly, RFC 3986 section 6.2.1)."""
    return ((provider.issuer,) if provider.issuer else ()) + provider.issuer_aliases


def knows_issuer(provider: Provider) -> bool:
    """True when there is something to compare an `iss` with."""
    return bool(accepted_issuers(provider) or provider.issuer_template)


def can_be_issuer(provider: Provider, issuer: str) -> bool:
    """
    Tell whether `issuer` can name this provider in a redirect (RFC 9207 section 2.4).

    There are no claims yet, so a template accepts any plain value in the place of its variable.
    """
    if issuer in accepted_issuers(provider):
        return True
    if provider.issuer_template is None:
        return False
    pattern = re.escape(provider.issuer_template)
    for variable, _ in provider.issuer_claims:
        pattern = pattern.replace(re.escape("{" + variable + "}"), _TEMPLATE_VALUE)
    return re.fullmatch(pattern, issuer, re.ASCII) is not None


def is_issuer_of(provider: Provider, issuer: str, claims: Mapping[str, Any]) -> bool:
    """Tell whether `issuer` is the provider's for a token with these claims: a template is filled from them."""
    if issuer in accepted_issuers(provider):
        return True
    expected = provider.issuer_template
    if expected is None:
        return False
    for variable, claim in provider.issuer_claims:
        value = claims.get(claim)
        if not isinstance(value, str) or re.fullmatch(_TEMPLATE_VALUE, value, re.ASCII) is None:
            return False
        expected = expected.replace("{" + variable + "}", value)
    return issuer == expected
