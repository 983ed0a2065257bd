"""A user's own API keys, and a client's key that rotates itself."""

from __future__ import annotations

from grantkeeper.edge.account.access import MINT, READ, ROTATE, WRITE
from grantkeeper.edge.api_key_views import api_key_view, shown_key_view
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import Request, Response, json_response
from grantkeeper.edge.operations import CLIENT, Access, Operation
from grantkeeper.services.own_api_keys import (
    WantedKey,
    list_keys,
    make_key,
    parse_rotation,
    revoke_key,
    rotate_itself,
    rotate_own_key,
)


def add_routes(browser_route: BrowserRoutes, desk: Desk) -> None:
    """/v1/api-keys and what is below it."""

    @browser_route("GET /v1/api-keys", Operation("ApiKeyList", access=READ))
    def get_api_keys(request: Request) -> Response:
        """The caller's own API keys, without their secrets."""
        principal, _ = desk.person(request)
        found = list_keys(principal, api_keys=desk.wiring.api_keys)
        return json_response({"api_keys": [api_key_view(key, now=desk.now()) for key in found]})

    @browser_route(
        "POST /v1/api-keys",
        Operation("ShownApiKey", status=201, takes="ApiKeyRequest", access=MINT, errors=(409,)),
    )
    def post_api_key(request: Request) -> Response:
        """Make a key that acts as the caller at his client, and show it once."""
        principal, _ = desk.person(request)
        shown = make_key(
            WantedKey.parse(request.json()),
            principal=principal,
            api_keys=desk.wiring.api_keys,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(shown_key_view(shown, now=desk.now()), status=201)

    @browser_route(
        "POST /v1/api-keys/{id}/rotate",
        Operation("ShownApiKey", takes="ApiKeyRotation", access=ROTATE, errors=(409,)),
    )
    def post_rotate_api_key(request: Request) -> Response:
        """Give a key of the caller's its next secret, and show it once; the one before is good for seven days more."""
        principal, _ = desk.person(request)
        shown = rotate_own_key(
            request.path_params["id"],
            days=parse_rotation(request.json()),
            principal=principal,
            api_keys=desk.wiring.api_keys,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(shown_key_view(shown, now=desk.now()))

    @desk.app.route(
        "POST /v1/api-keys/self/rotate",
        operation=Operation("ShownApiKey", access=Access("account:write", CLIENT), errors=(409,)),
    )
    def post_rotate_this_api_key(request: Request) -> Response:
        """
        Give the client's key that asks its next secret, and show it once. Never any CORS here: keys are for servers.

        The one before is good for seven days more; the key ends when it would have ended. It takes the scope
        `account:write`, which an operator gives a key that shall rotate itself.
        """
        shown = rotate_itself(
            desk.caller(request),
            api_keys=desk.wiring.api_keys,
            now=desk.now(),
            request_id=request.request_id,
        )
        return json_response(shown_key_view(shown, now=desk.now()))

    @browser_route("DELETE /v1/api-keys/{id}", Operation(status=204, access=WRITE))
    def delete_api_key(request: Request) -> Response:
        """Revoke a key of the caller's: refused everywhere within a minute."""
        principal, _ = desk.person(request)
        revoke_key(
            request.path_params["id"],
            principal=principal,
            api_keys=desk.wiring.api_keys,
            now=desk.now(),
            request_id=request.request_id,
        )
        return Response(204)
