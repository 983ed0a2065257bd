"""
What anybody may send (W-11 to W-19, K-11, C-18): whatever the query, body, headers, cookies and path parameters hold, a
function answers in its own words. Never a bug's 500, never an echo of what was sent.

Every event starts as a request that would succeed, for every route of every function; then parts of it are replaced by
what has broken parsers: lone surrogates, broken base64 and escapes, huge and nested values, look-alikes, wrong types.
`FUZZ_EXAMPLES` sets how many are tried per function.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.edge.consent_page import form_token_of
from grantkeeper.model import ALL_SCOPES, ApiKey, AuthorizationCode, Avatar, Identity, Principal, Session
from grantkeeper.oauth.pkce import code_challenge
from grantkeeper.services.issue_tokens import RefreshToken
from tests.doubles.connect_world import ALICE, BACK, KEY_SERVICE, SERVICE
from tests.doubles.deployment import REDIRECT_URI, SECRET, VERIFIER, audit_event, deployment
from tests.doubles.errand_world import ALICES, ErrandWorld, link_identity
from tests.doubles.provider import Account
from tests.support.functions import CONTEXT, Function, http_event

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "300"))
FUNCTIONS = (
    "authorize", "callback", "session", "discovery", "connections", "account", "refresh", "admin_stats", "admin",
    "console",
)  # fmt: skip
MARK = "zQ9xKvW7"  # part of every invented value: found in an error's body, it was echoed
NOW = int(time.time())
JSON, FORM = {"content-type": "application/json"}, {"content-type": "application/x-www-form-urlencoded"}

NASTY = [
    MARK, f"{MARK}\ud800", f"\udfff{MARK}", f"{MARK}\x00", f"{MARK}\r\nset-cookie: a=b", f"<script>{MARK}</script>", "",
    f'"{MARK}\'{{}}[]', f"{MARK}\u00e9 \u017f \u202e \U0001d54f", f"../../{MARK}", f"%2e%2e%2f{MARK}%00%ff%",
    f"{MARK}=.=.=", MARK * 2000, f"gk_{'a' * 16}_{MARK}", f"gkr_fam_{MARK}{'a' * 35}", f"{MARK}.{MARK}.{MARK}", "AAAAA",
    "e30.e30.e30", f"http://127.0.0.1:99999/{MARK}", f"https://[{MARK}", "\uff11\uff12", "\u00b2", "-1", "1e999",
    "9" * 400, " ", "\t", "null", f'{{"a":"{MARK}"}}', "[" * 3000, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiaXNzIjoiYSJ9.",
    "Basic \u00e9", "Basic ====", "Basic YQ==", "Bearer", "Bearer \u00e9.\u00e9.\u00e9", "Bearer gk_", f"Digest {MARK}",
]  # fmt: skip
BODIES = [
    *NASTY,
    "[]",
    "{",
    '{"a":1,"a":2}',
    '{"a":NaN}',
    f'{{"{MARK}":"\\ud800"}}',
    "x" * 100_000,
    "\ufeff{}",
    "%ff=%",
]
ODD = [None, True, 0, -1, 1e300, [], [MARK], [MARK, 1], {}, {MARK: MARK}]
NAMES = (
    "client_id", "client_secret", "client_assertion", "redirect_uri", "scope", "state", "nonce", "prompt", "max_age",
    "resource", "login_hint", "code", "iss", "error", "error_description", "access_token", "token_type_hint", "cursor",
    "id_token_hint", "post_logout_redirect_uri", "service", "status", "user_id", "user_sub", "limit", "min_ttl",
    "rejected_generation", "access", "scopes", "connection_id", "confirmation", "keep_current", "name", "locale",
    "avatar_url", MARK,
)  # fmt: skip
HEADERS = (
    "authorization", "x-api-key", "origin", "content-type", "content-encoding", "cookie", "if-match", "if-none-match",
)  # fmt: skip


class World:
    """One deployment with something of everything in it; makes requests that would succeed."""

    def __init__(self) -> None:
        self.renews = False  # whether the next token request is a refresh
        self.wiring = deployment()
        self.steps = ErrandWorld(wiring=self.wiring)
        self.steps.now = self.steps.provider.now = self.steps.second.now = NOW
        self.steps.add_client(
            "app", scopes=("openid", "profile", "account:write", "connections:read", "connections:write")
        )
        self.stays = self.steps.connect()
        self.goes = self.steps.connect(account=Account("another"))
        self.session = self._session("fam_app", "app")
        self._keep_pictures()
        key = new_api_key()
        scopes = ("connections:read", "connections:write", "connections:token")
        self.wiring.api_keys.put(
            ApiKey(key.key_id, key.secret_hash, scopes, NOW, NOW + 86_400, client_id="app"),
            audit=audit_event("api_key.created"),
        )
        issuer = self.wiring.issuer
        claims = {
            "iss": issuer, "aud": issuer, "sub": "usr_alice", "client_id": "app", "sid": "sid_fam_app", "iat": NOW,
            "exp": NOW + 900, "jti": "j", "scope": f"openid profile account:write {' '.join(scopes)}",
        }  # fmt: skip
        self.claims = claims
        self.token = self.wiring.signer.sign(claims, alg="ES256", typ="at+jwt")
        self.id_token = self.wiring.signer.sign({**claims, "aud": "app", "sid": "sid_other"}, alg="RS256", typ="JWT")
        self.bearer = {"authorization": f"Bearer {self.token}"}
        self.key = {"x-api-key": key.text}
        self.basic = {"authorization": "Basic " + base64.b64encode(f"backend:{quote_plus(SECRET)}".encode()).decode()}

    def _keep_pictures(self) -> None:
        avatar = Avatar("example", NOW, "image/jpeg", "d1gest", b"\xff\xd8\xff a picture")
        self.wiring.avatars.put_for_user("usr_alice", avatar, audit=audit_event("user.avatar_changed"))
        profile, audit = self.stays.profile, audit_event("connection.profile_synced")
        self.wiring.connections.update_profile(self.stays.id, profile, avatar=avatar, now=NOW, audit=audit)

    def _session(self, family: str, client_id: str, *, sub: str = "usr_alice") -> Session:
        end = NOW + 86_400
        session = Session(
            family=family, sid=f"sid_{family}", sub=sub, client_id=client_id, scopes=("openid",),
            provider="example", created_at=NOW, expires_at=end, idle_expires_at=end, current_hash=ids.digest("s" * 43),
            rotated_at=NOW,
        )  # fmt: skip
        self.wiring.sessions.create(session, audit=audit_event("user.signed_in"))
        return session

    def _bearer(self, sub: str, sid: str) -> dict[str, str]:
        token = self.wiring.signer.sign({**self.claims, "sub": sub, "sid": sid}, alg="ES256", typ="at+jwt")
        return {"authorization": f"Bearer {token}"}

    def good(self, route: str) -> dict[str, Any]:
        """The parts of a request to this route that would succeed now."""
        make = getattr(self, "_" + "".join(c if c.isalnum() else "_" for c in route.partition(" ")[2]).strip("_"), None)
        return {} if make is None else make(route)

    def _oauth2_authorize(self, route: str) -> dict[str, Any]:
        asked = {
            "client_id": "spa", "redirect_uri": REDIRECT_URI, "response_type": "code", "scope": "openid email",
            "state": "s", "nonce": "n", "code_challenge": code_challenge(VERIFIER), "code_challenge_method": "S256",
            "provider": "example",
        }  # fmt: skip
        return {"query": asked} if route.startswith("GET") else {"form": asked, "headers": FORM}

    def _connect__ticket(self, _: str) -> dict[str, Any]:
        return {"path": {"ticket": self.steps.open().connect_url.rpartition("/")[2]}}

    def _oauth2_callback__provider(self, route: str) -> dict[str, Any]:
        browser = ids.new_secret()
        answer = self.steps.provider.consent(self.steps.follow(self.steps.open(), browser=browser).url)
        parts = {"path": {"provider": "example"}, "cookies": {"__Host-gk_browser": browser}}
        return {**parts, "form": answer, "headers": FORM} if route.startswith("POST") else {**parts, "query": answer}

    def _oauth2_token(self, _: str) -> dict[str, Any]:
        code, family = ids.new_secret(), ids.new_id("fam")
        if self.renews:
            self._session(family, "spa")
            refresh_token = RefreshToken(family, "s" * 43).text
            form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "spa"}
        else:
            stored = AuthorizationCode(
                code_hash=ids.digest(code), client_id="spa", redirect_uri=REDIRECT_URI, sub="usr_alice", family=family,
                code_challenge=code_challenge(VERIFIER), scopes=("openid",), provider="example", expires_at=NOW + 600,
            )  # fmt: skip
            self.wiring.codes.put(stored)
            form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "client_id": "spa"}
            form["code_verifier"] = VERIFIER
        return {"form": form, "headers": {**FORM, "origin": "https://app.example"}}

    def _oauth2_revoke(self, _: str) -> dict[str, Any]:
        return {"form": {"token": "gkr_none_" + "s" * 43, "client_id": "spa"}, "headers": FORM}

    def _oauth2_introspect(self, _: str) -> dict[str, Any]:
        return {"form": {"token": self.token}, "headers": FORM | self.basic}

    def _oauth2_userinfo(self, _: str) -> dict[str, Any]:
        return {"headers": self.bearer}

    def _oauth2_end_session(self, route: str) -> dict[str, Any]:
        asked = {"client_id": "app", "state": "s", "id_token_hint": self.id_token}
        return {"query": asked} if route.startswith("GET") else {"form": asked, "headers": FORM}

    def _v1_connect_sessions(self, _: str) -> dict[str, Any]:
        body = {"service": SERVICE, "redirect_uri": BACK, "state": "s", "user_sub": "usr_alice", "access": "read"}
        return {"json": body, "headers": JSON | self.key}

    def _v1_connect_sessions__id__complete(self, _: str) -> dict[str, Any]:
        back = self.steps.come_back(self.steps.follow(self.steps.open()))
        body = {"confirmation": back.confirmation, "user_sub": "usr_alice"}
        return {"json": body, "headers": JSON | self.key, "path": {"id": back.session}}

    def _v1_connections(self, route: str) -> dict[str, Any]:
        if route.startswith("POST"):
            body = {"service": KEY_SERVICE, "label": ids.new_id("label"), "secret": "k", "user_sub": "usr_alice"}
            return {"json": body, "headers": JSON | self.key}
        return {"headers": self.bearer, "query": {"service": SERVICE, "status": "active", "limit": "1"}}

    def _v1_connections_stats(self, _: str) -> dict[str, Any]:
        return {"headers": self.key, "query": {"user_sub": "usr_alice"}}

    _v1_status = _v1_connections_stats

    def _metrics(self, _: str) -> dict[str, Any]:
        made = new_api_key()
        key = ApiKey(made.key_id, made.secret_hash, ("admin:read", "metrics:read"), NOW, NOW + 86_400)
        self.wiring.api_keys.put(key, audit=audit_event("api_key.created"))
        return {"headers": {"x-api-key": made.text}}

    _v1_admin_stats = _v1_admin_users = _metrics

    def _v1_admin_users__sub(self, route: str) -> dict[str, Any]:
        return {**self._metrics(route), "path": {"sub": "usr_alice"}}

    def _v1_admin_users__sub__suspend(self, _: str) -> dict[str, Any]:
        parts = {"headers": JSON | self.admin(), "path": {"sub": "usr_bob"}}
        return {**parts, "json": {"reason": "abuse"}}

    def _v1_admin_users__sub__resume(self, _: str) -> dict[str, Any]:
        return {"headers": self.admin(), "path": {"sub": "usr_bob"}}

    def _v1_admin_users__sub__role(self, _: str) -> dict[str, Any]:
        return {"headers": JSON | self.admin(), "path": {"sub": "usr_bob"}, "json": {"role": "auditor"}}

    def _v1_admin_audit(self, _: str) -> dict[str, Any]:
        return {"headers": self.admin(), "query": {"limit": "2", "user": "usr_alice", "action": "user.", "from": "0"}}

    def _v1_admin_audit_export(self, _: str) -> dict[str, Any]:
        return {"headers": self.admin(), "query": {"day": "2026-11-21", "format": "csv"}}

    def _v1_admin_clients(self, route: str) -> dict[str, Any]:
        if route.startswith("GET"):
            return {"headers": self.admin()}
        body = {
            "client_name": "Reports", "redirect_uris": ["https://reports.example/cb"], "scopes": ["openid"],
            "origins": ["https://reports.example"], "token_endpoint_auth_method": "client_secret_basic",
        }  # fmt: skip
        return {"json": body, "headers": JSON | self.admin() | {"if-match": "*"}}

    def _v1_admin_clients__id(self, route: str) -> dict[str, Any]:
        if self.wiring.clients.get("managed") is None:
            self.steps.add_client("managed", token_endpoint_auth_method="client_secret_basic", secret_hashes=("h",))
        return {**self._v1_admin_clients(route.replace("PUT", "POST")), "path": {"id": "managed"}}

    def _v1_admin_clients__id__secrets(self, route: str) -> dict[str, Any]:
        if route.startswith("DELETE"):
            return self._v1_admin_clients__id("GET")
        parts = {**self._v1_admin_clients__id("GET"), "json": {"keep_previous": False}}
        return {**parts, "headers": JSON | self.admin()}

    def _v1_admin_clients__id__disable(self, _: str) -> dict[str, Any]:
        return self._v1_admin_clients__id("GET")

    _v1_admin_clients__id__enable = _v1_admin_clients__id__revoke_api_keys = _v1_admin_clients__id__disable

    def _v1_admin_api_keys(self, route: str) -> dict[str, Any]:
        if route.startswith("GET"):
            return {"headers": self.admin(), "query": {"client_id": "app", "user": "usr_alice"}}
        body = {"client_id": "app", "name": "nightly", "scopes": ["connections:read"], "expires_in_days": 30}
        return {"json": body, "headers": JSON | self.admin()}

    def _v1_admin_api_keys__id(self, _: str) -> dict[str, Any]:
        return {"headers": self.admin(), "path": {"id": self._own_key()}}

    def _v1_admin_providers(self, _: str) -> dict[str, Any]:
        return {"headers": self.admin()}

    _v1_admin_health = _v1_admin_providers

    def _v1_admin_cleanup(self, route: str) -> dict[str, Any]:
        if route.startswith("GET"):
            return {"headers": self.admin(), "query": {"older_than_days": "90"}}
        body = {"kinds": ["revoked_connections", "api_keys"], "limit": 5, "older_than_days": 90}
        return {"headers": JSON | self.admin(), "json": body}

    def _v1_admin_providers__id__disable(self, _: str) -> dict[str, Any]:
        return {"headers": JSON | self.admin(), "path": {"id": "github"}, "json": {"reason": "incident 42"}}

    _v1_admin_providers__id__enable = _v1_admin_providers__id__disable

    def _v1_admin_users__sub__erase(self, _: str) -> dict[str, Any]:
        sub = ids.new_id("usr")
        self.steps.add_user(sub)
        return {"headers": JSON | self.admin(), "path": {"sub": sub}, "json": {"confirm": sub}}

    def _v1_admin_users__sub__traces(self, route: str) -> dict[str, Any]:
        return self._v1_admin_users__sub(route)

    def _v1_admin_connections(self, route: str) -> dict[str, Any]:
        return {**self._metrics(route), "query": {"provider": "example", "status": "active", "limit": "2"}}

    def _v1_admin_connections__id(self, route: str) -> dict[str, Any]:
        connection = self.goes if route.startswith("DELETE") else self.stays
        return {"headers": self.admin(), "path": {"id": connection.id}}

    def admin(self) -> dict[str, str]:
        """Somebody with the role admin who signed in now, at a client that may administer."""
        if self.wiring.users.get("usr_root") is None:
            self.steps.add_user("usr_root", role="admin")
            self.steps.add_client("desk", scopes=ALL_SCOPES)
            self._session("fam_root", "desk", sub="usr_root")
        claims = {**self.claims, "sub": "usr_root", "client_id": "desk", "sid": "sid_fam_root"}
        claims["scope"] = "admin:read admin:write audit:read"
        return {"authorization": f"Bearer {self.wiring.signer.sign(claims, alg='ES256', typ='at+jwt')}"}

    def _v1_audit(self, _: str) -> dict[str, Any]:
        return {"headers": self.bearer, "query": {"limit": "2"}}

    def _docs__file(self, _: str) -> dict[str, Any]:
        return {"path": {"file": "docs.js"}}

    def _console__file(self, _: str) -> dict[str, Any]:
        return {"path": {"file": "main.js"}}

    def _v1_api_keys(self, route: str) -> dict[str, Any]:
        if route.startswith("GET"):
            return {"headers": self.bearer}
        body = {"name": "nightly", "scopes": ["connections:read"], "expires_in_days": 30}
        return {"json": body, "headers": {**JSON, **self.bearer}}

    def _v1_api_keys__id(self, _: str) -> dict[str, Any]:
        return {"headers": self.bearer, "path": {"id": self._own_key()}}

    def _v1_api_keys__id__rotate(self, _: str) -> dict[str, Any]:
        body = {"expires_in_days": 30}
        return {"json": body, "headers": {**JSON, **self.bearer}, "path": {"id": self._own_key()}}

    def _v1_api_keys_self_rotate(self, _: str) -> dict[str, Any]:
        made = new_api_key()
        key = ApiKey(made.key_id, made.secret_hash, ("account:write",), NOW, NOW + 86_400, client_id="app")
        self.wiring.api_keys.put(key, audit=audit_event("api_key.created"))
        return {"headers": {"x-api-key": made.text}}

    def _own_key(self) -> str:
        for key in self.wiring.api_keys.of_user("usr_alice"):  # so that he never has too many
            self.wiring.api_keys.revoke(key, audit=audit_event("api_key.revoked"))
        made = new_api_key()
        key = ApiKey(
            made.key_id, made.secret_hash, ("connections:read",), NOW, NOW + 86_400, client_id="app", sub="usr_alice"
        )
        self.wiring.api_keys.put(key, audit=audit_event("api_key.created"))
        return made.key_id

    def _v1_profile_avatar(self, _: str) -> dict[str, Any]:
        return {"headers": self.bearer}

    def _v1_profile(self, route: str) -> dict[str, Any]:
        if route.startswith("GET"):
            return {"headers": self.bearer}
        body = {"name": "Al", "locale": "de-AT", "avatar_url": "https://pictures.example/al"}
        return {"json": body, "headers": {**JSON, **self.bearer, "if-match": "*"}}

    def _v1_sessions(self, route: str) -> dict[str, Any]:
        if route.startswith("GET"):
            return {"headers": self.bearer, "query": {"limit": "2"}}
        self._session("fam_bobs", "app", sub="usr_bob")  # spoiled, it ends the session it is asked in: not everybody's
        return {"headers": self._bearer("usr_bob", "sid_fam_bobs"), "query": {"keep_current": "true"}}

    def _v1_sessions__sid(self, _: str) -> dict[str, Any]:
        return {"headers": self.bearer, "path": {"sid": self._session(ids.new_id("fam"), "spa").sid}}

    def _v1_consent_requests(self, _: str) -> dict[str, Any]:
        body = {"connection_id": self.stays.id, "redirect_uri": BACK, "state": "s", "user_sub": "usr_alice"}
        return {"json": body, "headers": JSON | self.key}

    def _consent__ticket(self, _: str) -> dict[str, Any]:
        return {"path": {"ticket": self.steps.ask().url.rpartition("/")[2]}, "query": {"provider": "example"}}

    def _allow__id(self, route: str) -> dict[str, Any]:
        browser = ids.new_secret()
        departure = self.steps.follow_errand(self.steps.ask().url, browser=browser, provider_id="example")
        page = self.steps.back_from("example", departure.location, account=ALICES, browser=browser)
        errand_id = page.rpartition("/")[2]
        parts = {"path": {"id": errand_id}, "cookies": {"__Host-gk_browser": browser}}
        form = {"answer": "deny", "form_token": form_token_of(browser, errand_id), "connection": self.stays.id}
        headers = FORM | {"origin": self.wiring.issuer}
        return parts if route.startswith("GET") else {**parts, "form": form, "headers": headers}

    def _v1_consents(self, _: str) -> dict[str, Any]:
        return {"headers": self.bearer}

    def _v1_consents__client_id___connection_id(self, _: str) -> dict[str, Any]:
        gone = self.steps.connect(account=Account(ids.new_id("s")))
        return {"headers": self.bearer, "path": {"client_id": "app", "connection_id": gone.id}}

    def _link__ticket(self, _: str) -> dict[str, Any]:
        return {"path": {"ticket": self.steps.open_link(self.recently()).url.rpartition("/")[2]}}

    def recently(self) -> Principal:
        """Alice, signed in by this world's session."""
        return replace(ALICE, sid="sid_fam_app")

    def _v1_identities(self, route: str) -> dict[str, Any]:
        if route.startswith("GET"):
            return {"headers": self.bearer}
        body = {"provider": "second", "redirect_uri": BACK, "state": "s"}
        return {"json": body, "headers": JSON | self.bearer}

    def _v1_identities__id(self, _: str) -> dict[str, Any]:
        identity = Identity("https://second.example", ids.new_id("s"), "usr_alice", "second", NOW)
        link_identity(self.wiring, identity, audit=audit_event("identity.linked"), now=NOW)
        return {"headers": self.bearer, "path": {"id": identity.id}}

    def _v1_identities__id__complete(self, _: str) -> dict[str, Any]:
        onward = self.steps.prove(self.steps.open_link(self.recently()))
        back = self.steps.link_at("second", onward, account=Account(ids.new_id("s")))
        body = {"confirmation": back.confirmation}
        return {"json": body, "headers": JSON | self.bearer, "path": {"id": back.id}}

    def _v1_connections__id(self, route: str) -> dict[str, Any]:
        connection = self.goes if route.startswith("DELETE") else self.stays
        return {"headers": self.key, "path": {"id": connection.id}}

    _v1_connections__id__refresh = _v1_connections__id__sync = _v1_connections__id__avatar = _v1_connections__id

    def _v1_connections__id__token(self, _: str) -> dict[str, Any]:
        return {**self._v1_connections__id(""), "query": {"token": "main", "min_ttl": "60"}}


@pytest.fixture(scope="module", autouse=True)
def _metrics() -> Iterator[None]:
    """Where the template says metrics go, for those that the requests bring about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "grantkeeper")
        yield


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module", params=FUNCTIONS)
def function(request, world) -> Any:
    function = Function(request.param, world.wiring)
    module = function.module
    app = getattr(module, "routes", None) or module.app
    return SimpleNamespace(handler=module.handler, routes=sorted(app.routes))


@st.composite
def events(draw: Any, world: World, routes: list[str]) -> dict[str, Any]:
    """One event of API Gateway, and some that it would never send."""
    route = draw(st.sampled_from(routes))
    world.renews = draw(st.booleans())
    parts: dict[str, dict[str, Any]] = {
        place: dict(values)
        for place, values in ({"headers": {}, "query": {}, "cookies": {}} | world.good(route)).items()
    }
    for _ in range(draw(st.integers(0, 3))):
        _spoil(draw, parts)
    query = urlencode(parts["query"], errors="surrogatepass")
    path = parts.get("path")
    event = http_event(route, path="/", headers=parts["headers"], cookies=parts["cookies"], path_parameters=path)
    event["rawQueryString"] = draw(st.sampled_from([query] * 9 + ["%", "a=1&a=2", "&" * 99, f"{query}&{query}"]))
    event["requestContext"]["http"]["sourceIp"] = ids.new_id("ip")  # nobody is held up by the others' number
    if "json" in parts:
        event["body"] = json.dumps(parts["json"])
    elif "form" in parts:
        event["body"] = urlencode(parts["form"], errors="surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        event["body"] = draw(st.sampled_from(BODIES))
    event["isBase64Encoded"] = draw(st.integers(0, 4)) == 0
    if event["isBase64Encoded"] and draw(st.integers(0, 3)):
        event["body"] = base64.b64encode((event.get("body") or "").encode("utf-8", "surrogatepass")).decode()
    if draw(st.integers(0, 9)) == 0:
        event[draw(st.sampled_from(["body", "cookies", "pathParameters", "headers"]))] = None
    return event


def _spoil(draw: Any, parts: dict[str, dict[str, Any]]) -> None:
    """Replace, add or leave out one value somewhere."""
    place = draw(st.sampled_from(sorted(parts)))
    more = {"headers": HEADERS, "cookies": ("__Host-gk_browser", "__Secure-gk_post", " __Host-gk_browser")}
    name = draw(st.sampled_from([*parts[place], *parts[place], *more.get(place, NAMES)]))
    how = draw(st.integers(0, 9))
    if how == 0:
        parts[place].pop(name, None)
    elif how < 4 and place == "json":
        parts[place][name] = draw(st.sampled_from(ODD))
    else:
        invented = st.text(max_size=12).map(lambda text: MARK + text)
        parts[place][name] = draw(st.one_of(st.sampled_from(NASTY), invented))


def test_w19_no_event_brings_a_bug_or_an_echo(world, function):
    """4xx, a redirect or a page for everything; a 503 only as a typed error; and never a word of the sender's."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(event=events(world, function.routes))
    def answered_in_our_own_words(event: dict[str, Any]) -> None:
        answer = function.handler(event, CONTEXT)
        status, body = answer["statusCode"], answer["body"]
        assert status < 500 or (status == 503 and json.loads(body).get("type")), (status, body)
        for value in answer["headers"].values():
            assert value.isprintable(), "no line can be broken into"
        assert f"<script>{MARK}" not in body
        if status >= 400 and "scopes_missing" not in body:  # whose list is of what the caller said he needs
            assert MARK not in body
        _check_location(answer["headers"].get("location", ""))

    answered_in_our_own_words()


def _check_location(location: str) -> None:
    """Only ever to the provider, to us, or to what is registered; the sender's text only inside the query."""
    if location:
        parts = urlsplit(location)
        assert parts.netloc in (
            "idp.example",
            "second.example",
            "id.example.com",
            "app.example.com",
            "app.example",
            "127.0.0.1:99999",
        )
        assert MARK not in parts.netloc + parts.fragment


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_events_begin_as_requests_that_succeed(name):
    """Unspoiled, every one of them; or the fuzzing would only ever meet the first check."""
    world = World()
    module = Function(name, world.wiring).module
    app = getattr(module, "routes", None) or module.app
    for route in sorted(app.routes, key=lambda route: (route.startswith("DELETE"), route)):
        parts = world.good(route)
        event = http_event(
            route, path="/", query=parts.get("query", ""), headers=parts.get("headers"), cookies=parts.get("cookies"),
            path_parameters=parts.get("path"), form=parts.get("form"),
            body=json.dumps(parts["json"]) if "json" in parts else None,
        )  # fmt: skip
        if "{" in route and "path" not in parts:
            event["pathParameters"] = {"id": "a", "ticket": "a", "provider": "a"}

        answer = module.handler(event, CONTEXT)

        expected = (405,) if route.startswith("POST /oauth2/callback") else range(200, 400)
        assert answer["statusCode"] in expected, (route, answer)
