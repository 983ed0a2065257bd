"""The API's description as pages: our files and two vendored libraries, under a policy that lets nothing else in."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from grantkeeper.edge.etags import has_it
from grantkeeper.edge.http import Request, Response
from grantkeeper.errors import NotFound

# Both libraries style elements by attributes, which no nonce can allow; scripts and everything else are files of ours.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
A_DAY = "public, max-age=86400"
FIVE_MINUTES = "public, max-age=300"
FILES: Mapping[str, str] = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "redoc.standalone.js": "text/javascript; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "redoc.js": "text/javascript; charset=utf-8",
}


class DocPages:
    """The files of one folder, by name; a name that is not listed does not exist, whatever the folder holds."""

    def __init__(self, folder: Path) -> None:
        """Args: folder: where the files lie, those of the libraries compressed as `<name>.gz`."""
        self._folder = folder

    def page(self, name: str) -> Response:
        """An HTML page."""
        body = (self._folder / name).read_text()
        headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": POLICY}
        return Response(200, body, {**headers, "cache-control": FIVE_MINUTES})

    def asset(self, name: str, request: Request) -> Response:
        """
        A script or a style sheet; 304 when the browser has it (RFC 9110 section 13.1.2).

        Raises:
            NotFound: No such file.
        """
        if name not in FILES:
            raise NotFound("No such file.")
        packed = self._folder / f"{name}.gz"
        path = packed if packed.exists() else self._folder / name
        return _sent(path, FILES[name], request, cache_control=A_DAY)

    def description(self, request: Request) -> Response:
        """The description itself, which stands beside the folder; tools elsewhere may read it."""
        return _sent(self._folder.parent / "openapi.json", "application/json", request, cache_control=FIVE_MINUTES)


def _sent(path: Path, media: str, request: Request, *, cache_control: str) -> Response:
    content, packed = path.read_bytes(), path.suffix == ".gz"
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"content-type": media, "cache-control": cache_control, "etag": tag, "vary": "accept-encoding"}
    if has_it(request, tag):
        return Response(304, "", headers)
    if packed and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(200, content, {**headers, "content-encoding": "gzip"})
    return Response(200, gzip.decompress(content).decode() if packed else content.decode(), headers)
