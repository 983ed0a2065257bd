"""
Everything a connection needs, over doubles: two clients, three people, a provider, and the steps between them.

    world = ConnectWorld()
    opened = world.open(ALICE)                       # the client opens a session for Alice
    trip = world.follow(opened, browser="laptop")    # a browser follows the link
    back = world.come_back(trip)                     # ... consents, and is redirected to the client
    connection = world.confirm(back, ALICE)          # the client confirms for whoever is signed in there
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from grantkeeper import ids
from grantkeeper.model import AuditEvent, Client, Connection, Identity, Principal, User
from grantkeeper.oauth.token_response import token_set
from grantkeeper.services.complete_callback import complete_callback
from grantkeeper.services.confirm_connection import Confirmation, confirm_connection
from grantkeeper.services.discard_tokens import discard_tokens
from grantkeeper.services.disconnect import Disconnected, disconnect
from grantkeeper.services.open_connect_session import ConnectRequest, OpenedConnectSession, open_connect_session
from grantkeeper.services.people import Named
from grantkeeper.services.refresh_run import Cause, Run
from grantkeeper.services.revoke_upstream import revoke_upstream
from grantkeeper.services.start_connect import start_connect
from tests.doubles.aws import memory_wiring
from tests.doubles.provider import NOON, Account, FakeProvider

WRITE = frozenset({"connections:read", "connections:write"})
SERVICE = "example-files"
KEY_SERVICE = "example-keys"
BACK = "https://app.example/connected"

ALICE = Principal("user", WRITE, client_id="app", sub="usr_alice")
BOB = Principal("user", WRITE, client_id="app", sub="usr_bob")
BACKEND = Principal("api_key", WRITE, client_id="app", key_id="key1")
OTHER_BACKEND = Principal("api_key", WRITE, client_id="other", key_id="key2")
OPERATOR = Principal("api_key", frozenset({"admin:read"}), client_id=None, key_id="key3")

RECORD: dict[str, Any] = {
    "base": "openid",
    "display_name": "Example ID",
    "issuer": "https://idp.example",
    "authorization_endpoint": "https://idp.example/authorize",
    "token_endpoint": "https://idp.example/token",
    "revocation_endpoint": "https://idp.example/revoke",
    "userinfo_endpoint": "https://idp.example/userinfo",
    "jwks_uri": "https://idp.example/jwks",
    "pkce": "required",
    "prompt_values_supported": ["none", "login", "select_account"],
    "scope": {"never_returned": ["offline_access"]},
    "signin_scopes": ["openid", "email", "profile"],
    "connect_params": {},
    "services": [
        {
            "id": SERVICE,
            "display_name": "Example Files",
            "access": {"read": ["files.read"], "write": ["files.read", "files.write"]},
            "base_scopes": ["openid", "email"],
            "offline_scopes": ["offline_access"],
        }
    ],
    "revocation": {"kind": "rfc7009", "effect": "grant"},
    "profile": {
        "requests": [{"name": "userinfo", "url": "https://idp.example/userinfo"}],
        "email_verified_policy": "claim",
    },
}

KEY_RECORD: dict[str, Any] = {
    "base": "openid",
    "display_name": "Example Keys",
    "protocol": "api_key",
    "authorization_endpoint": "https://keys.example/none",
    "token_endpoint": "https://keys.example/none",
    "signin_scopes": [],
    "revocation": {"kind": "none"},
    "services": [{"id": KEY_SERVICE, "display_name": "Example Keys", "access": {"read": []}}],
}


@dataclass(frozen=True)
class Trip:
    """A browser on its way to the consent page."""

    url: str
    state: str
    browser: str


@dataclass(frozen=True)
class Back:
    """What the redirect brought to the client's page."""

    url: str
    session: str
    confirmation: str | None
    error: str | None
    state: str | None


class ConnectWorld:
    """One deployment; `now` is its clock."""

    def __init__(self, *, wiring: Any = None, **record: Any) -> None:
        """Args: wiring: made elsewhere, e.g. with signing keys; record: fields of the provider's record to change."""
        self.now = NOON
        self.provider = FakeProvider()
        self.wiring = memory_wiring() if wiring is None else wiring
        self.wiring.__dict__["provider_http"] = self.provider
        self._register("example", RECORD | record, "/grantkeeper/example")
        self._register("example-keys", KEY_RECORD, None)
        for client_id in ("app", "other"):
            self.add_client(client_id)
        for sub in ("usr_alice", "usr_bob", "usr_carol"):
            self.add_user(sub)

    def _register(self, provider_id: str, record: dict[str, Any], parameter: str | None) -> None:
        registrations = []
        if parameter is not None:
            self.wiring.secrets.put(parameter, self.provider.client_secret)
            registrations = [
                {"client_id": self.provider.client_id, "secret_parameter": parameter, "state": "active"},
            ]
        self.wiring.provider_items.put(
            provider_id,
            record=record,
            registrations=registrations,
            disabled=False,
            audit=self.event("provider.changed"),
        )

    def add_client(self, client_id: str, **changes: Any) -> Client:
        """Register or replace a client."""
        settings: dict[str, Any] = {"redirect_uris": (BACK,), "origins": ("https://app.example",), **changes}
        client = Client(client_id=client_id, client_name=client_id.title(), created_at=NOON, **settings)
        self.wiring.clients.put(client, audit=self.event("client.changed"))
        return client

    def add_user(self, sub: str, **changes: Any) -> None:
        """A user who has signed in."""
        self.wiring.users.provision(
            replace(User(sub, NOON, NOON, email=f"{sub}@example.com"), **changes),
            Identity("https://idp.example", sub, sub, "example", NOON),
            audit=self.event("user.created"),
        )

    def event(self, action: str) -> AuditEvent:
        """An entry of somebody's trail."""
        return AuditEvent(ids.new_id("evt"), self.now, action, "test")

    # --- the steps ---

    def open(self, principal: Principal = ALICE, **body: Any) -> OpenedConnectSession:
        """The client opens a session."""
        w = self.wiring
        return open_connect_session(
            ConnectRequest.parse({"service": SERVICE, "redirect_uri": BACK, **body}),
            principal=principal,
            clients=w.clients,
            users=w.users,
            sessions=w.sessions,
            connections=w.connections,
            connect_sessions=w.connect_sessions,
            provider_items=w.provider_items,
            catalog=w.catalog,
            issuer=w.issuer,
            now=self.now,
            request_id="req",
        )

    def follow(self, opened: OpenedConnectSession, *, browser: str = "laptop") -> Trip:
        """A browser follows the connect link."""
        w = self.wiring
        started = start_connect(
            ticket=opened.connect_url.rpartition("/")[2],
            browser_secret=browser,
            connect_sessions=w.connect_sessions,
            authorization_requests=w.authorization_requests,
            catalog=w.catalog,
            credentials=w.public_credentials,
            provider_items=w.provider_items,
            issuer=w.issuer,
            now=self.now,
        )
        state = parse_qs(urlsplit(started.location).query)["state"][0]
        return Trip(started.location, state, browser)

    def come_back(self, trip: Trip, *, account: Account | None = None) -> Back:
        """The browser consents at the provider and is sent to the client by the real callback."""
        answer = self.provider.consent(trip.url, account=account)
        return landed(self.call_back(answer, browser=trip.browser))

    def call_back(self, answer: dict[str, str], *, browser: str | None) -> str:
        """The provider's redirect, followed by a browser with this cookie."""
        return complete_callback(
            {name: (value,) for name, value in answer.items()},
            provider_id="example",
            browser_hash=None if browser is None else ids.digest(browser),
            issuer=self.wiring.issuer,
            ports=self.wiring,
            now=self.now,
            request_id="req",
        )

    def confirm(self, back: Back, principal: Principal = ALICE, **names: str) -> Connection:
        """The client confirms for whoever is signed in there."""
        w = self.wiring
        return confirm_connection(
            back.session,
            Confirmation(back.confirmation or "", Named(**names)),
            principal=principal,
            users=w.users,
            connect_sessions=w.connect_sessions,
            connections=w.connections,
            audit=w.audit,
            work_queue=w.work_queue,
            now=self.now,
            request_id="req",
        )

    def connect(
        self,
        principal: Principal = ALICE,
        *,
        account: Account | None = None,
        names: dict[str, str] | None = None,
        **body: Any,
    ) -> Connection:
        """All steps at once."""
        names = names or {}
        back = self.come_back(self.follow(self.open(principal, **names, **body)), account=account)
        return self.confirm(back, principal, **names)

    def disconnect(self, connection_id: str, principal: Principal = ALICE) -> Disconnected:
        """The user, or a client for him, disconnects."""
        w = self.wiring
        return disconnect(
            connection_id,
            principal=principal,
            connections=w.connections,
            work_queue=w.work_queue,
            catalog=w.catalog,
            now=self.now,
            request_id="req",
        )

    def work(self) -> None:
        """The worker takes what is queued, once."""
        run = Run(clock=lambda: self.now, sleep=lambda _: None, remaining_ms=lambda: 20_000)
        for message in self.queued():
            for connection_id, _ in message["ids"]:
                if message["kind"] == "erase":
                    discard_tokens(connection_id, cause=Cause("sweep", "system"), ports=self.wiring, run=run)
                else:
                    revoke_upstream(connection_id, cause=Cause("sweep", "system"), ports=self.wiring, run=run)

    # --- what can be seen afterwards ---

    def trail(self, sub: str = "usr_alice") -> list[AuditEvent]:
        """A user's audit trail, oldest first."""
        events, _ = self.wiring.audit.for_user(sub, limit=100)
        return list(reversed(events))

    def actions(self, sub: str = "usr_alice") -> list[str]:
        """What happened, in order."""
        return [event.action for event in self.trail(sub)]

    def queued(self) -> list[dict[str, Any]]:
        """The messages waiting in the work queue, in order."""
        return [json.loads(body) for body in self.wiring.aws.sqs.bodies(self.wiring.env["WORK_QUEUE_URL"])]

    def tokens_of(self, connection_id: str, name: str = "main") -> str:
        """The access token of a connection, opened as the refresh function would."""
        from grantkeeper.model import Binding

        grant = self.wiring.grants.get(connection_id, name)
        plaintext = self.wiring.vault.open(grant.sealed, binding=Binding.of(grant))
        return token_set(plaintext, provider=self.wiring.catalog.get(grant.provider), name=name).access_token


def landed(location: str) -> Back:
    """Take a redirect to the client apart."""
    split = urlsplit(location)
    assert f"{split.scheme}://{split.netloc}{split.path}" == BACK
    query = {name: values[0] for name, values in parse_qs(split.query).items()}
    return Back(location, query["connect_session"], query.get("confirmation"), query.get("error"), query.get("state"))
