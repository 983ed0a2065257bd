"""The API's description as pages: our files and two vendored libraries, under a policy that lets nothing else in."""

from __future__ import annotations

from pathlib import Path

from grantkeeper.edge.http import Request, Response
from grantkeeper.edge.static_files import StaticFiles, sent

# Both libraries style elements by attributes, which no nonce can allow; scripts and everything else are files of ours.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FIVE_MINUTES = "public, max-age=300"


class DocPages(StaticFiles):
    """The pages' folder, and the description beside it."""

    def __init__(self, folder: Path) -> None:
        """Args: folder: where the files lie, those of the libraries compressed as `<name>.gz`."""
        super().__init__(folder, policy=POLICY, cache_control=FIVE_MINUTES)
        self._description = folder.parent / "openapi.json"

    def description(self, request: Request) -> Response:
        """The description itself; tools elsewhere may read it."""
        return sent(self._description, "application/json", request, cache_control=FIVE_MINUTES)
