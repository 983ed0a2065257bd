"""
What is taken from a user is gone within a minute, though his access token lives for fifteen (S-09, S-24): signed out,
suspended, a role or a client's scope lost. Whatever a warm environment remembers is older than that by then.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from grantkeeper import ids
from grantkeeper.edge import principals
from grantkeeper.model import AuthorizationCode, Principal, Session
from grantkeeper.oauth.pkce import code_challenge
from grantkeeper.services.own_sessions import end_all
from tests.doubles.deployment import (
    ALICE,
    CONFIDENTIAL_CLIENT,
    REDIRECT_URI,
    VERIFIER,
    audit_event,
    deployment,
    provision,
    register,
)
from tests.support.functions import Function

MINUTE = 60
SCOPES = (
    "openid", "profile", "account:write", "connections:read", "connections:write", "connections:token", "metrics:read",
    "admin:read",
)  # fmt: skip
# One route of every function that believes an access token, and what it answers while the token is good.
ROUTES = [
    ("connections", "GET /v1/connections", {}, 200),
    ("connections", "POST /v1/connect-sessions/{id}/complete", {"id": "cs_unknown"}, 410),
    ("refresh", "GET /v1/connections/{id}/token", {"id": "con_unknown"}, 404),
    ("admin_stats", "GET /metrics", {}, 200),
    ("admin", "GET /v1/admin/users", {}, 200),
    ("account", "GET /v1/profile", {}, 200),
    ("account", "PUT /v1/profile", {}, 400),
    ("session", "GET /oauth2/userinfo", {}, 200),
]


class SignedIn:
    """An admin with a fresh access token, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = int(time.time())
        monkeypatch.setattr(time, "time", lambda: float(self.now))
        monkeypatch.setattr(principals, "_SHARED", principals.PrincipalCache())
        self.wiring = deployment()
        register(
            self.wiring, replace(CONFIDENTIAL_CLIENT, scopes=SCOPES, token_endpoint_auth_method="client_secret_post")
        )
        provision(self.wiring, replace(ALICE, role="admin"))
        self.session = Function("session", self.wiring)
        self.tokens = self._sign_in()
        self.functions: dict[str, Function] = {}

    def _sign_in(self) -> dict[str, Any]:
        code = AuthorizationCode(
            code_hash=ids.digest("the-code"), client_id="backend", redirect_uri=REDIRECT_URI, sub=ALICE.sub,
            code_challenge=code_challenge(VERIFIER), scopes=SCOPES, provider="example", expires_at=self.now + 60,
            family=ids.new_id("fam"),
        )  # fmt: skip
        self.wiring.codes.put(code)
        from tests.doubles.deployment import SECRET

        self.client = {"client_id": "backend", "client_secret": SECRET}
        form = {
            "grant_type": "authorization_code", "code": "the-code", "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
        }  # fmt: skip
        answer = self.session("POST /oauth2/token", form=form | self.client)
        assert answer.status == 200, answer.body
        return answer.json

    def status(self, function: str, route: str, path: dict[str, str]) -> int:
        """What the route answers to the access token now."""
        if function not in self.functions:
            self.functions[function] = Function(function, self.wiring)
        headers = {"authorization": f"Bearer {self.tokens['access_token']}"}
        body = {"confirmation": "c"} if route.startswith(("POST", "PUT")) else None
        parts: dict[str, Any] = {"path_parameters": path or None, "headers": headers}
        if body is not None:
            parts |= {"body": '{"confirmation":"c"}', "headers": headers | {"content-type": "application/json"}}
        return self.functions[function](route, **parts).status

    @property
    def family(self) -> Session:
        return self.wiring.sessions.list(ALICE.sub)[0]


@pytest.fixture
def alice(monkeypatch) -> SignedIn:
    return SignedIn(monkeypatch)


def revoked_by_its_client(alice: SignedIn) -> None:
    form = {"token": alice.tokens["refresh_token"], **alice.client}
    assert alice.session("POST /oauth2/revoke", form=form).status == 200


def ended_on_another_device(alice: SignedIn) -> None:
    caller = Principal("user", frozenset(), client_id="backend", sub=ALICE.sub, sid="sid_of_the_other_device")
    ended = end_all(caller, keep_current=True, sessions=alice.wiring.sessions, now=alice.now, request_id="r")
    assert ended.revoked == 1


def logged_out_everywhere(alice: SignedIn) -> None:
    assert alice.status("account", "DELETE /v1/sessions", {}) == 200


def logged_out_by_its_client(alice: SignedIn) -> None:
    hint = {"id_token_hint": alice.tokens["id_token"]}
    assert alice.session("GET /oauth2/end-session", query=hint).status == 200


def stolen_and_reused(alice: SignedIn) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": f"gkr_{alice.family.family}_{'x' * 43}", **alice.client}
    assert alice.session("POST /oauth2/token", form=form).status == 400


def suspended(alice: SignedIn) -> None:
    user = alice.wiring.users.get(ALICE.sub)
    alice.wiring.users.update(
        replace(user, status="suspended"), expected_version=user.version, audit=audit_event("user.suspended")
    )


def its_client_disabled(alice: SignedIn) -> None:
    register(alice.wiring, replace(alice.wiring.clients.get("backend"), status="disabled"))


@pytest.mark.parametrize(
    "taken",
    [
        revoked_by_its_client, ended_on_another_device, logged_out_everywhere, logged_out_by_its_client,
        stolen_and_reused, suspended, its_client_disabled,
    ],
)  # fmt: skip
@pytest.mark.parametrize(("function", "route", "path", "good"), ROUTES, ids=lambda value: str(value)[:30])
def test_s09_s24_an_access_token_dies_with_what_it_stands_for(alice, taken, function, route, path, good):
    """Believed while it is good, by a warm environment too; refused everywhere a minute after the end."""
    assert alice.status(function, route, path) == good
    taken(alice)
    alice.now += MINUTE

    assert alice.status(function, route, path) == 401
    assert alice.tokens["expires_in"] > MINUTE


def test_s09_a_role_that_was_taken_takes_its_scopes_along(alice):
    """The token still says `admin` and `metrics:read`; the user is an ordinary one now."""
    assert alice.status("admin_stats", "GET /metrics", {}) == 200
    user = alice.wiring.users.get(ALICE.sub)
    alice.wiring.users.update(replace(user, role="user"), expected_version=user.version, audit=audit_event("user.role"))
    alice.now += MINUTE

    assert alice.status("admin_stats", "GET /metrics", {}) == 403
    assert alice.status("connections", "GET /v1/connections", {}) == 200


def test_s09_a_scope_that_its_client_lost_is_gone(alice):
    """And a client that became public hands out no `connections:token`."""
    register(alice.wiring, replace(alice.wiring.clients.get("backend"), token_endpoint_auth_method="none"))
    alice.now += MINUTE
    assert alice.status("refresh", "GET /v1/connections/{id}/token", {"id": "con_unknown"}) == 403

    register(alice.wiring, replace(alice.wiring.clients.get("backend"), scopes=("openid",)))
    alice.now += MINUTE
    assert alice.status("connections", "GET /v1/connections", {}) == 403
