"""Connections: found, shown with their history, revoked."""

from __future__ import annotations

from grantkeeper.edge.admin.access import READ, WRITE
from grantkeeper.edge.admin.connection_details import connection_detail_view
from grantkeeper.edge.connection_views import disconnected_view, listed_view
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.services.admin_connections import (
    Wanted,
    connection_detail,
    known_connection,
    list_all_connections,
)
from grantkeeper.services.disconnect import disconnect_seen

FILTERS = ("provider:of", "service", "status", "user:of")


def add_routes(app: App, desk: Desk) -> None:
    """GET /v1/admin/connections and what is below it."""

    @app.route(
        "GET /v1/admin/connections",
        operation=Operation("ConnectionList", query=(*FILTERS, "limit", "cursor"), access=READ),
    )
    def get_admin_connections(request: Request) -> Response:
        """
        Connections of everybody: by provider, status and service; or one user's.

        A page looks at a bounded number of things: with filters it may be short, and `cursor` goes on.
        """
        principal = desk.caller(request)
        wanted = Wanted(*(request.one(name.partition(":")[0]) for name in FILTERS))
        query = ("admin connections", *wanted.filters)
        page = list_all_connections(
            wanted,
            seen=desk.wiring.seen_connections,
            catalog=desk.wiring.catalog,
            limit=page_limit(request),
            after=desk.position(request, principal=principal, query=query),
        )
        cursor = desk.cursor(page.next_position, principal=principal, query=query)
        return json_response({"connections": [listed_view(each) for each in page.connections], "cursor": cursor})

    @app.route("GET /v1/admin/connections/{id}", operation=Operation("AdminConnection", access=READ))
    def get_admin_connection(request: Request) -> Response:
        """One connection with its reason and the newest of its trail; never a token."""
        desk.caller(request)
        detail = connection_detail(
            request.path_params["id"],
            seen=desk.wiring.seen_connections,
            audit=desk.wiring.audit,
            catalog=desk.wiring.catalog,
        )
        return json_response(connection_detail_view(detail))

    @app.route("DELETE /v1/admin/connections/{id}", operation=Operation("Disconnected", access=WRITE))
    def delete_admin_connection(request: Request) -> Response:
        """
        Revoke a connection: from this moment nobody gets a token of it.

        Its provider is told by its own rule, unless that would cut off another live connection; the answer says which.
        """
        principal = desk.caller(request)
        disconnected = disconnect_seen(
            known_connection(request.path_params["id"], seen=desk.wiring.seen_connections),
            actor=principal.actor,
            connections=desk.wiring.seen_connections,
            work_queue=desk.wiring.work_queue,
            catalog=desk.wiring.catalog,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(disconnected_view(disconnected))
