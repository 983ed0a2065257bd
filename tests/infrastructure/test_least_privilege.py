"""
I-02: each function, in the role the template gives it, does its whole work, and nothing of the role is left over.

Real handlers over doubles; IAM in between is read off the template (`iam.py`). A statement that is missing denies a
call here; one that is never used is a right nobody needs.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.counter_names import Counted
from grantkeeper.edge import principals
from grantkeeper.model import ALL_SCOPES, ApiKey, Avatar, Client, Session
from grantkeeper.services.erase_user import SETTLES
from tests.doubles.aws import ENVIRONMENT, memory_wiring
from tests.doubles.connect_world import BACK, KEY_SERVICE, RECORD, SERVICE, ConnectWorld
from tests.doubles.deployment import CONFIDENTIAL_CLIENT, SECRET, actions, deployment, register
from tests.doubles.provider import NOON, Account
from tests.infrastructure.iam import GuardedAws
from tests.infrastructure.template import ROOT

VERIFIER = "v" * 43
FOLDERS = {"RefreshWorkerFunction": "refresh", "AdminStatsFunction": "admin_stats"}
CALLBACK = "https://app.example.com/callback"
EVENT = json.loads((ROOT / "events" / "refresh-batch.json").read_text())
# Rights that Lambda, X-Ray or an event source uses, not our code.
PLATFORM = {"WriteLogs", "Trace", "TablesAtRest", "Consume", "ConsumeEncrypted", "ReadStreams", "SendEncrypted"}


class Context:
    """What Lambda hands a function beside its event."""

    aws_request_id = "req"

    def get_remaining_time_in_millis(self) -> int:
        """As at the start."""
        return 20_000


class Stack:
    """One world, its functions each in its own role, and a browser."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        powertools = {"POWERTOOLS_METRICS_NAMESPACE": "Grantkeeper", "POWERTOOLS_SERVICE_NAME": "grantkeeper"}
        for name, value in {**ENVIRONMENT, **powertools}.items():
            monkeypatch.setitem(os.environ, name, value)
        self.monkeypatch = monkeypatch
        self.now = NOON
        monkeypatch.setattr(time, "time", lambda: float(self.now))
        self.world = ConnectWorld(wiring=deployment())
        self.world.provider.rotation = "always"
        self.world._register("example", RECORD, f"{ENVIRONMENT['PARAMETER_PREFIX']}/providers/example")
        self.guards: dict[str, GuardedAws] = {}
        self.modules: dict[str, Any] = {}
        self.cookies: dict[str, str] = {}

    def function(self, name: str) -> Any:
        """The module behind a function, its clients guarded by its role."""
        if name not in self.modules:
            folder = FOLDERS.get(name, name.removesuffix("Function").lower())
            spec = importlib.util.spec_from_file_location(f"app_{name}", ROOT / "functions" / folder / "app.py")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            guard = GuardedAws(self.world.wiring.aws, name, ENVIRONMENT)
            wiring = memory_wiring(aws=guard)
            wiring.__dict__["provider_http"] = self.world.provider
            self.monkeypatch.setattr(module, "app_wiring", wiring)
            self.guards[name], self.modules[name] = guard, module
        return self.modules[name]

    def call(self, function: str, route: str, *, path: str = "", **parts: Any) -> Any:
        """Args: parts: query, form, json, headers; status: the one that is expected, else any below 400."""
        method, _, pattern = route.partition(" ")
        path = path or pattern
        named = {n[1:-1]: v for n, v in zip(pattern.split("/"), path.split("/"), strict=True) if n.startswith("{")}
        headers, body, encoded = dict(parts.get("headers", {})), "", False
        if "form" in parts:
            headers["content-type"] = "application/x-www-form-urlencoded"
            body, encoded = base64.b64encode(urlencode(parts["form"]).encode()).decode(), True
        if "json" in parts:
            headers["content-type"] = "application/json"
            body = json.dumps(parts["json"])
        event = {
            "version": "2.0",
            "routeKey": route,
            "rawPath": path,
            "rawQueryString": urlencode(parts.get("query", {})),
            "cookies": [f"{name}={value}" for name, value in self.cookies.items()],
            "headers": headers,
            "pathParameters": named,
            "body": body,
            "isBase64Encoded": encoded,
            "requestContext": {"requestId": "req", "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"}},
        }
        principals._SHARED.touched.clear()  # each function runs in an environment of its own
        answer = self.function(function).handler(event, Context())
        for cookie in answer.get("cookies", ()):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        expected = parts.get("status", 200)
        assert answer["statusCode"] < 400 if expected == 200 else answer["statusCode"] == expected, answer
        return answer

    def deliver(self, queue: str, function: str, handler: str) -> None:
        """Hand a function what stands in a queue, as its event source mapping does."""
        (record, *_), sqs, url = EVENT["Records"], self.world.wiring.aws.sqs, ENVIRONMENT[queue]
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            records = [record | {"messageId": m["MessageId"], "body": m["Body"]} for m in messages]
            answer = getattr(self.function(function), handler)({"Records": records}, Context())
            assert answer == {"batchItemFailures": []}
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def sweep(self) -> None:
        """The schedule's minute."""
        self.function("SweeperFunction").handler(json.loads((ROOT / "events" / "sweeper.json").read_text()), Context())

    # --- the journeys ---

    def sign_in(self, client: str = "spa", redirect_uri: str = CALLBACK) -> dict[str, Any]:
        """A user signs in at a client; the tokens."""
        query = {
            "response_type": "code", "client_id": client, "redirect_uri": redirect_uri, "state": "s", "nonce": "n",
            "scope": "openid email profile connections:read connections:write account:write", "provider": "example",
            "code_challenge": ids.digest(VERIFIER), "code_challenge_method": "S256",
        }  # fmt: skip
        sent = self.call("AuthorizeFunction", "GET /oauth2/authorize", query=query)
        landed = self._consent(sent["headers"]["location"])
        code = parse_qs(urlsplit(landed["headers"]["location"]).query)["code"][0]
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "client_id": client,
            "code_verifier": VERIFIER,
        }  # fmt: skip
        return json.loads(self.call("SessionFunction", "POST /oauth2/token", form=form)["body"])

    def connect(self, credential: dict[str, str], **body: Any) -> dict[str, Any]:
        """A user connects the service and the client confirms."""
        back = self.come_back(credential, **body)
        names = {name: value for name, value in body.items() if name.startswith("user_")}
        return json.loads(self.confirm(credential, back, **names)["body"])

    def come_back(self, credential: dict[str, str], *, account: Account | None = None, **body: Any) -> dict[str, str]:
        """A session is opened, its link followed, the provider asked; what the client's page is told."""
        wanted = {"service": SERVICE, "redirect_uri": BACK, **body}
        route = "POST /v1/connect-sessions"
        opened = json.loads(self.call("ConnectionsFunction", route, json=wanted, headers=credential)["body"])
        ticket = urlsplit(opened["connect_url"]).path
        sent = self.call("AuthorizeFunction", "GET /connect/{ticket}", path=ticket)
        landed = self._consent(sent["headers"]["location"], account=account)
        return {n: v[0] for n, v in parse_qs(urlsplit(landed["headers"]["location"]).query).items()}

    def confirm(self, credential: dict[str, str], back: dict[str, str], *, status: int = 200, **names: str) -> Any:
        """The client confirms what came back."""
        return self.call(
            "ConnectionsFunction",
            "POST /v1/connect-sessions/{id}/complete",
            path=f"/v1/connect-sessions/{back['connect_session']}/complete",
            json={"confirmation": back["confirmation"], **names},
            headers=credential,
            status=status,
        )

    def _consent(self, location: str, *, account: Account | None = None) -> Any:
        answer = self.world.provider.consent(location, account=account)
        return self.call(
            "CallbackFunction", "GET /oauth2/callback/{provider}", path="/oauth2/callback/example", query=answer
        )

    def admin(self) -> dict[str, str]:
        """Somebody with the role admin, who signed in now."""
        self.world.add_user("usr_root", role="admin")
        self.world.add_client("desk", scopes=ALL_SCOPES)
        end = self.now + 86_400
        session = Session(
            family="fam_root", sid="sid_root", sub="usr_root", client_id="desk", scopes=ALL_SCOPES, provider="example",
            created_at=self.now, expires_at=end, idle_expires_at=end, current_hash="h",
        )  # fmt: skip
        self.world.wiring.sessions.create(session, audit=self.world.event("user.signed_in"))
        issuer = self.world.wiring.issuer
        claims = {
            "iss": issuer, "aud": issuer, "sub": "usr_root", "client_id": "desk", "sid": "sid_root", "iat": self.now,
            "exp": self.now + 900, "jti": "j", "scope": " ".join(ALL_SCOPES),
        }  # fmt: skip
        token = self.world.wiring.signer.sign(claims, alg="ES256", typ="at+jwt")
        return {"authorization": f"Bearer {token}"}

    def pass_time(self, seconds: int) -> None:
        """Here and at the provider."""
        self.now += seconds
        self.world.now = self.world.provider.now = self.now

    def api_key(self, *scopes: str, client_id: str | None = "app") -> dict[str, str]:
        """A client's key."""
        made = new_api_key()
        self.world.wiring.api_keys.put(
            ApiKey(made.key_id, made.secret_hash, scopes, NOON, NOON + 86_400, client_id=client_id),
            audit=self.world.event("api_key.created"),
        )
        return {"x-api-key": made.text}


@pytest.fixture
def stack(monkeypatch) -> Iterator[Stack]:
    """Whatever a test does, no role may have denied a call, not even one whose failure was swallowed."""
    stack = Stack(monkeypatch)
    yield stack
    assert {name: guard.denied for name, guard in stack.guards.items() if guard.denied} == {}


# --- what the functions are for ------------------------------------------------------------------------------------


def look_around(stack: Stack) -> None:
    """Metadata, keys and the state of every service."""
    for route in (
        "GET /.well-known/openid-configuration",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/jwks.json",
        "GET /v1/providers",
        "GET /health",
    ):
        stack.call("DiscoveryFunction", route)


def sign_in_and_out(stack: Stack) -> None:
    """A whole session: in through the provider, renewed, looked at, ended and revoked."""
    tokens = stack.sign_in()
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    stack.call("SessionFunction", "GET /oauth2/userinfo", headers=bearer)
    renewed = renew(stack, tokens["refresh_token"])
    basic = base64.b64encode(f"backend:{quote_plus(SECRET)}".encode()).decode()
    for token in (renewed["access_token"], renewed["refresh_token"]):
        stack.call(
            "SessionFunction",
            "POST /oauth2/introspect",
            form={"token": token},
            headers={"authorization": f"Basic {basic}"},
        )
    preflight = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    stack.call("SessionFunction", "OPTIONS /oauth2/token", headers=preflight)
    stack.call("SessionFunction", "GET /oauth2/end-session", query={"id_token_hint": tokens["id_token"]})
    stack.call("SessionFunction", "POST /oauth2/revoke", form={"client_id": "spa", "token": renewed["refresh_token"]})


def renew(stack: Stack, refresh_token: str, *, status: int = 200) -> Any:
    form = {"client_id": "spa", "grant_type": "refresh_token", "refresh_token": refresh_token}
    return json.loads(stack.call("SessionFunction", "POST /oauth2/token", form=form, status=status)["body"])


def prove_a_client_by_signature(stack: Stack) -> None:
    """A client with `private_key_jwt`: its assertion is remembered, so that it is good once."""
    key = ECKey.generate_key("P-256", {"kid": "signer-1"}, private=True)
    client = replace(
        CONFIDENTIAL_CLIENT,
        client_id="signer",
        token_endpoint_auth_method="private_key_jwt",
        secret_hashes=(),
        jwks=(key.as_dict(private=False),),
    )
    register(stack.world.wiring, client)
    claims = {"iss": "signer", "sub": "signer", "aud": stack.world.wiring.issuer, "exp": stack.now + 60, "jti": "once"}
    form = {
        "token": "unknown",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"]),
    }
    stack.call("SessionFunction", "POST /oauth2/introspect", form=form)
    stack.call("SessionFunction", "POST /oauth2/introspect", form=form, status=401)


def steal_a_refresh_token(stack: Stack) -> None:
    """A refresh token is used again when its grace has passed: the family is revoked, and the trail says so."""
    tokens = stack.sign_in()
    renew(stack, renew(stack, tokens["refresh_token"])["refresh_token"])
    stack.pass_time(60)
    renew(stack, tokens["refresh_token"], status=400)
    assert "session.reuse_detected" in actions(stack.world.wiring)


def connect_for_a_named_user(stack: Stack) -> None:
    """A backend connects a user it names, looks at what there is, connects again and disconnects."""
    key = stack.api_key("connections:read", "connections:write")
    connection = stack.connect(key, user_id="42")
    stack.connect(key, user_id="42", connection_id=connection["id"])
    path = f"/v1/connections/{connection['id']}"
    for route in ("GET /v1/connections/stats", "GET /v1/status"):
        stack.call("ConnectionsFunction", route, query={"user_id": "42"}, headers=key)
    stack.call("ConnectionsFunction", "GET /v1/connections", query={"user_id": "42", "limit": 1}, headers=key)
    stack.call("ConnectionsFunction", "GET /v1/connections/{id}", path=path, headers=key)
    kept = {"service": KEY_SERVICE, "user_id": "42", "label": "mine", "secret": "sk-1"}
    first = json.loads(stack.call("ConnectionsFunction", "POST /v1/connections", json=kept, headers=key)["body"])
    second = {**kept, "label": "other"}
    json.loads(stack.call("ConnectionsFunction", "POST /v1/connections", json=second, headers=key)["body"])
    for gone in (connection["id"], first["id"]):
        path = f"/v1/connections/{gone}"
        stack.call("ConnectionsFunction", "DELETE /v1/connections/{id}", path=path, headers=key)
        stack.call("ConnectionsFunction", "GET /v1/connections/{id}", path=path, headers=key)  # how it ended upstream


def connect_for_oneself(stack: Stack) -> None:
    """A signed-in user connects from a page, and reads his own trail."""
    bearer = {"authorization": f"Bearer {stack.sign_in('app', BACK)['access_token']}", "origin": "https://app.example"}
    connection = stack.connect(bearer)
    stack.call("AccountFunction", "GET /v1/audit", headers=bearer)
    path = f"/v1/connections/{connection['id']}/avatar"
    stack.call("ConnectionsFunction", "GET /v1/connections/{id}/avatar", path=path, headers=bearer, status=404)
    stack.call("AccountFunction", "GET /v1/profile/avatar", headers=bearer, status=404)
    stack.call("AccountFunction", "GET /v1/audit", headers=bearer, query={"limit": 1})


def look_after_the_own_account(stack: Stack) -> None:
    """A user reads and changes his profile, sees where he is signed in, and ends one session, the others, and all."""
    elsewhere = stack.sign_in()
    stack.sign_in()
    bearer = {"authorization": f"Bearer {stack.sign_in()['access_token']}"}
    etag = stack.call("AccountFunction", "GET /v1/profile", headers=bearer)["headers"]["etag"]
    changed = {**bearer, "if-match": etag}
    stack.call("AccountFunction", "PUT /v1/profile", json={"name": "Al"}, headers=changed)
    page = stack.call("AccountFunction", "GET /v1/sessions", headers=bearer, query={"limit": 2})
    gone = next(s for s in json.loads(page["body"])["sessions"] if not s["current"])
    path = f"/v1/sessions/{gone['sid']}"
    stack.call("AccountFunction", "DELETE /v1/sessions/{sid}", path=path, headers=bearer, status=204)
    stack.call("AccountFunction", "DELETE /v1/sessions", headers=bearer, query={"keep_current": "true"})
    renew(stack, elsewhere["refresh_token"], status=400)
    stack.call("AccountFunction", "DELETE /v1/sessions", headers=bearer)


def let_another_client_use_it(stack: Stack) -> None:
    """A second client's backend asks; the user proves himself, and answers on our page: no, then yes."""
    stack.world.add_client("other")
    bearer = {"authorization": f"Bearer {stack.sign_in('app', BACK)['access_token']}"}
    connection = stack.connect(bearer)
    sub = stack.world.wiring.connections.get(connection["id"]).sub
    stack.sign_in("other", BACK)
    key = stack.api_key("connections:read", client_id="other")
    for body, answer in (({"service": SERVICE}, "deny"), ({"connection_id": connection["id"]}, "allow")):
        wanted = {"redirect_uri": BACK, "user_sub": sub, **body}
        asked = stack.call("ConnectionsFunction", "POST /v1/consent-requests", json=wanted, headers=key)
        path = urlsplit(json.loads(asked["body"])["consent_url"]).path
        stack.call("AuthorizeFunction", "GET /consent/{ticket}", path=path)
        sent = stack.call("AuthorizeFunction", "GET /consent/{ticket}", path=path, query={"provider": "example"})
        path = urlsplit(stack._consent(sent["headers"]["location"])["headers"]["location"]).path
        page = stack.call("ConnectionsFunction", "GET /allow/{id}", path=path)["body"]
        form = dict(re.findall(r'name="(form_token|connection)" value="([^"]*)"', page)) | {"answer": answer}
        ours = {"origin": stack.world.wiring.issuer}
        done = stack.call("ConnectionsFunction", "POST /allow/{id}", path=path, form=form, headers=ours)
        assert f"result={'granted' if answer == 'allow' else 'denied'}" in done["headers"]["location"]


def look_at_consents(stack: Stack) -> None:
    """A user sees what he let which client use, and ends it."""
    stack.world.add_client("app", scopes=(*Client("", "", (), 0).scopes, "account:write"))
    bearer = {"authorization": f"Bearer {stack.sign_in('app', BACK)['access_token']}"}
    connection = stack.connect(bearer)
    stack.call("AccountFunction", "GET /v1/consents", headers=bearer)
    path = f"/v1/consents/app/{connection['id']}"
    stack.call("AccountFunction", "DELETE /v1/consents/{client_id}/{connection_id}", path=path, headers=bearer)


def link_and_unlink(stack: Stack) -> None:
    """A user proves a second account at his provider, refuses himself a stranger's, and takes one away again."""
    stack.world.add_client("app", scopes=(*Client("", "", (), 0).scopes, "account:write"))
    route, body = "POST /v1/identities", {"provider": "example", "redirect_uri": BACK}
    for account in (Account("work"), Account("work"), Account("usr_bob")):
        token = stack.sign_in("app", BACK)["access_token"]
        bearer = {"authorization": f"Bearer {token}"}
        opened = json.loads(stack.call("AccountFunction", route, json=body, headers=bearer)["body"])
        at = urlsplit(opened["link_url"]).path
        sent = stack.call("AuthorizeFunction", "GET /link/{ticket}", path=at)
        onward = stack._consent(sent["headers"]["location"])["headers"]["location"]
        landed = stack._consent(onward, account=account)["headers"]["location"]
        back = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        path, confirmation = f"/v1/identities/{back['identity_link']}/complete", {"confirmation": back["confirmation"]}
        status = 409 if account.subject == "usr_bob" else 200
        complete = "POST /v1/identities/{id}/complete"
        stack.call("AccountFunction", complete, path=path, json=confirmation, headers=bearer, status=status)
    listed = json.loads(stack.call("AccountFunction", "GET /v1/identities", headers=bearer)["body"])["identities"]
    assert len(listed) == 2
    path = f"/v1/identities/{listed[0]['id']}"
    stack.call("AccountFunction", "DELETE /v1/identities/{id}", path=path, headers=bearer)


def look_after_the_own_keys(stack: Stack) -> None:
    """A user makes a key, uses it, rotates and revokes it; a client's key rotates itself."""
    bearer = {"authorization": f"Bearer {stack.sign_in()['access_token']}"}
    wanted = {"name": "nightly", "scopes": ["connections:read"]}
    made = json.loads(stack.call("AccountFunction", "POST /v1/api-keys", json=wanted, headers=bearer)["body"])
    own = {"x-api-key": made["api_key"]}
    stack.call("ConnectionsFunction", "GET /v1/connections", headers=own)
    stack.call("AccountFunction", "GET /v1/api-keys", headers=own, status=403)
    stack.call("AccountFunction", "GET /v1/api-keys", headers=bearer)
    stack.call("AccountFunction", "POST /v1/api-keys", json=wanted, headers=bearer)
    path = f"/v1/api-keys/{made['id']}"
    stack.call("AccountFunction", "POST /v1/api-keys/{id}/rotate", path=f"{path}/rotate", json={}, headers=bearer)
    stack.call("AccountFunction", "DELETE /v1/api-keys/{id}", path=path, headers=bearer, status=204)
    stack.call("AccountFunction", "POST /v1/api-keys/self/rotate", headers=stack.api_key("account:write"))


def connect_for_somebody_known(stack: Stack) -> None:
    """A backend names a user by the `sub` of a session at it."""
    stack.sign_in("app", BACK)
    (identity,) = [i for i in [stack.world.wiring.users.find("https://idp.example", "alice")] if i]
    stack.connect(stack.api_key("connections:read", "connections:write"), user_sub=identity.sub)


def come_back_with_another_account(stack: Stack) -> None:
    """A re-connect that returns with a stranger's account is refused, its tokens given to the worker to revoke."""
    key = stack.api_key("connections:read", "connections:write")
    connection = stack.connect(key, user_id="42")
    back = stack.come_back(key, account=Account("mallory"), user_id="42", connection_id=connection["id"])
    assert back["error"] == "account_mismatch"


def find_our_registration_refused(stack: Stack) -> None:
    """A code exchange fails because of us: it is remembered for the connect page, and forgotten when one works."""
    key = stack.api_key("connections:read", "connections:write")
    stack.world.provider.answer_next(401, {"error": "invalid_client"})
    assert "error" in stack.come_back(key, user_id="42")
    assert "provider.misconfigured" in actions(stack.world.wiring)
    stack.connect(key, user_id="42")


def confirm_for_somebody_else(stack: Stack) -> None:
    """A confirmation for another user ends the session and discards the tokens."""
    key = stack.api_key("connections:read", "connections:write")
    back = stack.come_back(key, user_id="42")
    stack.confirm(key, back, status=403, user_id="43")


def read_tokens(stack: Stack) -> None:
    """The token call over a connection's life: fresh, refreshed, forced; by the eyes of a user, its profile."""
    stack.sweep()  # makes the branch keys
    key, connection = connected(stack)
    path = f"/v1/connections/{connection['id']}"
    for minutes in (0, 70):
        stack.pass_time(minutes * 60)
        stack.call("RefreshFunction", "GET /v1/connections/{id}/token", path=f"{path}/token", headers=key)
    stack.pass_time(120)
    stack.call("RefreshFunction", "POST /v1/connections/{id}/refresh", path=f"{path}/refresh", headers=key)
    bearer = {"authorization": f"Bearer {stack.sign_in('app', BACK)['access_token']}"}
    stack.connect(bearer)
    own = json.loads(stack.call("ConnectionsFunction", "GET /v1/connections", headers=bearer)["body"])["connections"][0]
    sync = f"/v1/connections/{own['id']}/sync"
    stack.call("RefreshFunction", "POST /v1/connections/{id}/sync", path=sync, headers=bearer)


def connected(stack: Stack) -> tuple[dict[str, str], dict[str, Any]]:
    key = stack.api_key("connections:read", "connections:write", "connections:token")
    return key, stack.connect(key, user_id="42")


def work_off_what_is_due(stack: Stack) -> None:
    """The sweeper queues what the worker then refreshes, revokes upstream and erases."""
    stack.sweep()
    key, connection = connected(stack)
    stack.pass_time(3300)
    stack.sweep()
    stack.deliver("WORK_QUEUE_URL", "RefreshWorkerFunction", "batch_handler")
    path = f"/v1/connections/{connection['id']}"
    stack.call("ConnectionsFunction", "DELETE /v1/connections/{id}", path=path, headers=key)
    stack.deliver("WORK_QUEUE_URL", "RefreshWorkerFunction", "batch_handler")
    come_back_with_another_account(stack)
    stack.deliver("WORK_QUEUE_URL", "RefreshWorkerFunction", "batch_handler")


def lose_a_grant(stack: Stack) -> None:
    """The user withdraws at the provider; twice dead makes a connection that must be connected anew."""
    stack.sweep()
    key, connection = connected(stack)
    path = f"/v1/connections/{connection['id']}/token"
    stack.world.provider.revoke_everything()
    stack.pass_time(4000)
    stack.call("RefreshFunction", "GET /v1/connections/{id}/token", path=path, headers=key, status=503)
    stack.pass_time(60)
    stack.call("RefreshFunction", "GET /v1/connections/{id}/token", path=path, headers=key, status=409)
    assert "connection.needs_reauth" in actions(stack.world.wiring)


def find_the_provider_down(stack: Stack) -> None:
    """The breaker counts, at the token call and at the worker, and forgets when the provider is back."""
    stack.sweep()
    key, connection = connected(stack)
    path = f"/v1/connections/{connection['id']}/token"
    stack.pass_time(4000)
    stack.world.provider.answer_next(503)
    stack.call("RefreshFunction", "GET /v1/connections/{id}/token", path=path, headers=key, status=503)
    stack.pass_time(600)
    stack.world.provider.answer_next(503)
    stack.sweep()
    stack.deliver("WORK_QUEUE_URL", "RefreshWorkerFunction", "batch_handler")
    stack.pass_time(600)
    stack.sweep()
    stack.deliver("WORK_QUEUE_URL", "RefreshWorkerFunction", "batch_handler")


def park_and_rescue(stack: Stack) -> None:
    """Both refreshers can park an answer, and the rescue function can apply it."""
    _, connection = connected(stack)
    grant = stack.world.wiring.grants.get(connection["id"])
    for name in ("RefreshFunction", "RefreshWorkerFunction"):
        parked = replace(grant, generation=grant.generation + 1, n=grant.n + 1, write_id=f"by {name}")
        stack.function(name).app_wiring.rescue_queue.park(parked)
    stack.world.wiring.grants.mark_needs_reauth(
        grant, "rotation_outcome_unknown", now=stack.now, audit=stack.world.event("connection.needs_reauth")
    )
    stack.deliver("RESCUE_QUEUE_URL", "RescueFunction", "handler")
    assert stack.world.wiring.grants.get(connection["id"]).generation == grant.generation + 1
    assert stack.world.wiring.connections.get(connection["id"]).status == "active"


def project_the_streams(stack: Stack) -> None:
    """A refresh becomes an audit entry; an entry becomes an event and counters; what cannot be read is parked."""
    for name, table in (("projector-grants", "GRANTS_TABLE"), ("projector-audit", "AUDIT_TABLE")):
        event = json.loads((ROOT / "events" / f"{name}.json").read_text())
        unreadable = json.loads(json.dumps(event["Records"][0]))
        image = unreadable["dynamodb"]["NewImage"]
        unreadable["dynamodb"]["NewImage"] = {k: v for k, v in image.items() if k in {"pk", "sk", "day_pk", "day_sk"}}
        records = [*event["Records"], unreadable]
        for record in records:
            record["eventSourceARN"] = f"arn:aws:dynamodb:eu-central-1:1:table/{ENVIRONMENT[table]}/stream/now"
        answer = stack.function("ProjectorFunction").handler({"Records": records}, Context())
        assert answer == {"batchItemFailures": []}
    assert stack.world.wiring.aws.events.published
    assert len(stack.world.wiring.aws.sqs.bodies(ENVIRONMENT["DEAD_LETTER_QUEUE_URL"])) == 2


def recount(stack: Stack) -> None:
    """The night's run looks twice at what differs, and tells the trail."""
    wrong = Counted("evt_wrong", stack.now, {"connections/google/active": 1})
    stack.world.wiring.counters.add_once([wrong], now=stack.now)
    night = json.loads((ROOT / "events" / "reconcile.json").read_text())
    outcomes = [stack.function("ReconcileFunction").handler(night, Context())["outcome"] for _ in range(2)]
    assert outcomes == ["looks again", "differs"]


def count(stack: Stack) -> None:
    """An operator's key reads the numbers, and which of the providers that somebody is connected at are down."""
    some = Counted("evt_1", stack.now, {"connections/google/active": 1})
    stack.world.wiring.counters.add_once([some], now=stack.now)
    key = stack.api_key("admin:read", "metrics:read")
    for _ in range(32):  # so many calls are counted by one write
        stack.call("AdminStatsFunction", "GET /v1/admin/stats", headers=key)
    stack.call("AdminStatsFunction", "GET /metrics", headers=key)
    tokens = stack.sign_in()
    refused = {"authorization": f"Bearer {tokens['access_token']}"}
    stack.call("AdminStatsFunction", "GET /metrics", headers=refused, status=403)


def administer(stack: Stack) -> None:
    """An operator finds a user and looks at what is his."""
    stack.world.add_client("app", scopes=(*Client("", "", (), 0).scopes, "account:write"))
    bearer = {"authorization": f"Bearer {stack.sign_in('app', BACK)['access_token']}"}
    stack.connect(bearer)
    wanted = {"name": "nightly", "scopes": ["connections:read"]}
    stack.call("AccountFunction", "POST /v1/api-keys", json=wanted, headers=bearer)
    key = stack.api_key("admin:read", client_id=None)
    stack.call("AdminFunction", "GET /v1/admin/users", query={"limit": 1}, headers=key)
    (identity,) = [i for i in [stack.world.wiring.users.find("https://idp.example", "alice")] if i]
    path = f"/v1/admin/users/{identity.sub}"
    for _ in range(32):  # so many calls are counted by one write
        stack.call("AdminFunction", "GET /v1/admin/users/{sub}", path=path, headers=key)
    stack.call("AdminFunction", "GET /v1/admin/users", headers=bearer, status=403)
    listed = stack.call("AdminFunction", "GET /v1/admin/connections", query={"provider": "example"}, headers=key)
    connection = json.loads(listed["body"])["connections"][0]["id"]
    stack.call("AdminFunction", "GET /v1/admin/connections", query={"user": identity.sub}, headers=key)
    admin, one = stack.admin(), f"/v1/admin/connections/{connection}"
    stack.call("AdminFunction", "GET /v1/admin/connections/{id}", path=one, headers=admin)
    picture, event = Avatar("example", NOON, "image/jpeg", "d1gest", b"a picture"), stack.world.event("synced")
    profile = stack.world.wiring.connections.get(connection).profile
    stack.world.wiring.connections.update_profile(connection, profile, avatar=picture, now=NOON, audit=event)
    stack.call("AdminFunction", "DELETE /v1/admin/connections/{id}", path=one, headers=admin)
    stack.deliver("WORK_QUEUE_URL", "RefreshWorkerFunction", "batch_handler")
    stack.call("AdminFunction", "GET /v1/admin/connections/{id}", path=one, headers=admin)
    for method, what, body in (
        ("POST", "suspend", {"reason": "left"}),
        ("POST", "resume", {}),
        ("PUT", "role", {"role": "admin"}),
        ("PUT", "role", {"role": "user"}),
    ):
        route = f"{method} /v1/admin/users/{{sub}}/{what}"
        stack.call("AdminFunction", route, path=f"{path}/{what}", json=body, headers=admin)


def administer_clients(stack: Stack) -> None:
    """Clients, their keys and providers are changed, and the trail of it is read."""
    admin, name = stack.admin(), "AdminFunction"
    body = {
        "client_name": "Reports", "redirect_uris": [CALLBACK], "origins": ["https://reports.example.com"],
        "token_endpoint_auth_method": "client_secret_basic",
    }  # fmt: skip
    made = json.loads(stack.call(name, "POST /v1/admin/clients", json=body, headers=admin, status=201)["body"])
    path = f"/v1/admin/clients/{made['client_id']}"
    without = {**body, "origins": []}
    match = admin | {"if-match": "*"}
    stack.call(name, "PUT /v1/admin/clients/{id}", path=path, json=without, headers=match)
    for method, what in (("POST", "secrets"), ("DELETE", "secrets"), ("POST", "disable"), ("POST", "enable")):
        parts = {"json": {}, "status": 201} if (method, what) == ("POST", "secrets") else {}
        route = f"{method} /v1/admin/clients/{{id}}/{what}"
        stack.call(name, route, path=f"{path}/{what}", headers=admin, **parts)
    stack.call(name, "GET /v1/admin/clients", headers=admin)
    wanted = {"client_id": made["client_id"], "name": "k", "scopes": ["connections:read"]}
    key = json.loads(stack.call(name, "POST /v1/admin/api-keys", json=wanted, headers=admin, status=201)["body"])
    stack.call(name, "GET /v1/admin/api-keys", headers=admin)
    gone = {"path": f"/v1/admin/api-keys/{key['id']}", "status": 204}
    stack.call(name, "DELETE /v1/admin/api-keys/{id}", headers=admin, **gone)
    own = new_api_key()
    users_own = ApiKey(own.key_id, own.secret_hash, (), stack.now, stack.now + 9, made["client_id"], sub="usr_alice")
    stack.world.wiring.api_keys.put(users_own, audit=stack.world.event("api_key.created"))
    route = "POST /v1/admin/clients/{id}/revoke-api-keys"
    stack.call(name, route, path=f"{path}/revoke-api-keys", headers=admin)
    stack.call(name, "GET /v1/admin/providers", headers=admin)
    for what in ("disable", "enable"):
        route = f"POST /v1/admin/providers/{{id}}/{what}"
        stack.call(name, route, path=f"/v1/admin/providers/example/{what}", json={}, headers=admin)
    for query in ({}, {"actor": "user:usr_root"}, {"user": "usr_root"}, {"connection": "con_1"}):
        stack.call(name, "GET /v1/admin/audit", query=query, headers=admin)
    stack.call(name, "GET /v1/admin/audit/export", query={"day": "2027-01-15"}, headers=admin)
    wiring, old = stack.world.wiring, stack.now - 100 * 86_400
    dead = stack.world.connect()
    wiring.connections.disconnect(dead.id, now=old, audit=stack.world.event("connection.revoked"))
    wiring.connections.erase(dead.id, audit=stack.world.event("grant.erased"))
    over = new_api_key()
    expired = ApiKey(over.key_id, over.secret_hash, (), old, old + 9, client_id="app", sub="usr_alice")
    wiring.api_keys.put(expired, audit=stack.world.event("api_key.created"))
    stack.call(name, "GET /v1/admin/cleanup", headers=admin)
    steps = {"kinds": ["revoked_connections", "api_keys"]}
    done = json.loads(stack.call(name, "POST /v1/admin/cleanup", json=steps, headers=admin)["body"])
    assert [kind["removed"] for kind in done["kinds"]] == [1, 1]
    stack.sweep()
    health = json.loads(stack.call(name, "GET /v1/admin/health", headers=admin)["body"])
    assert [check for check in health["checks"] if check["status"] == "failing"] == []


def somebody_with_everything(stack: Stack) -> str:
    """A user with a session, a key, a link not done, a picture, and a connection with one."""
    stack.world.add_client("app", scopes=(*Client("", "", (), 0).scopes, "account:write"))
    bearer = {"authorization": f"Bearer {stack.sign_in('app', BACK)['access_token']}"}
    sub = stack.world.wiring.users.find("https://idp.example", "alice").sub
    body = {"provider": "example", "redirect_uri": BACK}
    stack.call("AccountFunction", "POST /v1/identities", json=body, headers=bearer)
    connection, picture = stack.connect(bearer), Avatar("example", NOON, "image/jpeg", "d1gest", b"a picture")
    stack.world.wiring.avatars.put_for_user(sub, picture, audit=stack.world.event("user.avatar_changed"))
    profile, event = stack.world.wiring.connections.get(connection["id"]).profile, stack.world.event("synced")
    stack.world.wiring.connections.update_profile(connection["id"], profile, avatar=picture, now=NOON, audit=event)
    wanted = {"name": "nightly", "scopes": ["connections:read"]}
    stack.call("AccountFunction", "POST /v1/api-keys", json=wanted, headers=bearer)
    return sub


def erase_somebody(stack: Stack) -> None:
    """An admin erases a user, and looks at what is left."""
    sub = somebody_with_everything(stack)
    admin, path = stack.admin(), f"/v1/admin/users/{sub}"
    route = "POST /v1/admin/users/{sub}/erase"
    told = stack.call("AdminFunction", route, path=f"{path}/erase", json={"confirm": sub}, headers=admin)
    assert json.loads(told["body"])["left"] == {"past_connections": 1}
    stack.call("AdminFunction", "GET /v1/admin/users/{sub}/traces", path=f"{path}/traces", headers=admin)
    stack.call("AdminFunction", "GET /v1/admin/users", query={"status": "erased"}, headers=admin)


def end_an_erasure(stack: Stack) -> None:
    """What was begun ends by itself; the same identity makes a new user then."""
    sub, tick = somebody_with_everything(stack), json.loads((ROOT / "events" / "erasure.json").read_text())
    wiring = stack.world.wiring
    event = stack.world.event("user.erasure_started")
    assert wiring.erasure.begin(wiring.users.get(sub), now=stack.now, admin=None, audit=event)
    assert stack.function("ErasureFunction").handler(tick, Context()) == {"unfinished": 1, "erased": 0, "failed": 0}
    stack.deliver("WORK_QUEUE_URL", "RefreshWorkerFunction", "batch_handler")
    stack.pass_time(SETTLES)
    assert stack.function("ErasureFunction").handler(tick, Context()) == {"unfinished": 1, "erased": 1, "failed": 0}
    assert stack.function("ErasureFunction").handler(tick, Context())["unfinished"] == 0
    stack.sign_in("app", BACK)
    assert wiring.users.find("https://idp.example", "alice").sub not in ("", sub)


JOURNEYS: tuple[Callable[[Stack], None], ...] = (
    look_around,
    sign_in_and_out,
    prove_a_client_by_signature,
    steal_a_refresh_token,
    connect_for_a_named_user,
    connect_for_oneself,
    look_after_the_own_account,
    let_another_client_use_it,
    look_at_consents,
    link_and_unlink,
    look_after_the_own_keys,
    connect_for_somebody_known,
    come_back_with_another_account,
    confirm_for_somebody_else,
    find_our_registration_refused,
    read_tokens,
    work_off_what_is_due,
    lose_a_grant,
    find_the_provider_down,
    park_and_rescue,
    project_the_streams,
    recount,
    count,
    administer,
    erase_somebody,
    end_an_erasure,
    administer_clients,
)


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.__name__)
def test_i02_roles_allow_everything_their_functions_do(stack, journey):
    """No call of a journey is denied."""
    journey(stack)


def test_i02_roles_allow_nothing_that_their_functions_do_not_do(monkeypatch):
    """After every journey, each right of each role has been needed at least once."""
    left_over: dict[str, set[tuple[str, str]]] = {}
    for journey in JOURNEYS:
        stack = Stack(monkeypatch)
        journey(stack)
        for name, guard in stack.guards.items():
            unused = {(sid, right) for sid, right in guard.left_over() if sid not in PLATFORM}
            left_over[name] = left_over.get(name, unused) & unused

    assert {name: sorted(rights) for name, rights in left_over.items() if rights} == {}
