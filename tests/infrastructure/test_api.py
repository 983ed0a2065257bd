"""The HTTP API: its routes are the contract, its edges are closed."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from grantkeeper.edge.http import App
from tests.doubles.aws import ENVIRONMENT
from tests.infrastructure.template import ROOT, deployed, functions, of_type, source, translated

# Every route of the contract and the function that answers it.
ROUTES = {
    "DiscoveryFunction": {
        "GET /.well-known/openid-configuration",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/jwks.json",
        "GET /health",
        "GET /openapi.json",
        "GET /docs",
        "GET /redoc",
        "GET /docs/{file}",
        "GET /v1/providers",
    },
    "AuthorizeFunction": {
        "GET /oauth2/authorize",
        "POST /oauth2/authorize",
        "GET /connect/{ticket}",
        "HEAD /connect/{ticket}",
        "GET /link/{ticket}",
        "HEAD /link/{ticket}",
        "GET /consent/{ticket}",
        "HEAD /consent/{ticket}",
    },
    "CallbackFunction": {
        "GET /oauth2/callback/{provider}",
        "POST /oauth2/callback/{provider}",
        "HEAD /oauth2/callback/{provider}",
        "OPTIONS /oauth2/callback/{provider}",
    },
    "SessionFunction": {
        "POST /oauth2/token",
        "OPTIONS /oauth2/token",
        "POST /oauth2/revoke",
        "OPTIONS /oauth2/revoke",
        "POST /oauth2/introspect",
        "GET /oauth2/userinfo",
        "POST /oauth2/userinfo",
        "OPTIONS /oauth2/userinfo",
        "GET /oauth2/end-session",
        "POST /oauth2/end-session",
    },
    "AccountFunction": {
        "GET /v1/consents",
        "OPTIONS /v1/consents",
        "DELETE /v1/consents/{client_id}/{connection_id}",
        "OPTIONS /v1/consents/{client_id}/{connection_id}",
        "GET /v1/identities",
        "POST /v1/identities",
        "OPTIONS /v1/identities",
        "POST /v1/identities/{id}/complete",
        "OPTIONS /v1/identities/{id}/complete",
        "DELETE /v1/identities/{id}",
        "OPTIONS /v1/identities/{id}",
        "GET /v1/audit",
        "OPTIONS /v1/audit",
        "GET /v1/profile",
        "PUT /v1/profile",
        "OPTIONS /v1/profile",
        "GET /v1/profile/avatar",
        "OPTIONS /v1/profile/avatar",
        "GET /v1/api-keys",
        "POST /v1/api-keys",
        "OPTIONS /v1/api-keys",
        "DELETE /v1/api-keys/{id}",
        "OPTIONS /v1/api-keys/{id}",
        "POST /v1/api-keys/{id}/rotate",
        "OPTIONS /v1/api-keys/{id}/rotate",
        "POST /v1/api-keys/self/rotate",
        "GET /v1/sessions",
        "DELETE /v1/sessions",
        "OPTIONS /v1/sessions",
        "DELETE /v1/sessions/{sid}",
        "OPTIONS /v1/sessions/{sid}",
    },
    "ConnectionsFunction": {
        "POST /v1/consent-requests",
        "OPTIONS /v1/consent-requests",
        "GET /allow/{id}",
        "POST /allow/{id}",
        "POST /v1/connect-sessions",
        "OPTIONS /v1/connect-sessions",
        "POST /v1/connect-sessions/{id}/complete",
        "OPTIONS /v1/connect-sessions/{id}/complete",
        "GET /v1/connections",
        "POST /v1/connections",
        "OPTIONS /v1/connections",
        "GET /v1/connections/stats",
        "OPTIONS /v1/connections/stats",
        "GET /v1/connections/{id}",
        "DELETE /v1/connections/{id}",
        "OPTIONS /v1/connections/{id}",
        "GET /v1/connections/{id}/avatar",
        "OPTIONS /v1/connections/{id}/avatar",
        "GET /v1/status",
        "OPTIONS /v1/status",
    },
    "RefreshFunction": {
        "GET /v1/connections/{id}/token",
        "POST /v1/connections/{id}/refresh",
        "POST /v1/connections/{id}/sync",
    },
    "AdminFunction": {
        "GET /v1/admin/audit",
        "GET /v1/admin/health",
        "GET /v1/admin/cleanup",
        "POST /v1/admin/cleanup",
        "GET /v1/admin/audit/export",
        "GET /v1/admin/clients",
        "POST /v1/admin/clients",
        "GET /v1/admin/clients/{id}",
        "PUT /v1/admin/clients/{id}",
        "POST /v1/admin/clients/{id}/secrets",
        "DELETE /v1/admin/clients/{id}/secrets",
        "POST /v1/admin/clients/{id}/disable",
        "POST /v1/admin/clients/{id}/enable",
        "POST /v1/admin/clients/{id}/revoke-api-keys",
        "GET /v1/admin/api-keys",
        "POST /v1/admin/api-keys",
        "DELETE /v1/admin/api-keys/{id}",
        "GET /v1/admin/providers",
        "POST /v1/admin/providers/{id}/disable",
        "POST /v1/admin/providers/{id}/enable",
        "GET /v1/admin/users",
        "GET /v1/admin/users/{sub}",
        "POST /v1/admin/users/{sub}/suspend",
        "POST /v1/admin/users/{sub}/resume",
        "PUT /v1/admin/users/{sub}/role",
        "POST /v1/admin/users/{sub}/erase",
        "GET /v1/admin/users/{sub}/traces",
        "GET /v1/admin/connections",
        "GET /v1/admin/connections/{id}",
        "DELETE /v1/admin/connections/{id}",
    },
    "AdminStatsFunction": {"GET /v1/admin/stats", "GET /metrics"},
    "ConsoleFunction": {"GET /console", "GET /console/{file}"},
}


def app_of(function: str) -> Path:
    """The module behind a function."""
    folder = source()["Resources"][function]["Properties"]["CodeUri"]
    return ROOT / folder / "app.py"


def routes() -> dict[str, str]:
    """Route key → the function behind it, through its integration."""
    integrations = deployed()
    found = {}
    for body in of_type("AWS::ApiGatewayV2::Route").values():
        integration = body["Properties"]["Target"]["Fn::Sub"].removeprefix("integrations/${").removesuffix("}")
        uri = integrations[integration]["Properties"]["IntegrationUri"]
        found[body["Properties"]["RouteKey"]] = uri["Fn::GetAtt"][0]
    return found


def test_the_routes_are_the_contract():
    """Each endpoint exists, at the function whose access profile it needs, and nothing else does."""
    assert routes() == {route: function for function, keys in ROUTES.items() for route in keys}


@pytest.mark.parametrize("function", sorted(f for f in ROUTES if app_of(f).exists()))
def test_every_route_has_a_handler_and_every_handler_a_route(monkeypatch, function):
    """A route without a handler answers 404 from inside; a handler without a route is never reached."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location(f"routes_of_{function}", app_of(function))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (app,) = {id(value): value for value in vars(module).values() if isinstance(value, App)}.values()

    assert set(app.routes) == ROUTES[function]


def test_i09_nothing_catches_what_no_route_names():
    """There is no `$default` and no greedy path: an unknown request ends at the gateway."""
    assert not [key for key in routes() if key == "$default" or "+}" in key or key.startswith("ANY ")]


def test_cors_is_answered_by_functions_and_never_for_the_token_call():
    """HTTP API's own CORS is static and would overrule them; a token never goes to a browser."""
    assert "CorsConfiguration" not in translated()["Resources"]["HttpApi"]["Properties"]
    assert "OPTIONS /v1/connections/{id}/token" not in routes()
    assert "OPTIONS /oauth2/introspect" not in routes()


def test_every_integration_speaks_payload_two_and_outwaits_its_function():
    """A function that runs into its own timeout is reported as such, not cut off by the gateway."""
    for body in deployed().values():
        if body["Type"] != "AWS::ApiGatewayV2::Integration":
            continue
        properties = body["Properties"]
        function = functions()[properties["IntegrationUri"]["Fn::GetAtt"][0]]

        assert (properties["IntegrationType"], properties["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")
        assert function["Timeout"] * 1000 < properties["TimeoutInMillis"] <= 30000


def test_one_integration_and_one_permission_for_each_function():
    """Routes share them, so that the resource policy of a function stays one statement."""
    for kind in ("AWS::ApiGatewayV2::Integration", "AWS::Lambda::Permission"):
        assert len(of_type(kind)) == len(ROUTES)


def test_i13_only_this_api_may_invoke_the_functions():
    """Each permission names the API and the account; no principal but API Gateway appears."""
    invoked = set()
    for body in deployed().values():
        if body["Type"] != "AWS::Lambda::Permission":
            continue
        properties = body["Properties"]
        invoked.add(properties["FunctionName"]["Ref"])

        assert properties["Principal"] == "apigateway.amazonaws.com"
        assert properties["SourceAccount"] == {"Ref": "AWS::AccountId"}
        assert "${HttpApi}/" in properties["SourceArn"]["Fn::Sub"]

    assert invoked == set(ROUTES)


def test_i09_access_logs_hold_fixed_fields_and_no_place_where_secrets_travel():
    """Tickets stand in paths, codes and states in queries, tokens in headers: none of the three is logged."""
    logged = translated()["Resources"]["HttpApiStage"]["Properties"]["AccessLogSettings"]
    fields = json.loads(logged["Format"])

    assert logged["DestinationArn"] == {"Fn::GetAtt": ["AccessLogs", "Arn"]}
    assert set(fields.values()) == {
        "$context.requestTime",
        "$context.requestId",
        "$context.identity.sourceIp",
        "$context.routeKey",
        "$context.status",
        "$context.responseLength",
        "$context.responseLatency",
        "$context.integrationLatency",
        "$context.integration.status",
        "$context.error.messageString",
    }


def test_i09_every_request_is_throttled_and_the_costly_ones_more():
    """The whole API has a rate and a burst; what an attacker would hammer gets a fraction of it."""
    stage = translated()["Resources"]["HttpApiStage"]
    settings = stage["Properties"]["RouteSettings"]
    rate, burst = (source()["Parameters"][name]["Default"] for name in ("ApiRateLimit", "ApiBurstLimit"))

    assert stage["Properties"]["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ApiRateLimit"},
        "ThrottlingBurstLimit": {"Ref": "ApiBurstLimit"},
    }
    assert {"GET /oauth2/authorize", "GET /connect/{ticket}", "POST /oauth2/token"} <= set(settings)
    for limits in settings.values():
        assert limits["ThrottlingRateLimit"] < rate
        assert limits["ThrottlingBurstLimit"] < burst


def test_the_stage_waits_for_the_routes_it_throttles():
    """API Gateway refuses settings for a route that does not exist yet, and a first deployment would fail."""
    stage = translated()["Resources"]["HttpApiStage"]
    resources = translated()["Resources"]
    awaited = {resources[name]["Properties"]["RouteKey"] for name in stage["DependsOn"]}

    assert set(stage["Properties"]["RouteSettings"]) <= awaited


def test_the_api_outlives_the_stack():
    """Its URL is registered at every provider; a new one would break every sign-in."""
    body = translated()["Resources"]["HttpApi"]

    assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_i09_a_domain_of_ones_own_closes_the_default_endpoint():
    """With a custom domain there is one way in, over TLS 1.2."""
    resources = translated()["Resources"]

    assert resources["HttpApi"]["Properties"]["DisableExecuteApiEndpoint"] == {
        "Fn::If": ["HasCustomDomain", True, False]
    }
    (configuration,) = resources["CustomDomain"]["Properties"]["DomainNameConfigurations"]
    assert configuration["SecurityPolicy"] == "TLS_1_2"


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("", True),
        ("https://connect.example.com", True),
        ("http://localhost:8080", True),
        ("http://127.0.0.1:9000", True),
        ("http://connect.example.com", False),
        ("https://connect.example.com/", False),
        ("https://connect.example.com/base", False),
        ("http://localhost.evil.example", False),
        ("https://user@connect.example.com", False),
    ],
)
def test_the_issuer_is_https_or_loopback(url, accepted):
    """Tokens are never issued in the name of a URL that anybody on the way could answer for."""
    pattern = source()["Parameters"]["PublicUrl"]["AllowedPattern"]

    assert bool(re.search(pattern, url)) == accepted
