"""The example's backend: who may call what, for whom it acts, and what its answers give away."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest

from examples.backend.app import Backend, Settings
from examples.backend.grantkeeper_api import GrantkeeperApi, Refused
from tests.unit.examples.test_access_tokens import CLAIMS, ISSUER, Issuer

SPA = "https://app.example.com"
GOOD = {"service": "demo", "state": "s"}


class Recorded(GrantkeeperApi):
    """Grantkeeper's answers for Alice and Bob, and what it was asked."""

    def __init__(self, issuer):
        super().__init__(ISSUER, "gk_secret")
        object.__setattr__(self, "issuer_of_tokens", issuer)
        object.__setattr__(self, "asked", [])

    def keys(self):
        return self.issuer_of_tokens.keys()

    def _v1(self, path, *, json_body=None, method=None):
        self.asked.append((method, path, json_body))
        if path == "/connections/con_bob":
            return {"id": "con_bob", "user_sub": "usr_bob", "service": "demo"}
        if path == "/connections/con_alice":
            return {"id": "con_alice", "user_sub": "usr_alice", "service": "other"}
        if path.startswith("/connections/con_"):
            raise Refused(404, {"detail": "No such connection."})
        return {"id": "cs_1", "connect_url": "https://auth.example.com/connect/x"}


@pytest.fixture(scope="module")
def issuer():
    return Issuer()


@pytest.fixture
def backend(issuer):
    backend = Backend(0)
    backend.open(Settings(spa_origin=SPA, connected_uri=f"{SPA}/connected", accounts={}), grantkeeper=Recorded(issuer))
    thread = threading.Thread(target=backend.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield backend
    backend.shutdown()
    thread.join()
    backend.server_close()


@pytest.fixture
def ask(backend, issuer):
    """Send a request; (status, headers, JSON)."""
    import time

    now = int(time.time())

    def send(method, path, body=None, *, scope="connections:read connections:write", headers=None, **claims):
        token = issuer.sign(CLAIMS | {"aud": backend.url, "iat": now, "exp": now + 60, "scope": scope} | claims)
        connection = http.client.HTTPConnection(urlsplit(backend.url).netloc, timeout=10)
        content = body if isinstance(body, str) else json.dumps(body)
        given = {"authorization": f"Bearer {token}"} if headers is None else headers
        connection.request(method, path, body=None if body is None else content, headers=given)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), json.loads(text) if text else None

    return send


def test_a_session_is_opened_for_whom_the_token_is_about(ask, backend):
    """Whoever else the body names, and wherever it wants to come back to."""
    body = GOOD | {"user_sub": "usr_bob", "redirect_uri": "https://evil.example.com"}

    assert ask("POST", "/connections", body)[0] == 200
    ((_, path, sent),) = backend.grantkeeper.asked
    assert path == "/connect-sessions"
    assert sent == GOOD | {"user_sub": "usr_alice", "redirect_uri": f"{SPA}/connected"}


def test_c32_a_session_is_confirmed_for_whom_the_token_is_about(ask, backend):
    """It is the user who came back, not the one a body names."""
    body = {"connect_session": "../cs_1", "confirmation": "c", "user_sub": "usr_bob"}

    ask("POST", "/connections/confirm", body)
    ((_, path, sent),) = backend.grantkeeper.asked
    assert path == "/connect-sessions/..%2Fcs_1/complete"
    assert sent == {"confirmation": "c", "user_sub": "usr_alice"}


@pytest.mark.parametrize(("method", "tail"), [("GET", "/account"), ("DELETE", "")])
def test_another_persons_connection_is_as_if_it_were_not_there(ask, backend, method, tail):
    """The key reaches it; the same words answer, and neither its token is taken nor is it ended."""
    other, none = ask(method, f"/connections/con_bob{tail}"), ask(method, f"/connections/con_nobody{tail}")

    assert other[0] == none[0] == 404
    assert other[2] == none[2]
    assert [(method, path) for method, path, _ in backend.grantkeeper.asked] == [
        (None, "/connections/con_bob"),
        (None, "/connections/con_nobody"),
    ]


def test_a_service_it_does_not_know_is_not_asked(ask, backend):
    """And its token is not taken either."""
    assert ask("GET", "/connections/con_alice/account")[0] == 400
    assert not any("/token" in path for _, path, _ in backend.grantkeeper.asked)


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer"}, {"authorization": "Basic YTpi"}])
def test_without_a_token_nothing_is_done(ask, backend, headers):
    """401 in the form of RFC 6750 section 3."""
    status, told, _ = ask("GET", "/connections", headers=headers)

    assert (status, told["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert backend.grantkeeper.asked == []


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("GET", "/connections", None, "connections:write"),
        ("POST", "/connections", GOOD, "connections:read"),
        ("POST", "/connections/confirm", {"connect_session": "cs", "confirmation": "c"}, "connections:read"),
        ("GET", "/connections/con_alice/account", None, "connections:write"),
        ("DELETE", "/connections/con_alice", None, "connections:read"),
    ],
)
def test_a_token_does_no_more_than_its_scope(ask, backend, method, path, body, scope):
    """Though the backend's own key could."""
    status, told, _ = ask(method, path, body, scope=scope)

    assert (status, told["www-authenticate"]) == (403, 'Bearer error="insufficient_scope"')
    assert backend.grantkeeper.asked == []


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"service": 1, "state": "s"}', '{"service": "demo"}'])
def test_a_body_that_cannot_be_read_is_the_callers_fault(ask, backend, body):
    """400, and nothing is asked of Grantkeeper."""
    assert ask("POST", "/connections", body)[0] == 400
    assert backend.grantkeeper.asked == []


def test_a_body_that_is_too_long_is_not_read(ask):
    """It is refused by its length, before any of it is there."""
    assert ask("POST", "/connections", headers={"content-length": "20000"})[0] == 400


@pytest.mark.parametrize("path", ["/", "/connections/", "/connections/con_a/token", "/connections/a%2Fb/account"])
def test_there_is_nothing_else(ask, path):
    """404."""
    assert ask("GET", path)[0] == 404


def test_w02_only_the_applications_own_pages_may_read(ask):
    """Whoever asks is told the one origin; no credentials of the browser's are allowed."""
    status, told, _ = ask("OPTIONS", "/connections", headers={"origin": "https://evil.example.com"})

    assert (status, told["access-control-allow-origin"]) == (204, SPA)
    assert "access-control-allow-credentials" not in {name.lower() for name in told}


def test_the_key_is_not_in_what_the_backend_prints(backend):
    """Neither of the client nor of an error."""
    assert "gk_secret" not in repr(backend.grantkeeper)
