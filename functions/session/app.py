"""The token endpoint and what belongs to a session: revocation, introspection, userinfo, logout."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.cors import allow_registered_origin, preflight
from grantkeeper.edge.http import App, Request, Response, json_response, problem, see_other
from grantkeeper.edge.operations import Operation
from grantkeeper.edge.pages import error_page, notice_page
from grantkeeper.edge.sign_in_limits import limited_client, slowed_refresh
from grantkeeper.errors import BadRequest, GrantkeeperError, OAuthError
from grantkeeper.model import Client
from grantkeeper.services.end_session import end_session
from grantkeeper.services.exchange_code import exchange_code
from grantkeeper.services.introspect import introspect
from grantkeeper.services.refresh_session import refresh_session
from grantkeeper.services.revoke_session import revoke_token
from grantkeeper.services.userinfo import userinfo

LOGOUT = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales", "logout_hint")

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("clients", "codes", "sessions", "users", "signer", "key_set", "rate_limits")


@app.route(
    "POST /oauth2/token",
    operation=Operation("TokenResponse", form="TokenRequest", security="client", errors=(401, 429), fails="oauth"),
)
def post_token(request: Request) -> Response:
    """Exchange a code or a refresh token (RFC 6749 section 3.2)."""
    return _readable(request, lambda: _no_store(json_response(_token(request))))


@app.route(
    "POST /oauth2/revoke",
    operation=Operation(form="RevocationRequest", security="client", errors=(401, 429), fails="oauth"),
)
def post_revoke(request: Request) -> Response:
    """Revoke a refresh token with its session (RFC 7009)."""

    def answer() -> Response:
        form = _form(request)
        client = _client(form, request)
        revoke_token(
            form,
            client=client,
            sessions=app_wiring.sessions,
            key_set=app_wiring.key_set,
            issuer=app_wiring.issuer,
            now=_now(),
            request_id=request.request_id,
        )
        # RFC 7009 section 2.2 has clients ignore the body. Where there is none the HTTP API says text/plain, and
        # clients that take JSON only, such as oidc-client-ts, believe that it failed.
        return _no_store(json_response({}))

    return _readable(request, answer)


@app.route(
    "POST /oauth2/introspect",
    operation=Operation(
        "Introspection", form="IntrospectionRequest", security="confidential_client", errors=(401, 429), fails="oauth"
    ),
)
def post_introspect(request: Request) -> Response:
    """Tell whether a token is good now (RFC 7662); for servers, so without CORS."""
    form = _form(request)
    client = _client(form, request)
    answer = introspect(
        form,
        client=client,
        sessions=app_wiring.sessions,
        users=app_wiring.users,
        clients=app_wiring.clients,
        key_set=app_wiring.key_set,
        issuer=app_wiring.issuer,
        now=_now(),
    )
    return _no_store(json_response(answer))


@app.route(
    "GET /oauth2/userinfo",
    "POST /oauth2/userinfo",
    operation=Operation("UserInfo", security="access_token", errors=(401, 403), fails="oauth"),
)
def get_userinfo(request: Request) -> Response:
    """Who the bearer is (OpenID Connect Core section 5.3); the token travels in the header only (RFC 6750)."""

    def answer() -> Response:
        claims = userinfo(
            _bearer(request),
            sessions=app_wiring.sessions,
            users=app_wiring.users,
            clients=app_wiring.clients,
            key_set=app_wiring.key_set,
            issuer=app_wiring.issuer,
            now=_now(),
        )
        return _no_store(json_response(claims))

    return _readable(request, answer)


@app.route("GET /oauth2/end-session", operation=Operation(status=303, query=LOGOUT, fails="page"))
def get_end_session(request: Request) -> Response:
    """End a session from the browser (OpenID Connect RP-Initiated Logout 1.0)."""
    return _end_session(request, request.query)


@app.route("POST /oauth2/end-session", operation=Operation(status=303, form="EndSessionRequest", fails="page"))
def post_end_session(request: Request) -> Response:
    """The same by form."""
    return _end_session(request, {name: (value,) for name, value in request.form().items()})


@app.route("OPTIONS /oauth2/token", "OPTIONS /oauth2/revoke")
def options_form(request: Request) -> Response:
    """Preflight of a form post."""
    return preflight(request, clients=app_wiring.clients, methods=("POST",))


@app.route("OPTIONS /oauth2/userinfo")
def options_userinfo(request: Request) -> Response:
    """Preflight of a read with a Bearer token."""
    return preflight(request, clients=app_wiring.clients, methods=("GET", "POST"))


def _token(request: Request) -> Mapping[str, Any]:
    form = _form(request)
    grant_type = form.get("grant_type")
    if not grant_type:
        raise OAuthError("invalid_request", "The parameter grant_type is missing.")
    client = _client(form, request)
    if grant_type == "authorization_code":
        return exchange_code(
            form,
            client=client,
            codes=app_wiring.codes,
            sessions=app_wiring.sessions,
            users=app_wiring.users,
            signer=app_wiring.signer,
            issuer=app_wiring.issuer,
            now=_now(),
            request_id=request.request_id,
        )
    if grant_type == "refresh_token":

        def refresh() -> Mapping[str, Any]:
            return refresh_session(
                form,
                client=client,
                sessions=app_wiring.sessions,
                users=app_wiring.users,
                signer=app_wiring.signer,
                issuer=app_wiring.issuer,
                now=_now(),
                request_id=request.request_id,
            )

        return slowed_refresh(form, refresh, request=request, limits=app_wiring.rate_limits, now=_now())
    raise OAuthError("unsupported_grant_type", "Use authorization_code or refresh_token.")


def _client(form: Mapping[str, str], request: Request) -> Client:
    return limited_client(form, request, ports=app_wiring, now=_now())


def _form(request: Request) -> Mapping[str, str]:
    """The form, its faults told in RFC 6749 form."""
    try:
        return request.form()
    except BadRequest as error:
        raise OAuthError("invalid_request", error.detail) from None


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise OAuthError("invalid_token", "Send an access token.", status=401, challenge='Bearer realm="grantkeeper"')
    return token


def _end_session(request: Request, parameters: Mapping[str, tuple[str, ...]]) -> Response:
    """People see this one, so its errors are pages."""
    try:
        done = end_session(
            parameters,
            clients=app_wiring.clients,
            sessions=app_wiring.sessions,
            key_set=app_wiring.key_set,
            issuer=app_wiring.issuer,
            now=_now(),
            request_id=request.request_id,
        )
    except GrantkeeperError as error:
        return error_page(error.detail, status=error.status, request_id=request.request_id)
    if done.location is not None:
        return see_other(done.location)
    return notice_page("Signed out", "You are signed out. You can close this page.")


def _readable(request: Request, answer: Any) -> Response:
    """Errors too must be readable for the browser application that called."""
    try:
        response = answer()
    except GrantkeeperError as error:
        response = problem(error, request)
    return allow_registered_origin(response, request, clients=app_wiring.clients)


def _no_store(response: Response) -> Response:
    """RFC 6749 section 5.1 asks for both headers."""
    return response.with_headers(cache_control="no-store", pragma="no-cache")


def _now() -> int:
    return int(time.time())


handler = app
