"""What everybody may know: our metadata, our public keys, what can be connected, and that we are alive."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from grantkeeper import wiring
from grantkeeper.edge.bugs import report_bugs
from grantkeeper.edge.cors import allow_any_origin
from grantkeeper.edge.http import App, Request, Response, json_response
from grantkeeper.edge.operations import Operation
from grantkeeper.services.discovery import authorization_server_metadata, openid_configuration, provider_states

if TYPE_CHECKING:
    from grantkeeper.edge.doc_pages import DocPages

logger = Logger()
app = App(on_error=report_bugs(logger))
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("provider_items", "key_set")

UNPROVEN = 600  # seconds after a breaker has run out during which only a success says that all is well
PUBLIC = "public, max-age=300"  # seconds; a revoked signing key is out of every cache by then (S-26)


@app.route("GET /.well-known/openid-configuration", operation=Operation("OpenIdConfiguration"))
def get_openid_configuration(_: Request) -> Response:
    """Our metadata as an OpenID provider (OpenID Connect Discovery 1.0)."""
    return allow_any_origin(json_response(openid_configuration(app_wiring.issuer), cache_control=PUBLIC))


@app.route("GET /.well-known/oauth-authorization-server", operation=Operation("AuthorizationServerMetadata"))
def get_authorization_server(_: Request) -> Response:
    """Our metadata as an authorization server (RFC 8414)."""
    return allow_any_origin(json_response(authorization_server_metadata(app_wiring.issuer), cache_control=PUBLIC))


@app.route("GET /.well-known/jwks.json", operation=Operation("JwkSet", media="application/jwk-set+json"))
def get_jwks(_: Request) -> Response:
    """Our public signing keys (RFC 7517)."""
    body = json.dumps(app_wiring.key_set.jwks(), separators=(",", ":"))
    return allow_any_origin(Response(200, body, {"content-type": "application/jwk-set+json", "cache-control": PUBLIC}))


@app.route("GET /v1/providers", operation=Operation("ProviderList"))
def get_providers(_: Request) -> Response:
    """Every provider and service, with its state."""
    now = int(time.time())
    catalog, provider_items = app_wiring.catalog, app_wiring.provider_items
    breakers, live = app_wiring.breakers, {name for name, each in provider_items.registrations().items() if each}
    configured = [provider.id for provider in catalog.all() if provider.credentials_id in live]
    open_until = {name: breakers.open_until(name) for name in configured}
    down = {name for name, until in open_until.items() if until > now - UNPROVEN}
    providers = provider_states(
        catalog=catalog,
        provider_items=provider_items,
        degraded=frozenset(down | {name for name in configured if breakers.misconfigured(name)}),
        retry_at={name: until for name, until in open_until.items() if until > now},
    )
    cache_control = f"public, max-age={10 if down else 60}"
    return allow_any_origin(json_response({"providers": list(providers)}, cache_control=cache_control))


@app.route("GET /openapi.json", operation=Operation("OpenApi", conditional=True))
def get_openapi(request: Request) -> Response:
    """This description (OpenAPI 3.1)."""
    return allow_any_origin(_pages().description(request))


@app.route("GET /docs", operation=Operation(media="text/html", conditional=True))
def get_docs(request: Request) -> Response:
    """The API to try out, in a browser (Swagger UI)."""
    return _pages().page("docs.html", request)


@app.route("GET /redoc", operation=Operation(media="text/html", conditional=True))
def get_redoc(request: Request) -> Response:
    """The API to read, in a browser (ReDoc)."""
    return _pages().page("redoc.html", request)


@app.route("GET /docs/{file}", operation=Operation(media="text/*", conditional=True))
def get_docs_file(request: Request) -> Response:
    """What those pages are made of."""
    return _pages().asset(request.path_params["file"], request)


def _pages() -> DocPages:
    """Loaded when somebody reads: signing in must not wait for it."""
    from grantkeeper.edge.doc_pages import DocPages  # noqa: PLC0415 - see above

    return DocPages(Path(__file__).parent / "pages")


@app.route("GET /health", operation=Operation("Health"))
def get_health(_: Request) -> Response:
    """The function runs; nothing behind it is asked, so that a check costs nothing and cannot be used to load us."""
    return json_response({"status": "ok"})


handler = app
