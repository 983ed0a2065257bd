"""API keys of clients, users and the operator: listed and revoked; made for clients."""

from __future__ import annotations

from grantkeeper import ids
from grantkeeper.edge.admin.access import POWER, READ, WRITE
from grantkeeper.edge.admin.client_views import admin_key_view, shown_admin_key_view
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import BadRequest
from grantkeeper.services.acting import Acting
from grantkeeper.services.manage_api_keys import WantedClientKey, create_key, revoke_all, revoke_key

FILTERS = ("client_id", "user")


def add_routes(app: App, desk: Desk) -> None:
    """/v1/admin/api-keys, and the revocation of a client's."""

    @app.route(
        "GET /v1/admin/api-keys",
        operation=Operation("AdminApiKeyList", query=("client_id:key", "user:key", "limit", "cursor"), access=READ),
    )
    def get_admin_api_keys(request: Request) -> Response:
        """
        API keys without their secrets: the operator's first, then by client, users' own among them.

        A page reads a bounded number of keys: with filters it may be short, and `cursor` goes on.
        """
        principal = desk.caller(request)
        client_id, user = (_id(request, name) for name in FILTERS)
        query = ("admin api keys", client_id, user)
        found, onward = desk.wiring.api_key_pages.page(
            client_id=client_id,
            where={} if user is None else {"sub": user},
            after=desk.position(request, principal=principal, query=query),
            limit=page_limit(request),
        )
        cursor = desk.cursor(onward, principal=principal, query=query)
        return json_response({"api_keys": [admin_key_view(key, now=desk.now()) for key in found], "cursor": cursor})

    @app.route(
        "POST /v1/admin/api-keys",
        operation=Operation("ShownAdminApiKey", status=201, takes="AdminApiKeyRequest", access=POWER, errors=(404,)),
    )
    def post_admin_api_key(request: Request) -> Response:
        """
        Make a key for a client's backend and show it, once.

        Keys that administer, and keys that read tokens, are made with the CLI alone: admins never read tokens.
        """
        by = desk.acting(request)
        wanted = WantedClientKey.parse(request.json())
        shown = create_key(wanted, clients=desk.wiring.clients, api_keys=desk.wiring.api_keys, by=by)
        return json_response(shown_admin_key_view(shown, now=desk.now()), status=201)

    @app.route("DELETE /v1/admin/api-keys/{id}", operation=Operation(status=204, access=WRITE))
    def delete_admin_api_key(request: Request) -> Response:
        """Revoke any key: refused everywhere within a minute."""
        revoke_key(request.path_params["id"], by=desk.acting(request), api_keys=desk.wiring.api_keys)
        return Response(204)

    @app.route(
        "POST /v1/admin/clients/{id}/revoke-api-keys",
        operation=Operation("RevokedApiKeys", query=("cursor",), access=WRITE),
    )
    def post_admin_client_revoke_api_keys(request: Request) -> Response:
        """
        Revoke every key of a client, its users' own among them, a hundred a call.

        `more` says to call again, with the `cursor`: a call looks at 2,000 keys at most, dead ones too.
        """
        principal = desk.caller(request)
        query = ("admin revoke api keys", request.path_params["id"])
        done = revoke_all(
            request.path_params["id"],
            clients=desk.wiring.clients,
            api_keys=desk.wiring.api_keys,
            pages=desk.wiring.api_key_pages,
            by=Acting.of(principal, now=desk.now(), request_id=request.request_id),
            position=desk.position(request, principal=principal, query=query),
        )
        cursor = desk.cursor(done.position, principal=principal, query=query)
        return json_response({"revoked": done.revoked, "more": cursor is not None, "cursor": cursor})


def _id(request: Request, name: str) -> str | None:
    value = request.one(name)
    if value is not None and not ids.is_id(value):
        raise BadRequest(f"{name} is an id.", parameter=name)
    return value
