"""Numbers for operators: statistics as JSON, and as Prometheus reads them. Counters only, no user and no grant."""

from __future__ import annotations

import os
import time

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import ANY, Access, Operation
from grantkeeper.edge.principals import permitted
from grantkeeper.services.count_stats import prometheus, stats

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("api_keys", "clients", "counters", "rate_limits")


@app.route("GET /v1/admin/stats", operation=Operation("AdminStats", access=Access("admin:read", ANY)))
def get_admin_stats(request: Request) -> Response:
    """Users, connections by provider and status, sign-ins, refreshes: of all time and of today."""
    _require(request)
    today = time.strftime("%Y-%m-%d", time.gmtime(_now()))
    return json_response(stats(app_wiring.counters.totals(), app_wiring.counters.of_day(today)))


@app.route("GET /metrics", operation=Operation(media="text/plain", access=Access("metrics:read", ANY)))
def get_metrics(request: Request) -> Response:
    """The same counters in the Prometheus text format."""
    _require(request)
    text = prometheus(app_wiring.counters.totals())
    return Response(200, text, {"content-type": "text/plain; version=0.0.4; charset=utf-8"})


def _require(request: Request) -> None:
    permitted(request, app.access(request), ports=app_wiring, now=_now())


def _now() -> int:
    return int(time.time())


handler = app
