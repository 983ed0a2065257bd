"""What a record must be, beyond its types: the checks that keep a deployment's own record from harming it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import get_args
from urllib.parse import urlsplit

from grantkeeper.model import Reason
from grantkeeper.oauth.authorization import PROTECTED_PARAMETERS
from grantkeeper.oauth.endpoints import ENDPOINT_FIELDS
from grantkeeper.providers.record import Pairs, ProfileRequest, Provider
from grantkeeper.providers.validate_profile import (
    PLACEHOLDER,
    check_pointer,
    check_post_connect,
    check_profile,
    places_in,
    refuse,
)
from grantkeeper.providers.validate_refresh import check_refresh

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,256}")  # RFC 6749 section 3.3
HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
HEADER_VALUE = re.compile(r"[\x20-\x7E]{0,256}")
URL_TEXT = re.compile(r"[\x21\x23-\x5B\x5D\x5F\x61-\x7E]{1,2048}")  # no space, quote, backslash, caret or backtick
OWN_HEADERS = frozenset({"authorization", "content-type", "content-length", "host", "transfer-encoding", "connection"})
LEAVES_ITS_PLACE = "/?#@:\\% \n"


def check_record(provider: Provider, *, allow_private_addresses: bool = False) -> None:
    """
    Refuse a record that is not sound.

    Args:
        provider: The record, whatever it was made from.
        allow_private_addresses: On the local run: `http` is accepted for loopback hosts.

    Raises:
        InvalidProviderRecord: `field` names the place.
    """
    if SLUG.fullmatch(provider.id) is None:
        refuse("id", "Lower-case letters, digits and hyphens are expected, at most 40.")
    if not provider.display_name:
        refuse("display_name", "The name is missing.")
    if provider.allow_private_addresses and not allow_private_addresses:
        refuse("allow_private_addresses", "Private addresses are for local use only.")
    _check_variables(provider)
    _check_urls(provider, allow_private_addresses=allow_private_addresses)
    _check_oauth1(provider)
    _check_issuer(provider)
    _check_parameters(provider)
    _check_services(provider)
    _check_token_response(provider)
    check_refresh(provider.refresh)
    _check_revocation(provider)
    check_profile(provider)
    check_post_connect(provider)
    _check_errors(provider)


def check_url(url: str, *, field: str, names: frozenset[str] = frozenset(), allow_private_addresses: bool) -> None:
    """
    Refuse a URL we would not send a secret to: https, a host name, port 443, no user, no fragment (O-01, O-06, O-07).

    Args:
        url: Possibly with placeholders.
        field: Named in the error.
        names: The placeholders it may have.
        allow_private_addresses: Accept http and any port at a loopback host.

    Raises:
        InvalidProviderRecord: With `field`.
    """
    unknown = [name for name in PLACEHOLDER.findall(url) if name not in names]
    if unknown:
        refuse(field, f"The variable {unknown[0]} is not declared.")
    plain = PLACEHOLDER.sub("x", url)
    try:
        if URL_TEXT.fullmatch(plain) is None:
            raise ValueError(plain)
        parts = urlsplit(plain)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        refuse(field, "This is no URL.")
    local = allow_private_addresses and is_loopback_name(host)
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        refuse(field, "An https URL is expected.")
    if "@" in parts.netloc or parts.fragment or not host:
        refuse(field, "A URL without user name and fragment is expected.")
    if port not in (None, 443) and not local:
        refuse(field, "Port 443 is expected.")
    if not local and (_is_ip(host) or is_loopback_name(host) or "." not in host or host.endswith(".")):
        refuse(field, "A public host name is expected.")


def is_loopback_name(host: str) -> bool:
    """True for `localhost`, names under it, and loopback addresses."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")


def _is_ip(host: str) -> bool:
    """Addresses in any spelling a resolver takes: dotted, decimal, octal, hex, IPv6."""
    return ":" in host or re.fullmatch(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?", host) is not None


def _check_variables(provider: Provider) -> None:
    for i, variable in enumerate(provider.variables):
        place = f"variables[{i}]"
        if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", variable.name, re.ASCII) is None or variable.name in (
            "token",
            "client_id",
        ):
            refuse(f"{place}.name", "A short lower-case name is expected.")
        try:
            if len(variable.pattern) > 200:
                refuse(f"{place}.pattern", "The pattern is too long.")
            pattern = re.compile(variable.pattern, re.ASCII)
        except re.error:
            refuse(f"{place}.pattern", "This is no regular expression.")
        if any(pattern.fullmatch(f"a{char}b") or pattern.fullmatch(char) for char in LEAVES_ITS_PLACE):
            refuse(f"{place}.pattern", "The pattern lets the value leave its place in the URL.")
        if variable.default is not None and pattern.fullmatch(variable.default) is None:
            refuse(f"{place}.default", "The default does not match the pattern.")


def _check_urls(provider: Provider, *, allow_private_addresses: bool) -> None:
    names = frozenset(variable.name for variable in provider.variables)
    for field, url, more in _urls(provider):
        check_url(url, field=field, names=names | more, allow_private_addresses=allow_private_addresses)


def _urls(provider: Provider) -> Iterator[tuple[str, str, frozenset[str]]]:
    nothing: frozenset[str] = frozenset()
    for field in ENDPOINT_FIELDS:
        url = getattr(provider, field)
        if url is not None and provider.protocol != "api_key":
            yield field, url, nothing
    if provider.issuer_template is not None:
        yield "issuer_template", provider.issuer_template, frozenset(name for name, _ in provider.issuer_claims)
    if provider.revocation.url_template is not None:
        yield "revocation.url_template", provider.revocation.url_template, frozenset({"client_id", "token"})
    if provider.revocation.manual_url is not None:
        yield "revocation.manual_url", provider.revocation.manual_url, nothing
    if provider.registration_url is not None:
        yield "registration_url", provider.registration_url, nothing
    if provider.oauth1 is not None:
        yield "oauth1.request_token_endpoint", provider.oauth1.request_token_endpoint, nothing
    for place, request in _requests(provider):
        yield f"{place}.url", request.url, frozenset({"token", *places_in(request.url)})
    avatar = provider.profile.avatar
    if avatar.kind == "binary" and avatar.template is not None:  # the token goes there
        yield "profile.avatar.template", avatar.template, frozenset(places_in(avatar.template))


def _requests(provider: Provider) -> Iterator[tuple[str, ProfileRequest]]:
    """Every request that an access token goes with, and its place."""
    yield from ((f"profile.requests[{i}]", request) for i, request in enumerate(provider.profile.requests))
    yield from ((f"post_connect[{i}].request", step.request) for i, step in enumerate(provider.post_connect))


def _check_oauth1(provider: Provider) -> None:
    if (provider.protocol == "oauth1") != (provider.oauth1 is not None):
        refuse("oauth1", "OAuth 1.0a has its own rule, and no other protocol has.")
    if provider.oauth1 is not None and provider.signin_scopes:
        refuse("signin_scopes", "OAuth 1.0a connects services; it signs nobody in.")


def _check_issuer(provider: Provider) -> None:
    if not provider.signin_scopes or provider.protocol != "oidc":
        return
    if "openid" not in provider.signin_scopes:
        refuse("signin_scopes", "OpenID Connect needs the scope openid.")
    if provider.issuer is None and provider.issuer_template is None:
        refuse("issuer", "An OpenID provider has an issuer.")
    if provider.jwks_uri is None:
        refuse("jwks_uri", "An OpenID provider publishes its keys.")


def _check_parameters(provider: Provider) -> None:
    extras: dict[str, Pairs] = {
        "authorization_params": provider.authorization_params,
        "signin_params": provider.signin_params,
        "connect_params": provider.connect_params,
    }
    protected = PROTECTED_PARAMETERS | {provider.scope.parameter, *(extra.parameter for extra in provider.scope.extra)}
    for field, pairs in extras.items():
        for name, _ in pairs:
            if name in protected:
                refuse(field, f"The parameter {name} cannot be set.")
    token_protected = {
        "grant_type",
        "code",
        "refresh_token",
        "redirect_uri",
        "client_id",
        "client_secret",
        "code_verifier",
    }
    for field, pairs in (("code_params", provider.code_params), ("refresh_params", provider.refresh_params)):
        for name, _ in pairs:
            if name in token_protected:
                refuse(field, f"The parameter {name} cannot be set.")
    headers = [("token_request_headers", provider.token_request_headers)]
    headers += [(f"{place}.headers", request.headers) for place, request in _requests(provider)]
    for field, pairs in headers:
        for name, value in pairs:
            if HEADER.fullmatch(name) is None or name.lower() in OWN_HEADERS or HEADER_VALUE.fullmatch(value) is None:
                refuse(field, f"The header {name[:64]!r} cannot be set.")


def _check_services(provider: Provider) -> None:
    _check_scopes(provider.signin_scopes, "signin_scopes")
    seen = set()
    for i, service in enumerate(provider.services):
        place = f"services[{i}]"
        if SLUG.fullmatch(service.id) is None or service.id in seen:
            refuse(f"{place}.id", "A slug of its own is expected.")
        seen.add(service.id)
        if not service.access or service.default_access not in service.access:
            refuse(f"{place}.default_access", "One of the access levels is expected.")
        for level, scopes in service.access.items():
            _check_scopes(scopes, f"{place}.access.{level}")
        _check_scopes(service.base_scopes, f"{place}.base_scopes")
        _check_scopes(service.offline_scopes, f"{place}.offline_scopes")


def _check_scopes(scopes: tuple[str, ...], field: str) -> None:
    if any(SCOPE.fullmatch(scope) is None for scope in scopes):
        refuse(field, "A scope has printable characters without space, quote and backslash (RFC 6749 section 3.3).")


def _check_token_response(provider: Provider) -> None:
    rule = provider.token_response
    if not rule.tokens or len({path.name for path in rule.tokens}) != len(rule.tokens):
        refuse("token_response.tokens", "At least one token is expected, each under its own name.")
    for i, path in enumerate(rule.tokens):
        place = f"token_response.tokens[{i}]"
        if re.fullmatch(r"[a-z][a-z0-9_]{0,30}", path.name, re.ASCII) is None:
            refuse(f"{place}.name", "A short lower-case name is expected.")
        for name in ("access_token", "refresh_token", "expires_in", "scope", "token_type"):
            check_pointer(getattr(path, name), f"{place}.{name}")
    for name in ("success_pointer", "error_pointer", "refresh_token_expires_in", "id_token"):
        check_pointer(getattr(rule, name), f"token_response.{name}")
    for i, pointer in enumerate(rule.more_error_pointers):
        check_pointer(pointer, f"token_response.more_error_pointers[{i}]")
    prefixes = {"", *(extra.prefix for extra in provider.scope.extra)}
    if not prefixes >= {path.scope_prefix for path in rule.tokens}:
        refuse("token_response.tokens", "A scope prefix is one of scope.extra.")
    for name, pointer in rule.metadata:
        check_pointer(pointer, f"token_response.metadata.{name}")


def _check_revocation(provider: Provider) -> None:
    rule = provider.revocation
    if rule.kind == "custom" and rule.url_template is None:
        refuse("revocation.url_template", "The URL is missing.")
    if rule.kind == "rfc7009" and provider.revocation_endpoint is None:
        refuse("revocation_endpoint", "The endpoint is missing.")
    if rule.kind == "rfc7009" and rule.encoding == "none":
        refuse("revocation.encoding", "RFC 7009 sends the token in the body.")
    check_pointer(rule.success_pointer, "revocation.success_pointer")
    if not set(rule.tokens) <= {path.name for path in provider.token_response.tokens}:
        refuse("revocation.tokens", "Names of token_response.tokens are expected.")


def _check_errors(provider: Provider) -> None:
    for i, rule in enumerate(provider.errors):
        conditions = (rule.error, rule.status, rule.status_class, rule.error_code, rule.body_text)
        if all(condition is None for condition in conditions):
            refuse(f"errors[{i}]", "A row matches something.")
        if rule.reason is not None and (rule.outcome != "dead" or rule.reason not in get_args(Reason)):
            refuse(f"errors[{i}].reason", "A reason of model.Reason is expected, on a dead row.")
