"""Whom a user can sign in as."""

from __future__ import annotations

from grantkeeper.edge.account.access import CONFIRM, READ, RECENT
from grantkeeper.edge.account_views import identity_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import TooManyRequests
from grantkeeper.services.confirm_link import LinkConfirmation, confirm_link
from grantkeeper.services.identities import unlink_identity
from grantkeeper.services.open_link import LinkRequest, open_link

LINKS_PER_MINUTE = 10


def add_routes(browser_route: BrowserRoutes, desk: Desk) -> None:
    """/v1/identities and what is below it."""

    @browser_route("GET /v1/identities", Operation("IdentityList", access=READ))
    def get_identities(request: Request) -> Response:
        """Whom the caller can sign in as, and the ids that clients know him by."""
        _, sub = desk.person(request)
        found = desk.wiring.users.identities(sub)
        return json_response({"identities": [identity_view(identity) for identity in found]})

    @browser_route(
        "POST /v1/identities",
        Operation("IdentityLink", status=201, takes="IdentityLinkRequest", access=RECENT, errors=(404, 409, 429)),
    )
    def post_identity(request: Request) -> Response:
        """Let the caller prove another identity of his, to be linked with his account."""
        principal, _ = desk.person(request)
        wanted = LinkRequest.parse(request.json())
        wait = desk.wiring.rate_limits.hit(f"link:{principal.actor}", limit=LINKS_PER_MINUTE, window=60, now=desk.now())
        if wait:
            raise TooManyRequests("Too many links were opened.", retry_after=wait)
        opened = open_link(
            wanted,
            principal=principal,
            clients=desk.wiring.clients,
            sessions=desk.wiring.sessions,
            errands=desk.wiring.errands,
            provider_items=desk.wiring.provider_items,
            catalog=desk.wiring.catalog,
            issuer=desk.wiring.issuer,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response({"id": opened.id, "link_url": opened.url, "expires_at": opened.expires_at}, status=201)

    @browser_route(
        "POST /v1/identities/{id}/complete",
        Operation("Identity", takes="LinkConfirmation", access=CONFIRM, errors=(409, 410)),
    )
    def post_identity_complete(request: Request) -> Response:
        """Link the identity that was proven, for the user who came back."""
        principal, _ = desk.person(request)
        identity = confirm_link(
            request.path_params["id"],
            LinkConfirmation.parse(request.json()),
            principal=principal,
            users=desk.wiring.users,
            errands=desk.wiring.errands,
            audit=desk.wiring.audit,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(identity_view(identity))

    @browser_route("DELETE /v1/identities/{id}", Operation(status=204, access=RECENT, errors=(409,)))
    def delete_identity(request: Request) -> Response:
        """Take an identity away, unless it is the last that can sign in; sessions opened at its provider end."""
        principal, _ = desk.person(request)
        unlink_identity(
            request.path_params["id"],
            principal=principal,
            users=desk.wiring.users,
            sessions=desk.wiring.sessions,
            catalog=desk.wiring.catalog,
            provider_items=desk.wiring.provider_items,
            now=desk.now(),
            request_id=request.request_id,
        )
        return Response(204)
