"""Numbers for operators: statistics as JSON, and as Prometheus reads them. Counters only, no user and no grant."""

from __future__ import annotations

import os
import time
from dataclasses import asdict

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import ANY, Access, Operation
from grantkeeper.edge.principals import permitted
from grantkeeper.errors import BadRequest
from grantkeeper.services.count_stats import OF_DAY, connections, last_days, stats
from grantkeeper.services.tell_prometheus import CONTENT_TYPE, prometheus

USUAL_DAYS, MOST_DAYS = 30, 90

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("api_keys", "clients", "counters", "rate_limits")


@app.route("GET /v1/admin/stats", operation=Operation("AdminStats", query=("days",), access=Access("admin:read", ANY)))
def get_admin_stats(request: Request) -> Response:
    """Users, connections by provider and status, sign-ins, refreshes and their failures: of all time and by day."""
    _require(request)
    shown = last_days(_days(request), now=_now())
    days = app_wiring.counters.of_days(shown, only=list(OF_DAY.values()))
    last = app_wiring.recount_notes.load().last
    found = None if last is None else asdict(last)
    return json_response(stats(app_wiring.counters.totals(), days=days, today=shown[-1], reconciliation=found))


@app.route("GET /metrics", operation=Operation(media="text/plain", access=Access("metrics:read", ANY)))
def get_metrics(request: Request) -> Response:
    """The counters of all time and the providers' circuit breakers, in the Prometheus text format."""
    _require(request)
    totals = app_wiring.counters.totals()
    providers = sorted(connections(totals)["by_provider"])
    seen, now = app_wiring.breakers_seen.facts(providers), _now()
    breakers = {each: each in seen and seen[each].open_until > now for each in providers}
    last = app_wiring.recount_notes.load().last
    text = prometheus(totals, breakers=breakers, reconciled=last)
    return Response(200, text, {"content-type": CONTENT_TYPE})


def _days(request: Request) -> int:
    text = request.one("days")
    if text is None:
        return USUAL_DAYS
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= MOST_DAYS):
        raise BadRequest(f"days is 1 to {MOST_DAYS}.", parameter="days")
    return int(text)


def _require(request: Request) -> None:
    permitted(request, app.access(request), ports=app_wiring, now=_now())


def _now() -> int:
    return int(time.time())


handler = app
