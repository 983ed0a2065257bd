"""The team's applications: registered, changed, given secrets, switched off and on."""

from __future__ import annotations

from grantkeeper.admin_ports import VersionedClient
from grantkeeper.edge.admin.access import POWER, READ, WRITE, object_in
from grantkeeper.edge.admin.client_views import client_etag, client_view, shown_client_view
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.etags import has_it, require_match
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.errors import BadRequest
from grantkeeper.services.client_registration import ClientMetadata
from grantkeeper.services.manage_clients import (
    add_secret,
    create_client,
    end_old_secrets,
    read_client,
    replace_client,
    switch_client,
)


def add_routes(app: App, desk: Desk) -> None:
    """/v1/admin/clients and what is below it, but for its keys."""
    _add_registration(app, desk)
    _add_secrets(app, desk)


def _add_registration(app: App, desk: Desk) -> None:
    @app.route(
        "GET /v1/admin/clients",
        operation=Operation("AdminClientList", query=("limit", "cursor"), access=READ),
    )
    def get_admin_clients(request: Request) -> Response:
        """All clients, by id."""
        principal = desk.caller(request)
        query = ("admin clients",)
        after = desk.position(request, principal=principal, query=query)
        found, onward = desk.wiring.client_versions.page(limit=page_limit(request), after=after)
        cursor = desk.cursor(onward, principal=principal, query=query)
        return json_response({"clients": [client_view(client) for client in found], "cursor": cursor})

    @app.route(
        "POST /v1/admin/clients",
        operation=Operation("ShownAdminClient", status=201, takes="ClientRegistration", access=POWER),
    )
    def post_admin_client(request: Request) -> Response:
        """Register a client. One that proves itself by a secret is shown it here, once; it is kept as a hash."""
        by = desk.acting(request)
        wanted = ClientMetadata.parse(request.json(), catalog=desk.wiring.catalog)
        shown = create_client(wanted, clients=desk.wiring.client_versions, by=by)
        return json_response(shown_client_view(shown), status=201, etag=client_etag(shown.found))

    @app.route("GET /v1/admin/clients/{id}", operation=Operation("AdminClient", conditional=True, access=READ))
    def get_admin_client(request: Request) -> Response:
        """One client. Of its secrets only how many are good."""
        desk.caller(request)
        found = read_client(request.path_params["id"], clients=desk.wiring.client_versions)
        if has_it(request, client_etag(found)):
            return Response(304, "", {"etag": client_etag(found)})
        return _answer(found)

    @app.route(
        "PUT /v1/admin/clients/{id}",
        operation=Operation("AdminClient", takes="ClientRegistration", versioned=True, access=POWER),
    )
    def put_admin_client(request: Request) -> Response:
        """
        Change a client: the whole of what its registration says, what is left out falls back to its default.

        If-Match holds the ETag that was read. Its id, age, status and secrets stay; one that proves itself by a secret
        no longer loses those it had.
        """
        by = desk.acting(request)
        wanted = ClientMetadata.parse(request.json(), catalog=desk.wiring.catalog)
        found = read_client(request.path_params["id"], clients=desk.wiring.client_versions)
        require_match(request, client_etag(found))
        return _answer(replace_client(found, wanted, clients=desk.wiring.client_versions, by=by))


def _add_secrets(app: App, desk: Desk) -> None:
    @app.route(
        "POST /v1/admin/clients/{id}/secrets",
        operation=Operation("ShownAdminClient", status=201, takes="ClientSecretRequest", access=POWER, errors=(409,)),
    )
    def post_admin_client_secret(request: Request) -> Response:
        """
        Give a client its next secret and show it, once.

        The one in use stays good beside it until `DELETE` on this path ends it; `keep_previous: false` ends all at
        once. While two are good there is no third.
        """
        by = desk.acting(request)
        keep = _keep_previous(request)
        clients = desk.wiring.client_versions
        shown = add_secret(request.path_params["id"], keep_previous=keep, clients=clients, by=by)
        return json_response(shown_client_view(shown), status=201, etag=client_etag(shown.found))

    @app.route("DELETE /v1/admin/clients/{id}/secrets", operation=Operation("AdminClient", access=WRITE))
    def delete_admin_client_secrets(request: Request) -> Response:
        """End a rotation: the newest secret alone is good from then on, everywhere within a minute."""
        by = desk.acting(request)
        return _answer(end_old_secrets(request.path_params["id"], clients=desk.wiring.client_versions, by=by))

    @app.route("POST /v1/admin/clients/{id}/disable", operation=Operation("AdminClient", access=WRITE, errors=(409,)))
    def post_admin_client_disable(request: Request) -> Response:
        """Refuse a client, its users' sessions and tokens there, and every key at it, within a minute. Nothing goes."""
        return _switch(request, active=False)

    @app.route("POST /v1/admin/clients/{id}/enable", operation=Operation("AdminClient", access=POWER))
    def post_admin_client_enable(request: Request) -> Response:
        """Let a client in again, with everything it had."""
        return _switch(request, active=True)

    def _switch(request: Request, *, active: bool) -> Response:
        by = desk.acting(request)
        clients = desk.wiring.client_versions
        return _answer(switch_client(request.path_params["id"], active=active, clients=clients, by=by))


def _answer(found: VersionedClient) -> Response:
    return json_response(client_view(found.client), etag=client_etag(found))


def _keep_previous(request: Request) -> bool:
    body = object_in(request)
    if set(body) - {"keep_previous"}:  # not named: it is the sender's text
        raise BadRequest("The body has a member that is not known here.")
    keep = body.get("keep_previous", True)
    if not isinstance(keep, bool):
        raise BadRequest("keep_previous is true or false.", parameter="keep_previous")
    return keep
