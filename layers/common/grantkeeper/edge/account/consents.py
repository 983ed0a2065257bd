"""What a user lets which client use."""

from __future__ import annotations

from grantkeeper.edge.account.access import READ, WRITE
from grantkeeper.edge.account_views import consent_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.services.consents import list_consents, withdraw_consent


def add_routes(browser_route: BrowserRoutes, desk: Desk) -> None:
    """/v1/consents and what is below it."""

    @browser_route("GET /v1/consents", Operation("ConsentList", query=("limit", "cursor"), access=READ))
    def get_consents(request: Request) -> Response:
        """What the caller lets which client use, and what he let it use before."""
        principal, sub = desk.person(request)
        page = list_consents(
            sub,
            consents=desk.wiring.consents,
            clients=desk.wiring.clients,
            limit=page_limit(request),
            after=desk.position(request, principal=principal, query=("consents",)),
        )
        position = page.next_position
        cursor = desk.cursor(position, principal=principal, query=("consents",))
        return json_response({"consents": [consent_view(each) for each in page.consents], "cursor": cursor})

    @browser_route("DELETE /v1/consents/{client_id}/{connection_id}", Operation(status=204, access=WRITE))
    def delete_consent(request: Request) -> Response:
        """Withdraw a consent: that client's token calls are refused at once, or where one is remembered within 30 s."""
        principal, _ = desk.person(request)
        withdraw_consent(
            request.path_params["client_id"],
            request.path_params["connection_id"],
            principal=principal,
            consents=desk.wiring.consents,
            now=desk.now(),
            request_id=request.request_id,
        )
        return Response(204)
