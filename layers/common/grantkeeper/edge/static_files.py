"""The files of a page, from one folder of a function: its own, and those of vendored libraries, compressed."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from grantkeeper.edge.etags import has_it
from grantkeeper.edge.http import Request, Response
from grantkeeper.errors import NotFound

MEDIA: Mapping[str, str] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
FOREVER = "public, max-age=31536000, immutable"

_VERSIONED = re.compile(r"-[0-9]+\.[0-9]+\.[0-9]+\.(?:js|css)\Z", re.ASCII)


class StaticFiles:
    """
    The files of one folder, by name.

    Only scripts and style sheets that lay there at the start exist: a name is looked up among them and never
    made into a path.
    """

    def __init__(self, folder: Path, *, policy: str, cache_control: str, **headers: str) -> None:
        """
        Args:
            folder: Where the files lie, those of libraries as `<name>.gz`.
            policy: The pages' Content-Security-Policy.
            cache_control: Of pages and of files whose name holds no version; what is named `x-1.2.3.js` never changes.
            headers: More headers of the pages, underscores for hyphens.
        """
        self._folder = folder
        self._cache_control = cache_control
        self._page_headers = {"content-security-policy": policy} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        found = (path for path in folder.iterdir() if Path(path.name.removesuffix(".gz")).suffix in MEDIA)
        self._files = {path.name.removesuffix(".gz"): path for path in found}

    def page(self, name: str, request: Request) -> Response:
        """An HTML page; 304 when the browser has it."""
        answer = sent(self._folder / name, "text/html; charset=utf-8", request, cache_control=self._cache_control)
        return Response(answer.status, answer.body, {**answer.headers, **self._page_headers})

    def asset(self, name: str, request: Request) -> Response:
        """
        A file that a page names; 304 when the browser has it (RFC 9110 section 13.1.2).

        Raises:
            NotFound: No such file.
        """
        path = self._files.get(name)
        if path is None:
            raise NotFound("No such file.")
        kept = FOREVER if _VERSIONED.search(name) else self._cache_control
        answer = sent(path, MEDIA[Path(name).suffix], request, cache_control=kept)
        return answer.with_headers(cross_origin_resource_policy="same-origin")


def sent(path: Path, media: str, request: Request, *, cache_control: str) -> Response:
    """A file as it is stored; compressed ones to whoever takes them so."""
    content, packed = path.read_bytes(), path.suffix == ".gz"
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"content-type": media, "cache-control": cache_control, "etag": tag, "vary": "accept-encoding"}
    if has_it(request, tag):
        return Response(304, "", headers)
    if packed and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(200, content, {**headers, "content-encoding": "gzip"})
    return Response(200, gzip.decompress(content).decode() if packed else content.decode(), headers)
