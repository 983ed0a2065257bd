"""Requests of the profile probe, in the dialect of the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from grantkeeper.model import HttpRequest
from grantkeeper.oauth.answers import lenient_object
from grantkeeper.oauth.failure import failure
from grantkeeper.oauth.json_pointer import lookup
from grantkeeper.oauth.profile import fill_places

if TYPE_CHECKING:
    from grantkeeper.model import HttpResponse
    from grantkeeper.providers.record import ProfileRequest, Provider


def profile_request(request: ProfileRequest, access_token: str, sources: Mapping[str, Any]) -> HttpRequest | None:
    """
    Build one call of the probe.

    The token goes into the header (RFC 6750 section 2.1) unless the record says that the API wants it in the query or
    in the path. A request to be signed (OAuth 1.0a) is returned without authentication.

    Args:
        request: Of the record, its endpoint variables filled.
        access_token: Fit for a header.
        sources: What the URL's places are filled from: answers by name, `metadata`, `token_response`, `id_token`.

    Returns:
        None when a place of the URL holds nothing.
    """
    filled = fill_places(request.url, sources)
    if filled is None:
        return None
    url = filled.replace("{token}", quote(access_token, safe=""))
    headers = {"accept": "application/json"} | {name.lower(): value for name, value in request.headers}
    if request.auth == "bearer":
        headers["authorization"] = f"Bearer {access_token}"
    elif request.auth == "query":
        url += f"{'&' if '?' in url else '?'}{request.token_parameter}={quote(access_token, safe='')}"
    body = None
    if request.body is not None:
        headers["content-type"] = "application/json"
        body = request.body.encode()
    return HttpRequest(request.method, url, tuple(headers.items()), body)


def refused_in_body(request: ProfileRequest, http: HttpResponse, provider: Provider) -> bool:
    """
    Tell whether a 200 says that the token is dead, at a provider that refuses in a 200 (Slack: `ok: false`).

    A code that the record does not list as dead says nothing of the token: a missing scope, for one.
    """
    return _failure_in_body(request, http, provider) == "dead"


def trouble_in_body(request: ProfileRequest, http: HttpResponse, provider: Provider) -> bool:
    """Tell whether a 200 of such a provider says that it cannot answer now: then it says nothing of the token."""
    return _failure_in_body(request, http, provider) == "transient"


def _failure_in_body(request: ProfileRequest, http: HttpResponse, provider: Provider) -> str | None:
    if request.success_pointer is None or http.status != 200:
        return None
    if lookup(lenient_object(http.body), request.success_pointer) is True:
        return None
    return failure(http, provider=provider, now=0).kind
