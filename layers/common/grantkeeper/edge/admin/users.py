"""Users: found, shown, suspended, given roles, erased."""

from __future__ import annotations

from grantkeeper.edge.admin.desk import READ, Desk
from grantkeeper.edge.admin.user_views import detail_view, user_view
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.services.admin_users import Wanted, list_users, user_detail

FILTERS = ("q", "role", "status")


def add_routes(app: App, desk: Desk) -> None:
    """GET /v1/admin/users and what is below it."""

    @app.route(
        "GET /v1/admin/users",
        operation=Operation("AdminUserList", query=("q", "role", "status:user", "limit", "cursor"), access=READ),
    )
    def get_admin_users(request: Request) -> Response:
        """
        Users, by e-mail address.

        A page reads a bounded number of users: with filters it may be short, and `cursor` goes on.
        """
        principal = desk.caller(request)
        query = ("admin users", *(request.one(name) for name in FILTERS))
        page = list_users(
            Wanted(request.one("q") or "", request.one("role"), request.one("status")),
            people=desk.wiring.people,
            users=desk.wiring.users,
            limit=page_limit(request),
            after=desk.position(request, principal=principal, query=query),
        )
        cursor = desk.cursor(page.next_position, principal=principal, query=query)
        return json_response({"users": [user_view(user) for user in page.users], "cursor": cursor})

    @app.route("GET /v1/admin/users/{sub}", operation=Operation("AdminUserDetail", access=READ))
    def get_admin_user(request: Request) -> Response:
        """One user with his identities, sessions, connections, consents and keys; never a token or a secret."""
        desk.caller(request)
        detail = user_detail(request.path_params["sub"], ports=desk.wiring, now=desk.now())
        return json_response(detail_view(detail, now=desk.now()))
