"""The token call, the forced refresh and the profile sync; and, fed by the queue, everything that is due."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

from grantkeeper import wiring
from grantkeeper.edge.batches import batch_answer, read_batch
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import KEYS_TOO, Access, Operation
from grantkeeper.edge.principals import permitted
from grantkeeper.edge.reports import Reports
from grantkeeper.errors import BadRequest, GrantkeeperError
from grantkeeper.services.read_token import DEFAULT_MIN_TTL, TokenAnswer, TokenWanted, read_token
from grantkeeper.services.refresh_run import Run
from grantkeeper.services.remembered import FirstUses, RememberedConsents

if TYPE_CHECKING:
    from grantkeeper.model import Principal

LONGEST_MIN_TTL = 86_400
MAX_DIGITS = 12
SHARED_BY_THREADS = ("grants", "connections", "vault", "breakers", "credentials", "audit", "provider_http")

logger = Logger()
metrics = Metrics()
reports = Reports(logger, metrics)
routes = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("api_keys", "grants", "connections", "provider_items", "vault", "breakers", "rate_limits")
first_uses = FirstUses()


def _now() -> int:
    return int(time.time())


def _ask_consent(sub: str, client_id: str, connection_id: str) -> bool:
    return app_wiring.connections.has_consent(sub, client_id, connection_id)


has_consent = RememberedConsents(_ask_consent, clock=_now)


@routes.route(
    "GET /v1/connections/{id}/token",
    operation=Operation(
        "Token",
        query=("token", "min_ttl", "rejected_generation", "scopes"),
        access=Access("connections:token", KEYS_TOO, owned=True, elsewhere=403),
        errors=(409, 429, 502),
    ),
)
def get_token(request: Request) -> Response:
    """Hand out an access token. Never any CORS here: tokens are for servers."""
    principal = _principal(request)
    wanted = TokenWanted(
        connection_id=request.path_params["id"],
        name=request.one("token") or "main",
        min_ttl=_number(request, "min_ttl", highest=LONGEST_MIN_TTL, default=DEFAULT_MIN_TTL),
        rejected_generation=_number(request, "rejected_generation"),
        scopes=tuple((request.one("scopes") or "").split()),
    )
    return json_response(_hand_out(request, wanted, principal).as_json())


@routes.route(
    "POST /v1/connections/{id}/refresh",
    operation=Operation(
        "RefreshedToken",
        query=("token",),
        access=Access("connections:token", KEYS_TOO, owned=True, elsewhere=403),
        errors=(409, 429, 502),
    ),
)
def post_refresh(request: Request) -> Response:
    """Refresh now; the answer says how it stands and holds no token."""
    principal = _principal(request)
    wanted = TokenWanted(request.path_params["id"], name=request.one("token") or "main", force=True)
    answer = _hand_out(request, wanted, principal).as_json()
    return json_response({k: v for k, v in answer.items() if k not in ("access_token", "token_secret", "token_type")})


@routes.route(
    "POST /v1/connections/{id}/sync",
    operation=Operation("Connection", access=Access("connections:write", KEYS_TOO, owned=True), errors=(409, 429, 502)),
)
def post_sync(request: Request) -> Response:
    """Read the account's profile at the provider again, and what the connection is good for."""
    from grantkeeper.edge.connection_views import connection_view  # noqa: PLC0415 - not on the hot path
    from grantkeeper.services.sync_metadata import sync_metadata  # noqa: PLC0415 - not on the hot path
    from grantkeeper.services.sync_profile import sync_profile  # noqa: PLC0415 - not on the hot path

    principal, run, request_id = _principal(request), _run(), request.request_id
    connection = sync_profile(
        request.path_params["id"], principal=principal, ports=app_wiring, run=run, request_id=request_id
    )
    connection = sync_metadata(connection, principal=principal, ports=app_wiring, run=run, request_id=request_id)
    return json_response(connection_view(connection))


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Answer an HTTP request."""
    global _context  # noqa: PLW0603 - Lambda runs one request at a time in an execution environment
    _context = context
    try:
        return routes(event, context)
    finally:
        _flush()


def batch_handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Work through a batch of the work queue."""
    from grantkeeper.services.work import work_through  # noqa: PLC0415 - the worker's alone
    from grantkeeper.stores.queues import read_work  # noqa: PLC0415 - the worker's alone

    try:
        batch = read_batch(event, read=read_work)
        for identifier in batch.unreadable:
            logger.error("a message of work cannot be read", extra={"message_id": identifier})
        for part in SHARED_BY_THREADS:
            getattr(app_wiring, part)  # one for all: threads that begin together would make one each
        run = Run(_now, time.sleep, context.get_remaining_time_in_millis, report=reports)
        again = work_through([work for _, work in batch.messages], ports=app_wiring, run=run)
        return batch_answer([*batch.unreadable, *(batch.messages[at][0] for at in sorted(again))])
    finally:
        _flush()


def _hand_out(request: Request, wanted: TokenWanted, principal: Principal) -> TokenAnswer:
    """Hand out a token, and write the one line that says who got which: never the token."""
    facts = {
        "principal": principal.actor,
        "client_id": principal.client_id,
        "connection_id": wanted.connection_id,
        "token": wanted.name,
        "request_id": request.request_id,
    }
    try:
        answer = read_token(
            wanted,
            principal=principal,
            has_consent=has_consent,
            first_use=first_uses,
            ports=app_wiring,
            run=_run(),
            request_id=request.request_id,
        )
    except GrantkeeperError as error:
        reports.refused(error)
        refusal = {"error": error.slug, "reason": error.extensions.get("reason")}
        logger.info("token refused", extra=facts | refusal)
        raise
    logger.info("token handed out", extra=facts | {"generation": answer.generation})
    return answer


def _principal(request: Request) -> Principal:
    return permitted(request, routes.access(request), ports=app_wiring, now=_now())


def _number(request: Request, name: str, *, highest: int | None = None, default: int | None = None) -> Any:
    """A whole number of the query, not negative."""
    text = request.one(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise BadRequest(f"{name} is a whole number.", parameter=name)
    if highest is not None and int(text) > highest:
        raise BadRequest(f"{name} is at most {highest}.", parameter=name)
    return int(text)


def _run() -> Run:
    return Run(_now, time.sleep, _context.get_remaining_time_in_millis, report=reports)


def _flush() -> None:
    if metrics.metric_set:
        metrics.flush_metrics()


_context: Any = None
