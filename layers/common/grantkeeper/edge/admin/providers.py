"""Providers: how each does, and the switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grantkeeper.edge.admin.access import READ, WRITE, object_in
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import UnknownProvider
from grantkeeper.services.admin_providers import SeenProvider, list_providers, parse_reason, switch_provider

if TYPE_CHECKING:
    from grantkeeper.edge import admin_schemas


def add_routes(app: App, desk: Desk) -> None:
    """/v1/admin/providers and what is below it."""

    @app.route("GET /v1/admin/providers", operation=Operation("AdminProviderList", access=READ))
    def get_admin_providers(request: Request) -> Response:
        """Every provider with its state, its breaker, whether it has credentials, and its connections by status."""
        desk.caller(request)
        return json_response({"providers": [_view(seen) for seen in _seen()]})

    @app.route(
        "POST /v1/admin/providers/{id}/disable",
        operation=Operation("AdminProvider", takes="SwitchReason", access=WRITE),
    )
    def post_admin_provider_disable(request: Request) -> Response:
        """
        Refuse sign-ins and new connections at a provider, within a minute.

        Connections that exist are read and refreshed as before: a grant that nobody refreshes is lost.
        """
        return _switch(request, disabled=True)

    @app.route(
        "POST /v1/admin/providers/{id}/enable",
        operation=Operation("AdminProvider", takes="SwitchReason", access=WRITE),
    )
    def post_admin_provider_enable(request: Request) -> Response:
        """Let users sign in and connect at a provider again, within a minute."""
        return _switch(request, disabled=False)

    def _switch(request: Request, *, disabled: bool) -> Response:
        by = desk.acting(request)
        provider_id = request.path_params["id"]
        switch_provider(
            provider_id,
            disabled=disabled,
            reason=parse_reason(object_in(request)),
            catalog=desk.wiring.catalog,
            provider_items=desk.wiring.provider_items,
            by=by,
        )
        seen = next((each for each in _seen() if each.provider.id == provider_id), None)
        if seen is None:
            raise UnknownProvider("There is no such provider.")
        return json_response(_view(seen))

    def _seen() -> list[SeenProvider]:
        wiring = desk.wiring
        return list(
            list_providers(
                catalog=wiring.catalog,
                provider_items=wiring.provider_items,
                breakers=wiring.breakers_seen,
                counters=wiring.counters,
                now=desk.now(),
            )
        )


def _view(seen: SeenProvider) -> admin_schemas.AdminProvider:
    facts = seen.facts
    refused: admin_schemas.AdminProviderError = {"at": facts.refused_at, "error": facts.error}
    return {
        "id": seen.provider.id,
        "display_name": seen.provider.display_name,
        "services": [service.id for service in seen.provider.services],
        "state": seen.state,
        "breaker": {
            "state": seen.breaker,
            "failures": facts.failures,
            "failed_at": facts.failed_at or None,
            "open_until": facts.open_until or None,
            "closed_at": facts.closed_at or None,
        },
        "credentials": {
            "registered": seen.credentials.registered,
            "secret": seen.credentials.secret,
            "live": seen.credentials.live,
        },
        "last_error": refused if facts.refused_at else None,
        "connections": dict(seen.connections),
    }
