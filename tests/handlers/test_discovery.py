"""What everybody may know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest
from joserfc.jwk import KeySet

from grantkeeper.providers.catalog import BUILT_IN, BUILT_IN_SERVICES
from tests.doubles.deployment import ISSUER, audit_event, deployment
from tests.support.functions import Function

# RFC 8414 and OpenID Connect Discovery 1.0, what a client needs to begin
REQUIRED = {
    "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "scopes_supported",
    "response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported",
}  # fmt: skip


@pytest.fixture
def wiring() -> Any:
    return deployment()


@pytest.fixture
def discovery(wiring) -> Function:
    return Function("discovery", wiring)


def test_configuration_says_what_is_enforced(discovery):
    """A relying party works from it; what we refuse is not promised."""
    answer = discovery("GET /.well-known/openid-configuration")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    told = answer.json
    assert set(told) >= REQUIRED
    assert told["issuer"] == ISSUER
    assert told["response_types_supported"] == ["code"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["request_parameter_supported"] is False
    assert told["request_uri_parameter_supported"] is False
    assert told["authorization_response_iss_parameter_supported"] is True
    assert told["grant_types_supported"] == ["authorization_code", "refresh_token"]


def test_every_endpoint_is_ours(discovery):
    """From configuration, whatever the Host header says (W-09)."""
    answer = discovery(
        "GET /.well-known/openid-configuration", headers={"host": "evil.example", "x-forwarded-host": "evil.example"}
    )

    endpoints = {name: value for name, value in answer.json.items() if name.endswith(("_endpoint", "_uri"))}
    assert all(url.startswith(f"{ISSUER}/") for url in endpoints.values())
    assert "evil" not in answer.body


def test_authorization_server_metadata_agrees_with_the_configuration(discovery):
    """RFC 8414 section 2: the same values in both documents."""
    openid = discovery("GET /.well-known/openid-configuration").json
    server = discovery("GET /.well-known/oauth-authorization-server").json

    assert server.items() <= openid.items()


def test_s27_key_set_is_public_halves_only(discovery):
    """An independent implementation reads it; every key has a kid, a use and an algorithm of its own."""
    answer = discovery("GET /.well-known/jwks.json")

    keys = answer.json["keys"]
    assert {key["alg"] for key in keys} == {"ES256", "RS256"}
    assert all(key["use"] == "sig" for key in keys)
    assert all(key["kid"] == KeySet.import_key_set({"keys": [key]}).keys[0].thumbprint() for key in keys)
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & set(key) for key in keys)


def test_s26_documents_are_cached_five_minutes_at_most(discovery):
    """A revoked key is out of every cache by then; anybody may read them, without credentials."""
    for path in ("openid-configuration", "oauth-authorization-server", "jwks.json"):
        headers = discovery(f"GET /.well-known/{path}").headers
        assert headers["cache-control"] == "public, max-age=300"
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers


def test_providers_are_listed_with_their_state(wiring, discovery):
    """Available, not configured, disabled or degraded; never with a secret or a client_id."""
    for name, disabled in (("google", False), ("github", True)):
        wiring.provider_items.put(
            name,
            record=None,
            registrations=[{"client_id": f"our-{name}", "secret_parameter": "/p", "state": "active"}],
            disabled=disabled,
            audit=audit_event("provider.changed"),
        )

    answer = discovery("GET /v1/providers")

    states = {provider["id"]: provider["state"] for provider in answer.json["providers"]}
    assert states["google"] == "available"
    assert states["github"] == "disabled"
    assert states["microsoft"] == "not_configured"
    assert "our-google" not in answer.body
    services = {s["id"]: s for provider in answer.json["providers"] for s in provider["services"]}
    assert services["gmail"]["state"] == "available"


def test_f28_who_refuses_our_registration_is_degraded_until_it_works(wiring, discovery):
    """So is who does not answer; a provider that shares another's registration is looked at as well."""
    for name in ("slack", "google", "github"):
        wiring.provider_items.put(
            name,
            record=None,
            registrations=[{"client_id": "ours", "secret_parameter": "/p", "state": "active"}],
            disabled=False,
            audit=audit_event("provider.changed"),
        )
    wiring.breakers.record_refusal("slack-signin", error="invalid_client", now=int(time.time()))
    wiring.breakers.record_failure("google", now=int(time.time()), retry_after=60)

    def states() -> dict[str, str]:
        providers = discovery("GET /v1/providers").json["providers"]
        return {provider["id"]: provider["state"] for provider in providers}

    before = states()
    assert (before["slack-signin"], before["slack"]) == ("degraded", "available")
    assert (before["google"], before["github"]) == ("degraded", "available")
    wiring.breakers.record_success("slack-signin")
    assert states()["slack-signin"] == "available"


def test_a_connect_page_can_be_drawn_from_the_list(discovery):
    """Name, icon, how to connect, access levels from less to more, and which tokens there are to ask for."""
    providers = discovery("GET /v1/providers").json["providers"]
    services = {service["id"]: service for provider in providers for service in provider["services"]}

    assert len(services) == len(BUILT_IN_SERVICES) - 1  # but the demo provider, which exists on a local run only
    for service in services.values():
        assert service["display_name"]
        assert service["icon"]
        assert service["default_access"] in service["access"]
        assert service["connect"] in ("redirect", "api_key")
    assert services["gmail"]["access"] == ["read", "send", "write"]
    assert services["slack"]["tokens"] == ["bot", "user"]
    assert services["trello-oauth1"]["icon"] == "trello"
    assert services["heygen"]["connect"] == "api_key"


def test_records_are_read_when_they_are_asked_for():
    """Starting the function imports none of them: keys and configuration answer without."""
    code = (
        "import os, sys\n"
        "os.environ |= {'ISSUER': 'https://id.example.com', 'AWS_DEFAULT_REGION': 'eu-central-1'}\n"
        "sys.path[:0] = ['layers/common', 'functions/discovery']\n"
        "import app\n"
        "print([m for m in sys.modules if m.startswith('grantkeeper.providers.')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    records = {module for module, _ in BUILT_IN.values()}
    assert not records & set(re.findall(r"[\w.]+", result.stdout)), result.stdout


def test_health_asks_nobody(wiring, discovery):
    """Not even the table."""
    calls = len(wiring.aws.dynamodb.faults.calls)

    assert discovery("GET /health").json == {"status": "ok"}
    assert len(wiring.aws.dynamodb.faults.calls) == calls


def test_w06_every_answer_has_the_security_headers(discovery):
    """Errors and unknown routes too."""
    for route in ("GET /health", "GET /.well-known/jwks.json", "GET /nowhere", "DELETE /health"):
        headers = discovery(route).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=31536000")
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"]


def test_w07_other_methods_are_refused(discovery):
    """405, and a method override counts for nothing."""
    for method in ("POST", "PUT", "DELETE", "TRACE"):
        assert discovery(f"{method} /health", headers={"x-http-method-override": "GET"}).status == 405


def test_store_trouble_is_a_503_and_says_when_to_come_back(wiring, discovery):
    """Not an empty key set, which would make every token invalid."""
    wiring.aws.dynamodb.faults.unreachable("get_item", times=50)

    answer = discovery("GET /.well-known/jwks.json")

    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert "keys" not in json.loads(answer.body)


def test_a_provider_that_is_down_is_degraded_and_says_when_it_is_called_again(wiring, discovery, monkeypatch):
    """Until a success: half open is not well. Answers about an outage are kept for seconds only."""
    wiring.provider_items.put(
        "google",
        record=None,
        registrations=[{"client_id": "our-google", "secret_parameter": "/p", "state": "active"}],
        disabled=None,
        audit=audit_event("provider.changed"),
    )

    def google():
        answer = discovery("GET /v1/providers")
        [shown] = [each for each in answer.json["providers"] if each["id"] == "google"]
        return shown["state"], shown["retry_at"], answer.headers["cache-control"]

    now = int(discovery.module.time.time())
    wiring.breakers.record_failure("google", now=now, retry_after=300)
    assert google() == ("degraded", now + 300, "public, max-age=10")

    monkeypatch.setattr(discovery.module.time, "time", lambda: now + 301)
    assert google()[:2] == ("degraded", None)
    wiring.breakers.record_success("google")
    wiring.breakers._known.clear()
    assert google() == ("available", None, "public, max-age=60")
