"""
CORS, answered by the functions: the HTTP API's own is static and would overrule them.

A browser application may read our answers from the origins its client
registered, compared as exact strings. No answer ever allows credentials:
nothing here is authorised by a cookie. Token reads have no CORS at all.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from grantkeeper.edge.http import Request, Response
from grantkeeper.ports import Clients

MAX_ORIGIN = 255
_EXPOSED = "x-request-id, retry-after, www-authenticate, etag, location"


def allow_any_origin(response: Response) -> Response:
    """For public documents: discovery and JWKS."""
    return response.with_headers(access_control_allow_origin="*")


def allow_registered_origin(response: Response, request: Request, *, clients: Clients) -> Response:
    """Let the calling page read the answer, if its origin is registered. Always varies by origin, for caches."""
    headers = {**response.headers, "vary": "origin"}
    if _allowed(request, clients):
        headers |= {
            "access-control-allow-origin": request.headers["origin"],
            "access-control-expose-headers": _EXPOSED,
        }
    return replace(response, headers=headers)


def preflight(
    request: Request,
    *,
    clients: Clients,
    methods: tuple[str, ...],
    headers: tuple[str, ...] = ("authorization", "content-type"),
) -> Response:
    """
    Answer OPTIONS: exactly the listed methods and headers, kept by the browser for ten minutes.

    An origin that is not registered gets the same 204 without any permission.
    """
    answer = Response(204, "", {"vary": "origin, access-control-request-method, access-control-request-headers"})
    if not _allowed(request, clients):
        return answer
    return answer.with_headers(
        access_control_allow_origin=request.headers["origin"],
        access_control_allow_methods=", ".join(methods),
        access_control_allow_headers=", ".join(headers),
        access_control_max_age="600",
    )


def is_origin(text: str) -> bool:
    """Tell whether `text` is an origin as browsers send it: scheme, host, optional port, nothing more (RFC 6454)."""
    if len(text) > MAX_ORIGIN or not text.isascii() or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and text == f"{parts.scheme}://{parts.netloc}"


def _allowed(request: Request, clients: Clients) -> bool:
    """`null` and everything malformed is refused before the store is asked."""
    origin = request.headers.get("origin", "")
    return is_origin(origin) and "@" not in origin and clients.allows_origin(origin)
