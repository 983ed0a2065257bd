"""The providers' redirect back to us, one path per registration."""

from __future__ import annotations

import os
import time

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge import cookies
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.http import App, Request, Response, see_other
from grantkeeper.edge.operations import Operation
from grantkeeper.edge.pages import error_page
from grantkeeper.errors import AuthorizationRequestExpired, GrantkeeperError, MethodNotAllowed
from grantkeeper.services.complete_callback import complete_callback
from grantkeeper.services.signin_request import Parameters

CALLED_BACK = Operation(status=303, query=("code", "state", "error", "iss"), errors=(403, 409, 410, 502), fails="page")
PATIENCE = 10.0  # seconds into a trip after which nothing is fetched that it does not need; it is killed after 25

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up(
    "authorization_requests", "connect_sessions", "connections", "users", "codes", "provider_items", "sealer"
)


@app.route("GET /oauth2/callback/{provider}", operation=CALLED_BACK)
def get_callback(request: Request) -> Response:
    """A provider's answer (RFC 6749 section 4.1.2)."""
    binding = cookies.read_binding(request.cookies, issuer=app_wiring.issuer)
    return _complete(request, request.query, binding)


@app.route("POST /oauth2/callback/{provider}", operation=CALLED_BACK)
def post_callback(request: Request) -> Response:
    """OAuth 2.0 Form Post Response Mode, where the provider's record says that it answers so (C-36)."""
    try:
        if app_wiring.catalog.get(_provider_id(request)).response_mode != "form_post":
            raise MethodNotAllowed("This provider does not answer by POST.")
        form = {name: (value,) for name, value in request.form().items()}
    except GrantkeeperError as error:
        return _error(error, request)
    binding = cookies.read_form_post_binding(request.cookies, issuer=app_wiring.issuer)
    return _complete(request, form, binding)


@app.route("HEAD /oauth2/callback/{provider}", "OPTIONS /oauth2/callback/{provider}")
def look_at_callback(_: Request) -> Response:
    """Looking consumes nothing (C-38)."""
    return Response(204)


def _complete(request: Request, parameters: Parameters, binding: cookies.BrowserBinding | None) -> Response:
    begun = time.monotonic()
    try:
        location = complete_callback(
            parameters,
            provider_id=_provider_id(request),
            browser_hash=None if binding is None else binding.browser_hash,
            issuer=app_wiring.issuer,
            ports=app_wiring,
            now=int(time.time()),
            request_id=request.request_id,
            spare=lambda: PATIENCE - (time.monotonic() - begun),
        )
    except GrantkeeperError as error:
        return _error(error, request)
    return see_other(location)


def _provider_id(request: Request) -> str:
    return request.path_params.get("provider", "")


def _error(error: GrantkeeperError, request: Request) -> Response:
    """There is no trusted place to go: a page of ours, the same for a replayed, an expired and an unknown trip."""
    if isinstance(error, AuthorizationRequestExpired):
        return error_page(
            "This link was used already or has expired.", title="Already finished", request_id=request.request_id
        )
    if error.status == 500:
        logger.error("callback failed", extra={"error": error.slug, "request_id": request.request_id})
    return error_page(error.detail, status=error.status, title=error.title, request_id=request.request_id)


handler = app
