"""Where a user is signed in."""

from __future__ import annotations

from grantkeeper.edge.account.access import READ, WRITE
from grantkeeper.edge.account_views import ended_view, session_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import BadRequest
from grantkeeper.services.own_sessions import end_all, end_one, list_sessions


def add_routes(browser_route: BrowserRoutes, desk: Desk) -> None:
    """/v1/sessions and what is below it."""

    @browser_route("GET /v1/sessions", Operation("SessionList", query=("limit", "cursor"), access=READ))
    def get_sessions(request: Request) -> Response:
        """Where the caller is signed in, at whichever client, newest first."""
        principal, _ = desk.person(request)
        page = list_sessions(
            principal,
            sessions=desk.wiring.sessions,
            clients=desk.wiring.clients,
            now=desk.now(),
            limit=page_limit(request),
            after=desk.position(request, principal=principal, query=("sessions",)),
        )
        position = page.next_position
        cursor = desk.cursor(position, principal=principal, query=("sessions",))
        return json_response({"sessions": [session_view(listed) for listed in page.sessions], "cursor": cursor})

    @browser_route("DELETE /v1/sessions/{sid}", Operation(status=204, access=WRITE))
    def delete_session(request: Request) -> Response:
        """End one session of the caller's: its refresh token at once, its access tokens within a minute."""
        principal, _ = desk.person(request)
        end_one(
            principal,
            request.path_params["sid"],
            sessions=desk.wiring.sessions,
            now=desk.now(),
            request_id=request.request_id,
        )
        return Response(204)

    @browser_route("DELETE /v1/sessions", Operation("EndedSessions", query=("keep_current",), access=WRITE))
    def delete_sessions(request: Request) -> Response:
        """End every session of the caller's, or with `keep_current=true` all the others; a hundred a call."""
        principal, _ = desk.person(request)
        ended = end_all(
            principal,
            keep_current=_flag(request, "keep_current"),
            sessions=desk.wiring.sessions,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(ended_view(ended))


def _flag(request: Request, name: str) -> bool:
    text = request.one(name)
    if text not in (None, "true", "false"):
        raise BadRequest(f"{name} is true or false.", parameter=name)
    return text == "true"
