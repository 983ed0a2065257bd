"""How the deployment does, for whoever operates it."""

from __future__ import annotations

from grantkeeper.edge.admin.access import READ
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.services.admin_providers import list_providers
from grantkeeper.services.deep_health import HealthPorts, deep_health


def add_routes(app: App, desk: Desk) -> None:
    """GET /v1/admin/health."""

    @app.route("GET /v1/admin/health", operation=Operation("AdminHealth", access=READ))
    def get_admin_health(request: Request) -> Response:
        """
        How every part of the deployment does, looked at now: 200 whatever is found, for `status` tells.

        A part that does not answer within six seconds is failing, and hides none of the others. `GET /health` is the
        cheap one, for load balancers.
        """
        desk.caller(request)
        wiring, now = desk.wiring, desk.now()
        # Made here, in one thread: what is made at first use is not made by two at once.
        items, breakers, counters = wiring.provider_items, wiring.breakers_seen, wiring.counters
        ports = HealthPorts(
            probes=wiring.probes,
            sweep_mark=wiring.sweep_mark,
            signing_keys=wiring.signing_keys,
            providers=lambda: list_providers(
                catalog=wiring.catalog, provider_items=items, breakers=breakers, counters=counters, now=now
            ),
        )
        health = deep_health(ports, now=now)
        checks = [
            {"name": c.name, "status": c.status, "detail": c.detail, "measured": dict(c.measured)}
            for c in health.checks
        ]
        return json_response({"status": health.status, "checked_at": now, "checks": checks})
