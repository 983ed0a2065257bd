"""A user's own trail."""

from __future__ import annotations

from grantkeeper.edge.account.access import OWN
from grantkeeper.edge.account_views import audit_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import Request, Response, json_response
from grantkeeper.edge.operations import Operation


def add_routes(browser_route: BrowserRoutes, desk: Desk) -> None:
    """GET /v1/audit."""

    @browser_route("GET /v1/audit", Operation("AuditList", query=("limit", "cursor"), access=OWN))
    def get_audit(request: Request) -> Response:
        """The caller's own trail, newest first."""
        principal, sub = desk.person(request)
        before = desk.position(request, principal=principal, query=("audit",))
        events, position = desk.wiring.audit.for_user(sub, limit=page_limit(request), before=before)
        cursor = desk.cursor(position, principal=principal, query=("audit",))
        return json_response({"events": [audit_view(event, sub=sub) for event in events], "cursor": cursor})
