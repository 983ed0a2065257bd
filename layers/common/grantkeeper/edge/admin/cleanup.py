"""Clean-up of what is dead: looked at first, then taken away in steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.edge.admin.access import READ, WRITE
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import BadRequest
from grantkeeper.services.acting import Acting
from grantkeeper.services.clean_up import DEFAULT_DAYS, KINDS, Cleaned, CleanUp, checked_days, clean_up, dry_run

if TYPE_CHECKING:
    from grantkeeper.edge import admin_schemas


def add_routes(app: App, desk: Desk) -> None:
    """GET and POST /v1/admin/cleanup."""

    @app.route(
        "GET /v1/admin/cleanup",
        operation=Operation("AdminCleanup", query=("older_than_days", "cursor"), access=READ),
    )
    def get_admin_cleanup(request: Request) -> Response:
        """
        What a clean-up would take away, by kind; nothing is changed.

        A call looks at 2,000 rows at most; the figures of all pages add up.
        """
        principal = desk.caller(request)
        days = _days(request)
        query = ("admin cleanup", str(days))
        seen = dry_run(
            rows=desk.wiring.dead_rows,
            providers=_providers(),
            days=days,
            now=desk.now(),
            position=desk.position(request, principal=principal, query=query),
        )
        return json_response(_view(seen, cursor=desk.cursor(seen.position, principal=principal, query=query)))

    @app.route(
        "POST /v1/admin/cleanup",
        operation=Operation("AdminCleanup", takes="CleanUpRequest", query=("cursor",), access=WRITE),
    )
    def post_admin_cleanup(request: Request) -> Response:
        """
        Take away dead rows of the named kinds, at most `limit`, each with an entry in the trail.

        `cursor` asks for the next step. A step that fails midway has done what it has done; the next goes on.
        """
        principal = desk.caller(request)
        by = Acting.of(principal, now=desk.now(), request_id=request.request_id)
        wanted = CleanUp.parse(request.json())
        query = ("admin cleanup step", " ".join(wanted.kinds), str(wanted.days))
        done = clean_up(
            wanted,
            rows=desk.wiring.dead_rows,
            providers=_providers(),
            by=by,
            position=desk.position(request, principal=principal, query=query),
        )
        return json_response(_view(done, cursor=desk.cursor(done.position, principal=principal, query=query)))

    def _providers() -> list[str]:
        """Those there are, and those whose connections were ever counted: a record may be gone."""
        counted = (name.split("/") for name in desk.wiring.counters.totals() if name.startswith("connections/"))
        return sorted({provider.id for provider in desk.wiring.catalog.all()} | {parts[1] for parts in counted})


def _view(seen: Cleaned, *, cursor: str | None) -> admin_schemas.AdminCleanup:
    return {
        "kinds": [
            {
                "kind": kind,
                "removable": seen.removable.get(kind, 0),
                "removed": seen.removed.get(kind, 0),
                "young": seen.young.get(kind, 0),
                "kept": seen.kept.get(kind, 0),
            }
            for kind in KINDS
        ],
        "looked_at": seen.looked_at,
        "cursor": cursor,
    }


def _days(request: Request) -> int:
    text = request.one("older_than_days")
    if text is None:
        return DEFAULT_DAYS
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise BadRequest("older_than_days is a number.", parameter="older_than_days")
    return checked_days(int(text))
