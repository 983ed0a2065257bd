"""
OAuth 1.0a through the deployed stack: a server of it over HTTP, like the older one of Trello, with signature checks.

Its record is Trello's, moved, and comes into the running stack as an operator brings it: `providers apply`.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest

from grantkeeper.model import HttpRequest
from tests.doubles.oauth1_provider import OAuth1Provider, escape, signature
from tests.e2e.browser import query_of
from tests.e2e.conftest import eventually

# a minute for the functions to look at the records again, beside the start of the stack
pytestmark = [pytest.mark.stack, pytest.mark.timeout(480), pytest.mark.xdist_group("oauth1")]  # one record, one server

ID = SERVICE = "trello-here"
KNOWN_WITHIN = 90.0  # seconds: functions look at the deployment's records once a minute
# seconds: a worker that does not know the record yet puts the revocation off by up to 90, the next sweep but one finds
# it, and on a busy machine all of it takes its time; it is seconds where the worker is new
REVOKED_WITHIN = 300.0


class Trello:
    """The double behind a socket. A person who asks for the consent page says yes, or no while `says_no`."""

    def __init__(self) -> None:
        self.double = OAuth1Provider(key="our-key", secret=secrets.token_hex(16), now=int(time.time()))
        self.says_no = False
        self.withdrawn: list[str] = []
        trello = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                trello.double.now = int(time.time())
                url = f"{trello.url}{self.path}"
                if urlsplit(url).path == "/1/OAuthAuthorizeToken":
                    self.send_response(302)
                    self.send_header("location", trello.consented(url))
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                headers = tuple((name.lower(), value) for name, value in self.headers.items())
                answer = trello.double.send(HttpRequest(self.command, url, headers))  # type: ignore[arg-type]
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names of http.server

            def log_message(self, *_: Any) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def consented(self, url: str) -> str:
        """Where the consent page sends the browser."""
        callback = self.double.temporary[query_of(url)["oauth_token"]]["callback"]
        return f"{callback.partition('?')[0]}?{urlencode(self.double.consent(url, deny=self.says_no))}"

    def close(self) -> None:
        """Stop answering."""
        self.server.shutdown()
        self.server.server_close()

    @property
    def record(self) -> dict[str, Any]:
        """Trello's record, moved here."""
        me = f"{self.url}/1/members/me?fields=id,username,fullName,email,avatarUrl,prefs"
        return {
            "base": "trello-oauth1",
            "display_name": "Trello (here)",
            "authorization_endpoint": f"{self.url}/1/OAuthAuthorizeToken",
            "token_endpoint": f"{self.url}/1/OAuthGetAccessToken",
            "oauth1": {"request_token_endpoint": f"{self.url}/1/OAuthGetRequestToken"},
            "services": [{"id": SERVICE, "display_name": "Trello (here)", "access": {"read": ["read"]}}],
            "revocation": {"url_template": f"{self.url}/1/tokens/{{token}}?key={{client_id}}&token={{token}}"},
            "profile": {"requests": [{"name": "me", "url": me, "auth": "oauth1"}]},
            "allow_private_addresses": True,
        }

    def me(self, answer: dict[str, Any]) -> httpx2.Response:
        """Call the API as a client's backend does, with what the token call gave it."""
        url = f"{self.url}/1/members/me"
        params = {
            "oauth_consumer_key": self.double.key,
            "oauth_token": answer["access_token"],
            "oauth_signature_method": "HMAC-SHA1",
            "oauth_timestamp": str(int(time.time())),
            "oauth_nonce": secrets.token_hex(8),
            "oauth_version": "1.0",
        }
        params["oauth_signature"] = signature(
            "GET",
            url,
            list(params.items()),
            consumer_secret=self.double.secret,
            token_secret=answer["token_secret"],
        )
        header = "OAuth " + ", ".join(f'{escape(name)}="{escape(value)}"' for name, value in params.items())
        return httpx2.get(url, headers={"authorization": header}, trust_env=False)


@pytest.fixture(scope="module")
def trello() -> Iterator[Trello]:
    """One for the tests here."""
    server = Trello()
    yield server
    server.close()


@pytest.fixture
def opened(trello, grantkeeper, backend, stack, tmp_path):
    """A connect session for the service, once the functions know of it."""
    file = tmp_path / "trello.json"
    credentials = {"client_id": trello.double.key, "client_secret": trello.double.secret}
    file.write_text(json.dumps({ID: {**trello.record, "credentials": credentials}}))
    (row,) = json.loads(grantkeeper("providers", "apply", str(file), "--offline", "--json"))
    assert row["redirect_uri"] == f"{stack.api_url}/oauth2/callback/{ID}"

    def open_session(user_id: str = "ada") -> dict[str, Any]:
        wanted = {"service": SERVICE, "user_id": user_id, "redirect_uri": stack.connect_redirect_uri}

        def tried() -> dict[str, Any] | None:
            answer = backend.post("/v1/connect-sessions", json=wanted)
            assert answer.status_code == 201 or answer.json()["type"].endswith(("unknown-service", "not-configured"))
            return dict(answer.json()) if answer.status_code == 201 else None

        return dict(eventually(tried, seconds=KNOWN_WITHIN, every=2))

    return open_session


def came_back(browser, stack, opened):
    """Through the link, our callback, the consent page and our callback again; what the client's page is told."""

    def tried() -> str | None:
        back = browser.open(opened["connect_url"], until=stack.connect_redirect_uri)
        return back if isinstance(back, str) else None  # a function that does not know the record yet: the link stays

    return query_of(eventually(tried, seconds=KNOWN_WITHIN, every=2))


def test_oauth1_connects_hands_out_and_disconnects(trello, opened, stack, backend, new_browser):
    """Request token, consent, access token, signed profile; a signed call of the client's; revoked at the provider."""
    session = opened()
    told = came_back(new_browser(), stack, session)

    confirmed = backend.post(
        f"/v1/connect-sessions/{told['connect_session']}/complete",
        json={"confirmation": told["confirmation"], "user_id": "ada"},
    )
    assert confirmed.status_code == 200, confirmed.text
    connection = confirmed.json()
    assert (connection["kind"], connection["status"]) == ("oauth1", "active")
    assert connection["account"]["name"] == "Ada"

    answer = eventually(
        lambda: (got := backend.get(f"/v1/connections/{connection['id']}/token")).status_code == 200 and got.json(),
        seconds=KNOWN_WITHIN,
    )
    assert (answer["kind"], answer["expires_at"]) == ("oauth1", None)
    assert trello.double.tokens == {answer["access_token"]: answer["token_secret"]}
    assert trello.me(answer).json()["fullName"] == "Ada"

    gone = backend.delete(f"/v1/connections/{connection['id']}").json()
    assert (gone["status"], gone["upstream"]) == ("revoked", "revocation_queued")
    assert backend.get(f"/v1/connections/{connection['id']}/token").status_code == 409
    eventually(lambda: answer["access_token"] not in trello.double.tokens, seconds=REVOKED_WITHIN)
    assert trello.me(answer).status_code == 401


def test_oauth1_no_is_no(trello, opened, stack, new_browser):
    """`denied` in the callback; nothing is kept, and the link may be tried again."""
    session, before = opened("grace"), dict(trello.double.tokens)
    trello.says_no = True
    try:
        told = came_back(new_browser(), stack, session)
    finally:
        trello.says_no = False

    assert told["error"] == "access_denied"
    assert trello.double.tokens == before
    assert "confirmation" in came_back(new_browser(), stack, session)


def test_c93_oauth1_another_browser_finishes_nobodys_trip(trello, opened, stack, new_browser):
    """The consent page's redirect, opened by a stranger: refused, and it spoils nothing."""
    session = opened("hedy")
    first, second = new_browser(), new_browser()
    before = len(trello.double.tokens)
    consent = first.open(session["connect_url"], until=f"{trello.url}/1/OAuthAuthorizeToken")
    assert isinstance(consent, str)
    redirect = trello.consented(consent)

    assert second.http.get(redirect).status_code == 400
    assert len(trello.double.tokens) == before
    back = first.open(redirect, until=stack.connect_redirect_uri)
    assert "confirmation" in query_of(back)
