"""A picture only the bearer of a token may fetch (Microsoft): its request, and what is kept of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grantkeeper.model import HttpRequest, HttpResponse
from grantkeeper.oauth.profile import fill_places
from grantkeeper.providers.record import Provider

MAX_IMAGE = 64 * 1024  # bytes; a picture of 96 pixels square has a tenth
NO_PICTURE = ("", b"")
_ALIASES = {"image/jpg": "image/jpeg"}


def avatar_request(provider: Provider, access_token: str, sources: Mapping[str, Any]) -> HttpRequest | None:
    """
    Build the request for the account's picture, the token in the header (RFC 6750 section 2.1).

    Args:
        provider: The record, its variables filled.
        access_token: Fit for a header.
        sources: What places of the address are filled from, as in `profile_request`.

    Returns:
        None where the record has no picture of this kind, or a place of the address holds nothing.
    """
    rule = provider.profile.avatar
    if rule.kind != "binary" or rule.template is None:
        return None
    url = fill_places(rule.template, sources)
    if url is None:
        return None
    return HttpRequest("GET", url, (("accept", "image/*"), ("authorization", f"Bearer {access_token}")))


def read_avatar(http: HttpResponse) -> tuple[str, bytes] | None:
    """
    Take a picture out of an answer: of at most 64 KiB, and of a type that its first bytes confirm.

    SVG is a document that can run scripts, and is never taken: what is kept here is served under our own name.

    Returns:
        Media type and bytes; `NO_PICTURE` when the provider says that there is none (404); None when it says nothing
        to go by: a redirect, a refusal, trouble, or something that is no picture.
    """
    if http.status == 404:
        return NO_PICTURE
    if http.status != 200 or not 0 < len(http.body) <= MAX_IMAGE:
        return None
    said = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    found = _media_type(http.body)
    return (found, http.body) if found is not None and _ALIASES.get(said, said) == found else None


def _media_type(body: bytes) -> str | None:
    """By the signatures of https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern."""
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if body.startswith(b"RIFF") and body[8:14] == b"WEBPVP":
        return "image/webp"
    return None
