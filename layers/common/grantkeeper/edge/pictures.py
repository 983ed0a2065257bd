"""Pictures that we serve because their provider shows them to a token's bearer only."""

from __future__ import annotations

from collections.abc import Mapping

from grantkeeper.edge.etags import has_it
from grantkeeper.edge.http import Request, Response
from grantkeeper.errors import NotFound
from grantkeeper.model import Avatar

# A stranger made these bytes: whatever a browser finds in them, they are a picture or nothing, and no page of ours.
# The answer belongs to whoever sent the credential, so a cache asks again before it shows it to the next one.
HEADERS: Mapping[str, str] = {
    "cache-control": "private, no-cache",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "content-disposition": "inline",
}


def picture_response(avatar: Avatar | None, request: Request) -> Response:
    """
    Serve a picture, or say that it is the one the caller has (RFC 9110 section 13.1.2).

    Raises:
        NotFound: There is none.
    """
    if avatar is None or not avatar.image:
        raise NotFound("There is no picture.")
    headers = {**HEADERS, "etag": f'"{avatar.digest}"'}
    if has_it(request, headers["etag"]):
        return Response(304, "", headers)
    return Response(200, avatar.image, {**headers, "content-type": avatar.content_type})
