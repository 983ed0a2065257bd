"""Connect sessions; a user's connections: list, read, disconnect; API-key credentials."""

from __future__ import annotations

import os
import time

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge import cookies
from grantkeeper.edge.browser_routes import BrowserRoutes
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.connection_views import (
    connection_view,
    disconnected_view,
    listed_view,
    opened_view,
    revoked_view,
    status_view,
)
from grantkeeper.edge.consent_page import consent_page, form_token_of, require_own_form
from grantkeeper.edge.cursors import page_limit
from grantkeeper.edge.desk import Desk
from grantkeeper.edge.http import App, Request, Response, json_response, see_other
from grantkeeper.edge.operations import KEYS_TOO, Access, Operation
from grantkeeper.edge.pages import error_page
from grantkeeper.edge.pictures import picture_response
from grantkeeper.errors import BadRequest, BrowserMismatch, GrantkeeperError, TooManyRequests
from grantkeeper.model import Connection, Principal
from grantkeeper.services.add_api_key import NewApiKey, add_api_key
from grantkeeper.services.answer_consent import Question, answer_consent, question_of, service_names
from grantkeeper.services.ask_consent import ConsentAsk, ask_consent
from grantkeeper.services.confirm_connection import Confirmation, confirm_connection
from grantkeeper.services.disconnect import Disconnected, disconnect
from grantkeeper.services.list_connections import (
    connection_stats,
    list_connections,
    service_statuses,
)
from grantkeeper.services.open_connect_session import ConnectRequest, open_connect_session
from grantkeeper.services.people import Named, find_person
from grantkeeper.services.visibility import visible_connection

READ, WRITE = Access("connections:read", KEYS_TOO, owned=True), Access("connections:write", owned=True)
DISCONNECT = Access("connections:write", KEYS_TOO, owned=True)
# Whoever confirms a session of somebody else's ends it (C-32): it is not as if he had asked for one that is unknown.
CONFIRM = Access("connections:write", owned=True, others=403, elsewhere=403)
OF = ("user_id", "user_sub")  # whose
OPENED_PER_MINUTE = {"user": 20, "api_key": 600}

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up(
    "api_keys", "clients", "connections", "connect_sessions", "users", "key_set", "provider_items", "rate_limits"
)
browser_route = BrowserRoutes(app, lambda: app_wiring.clients)
desk = Desk(app, lambda: app_wiring, lambda: _now())  # noqa: PLW0108 - a test brings another clock


@browser_route(
    "POST /v1/connect-sessions",
    Operation("ConnectSession", status=201, takes="ConnectSessionRequest", access=WRITE, errors=(404, 409, 429)),
)
def post_connect_session(request: Request) -> Response:
    """Let one user connect one service."""
    principal = desk.caller(request)
    wanted = ConnectRequest.parse(request.json())
    _limit_opening(principal)
    opened = open_connect_session(
        wanted,
        principal=principal,
        clients=app_wiring.clients,
        users=app_wiring.users,
        sessions=app_wiring.sessions,
        connections=app_wiring.connections,
        connect_sessions=app_wiring.connect_sessions,
        provider_items=app_wiring.provider_items,
        catalog=app_wiring.catalog,
        issuer=app_wiring.issuer,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(opened_view(opened), status=201)


@browser_route(
    "POST /v1/connect-sessions/{id}/complete",
    Operation("Connection", takes="Confirmation", access=CONFIRM, errors=(409, 410)),
)
def post_complete(request: Request) -> Response:
    """Confirm a connection for the user who came back."""
    principal = desk.caller(request)
    connection = confirm_connection(
        request.path_params["id"],
        Confirmation.parse(request.json()),
        principal=principal,
        users=app_wiring.users,
        connect_sessions=app_wiring.connect_sessions,
        connections=app_wiring.connections,
        audit=app_wiring.audit,
        work_queue=app_wiring.work_queue,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(connection_view(connection))


@browser_route(
    "POST /v1/connections",
    Operation("Connection", status=201, takes="ApiKeyConnection", access=WRITE, errors=(404, 409, 429)),
)
def post_connection(request: Request) -> Response:
    """Keep an API key of a user for a service."""
    principal = desk.caller(request)
    new = NewApiKey.parse(request.json())
    _limit_opening(principal)
    connection = add_api_key(
        new,
        principal=principal,
        clients=app_wiring.clients,
        users=app_wiring.users,
        sessions=app_wiring.sessions,
        connections=app_wiring.connections,
        provider_items=app_wiring.provider_items,
        catalog=app_wiring.catalog,
        sealer=app_wiring.sealer,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response(connection_view(connection), status=201)


@browser_route(
    "GET /v1/connections", Operation("ConnectionList", query=(*OF, "service", "status", "limit", "cursor"), access=READ)
)
def get_connections(request: Request) -> Response:
    """A user's connections, page by page."""
    principal = desk.caller(request)
    service, status = request.one("service"), request.one("status")
    sub = _person(request, principal)
    query = ("connections", sub, service, status)
    page = list_connections(
        sub,
        principal=principal,
        connections=app_wiring.connections,
        service=service,
        status=status,
        limit=page_limit(request),
        after=desk.position(request, principal=principal, query=query),
    )
    cursor = desk.cursor(page.next_position, principal=principal, query=query)
    return json_response({"connections": [listed_view(c) for c in page.connections], "cursor": cursor})


@browser_route("GET /v1/connections/stats", Operation("ConnectionStats", query=OF, access=READ))
def get_connection_stats(request: Request) -> Response:
    """A user's connections, counted."""
    principal = desk.caller(request)
    sub = _person(request, principal)
    return json_response(connection_stats(sub, principal=principal, connections=app_wiring.connections))


@browser_route("GET /v1/status", Operation("StatusList", query=OF, access=READ))
def get_status(request: Request) -> Response:
    """Every service, and where a user stands with it."""
    principal = desk.caller(request)
    sub = _person(request, principal)
    statuses = service_statuses(
        sub, principal=principal, connections=app_wiring.connections, catalog=app_wiring.catalog
    )
    return json_response(status_view(statuses))


@browser_route("GET /v1/connections/{id}", Operation("Connection", access=READ))
def get_connection(request: Request) -> Response:
    """One connection; of one that was disconnected, what became of it at its provider as well."""
    principal = desk.caller(request)
    connection = visible_connection(request.path_params["id"], principal=principal, connections=app_wiring.connections)
    if connection.status == "revoked":
        return json_response(revoked_view(_upstream(connection)))
    return json_response(connection_view(connection))


@browser_route(
    "GET /v1/connections/{id}/avatar", Operation(media="image/*", conditional=True, access=READ, errors=(404,))
)
def get_connection_avatar(request: Request) -> Response:
    """The picture of the account behind a connection, where its provider shows it to a token's bearer only."""
    principal = desk.caller(request)
    connection = visible_connection(request.path_params["id"], principal=principal, connections=app_wiring.connections)
    return picture_response(app_wiring.avatars.of_connection(connection.id), request)


@browser_route("DELETE /v1/connections/{id}", Operation("Disconnected", access=DISCONNECT))
def delete_connection(request: Request) -> Response:
    """Disconnect."""
    principal = desk.caller(request)
    disconnected = disconnect(
        request.path_params["id"],
        principal=principal,
        connections=app_wiring.connections,
        work_queue=app_wiring.work_queue,
        catalog=app_wiring.catalog,
        now=_now(),
        request_id=request.request_id,
    )
    if disconnected.upstream == "done":  # it was disconnected before: the trail knows how that ended
        disconnected = _upstream(disconnected.connection)
    return json_response(disconnected_view(disconnected))


@browser_route(
    "POST /v1/consent-requests",
    Operation("ConsentLink", status=201, takes="ConsentRequest", access=READ, errors=(404, 409, 429)),
)
def post_consent_request(request: Request) -> Response:
    """Ask a user to let this client use one of his connections."""
    principal = desk.caller(request)
    ask = ConsentAsk.parse(request.json())
    _limit_opening(principal)
    opened = ask_consent(
        ask,
        principal=principal,
        clients=app_wiring.clients,
        users=app_wiring.users,
        sessions=app_wiring.sessions,
        connections=app_wiring.connections,
        errands=app_wiring.errands,
        provider_items=app_wiring.provider_items,
        catalog=app_wiring.catalog,
        issuer=app_wiring.issuer,
        now=_now(),
        request_id=request.request_id,
    )
    return json_response({"id": opened.id, "consent_url": opened.url, "expires_at": opened.expires_at}, status=201)


@app.route("GET /allow/{id}", operation=Operation(media="text/html", errors=(410,), fails="page"))
def get_allow(request: Request) -> Response:
    """The page that asks a user, after he has proved who he is, what a client may use."""
    try:
        binding, question = _question(request)
    except GrantkeeperError as error:
        return _page(error, request)
    errand = question.errand
    return consent_page(
        question.client.client_name,
        question.connections,
        services=service_names(question.connections, catalog=app_wiring.catalog),
        action=f"{app_wiring.issuer}/allow/{errand.id}",
        form_token=form_token_of(binding.secret, errand.id),
        redirect_uri=errand.redirect_uri,
    )


@app.route("POST /allow/{id}", operation=Operation(status=303, form="ConsentAnswer", errors=(410,), fails="page"))
def post_allow(request: Request) -> Response:
    """The user's answer, given once, from our own page in the browser in which he proved who he is."""
    try:
        binding, question = _question(request)
        form, issuer = request.form(), app_wiring.issuer
        require_own_form(
            request.headers, form, browser_secret=binding.secret, errand_id=question.errand.id, issuer=issuer
        )
        if form.get("answer") not in ("allow", "deny"):
            raise BadRequest("Answer with allow or deny.")
        location = answer_consent(
            question,
            chosen=form.get("connection", "") if form["answer"] == "allow" else None,
            errands=app_wiring.errands,
            now=_now(),
            request_id=request.request_id,
        )
    except GrantkeeperError as error:
        return _page(error, request)
    return see_other(location)


def _question(request: Request) -> tuple[cookies.BrowserBinding, Question]:
    binding = cookies.read_binding(request.cookies, issuer=app_wiring.issuer)
    if binding is None:
        raise BrowserMismatch("Finish in the browser you started in.")
    question = question_of(
        request.path_params["id"],
        browser_hash=binding.browser_hash,
        errands=app_wiring.errands,
        clients=app_wiring.clients,
        connections=app_wiring.connections,
        now=_now(),
    )
    return binding, question


def _page(error: GrantkeeperError, request: Request) -> Response:
    return error_page(error.detail, status=error.status, title=error.title, request_id=request.request_id)


def _upstream(connection: Connection) -> Disconnected:
    from grantkeeper.services.upstream_state import upstream_state  # noqa: PLC0415 - of what is over

    return upstream_state(
        connection, connections=app_wiring.connections, audit=app_wiring.audit, catalog=app_wiring.catalog
    )


def _person(request: Request, principal: Principal) -> str | None:
    return find_person(
        principal,
        Named(user_id=request.one("user_id"), user_sub=request.one("user_sub")),
        users=app_wiring.users,
        sessions=app_wiring.sessions,
        connections=app_wiring.connections,
    )


def _limit_opening(principal: Principal) -> None:
    """A signed-in user opens few sessions; a client opens them for all its users."""
    wait = app_wiring.rate_limits.hit(
        f"connect:{principal.actor}", limit=OPENED_PER_MINUTE[principal.kind], window=60, now=_now()
    )
    if wait:
        raise TooManyRequests("Too many connect sessions were opened.", retry_after=wait)


def _now() -> int:
    return int(time.time())


handler = app
