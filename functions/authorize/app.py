"""Send the browser to a provider's consent page: to sign in, or to connect a service."""

from __future__ import annotations

import os
import time
from typing import Literal
from urllib.parse import urlencode

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge import cookies
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.http import App, Request, Response, see_other
from grantkeeper.edge.operations import Operation
from grantkeeper.edge.pages import Choice, chooser_page, error_page
from grantkeeper.errors import BadRequest, GrantkeeperError, TooManyRequests
from grantkeeper.oauth.endpoints import callback_uri
from grantkeeper.providers.record import Provider  # with the function: every answer of it takes a record
from grantkeeper.services.authorize import Redirect, authorize
from grantkeeper.services.start_connect import start_connect

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up(
    "clients", "authorization_requests", "connect_sessions", "provider_items", "public_credentials", "rate_limits"
)

ASKED = (
    "*response_type", "*client_id", "*redirect_uri", "*scope", "*code_challenge", "*code_challenge_method", "state",
    "nonce", "provider", "prompt", "max_age", "login_hint", "resource", "response_mode",
)  # fmt: skip
TRIPS_PER_MINUTE = 120  # started from one address; an office behind one address stays well below
MAX_QUERY = 6 * 1024  # what a POST may carry over into a URL; API Gateway takes 10 KiB of headers in all


@app.route("GET /oauth2/authorize", operation=Operation(status=303, query=ASKED, errors=(429,), fails="page"))
def get_authorize(request: Request) -> Response:
    """RFC 6749 section 3.1."""
    binding = cookies.binding_for_trip(request.cookies, issuer=app_wiring.issuer)
    now = int(time.time())
    try:
        if "provider" in request.query:  # the chooser writes nothing
            _count_trip(request, now=now)
        answer = authorize(
            request.query,
            browser_hash=binding.browser_hash,
            issuer=app_wiring.issuer,
            clients=app_wiring.clients,
            authorization_requests=app_wiring.authorization_requests,
            catalog=app_wiring.catalog,
            provider_items=app_wiring.provider_items,
            now=now,
        )
    except GrantkeeperError as error:
        return _error(error, request)
    if not isinstance(answer, Redirect):
        return chooser_page(answer.client.client_name, [_choice(request, provider) for provider in answer.providers])
    if answer.provider is None:
        return see_other(answer.location)
    return see_other(answer.location, cookies=_bound(binding, answer.provider))


@app.route("POST /oauth2/authorize", operation=Operation(status=303, form="AuthorizationRequest", fails="page"))
def post_authorize(request: Request) -> Response:
    """
    The same by form: sent on to the GET (OpenID Connect Core section 3.1.2.1).

    A cross-site POST comes without our Lax cookie. Were it answered at once, it would replace the browser's binding and
    cut off trips in other tabs; the GET that follows brings the cookie along.
    """
    try:
        query = urlencode(request.form())
        if len(query) > MAX_QUERY:
            raise BadRequest("The request is too long.")
    except GrantkeeperError as error:
        return _error(error, request)
    return see_other(f"{app_wiring.issuer}/oauth2/authorize?{query}")


@app.route("GET /connect/{ticket}", operation=Operation(status=303, errors=(409, 410, 429), fails="page"))
def get_connect(request: Request) -> Response:
    """Follow a connect link; as often as it takes until one trip comes back."""
    binding = cookies.binding_for_trip(request.cookies, issuer=app_wiring.issuer)
    now = int(time.time())
    try:
        _count_trip(request, now=now)
        catalog = app_wiring.catalog
        started = start_connect(
            ticket=request.path_params.get("ticket", ""),
            browser_secret=binding.secret,
            connect_sessions=app_wiring.connect_sessions,
            authorization_requests=app_wiring.authorization_requests,
            catalog=catalog,
            credentials=app_wiring.public_credentials,
            provider_items=app_wiring.provider_items,
            issuer=app_wiring.issuer,
            now=now,
        )
    except GrantkeeperError as error:
        return _error(error, request)
    return see_other(started.location, cookies=_bound(binding, catalog.get(started.provider)))


@app.route("GET /link/{ticket}", operation=Operation(status=303, errors=(409, 410, 429), fails="page"))
def get_link(request: Request) -> Response:
    """Follow a link to prove another identity: first at the provider its user is signed in at."""
    return _errand(request, "link")


@app.route(
    "GET /consent/{ticket}",
    operation=Operation(status=303, query=("provider",), errors=(404, 409, 410, 429), fails="page"),
)
def get_consent(request: Request) -> Response:
    """Follow a link that asks for consent: choose where to sign in, and prove there who one is."""
    return _errand(request, "consent")


@app.route("HEAD /connect/{ticket}", "HEAD /link/{ticket}", "HEAD /consent/{ticket}")
def head_connect(_: Request) -> Response:
    """A link preview: starts nothing, binds nothing."""
    return Response(200)


def _errand(request: Request, kind: Literal["link", "consent"]) -> Response:
    from grantkeeper.services.start_errand import WhoAreYou, start_errand  # noqa: PLC0415 - few browsers come for it

    ticket = request.path_params.get("ticket", "")
    binding = cookies.binding_for_trip(request.cookies, issuer=app_wiring.issuer)
    now = int(time.time())
    try:
        _count_trip(request, now=now)
        answer = start_errand(
            ticket,
            kind=kind,
            provider_id=request.one("provider"),
            browser_hash=binding.browser_hash,
            errands=app_wiring.errands,
            clients=app_wiring.clients,
            authorization_requests=app_wiring.authorization_requests,
            catalog=app_wiring.catalog,
            provider_items=app_wiring.provider_items,
            issuer=app_wiring.issuer,
            now=now,
        )
    except GrantkeeperError as error:
        return _error(error, request)
    if isinstance(answer, WhoAreYou):
        choices = [_choice(request, provider, f"/consent/{ticket}") for provider in answer.providers]
        return chooser_page(answer.client.client_name, choices, proving=True)
    return see_other(answer.location, cookies=_bound(binding, *answer.providers))


def _count_trip(request: Request, *, now: int) -> None:
    """
    Keep one address from filling the table with trips.

    The address is the gateway's, no header's (W-10). When it cannot be counted the trip could not be stored either.
    """
    wait = app_wiring.rate_limits.hit(f"trip#{request.source_ip}", limit=TRIPS_PER_MINUTE, window=60, now=now)
    if wait:
        raise TooManyRequests("Too many attempts. Wait a minute.", retry_after=wait)


def _choice(request: Request, provider: Provider, path: str = "/oauth2/authorize") -> Choice:
    """The same request again, with the provider named."""
    query = urlencode({name: values[0] for name, values in request.query.items()} | {"provider": provider.id})
    return Choice(provider.display_name, f"{app_wiring.issuer}{path}?{query}")


def _bound(binding: cookies.BrowserBinding, *providers: Provider) -> tuple[str, ...]:
    """The binding cookie; for a provider that answers by a cross-site POST its twin as well."""
    issuer = app_wiring.issuer
    twins = (
        cookies.set_form_post_binding(binding, issuer=issuer, path=callback_uri("", provider.id))
        for provider in providers
        if provider.response_mode == "form_post"
    )
    return (cookies.set_binding(binding, issuer=issuer), *twins)


def _error(error: GrantkeeperError, request: Request) -> Response:
    """People see this, so it is a page; and nothing is redirected anywhere."""
    page = error_page(error.detail, status=error.status, title=error.title, request_id=request.request_id)
    return page if error.retry_after is None else page.with_headers(retry_after=str(error.retry_after))


handler = app
