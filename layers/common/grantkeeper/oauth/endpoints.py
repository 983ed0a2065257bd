"""Endpoints: ours at a provider, and the variables of his, such as `{tenant}`, filled in as the record allows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grantkeeper.errors import BadRequest

if TYPE_CHECKING:
    from grantkeeper.providers.record import Pairs, Provider

# Whatever a record's pattern allows, a value is one path segment or one host name.
_SAFE_VALUE = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)
ENDPOINT_FIELDS = (
    "authorization_endpoint",
    "token_endpoint",
    "issuer",
    "refresh_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "userinfo_endpoint",
    "end_session_endpoint",
    "jwks_uri",
)


def callback_uri(issuer: str, provider_id: str) -> str:
    """Our redirect_uri at a provider: one path per registration (RFC 9700 section 4.4)."""
    return f"{issuer}/oauth2/callback/{provider_id}"


def resolve_variables(provider: Provider, variables: Pairs | Mapping[str, str] = ()) -> Pairs:
    """
    Complete the variables of a record with its defaults.

    Args:
        provider: The record that declares them.
        variables: Name and value of those that were chosen.

    Returns:
        One pair per declared variable, in the record's order: what a request or a grant is bound to.

    Raises:
        BadRequest: An undeclared name, a value its pattern does not match whole, or none at all; named by `parameter`.
    """
    chosen = dict(variables)
    unknown = sorted(set(chosen) - {variable.name for variable in provider.variables})
    if unknown:
        raise BadRequest("The provider has no such variable.", parameter=unknown[0])

    pairs = []
    for variable in provider.variables:
        value = chosen.get(variable.name, variable.default)
        if value is None:
            raise BadRequest(f"The variable {variable.name} is missing.", parameter=variable.name)
        if _SAFE_VALUE.fullmatch(value) is None or re.fullmatch(variable.pattern, value, re.ASCII) is None:
            raise BadRequest(f"The variable {variable.name} is malformed.", parameter=variable.name)
        pairs.append((variable.name, value))
    return tuple(pairs)


def resolve(provider: Provider, variables: Pairs | Mapping[str, str] = ()) -> Provider:
    """
    Fill the endpoint variables of a record; a record without variables is returned as it is.

    A record that is filled already is returned as it is, so that every function may resolve what it is given.

    Raises:
        BadRequest: See `resolve_variables`.
    """
    if not _is_open(provider) and not dict(variables):
        return provider
    pairs = resolve_variables(provider, variables)
    filled: dict[str, Any] = {name: _fill(getattr(provider, name), pairs) for name in ENDPOINT_FIELDS}
    return replace(
        provider,
        **filled,
        revocation=replace(provider.revocation, url_template=_fill(provider.revocation.url_template, pairs)),
        profile=replace(
            provider.profile,
            requests=tuple(replace(r, url=_fill(r.url, pairs) or r.url) for r in provider.profile.requests),
        ),
        post_connect=tuple(
            replace(step, request=replace(step.request, url=_fill(step.request.url, pairs) or step.request.url))
            for step in provider.post_connect
        ),
    )


def _is_open(provider: Provider) -> bool:
    templates = [getattr(provider, name) or "" for name in ENDPOINT_FIELDS]
    templates += [provider.revocation.url_template or "", *(request.url for request in provider.profile.requests)]
    templates += [step.request.url for step in provider.post_connect]
    return any("{" + variable.name + "}" in template for variable in provider.variables for template in templates)


def _fill(template: str | None, pairs: Pairs) -> str | None:
    """Replace declared variables only: `{token}` of a revocation URL is not ours to fill."""
    if template is None:
        return None
    for name, value in pairs:
        template = template.replace("{" + name + "}", value)
    return template
