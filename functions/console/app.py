"""
The admin console: one page and what it is made of. No table, no key, no secret: this function reads its own folder.

Everything the page shows it fetches from /v1/admin with the token of whoever signed in, so that it can do what he can
do and nothing else.
"""

from __future__ import annotations

from pathlib import Path

from aws_lambda_powertools import Logger

from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.http import App, Request, Response
from grantkeeper.edge.operations import Operation
from grantkeeper.edge.static_files import StaticFiles

# Nothing inline, nothing evaluated, nobody else's host; and with trusted types no text can become markup at all.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

logger = Logger()
app = App(on_error=report_bugs(logger))
files = StaticFiles(
    Path(__file__).parent / "pages",
    policy=POLICY,
    cache_control="no-cache",  # the page and its modules are of one deployment, or they would not fit together
    cross_origin_opener_policy="same-origin",
    cross_origin_resource_policy="same-origin",
    permissions_policy="camera=(), geolocation=(), microphone=(), payment=(), usb=()",
)


@app.route("GET /console", operation=Operation(media="text/html", conditional=True))
def get_console(request: Request) -> Response:
    """The console for admins and auditors. It signs in through Grantkeeper, as the client `console`."""
    return files.page("index.html", request)


@app.route("GET /console/{file}", operation=Operation(media="text/*", conditional=True))
def get_console_file(request: Request) -> Response:
    """What that page is made of."""
    return files.asset(request.path_params["file"], request)


handler = app
