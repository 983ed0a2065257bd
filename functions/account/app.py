"""A user's own account: his profile, identities, sessions, consents, keys, and the trail of what happened."""

from __future__ import annotations

import os
import time

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.account_views import audit_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.cursors import Cursors, page_limit
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import PERSON, Access, Operation
from grantkeeper.edge.pictures import picture_response
from grantkeeper.edge.principals import permitted
from grantkeeper.model import Principal

OWN = Access("connections:read", PERSON, owned=True)

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("clients", "sessions", "users", "key_set", "audit")
browser_route = BrowserRoutes(app, lambda: app_wiring.clients)


@browser_route("GET /v1/audit", Operation("AuditList", query=("limit", "cursor"), access=OWN))
def get_audit(request: Request) -> Response:
    """The caller's own trail, newest first."""
    principal, sub = _person(request)
    before = _cursors().read(request.one("cursor"), principal=principal, query=("audit",))
    events, position = app_wiring.audit.for_user(sub, limit=page_limit(request), before=before)
    cursor = position and _cursors().issue(position, principal=principal, query=("audit",))
    return json_response({"events": [audit_view(event, sub=sub) for event in events], "cursor": cursor})


@browser_route(
    "GET /v1/profile/avatar",
    Operation(media="image/*", conditional=True, access=Access("profile", PERSON, owned=True), errors=(404,)),
)
def get_profile_avatar(request: Request) -> Response:
    """The caller's own picture, where the provider he signs in with shows it to a token's bearer only."""
    _, sub = _person(request)
    return picture_response(app_wiring.avatars.of_user(sub), request)


def _person(request: Request) -> tuple[Principal, str]:
    """The caller, who is a person by the route's own rule."""
    principal = permitted(request, app.access(request), ports=app_wiring, now=_now())
    return principal, principal.sub or ""


def _cursors() -> Cursors:
    return Cursors(app_wiring.deployment_secrets.key("cursors"))


def _now() -> int:
    return int(time.time())


handler = app
