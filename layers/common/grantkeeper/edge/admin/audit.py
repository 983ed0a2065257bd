"""The audit trail: searched, and taken away a day at a time."""

from __future__ import annotations

from grantkeeper.edge.admin.access import AUDIT
from grantkeeper.edge.admin.audit_views import CSV_TYPE, NDJSON_TYPE, as_csv, as_ndjson, entry_view
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import BadRequest
from grantkeeper.services.search_audit import AuditQuestion, export_day, search_audit

FILTERS = ("user", "actor", "connection", "action", "from", "to")


def add_routes(app: App, desk: Desk) -> None:
    """GET /v1/admin/audit and its export."""

    @app.route(
        "GET /v1/admin/audit",
        operation=Operation(
            "AdminAuditList", query=(*(f"{name}:audit" for name in FILTERS), "limit", "cursor"), access=AUDIT
        ),
    )
    def get_admin_audit(request: Request) -> Response:
        """
        Entries of the audit trail, newest first.

        A page looks at a bounded stretch of the trail: it may be short, empty even, and `cursor` goes on. A
        connection's trail holds its refreshes; a user's does not.
        """
        principal = desk.caller(request)
        query = ("admin audit", *(request.one(name) for name in FILTERS))
        part = search_audit(
            AuditQuestion.parse(request.one),
            trail=desk.wiring.audit_search,
            now=desk.now(),
            retention_days=desk.wiring.audit_retention_days,
            limit=page_limit(request),
            position=desk.position(request, principal=principal, query=query),
        )
        cursor = desk.cursor(part.position, principal=principal, query=query)
        return json_response({"events": [entry_view(event) for event in part.events], "cursor": cursor})

    @app.route(
        "GET /v1/admin/audit/export",
        operation=Operation(media=NDJSON_TYPE, also=(CSV_TYPE,), query=("*day", "format", "cursor"), access=AUDIT),
    )
    def get_admin_audit_export(request: Request) -> Response:
        """
        All entries of a UTC day as NDJSON or CSV, newest first, at most a thousand a page.

        `x-next-cursor` holds the cursor of the next page and is missing on the last. The CSV's first page alone has a
        line of heads, so pages can be joined. A cell that a spreadsheet would take for a formula begins with `'`.
        """
        principal = desk.caller(request)
        day, wanted = request.required("day"), request.one("format") or "ndjson"
        if wanted not in ("ndjson", "csv"):
            raise BadRequest("format is ndjson or csv.", parameter="format")
        query = ("admin audit export", day, wanted)
        position = desk.position(request, principal=principal, query=query)
        part = export_day(day, trail=desk.wiring.audit_search, position=position)
        body = as_csv(part.events, head=position is None) if wanted == "csv" else as_ndjson(part.events)
        headers = {
            "content-type": CSV_TYPE + "; charset=utf-8" if wanted == "csv" else NDJSON_TYPE,
            "content-disposition": f'attachment; filename="audit-{day}.{wanted}"',
        }
        cursor = desk.cursor(part.position, principal=principal, query=query)
        return Response(200, body, headers | ({"x-next-cursor": cursor} if cursor else {}))
