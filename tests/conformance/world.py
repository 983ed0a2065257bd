"""The product's functions over AWS in memory, one provider registered, its vendor behind the port."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from grantkeeper.api_key_format import new_api_key
from grantkeeper.model import ApiKey, AuditEvent, Connection, Grant
from grantkeeper.providers.record import Service
from grantkeeper.stores import retrying
from grantkeeper.stores.breakers import DynamoBreakers
from tests.conformance.grants import ALICE, Person
from tests.conformance.vendor import Vendor
from tests.conformance.wire import s256
from tests.doubles.aws import memory_wiring
from tests.doubles.deployment import REDIRECT_URI, VERIFIER, audit_event, deployment
from tests.doubles.provider import NOON
from tests.support.functions import CONTEXT, Answer, Function, cookie_jar

CLIENT = "backend"
SIGN_IN = {
    "client_id": "spa",
    "redirect_uri": REDIRECT_URI,
    "response_type": "code",
    "scope": "openid profile email",
    "state": "client-state",
    "code_challenge": s256(VERIFIER),
    "code_challenge_method": "S256",
}


class Clock:
    """Stands where the module `time` stands; moves when somebody waits. Real time passes a hundred times faster."""

    def __init__(self) -> None:
        self.now = float(NOON)
        self._lock = threading.Lock()

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.skip(seconds)
        time.sleep(seconds / 100)

    def skip(self, seconds: float) -> None:
        """Nothing happens for a while."""
        with self._lock:
            self.now += seconds


@cache
def _loaded(name: str, at: int) -> Function:
    """A function's module, loaded once per run and container: what it remembers is told apart by random ids."""
    del at
    return Function(name, None)


class World:
    """
    One deployment.

        world = World(monkeypatch, Google)
        connection_id = world.connect("gmail")
        answer = world.token(connection_id)
    """

    def __init__(self, monkeypatch: Any, dialect: type[Vendor]) -> None:
        self.clock = Clock()
        monkeypatch.setattr(retrying, "time", self.clock)
        monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
        self.wiring = deployment()
        self.record = self.wiring.catalog.get(dialect.record_id)
        self.vendor = dialect(
            clock=lambda: int(self.clock.now),
            redirect_uri=f"{self.wiring.issuer}/oauth2/callback/{dialect.record_id}",
        )
        self._put_behind(self.wiring)
        self._register()
        self.headers = self._api_key()
        self.bearer = ""  # of the last sign-in
        self._functions: dict[str, Function] = {}
        self._containers: Counter[str] = Counter()

    def _put_behind(self, wiring: Any) -> Any:
        grants = wiring.env["GRANTS_TABLE"]
        wiring.__dict__["provider_http"] = self.vendor
        wiring.__dict__["breakers"] = DynamoBreakers(wiring.aws.dynamodb, grants, clock=self.clock.time)
        return wiring

    def _register(self) -> None:
        parameter = "/grantkeeper/providers/it"
        self.wiring.secrets.put(parameter, self.vendor.client_secret)
        self.wiring.provider_items.put(
            self.record.credentials_id,
            record=None,
            registrations=[
                {"client_id": self.vendor.client_id, "secret_parameter": parameter, "state": "active"},
            ],
            disabled=None,
            audit=audit_event("provider.changed"),
        )

    def override(self, fields: dict[str, Any]) -> None:
        """The deployment changes the record."""
        self.wiring.provider_items.put(
            self.record.id, record=fields, registrations=None, disabled=None, audit=audit_event("provider.changed")
        )

    def _api_key(self) -> dict[str, str]:
        made = new_api_key()
        scopes = ("connections:read", "connections:write", "connections:token")
        key = ApiKey(made.key_id, made.secret_hash, scopes, NOON, NOON + 10**8, CLIENT)
        self.wiring.api_keys.put(key, audit=audit_event("api_key.created"))
        return {"x-api-key": made.text}

    def new_container(self, name: str) -> Function:
        """Another execution environment of a function, with stores of its own."""
        used = self._containers[name]
        self._containers[name] += 1
        function = _loaded(name, used)
        function.module.app_wiring = self._put_behind(memory_wiring(aws=self.wiring.aws))  # type: ignore[attr-defined]
        function.module.time = self.clock  # type: ignore[attr-defined]
        return function

    def function(self, name: str) -> Function:
        """The one everybody uses."""
        if name not in self._functions:
            self._functions[name] = self.new_container(name)
        return self._functions[name]

    # --- trips ---

    def services(self) -> list[Service]:
        """What the record lets a user connect."""
        return list(self.record.services)

    def go_connect(self, service: str, *, user: str = "u1", **body: Any) -> tuple[str, dict[str, str]]:
        """A client opens a session, and a browser follows its link: the consent page's URL, and the cookies."""
        wanted = {"service": service, "redirect_uri": REDIRECT_URI, "user_id": user, **body}
        opened = self._api("connections", "POST /v1/connect-sessions", body=json.dumps(wanted))
        assert opened.status == 201, opened.body
        ticket = opened.json["connect_url"].rpartition("/")[2]
        answer = self.function("authorize")("GET /connect/{ticket}", path_parameters={"ticket": ticket})
        assert answer.status == 303, answer.body
        jar = cookie_jar(*answer.cookies)
        if answer.location.startswith(f"{self.vendor.redirect_uri}?"):  # OAuth 1.0a fetches a request token first
            answer = self._callback(dict(parse_qsl(urlsplit(answer.location).query)), jar)
        return answer.location, jar

    def go_sign_in(self) -> tuple[str, dict[str, str]]:
        """The same for a sign-in."""
        answer = self.function("authorize")("GET /oauth2/authorize", query=SIGN_IN | {"provider": self.record.id})
        assert answer.status == 303, answer.body
        return answer.location, cookie_jar(*answer.cookies)

    def come_back(self, parameters: Mapping[str, str], jar: Mapping[str, str]) -> dict[str, str]:
        """The vendor's redirect; what the client is told."""
        answer = self._callback(parameters, jar)
        assert answer.location.startswith(REDIRECT_URI + "?"), answer.location
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}

    def _callback(self, parameters: Mapping[str, str], jar: Mapping[str, str]) -> Answer:
        route, provider = "GET /oauth2/callback/{provider}", {"provider": self.record.id}
        answer = self.function("callback")(route, query=parameters, cookies=jar, path_parameters=provider)
        assert answer.status == 303, answer.body
        return answer

    def confirm(self, told: Mapping[str, str], *, user: str = "u1") -> str:
        """The client confirms."""
        assert "error" not in told, told
        body = json.dumps({"confirmation": told["confirmation"], "user_id": user})
        answer = self._api("connections", "POST /v1/connect-sessions/{id}/complete", told["connect_session"], body=body)
        assert answer.status == 200, answer.body
        return str(answer.json["id"])

    def connect(
        self,
        service: str | None = None,
        *,
        user: str = "u1",
        person: Person = ALICE,
        untick: Iterable[str] = (),
        **body: Any,
    ) -> str:
        """All steps, for the widest access when none is named; the connection's id."""
        chosen = next(each for each in self.services() if service in (None, each.id))
        if "scopes" not in body:
            body.setdefault("access", max(chosen.access, key=lambda level: len(chosen.access[level])))
        url, jar = self.go_connect(chosen.id, user=user, **body)
        return self.confirm(self.come_back(self.vendor.consent(url, person=person, untick=untick), jar), user=user)

    def sign_in(self, person: Person = ALICE) -> dict[str, Any]:
        """All steps; the claims of our userinfo endpoint."""
        url, jar = self.go_sign_in()
        told = self.come_back(self.vendor.consent(url, person=person, connecting=False), jar)
        assert "error" not in told, told
        form = {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER,
            "client_id": "spa",
        }
        tokens = self.function("session")("POST /oauth2/token", form=form)
        assert tokens.status == 200, tokens.body
        self.bearer = tokens.json["access_token"]
        headers = {"authorization": f"Bearer {self.bearer}"}
        answer = self.function("session")("GET /oauth2/userinfo", headers=headers)
        assert answer.status == 200, answer.body
        return dict(answer.json)

    # --- what a backend does ---

    def token(
        self, connection_id: str, name: str = "main", *, container: Function | None = None, **query: Any
    ) -> Answer:
        """The token call."""
        asked = {"token": name, **{key: str(value) for key, value in query.items()}}
        return self._api("refresh", "GET /v1/connections/{id}/token", connection_id, container=container, query=asked)

    def look(self, connection_id: str) -> Answer:
        """The connection as a client reads it."""
        return self._api("connections", "GET /v1/connections/{id}", connection_id)

    def sync(self, connection_id: str) -> Answer:
        """The account is read again."""
        return self._api("refresh", "POST /v1/connections/{id}/sync", connection_id)

    def connection_picture(self, connection_id: str) -> Answer:
        """The picture of the account, as far as only we can show it."""
        return self._api("connections", "GET /v1/connections/{id}/avatar", connection_id)

    def own_picture(self) -> Answer:
        """The same of the user who signed in last."""
        headers = {"authorization": f"Bearer {self.bearer}"}
        return self.function("account")("GET /v1/profile/avatar", headers=headers)

    def disconnect(self, connection_id: str) -> str:
        """Disconnect; what is told of the provider."""
        answer = self._api("connections", "DELETE /v1/connections/{id}", connection_id)
        assert answer.status == 200, answer.body
        return str(answer.json["upstream"])

    def work(self) -> None:
        """The worker takes what is queued, until nothing is left."""
        queue, sqs = self.wiring.env["WORK_QUEUE_URL"], self.wiring.aws.sqs
        for _ in range(20):
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                return
            event = {"Records": [{"messageId": m["MessageId"], "body": m["Body"]} for m in messages]}
            assert self.function("refresh").module.batch_handler(event, CONTEXT) == {"batchItemFailures": []}
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        raise AssertionError("the work never ends")

    def _api(
        self, name: str, route: str, identifier: str | None = None, *, container: Function | None = None, **parts: Any
    ) -> Answer:
        headers = self.headers | ({"content-type": "application/json"} if "body" in parts else {})
        path_parameters = None if identifier is None else {"id": identifier}
        return (container or self.function(name))(route, headers=headers, path_parameters=path_parameters, **parts)

    # --- what can be seen ---

    def connection(self, connection_id: str) -> Connection:
        """As stored."""
        connection = self.wiring.connections.get(connection_id)
        assert connection is not None
        return connection

    def grant(self, connection_id: str, name: str = "main") -> Grant:
        """As stored."""
        grant = self.wiring.grants.get(connection_id, name)
        assert grant is not None
        return grant

    def trail(self, connection_id: str) -> list[AuditEvent]:
        """What was written down of a connection, oldest first."""
        events, _ = self.wiring.audit.for_connection(connection_id, limit=100)
        return list(reversed(events))

    def served(self, connection_id: str, *, revocable: bool = False) -> dict[str, str]:
        """The access tokens of a connection by name; `revocable`: without those the vendor spares."""
        spared = self.vendor.spared if revocable else frozenset()
        names = [name for name in self.vendor.token_names() if name not in spared]
        return {name: self.token(connection_id, name).json["access_token"] for name in names}

    def accepted(self, tokens: Mapping[str, str]) -> set[str]:
        """Names of the tokens that the vendor takes."""
        return {name for name, token in tokens.items() if self.vendor.accepts(token)}

    def untouched(self, connection_id: str) -> bool:
        """Tell whether nothing was held against the connection."""
        names = self.vendor.token_names()
        grants = [self.grant(connection_id, name) for name in names]
        return self.connection(connection_id).status == "active" and all(
            grant.status == "active" and grant.strikes == 0 for grant in grants
        )


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run tasks in threads that start at once; their results in order."""
    results: list[Any] = [None] * len(tasks)
    gate = threading.Barrier(len(tasks))

    def do(at: int) -> None:
        gate.wait()
        results[at] = tasks[at]()

    threads = [threading.Thread(target=do, args=(at,)) for at in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
