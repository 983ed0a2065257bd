"""
A record with an issuer completes itself from discovery, when it is registered and never later.

What was found is stored with the record and stays (pinned): a discovery document that changes afterwards changes
nothing here, and a function that serves users never reads one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

from grantkeeper.errors import InvalidProviderRecord
from grantkeeper.model import HttpRequest
from grantkeeper.oauth.answers import strict_object
from grantkeeper.ports import ProviderHttp
from grantkeeper.providers.record import Provider
from grantkeeper.providers.validate import check_url, is_loopback_name

ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "end_session_endpoint",
)
# In the order we would rather have them.
ALGORITHMS = ("RS256", "ES256", "PS256", "EdDSA")
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")


def discover(issuer: str, http: ProviderHttp) -> dict[str, Any]:
    """
    Read an issuer's metadata (OpenID Connect Discovery section 4, RFC 8414 section 3) as fields of a record.

    Args:
        issuer: Exactly as its tokens will name it.
        http: Sends the request; refuses private addresses where they are not allowed.

    Returns:
        Fields for `providers.load.load_record`; what an operator states by hand goes on top of them.

    Raises:
        InvalidProviderRecord: `field` names the member that is wrong: another `issuer` (C-85), an endpoint that is no
            public https URL (C-87), only `plain` among the PKCE methods (C-02), no code flow, no algorithm or
            authentication method we have.
        ProviderUnavailable: The issuer does not answer.
    """
    local = is_loopback_name(urlsplit(issuer).hostname or "")
    check_url(issuer, field="issuer", allow_private_addresses=local)
    document = _fetch(issuer, http)
    if document.get("issuer") != issuer:  # exact: RFC 8414 section 3.3
        _refuse("issuer", "The discovery document names another issuer.")
    fields: dict[str, Any] = {"issuer": issuer}
    for name in ENDPOINTS:
        url = document.get(name)
        if url is None and name not in ("authorization_endpoint", "token_endpoint"):
            continue
        if not isinstance(url, str):
            _refuse(name, "A URL is expected.")
        check_url(url, field=name, allow_private_addresses=local)
        fields[name] = url
    return fields | _dialect(document)


def moved_endpoints(provider: Provider, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """
    Name the endpoints that newly discovered fields would move to another host than the registered record's.

    A token endpoint that moves may be the work of whoever took the document over: an operator has to approve it (C-86).
    """
    moved = []
    for name in ENDPOINTS:
        before, after = getattr(provider, name), fields.get(name)
        if before and after and urlsplit(before)[:2] != urlsplit(after)[:2]:
            moved.append(name)
    return tuple(moved)


def _fetch(issuer: str, http: ProviderHttp) -> dict[str, Any]:
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    candidates = (
        f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        urlunsplit((parts.scheme, parts.netloc, f"/.well-known/oauth-authorization-server{path}", "", "")),
    )
    for url in candidates:
        response = http.send(HttpRequest("GET", url, (("accept", "application/json"),)))
        document = strict_object(response.body) if response.status == 200 else None
        if document is not None:
            return document
    raise _error("issuer", "There is no discovery document.")


def _dialect(document: Mapping[str, Any]) -> dict[str, Any]:
    """How the provider wants to be spoken to, in the words of the record."""
    if "code" not in _list(document, "response_types_supported", default=("code",)):
        _refuse("response_types_supported", "The provider has no code flow.")
    if "S256" not in _list(document, "code_challenge_methods_supported", default=("S256",)):
        _refuse("code_challenge_methods_supported", "S256 is expected; plain is never sent.")
    fields: dict[str, Any] = {
        "id_token_signed_response_alg": _first(document, "id_token_signing_alg_values_supported", ALGORITHMS),
        "token_endpoint_auth_method": _first(document, "token_endpoint_auth_methods_supported", AUTH_METHODS),
        "prompt_values_supported": [
            value for value in _list(document, "prompt_values_supported", default=()) if isinstance(value, str)
        ],
    }
    if document.get("authorization_response_iss_parameter_supported") is True:
        fields["authorization_response_iss"] = "required"  # RFC 9207 section 3
    if document.get("revocation_endpoint"):
        fields["revocation"] = {"kind": "rfc7009"}
    return fields


def _first(document: Mapping[str, Any], member: str, ours: tuple[str, ...]) -> str:
    offered = _list(document, member, default=ours[:1])
    for value in ours:
        if value in offered:
            return value
    raise _error(member, "None of them is one we have.")


def _list(document: Mapping[str, Any], member: str, *, default: Sequence[str]) -> Sequence[Any]:
    value = document.get(member, default)
    if not isinstance(value, list | tuple) or len(value) > 200:
        _refuse(member, "A list is expected.")
    return value


def _refuse(field: str, detail: str) -> NoReturn:
    raise _error(field, detail)


def _error(field: str, detail: str) -> InvalidProviderRecord:
    return InvalidProviderRecord(f"{field}: {detail}", field=field)
