"""
Anything in any order (security.md 3.4.3): the real functions over the doubles of AWS and a provider, under Hypothesis.

Users read, report, force, disconnect, connect again and withdraw their consent; the sweeper, the worker and the rescue
function are invoked, with messages that come twice or late; stores, KMS and the provider fail; containers are killed at
the two worst moments and restarted; one thing happens in the middle of another. After every step the world's truth,
which the provider keeps, is compared with what is stored and what was served. In the end all faults stop, and what is
due must be fresh, or truly dead, or gone.

`ANY_ORDER_EXAMPLES` and `ANY_ORDER_STEPS` set how much is tried; `ANY_ORDER_SHRINK=1` makes a failing order short.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from grantkeeper import ids
from grantkeeper.api_key_format import new_api_key
from grantkeeper.errors import ProviderUnavailable, StoreUnavailable
from grantkeeper.model import ApiKey, Binding, Client, ConnectSession, Grant, HttpRequest, HttpResponse, Pending, Saved
from grantkeeper.oauth.token_response import token_set
from grantkeeper.providers.record import RevocationRule
from grantkeeper.services import read_token as read_token_module
from grantkeeper.services import refresh as refresh_module
from grantkeeper.services import save_first as save_first_module
from grantkeeper.services import work as work_module
from grantkeeper.services.lease_policy import new_lease
from grantkeeper.services.rotate_keys import ensure_keys
from grantkeeper.services.save_first import Kept
from grantkeeper.services.take_lease import Held
from grantkeeper.services.work_of_ends import LONGEST_PAUSE
from grantkeeper.stores import retrying
from grantkeeper.stores.grant_item import grant_item, read_grant
from grantkeeper.stores.grants import DynamoGrants
from grantkeeper.stores.queues import rescued_grant
from tests.doubles.provider import NOON
from tests.doubles.refresh_world import ALICE, CLIENT, RULES, TIMEOUT, Killed, RefreshWorld, grant_write
from tests.handlers.test_rescue import batch as rescue_batch
from tests.handlers.test_sweeper import TICK
from tests.support.functions import CONTEXT, Function, http_event

EXAMPLES = int(os.environ.get("ANY_ORDER_EXAMPLES", "24"))
PHASES = (Phase.generate, Phase.shrink) if os.environ.get("ANY_ORDER_SHRINK") else (Phase.generate,)
STEPS = int(os.environ.get("ANY_ORDER_STEPS", "25"))
TOKEN, REFRESH, DELETE = (
    "GET /v1/connections/{id}/token", "POST /v1/connections/{id}/refresh", "DELETE /v1/connections/{id}",
)  # fmt: skip
CONNECTIONS = st.integers(0, 2)
MOST_CONNECTIONS = 8
LATER = st.sampled_from([61, 3600])  # a generation may be refreshed again after a minute, and must be after an hour
SWEEPS_TO_THE_END = 16  # of a minute: the rescue horizon, two strikes and an upstream revocation put off twice
COMES_BACK = 6  # a lease, the horizon, two strikes
FUNCTIONS: dict[str, Function] = {}  # loaded once; each example brings its own wiring


class Inline:
    """Threads one after the other: what a schedule finds must be found again."""

    def __init__(self, **_: Any) -> None:
        """Take any number."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to wait for."""

    def submit(self, task: Any) -> Any:
        """Do it at once."""
        done = task()
        return SimpleNamespace(result=lambda: done)


class AnyOrder(RuleBasedStateMachine):
    """One deployment, some connections of Alice's at one provider, and a stranger's client."""

    rule_name: ClassVar[str]

    @initialize()
    def begin(self) -> None:
        """A world with one connection."""
        self.world = RefreshWorld(rule=RULES[self.rule_name], revocation=RevocationRule(kind="rfc7009", effect="token"))
        retrying.time = self.world.clock  # type: ignore[attr-defined, assignment]
        self.keys = {client: self._api_key(client) for client in (CLIENT, "stranger")}
        stranger = Client("stranger", "Stranger", (), NOON)
        self.world.wiring.clients.put(stranger, audit=self.world.event("client.changed"))
        self.families = {self.world.connection_id: self.world.provider._families[-1]}
        self.generations: Counter[str] = Counter()
        self.served: dict[tuple[str, int], str] = {}
        self.rejected: set[tuple[str, int]] = set()
        self.gone: set[str] = set()
        self.excused: set[str] = set()  # families whose newest token died with a process or with its answer
        self.flying: set[str] = set()
        self.deadlines: list[float] = []
        self.old_messages: list[str] = []
        self.kms_down = False
        self._send = self.world.provider_http.send
        self.world.provider_http.send = self._watched  # type: ignore[method-assign]
        self.restart()

    def teardown(self) -> None:
        """All faults stop; everything due is fresh, truly dead, or gone (I9)."""
        try:
            self._heal()
            for _ in range(SWEEPS_TO_THE_END):
                self.world.pass_time(61)
                self.deliver_rescued()
                self.sweep()
                self.deliver_work(twice=False)
                self.sound()
            for connection_id in self.families:
                self._settled(connection_id)
            self.world.pass_time(LONGEST_PAUSE + 60)  # a revocation backs off by the time since its disconnect
            for _ in range(3):
                self.sweep()
                self.deliver_work(twice=False)
                self.world.pass_time(61)
            assert not any(self._grant(connection_id).sealed for connection_id in self.gone), "not erased in the end"
            self._no_secret_outside()
        finally:
            retrying.time = __import__("time")

    # --- what users do ---

    @rule(at=CONNECTIONS, min_ttl=st.sampled_from([0, 60, 600]))
    def read(self, at: int, min_ttl: int) -> None:
        """The token call."""
        self._token(TOKEN, self._id(at), {"min_ttl": str(min_ttl)})

    @rule(at=CONNECTIONS)
    def report(self, at: int) -> None:
        """The provider answered 401 to this generation."""
        connection_id = self._id(at)
        generation = self._grant(connection_id).generation
        answer = self._token(TOKEN, connection_id, {"rejected_generation": str(generation)})
        if answer is not None and answer["statusCode"] == 200:
            self.rejected.add((connection_id, generation))

    @rule(at=CONNECTIONS)
    def force(self, at: int) -> None:
        """A forced refresh; its answer holds no token."""
        answer = self._http("refresh", REFRESH, self._id(at))
        assert answer is None or "at-" not in answer["body"]

    @rule(at=CONNECTIONS)
    def disconnect(self, at: int) -> None:
        """Final as soon as it is answered."""
        connection_id = self._id(at)
        answer = self._http("connections", DELETE, connection_id)
        if answer is not None and answer["statusCode"] == 200:
            self.gone.add(connection_id)

    @rule(at=CONNECTIONS)
    def strangers_get_nothing(self, at: int) -> None:
        """Another client's key learns nothing."""
        answer = self._http("refresh", TOKEN, self._id(at), client="stranger")
        assert answer is None or answer["statusCode"] in (404, 503), answer

    @precondition(lambda self: len(self.families) < MOST_CONNECTIONS)
    @rule()
    def connect(self) -> None:
        """Another account."""
        with self._calm():
            connection_id = self.world.connect(account_id=f"account{len(self.families)}")
        self.families[connection_id] = self.world.provider._families[-1]

    @rule(at=CONNECTIONS)
    def connect_again(self, at: int) -> None:
        """A new consent for an account that is connected, or was lost."""
        connection_id = list(self.families)[at % len(self.families)]
        if self._grant(connection_id).status == "revoked":
            return
        with self._calm():
            connection = self.world.wiring.connections.get(connection_id)
            session = ConnectSession(
                id=ids.new_id("cs"), client_id=CLIENT, sub=ALICE, service=connection.service, provider="example",
                scopes=connection.scopes, redirect_uri="https://app.example", ticket_hash=ids.new_id("t"),
                created_at=self.world.now, expires_at=self.world.now + 600,
            )  # fmt: skip
            self.world.wiring.connect_sessions.put(session, audit=self.world.event("connect_session.opened"))
            pending = Pending(
                session.id, connection, (self.world.new_grant(connection),), self.world.now + 600, replaces=True
            )
            moved = replace(session, status="authorized", confirmation_hash="c", pending_connection_id=connection.id)
            connections = self.world.wiring.connections
            connections.authorize(pending, moved, now=self.world.now, audit=self.world.event("connection.pending"))
            event = self.world.event("connection.activated")
            connections.confirm(pending, consent_client_id=CLIENT, now=self.world.now, audit=event)
            self.families[connection_id] = self.world.provider._families[-1]

    @rule(at=CONNECTIONS)
    def withdraw(self, at: int) -> None:
        """The user withdraws his consent in his account at the provider."""
        self.families[self._id(at)].revoked = True

    # --- what runs by itself ---

    @rule(seconds=st.sampled_from([1, 20, 45, 61, 300, 1800, 3600, 7200]))
    def pass_time(self, seconds: int) -> None:
        """Nothing happens."""
        self.world.pass_time(seconds)

    @rule()
    def sweep(self) -> None:
        """A tick."""
        with contextlib.suppress(StoreUnavailable):  # the tick failed; the next one comes in a minute
            self._invoke("sweeper", lambda module, context: module.handler(TICK, context), seconds=50)

    @rule(twice=st.booleans())
    def deliver_work(self, twice: bool) -> None:
        """The queue hands the worker what it has, and perhaps again."""
        url = self.world.wiring.env["WORK_QUEUE_URL"]
        bodies = self.world.aws.sqs.bodies(url)
        self.world.aws.sqs._queues[url] = []
        self.old_messages = (bodies + self.old_messages)[:6]
        for body in bodies * (2 if twice else 1):
            failed = self._work(body)
            if failed:
                self.world.aws.sqs.send_message(QueueUrl=url, MessageBody=body)

    @precondition(lambda self: self.old_messages)
    @rule(at=st.integers(0, 5))
    def deliver_an_old_message(self, at: int) -> None:
        """Days later."""
        self._work(self.old_messages[at % len(self.old_messages)])

    @rule()
    def deliver_rescued(self) -> None:
        """The rescue queue hands out what is parked."""
        url = self.world.wiring.env["RESCUE_QUEUE_URL"]
        for body in self.world.parked():
            done = self._invoke(
                "rescue", lambda module, context, body=body: module.handler(rescue_batch(body), context)
            )
            if done == {"batchItemFailures": []}:
                self.world.aws.sqs._queues[url] = [m for m in self.world.aws.sqs._queues[url] if m.body != body]

    @rule()
    def rotate_keys(self) -> None:
        """New branch keys."""
        wiring = self.world.wiring
        with contextlib.suppress(Exception):
            ensure_keys(
                key_maker=wiring.key_maker, signing_keys=wiring.signing_keys, branch_keys=wiring.branch_keys,
                now=self.world.now + 400 * 86_400,
            )  # fmt: skip

    @rule()
    def restart(self) -> None:
        """New execution environments, with empty caches."""
        for name in ("refresh", "connections", "sweeper", "rescue"):
            function = FUNCTIONS.get(name) or FUNCTIONS.setdefault(name, Function(name, None))
            function.module.app_wiring = self.world.full_wiring()
            if hasattr(function.module, "time"):
                function.module.time = SimpleNamespace(time=self.world.clock.time, sleep=self.world.clock.sleep)

    # --- what goes wrong ---

    @rule(at=CONNECTIONS, later=LATER, healed=st.booleans())
    def no_save_is_taken(self, at: int, later: int, healed: bool) -> None:
        """DynamoDB takes no grants for minutes, with an answer in hand."""
        self._saving_badly(at, later, times=400)
        if healed:
            self._heal()

    @rule(at=CONNECTIONS, later=LATER)
    def some_saves_are_refused(self, at: int, later: int) -> None:
        """Throttled for a moment."""
        self._saving_badly(at, later, times=5)

    def _saving_badly(self, at: int, later: int, *, times: int) -> None:
        self.world.pass_time(later)
        self.world.aws.dynamodb.faults.throttle("put_item", times=times, when=grant_write)
        self.force(at)

    @rule(operation=st.sampled_from(["put_item", "update_item", "transact_write_items"]))
    def an_acknowledgement_is_lost(self, operation: str) -> None:
        """Written, and the SDK asks again."""
        self.world.aws.dynamodb.faults.retry_silently(operation)

    @rule(operation=st.sampled_from(["get_item", "put_item", "update_item", "query"]), times=st.sampled_from([1, 40]))
    def the_table_throttles(self, operation: str, times: int) -> None:
        """Some calls, or all for a while."""
        self.world.aws.dynamodb.faults.throttle(operation, times=times)

    @rule()
    def kms_goes(self) -> None:
        """The key is disabled."""
        self.world.aws.kms.disable()
        self.kms_down = True

    @rule()
    def heal(self) -> None:
        """The stores are well again."""
        self._heal()

    @rule(at=CONNECTIONS, later=LATER, status=st.sampled_from([429, 500, 503, 502, 200, 302]))
    def the_provider_is_in_trouble(self, at: int, later: int, status: int) -> None:
        """A page in place of an answer."""
        self.world.pass_time(later)
        self.world.provider.answer_next(status, b"<html>")
        self.force(at)

    @rule(at=CONNECTIONS, later=LATER, unknown=st.booleans())
    def the_provider_cannot_be_reached(self, at: int, later: int, unknown: bool) -> None:
        """Refused, or cut off before it obeyed."""
        self.world.pass_time(later)
        self.world.provider.fail_next(ProviderUnavailable("No answer.", outcome_unknown=unknown))
        self.force(at)

    @rule(at=CONNECTIONS, later=LATER)
    def an_answer_is_lost(self, at: int, later: int) -> None:
        """Obeyed, and cut off."""
        self.world.pass_time(later)
        self.world.provider.lose_next_answer()
        self.force(at)

    @rule(at=CONNECTIONS, later=LATER, moment=st.sampled_from(["before", "during"]))
    def killed_at_the_provider(self, at: int, later: int, moment: str) -> None:
        """Before the provider is asked, or with its answer in hand; the container is gone."""
        self.world.pass_time(later)
        setattr(self.world.provider_http, moment, _die)
        self.force(at)
        setattr(self.world.provider_http, moment, None)
        self.restart()

    @rule(at=CONNECTIONS, later=LATER)
    def another_caller_meanwhile(self, at: int, later: int) -> None:
        """The same connection is asked for elsewhere, while its provider is."""
        self._meanwhile(at, later, lambda: self.read(at, 60))

    @rule(at=CONNECTIONS, later=LATER)
    def another_force_meanwhile(self, at: int, later: int) -> None:
        """And by force."""
        self._meanwhile(at, later, lambda: self.force(at))

    @rule(at=CONNECTIONS)
    def the_worker_meanwhile(self, at: int) -> None:
        """The sweeper has found it as well."""
        self._meanwhile(at, 3600, lambda: (self.sweep(), self.deliver_work(twice=True)))

    @rule(at=CONNECTIONS, later=LATER, again=st.booleans())
    def the_user_meanwhile(self, at: int, later: int, again: bool) -> None:
        """He disconnects, or connects again."""
        self._meanwhile(at, later, lambda: self.connect_again(at) if again else self.disconnect(at))

    def _meanwhile(self, at: int, later: int, happens: Any) -> None:
        self.world.pass_time(later)

        def happen() -> None:
            wirings = {name: function.module.app_wiring for name, function in FUNCTIONS.items()}
            self.restart()
            happens()
            for name, wiring in wirings.items():
                FUNCTIONS[name].module.app_wiring = wiring

        self.world.provider_http.during = happen
        self.force(at)
        self.world.provider_http.during = None

    # --- what must hold ---

    @invariant()
    def sound(self) -> None:
        """I2, I3, I4, I5 and I7, for each connection."""
        for connection_id, family in getattr(self, "families", {}).items():
            grant = self._grant(connection_id)
            assert grant.generation >= self.generations[connection_id], "I3: the generation went back"
            self.generations[connection_id] = grant.generation
            if connection_id in self.gone or grant.status == "revoked":
                self.gone.add(connection_id)
                assert grant.status == "revoked", "I5: revived"
                continue
            stored = self._refresh_token(grant)
            assert stored in family.refresh_tokens, "I4: not this connection's"
            newest = family.refresh_tokens[-1]
            safe = {stored, *(self._refresh_token(rescued_grant(body)) for body in self.world.parked())}
            assert newest in safe or family.revoked or family.id in self.excused, "I2: an answer was lost"
            if grant.status == "needs_reauth":
                assert family.revoked or family.id in self.excused, f"I7: {grant.reason} is not so"

    # --- inside ---

    def _token(self, route: str, connection_id: str, query: dict[str, str]) -> Any:
        answer = self._http("refresh", route, connection_id, query=query)
        if answer is None or answer["statusCode"] != 200:
            return answer
        body = json.loads(answer["body"])
        served = (connection_id, body["generation"])
        assert connection_id not in self.gone, "I5: a token of a disconnected connection"
        assert served not in self.rejected, "a rejected generation was served"
        if body["generation"] > self._grant(connection_id).generation:
            return answer  # parked: another answer may become that generation, where a token can be spent twice
        assert self.served.setdefault(served, body["access_token"]) == body["access_token"], (
            "two tokens, one generation"
        )
        assert body["access_token"] in self.families[connection_id].access_tokens, "somebody else's token"
        assert body["expires_at"] > self.world.now, "I8: a token that has expired"
        return answer

    def _http(self, name: str, route: str, connection_id: str, *, client: str = CLIENT, query: Any = "") -> Any:
        event = http_event(
            route, headers={"x-api-key": self.keys[client]}, query=query, path_parameters={"id": connection_id}
        )
        answer = self._invoke(name, lambda module, context: module.handler(event, context))
        assert answer is None or answer["statusCode"] != 500, answer
        return answer

    def _work(self, body: str) -> bool:
        """Deliver one message; True when it must come again."""
        record = {"messageId": "m", "body": body, "eventSource": "aws:sqs"}
        done = self._invoke("refresh", lambda module, context: module.batch_handler({"Records": [record]}, context))
        return done is None or bool(done["batchItemFailures"])

    def _invoke(self, name: str, call: Any, *, seconds: float = TIMEOUT) -> Any:
        """One invocation, killed when its time is over; None when it was killed."""
        deadline = self.world.clock.now + seconds
        context = SimpleNamespace(
            **{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: int((deadline - self.world.clock.now) * 1000)}
        )
        self.deadlines.append(deadline)
        try:
            return call(FUNCTIONS[name].module, context)
        except Killed:
            return None
        finally:
            self.deadlines.pop()

    def _watched(self, request: HttpRequest, *, budget: float = 8.0) -> HttpResponse:
        """I1, and who is excused: a token that was rotated and whose answer reached nobody."""
        body = (request.body or b"").decode()
        family = next(
            (f for f in self.world.provider._families if any(token in body for token in f.refresh_tokens)), None
        )
        if family is None or not request.url.endswith("/token"):
            return self._send(request, budget=budget)
        assert family.id not in self.flying, "I1: two refreshes of one grant"
        self.flying.add(family.id)
        before = len(family.refresh_tokens)
        try:
            answer = self._send(request, budget=budget)
            if self.world.clock.now >= self.deadlines[-1]:
                raise Killed
        except BaseException:
            if len(family.refresh_tokens) > before:
                self.excused.add(family.id)
            raise
        finally:
            self.flying.discard(family.id)
        return answer

    def _settled(self, connection_id: str) -> None:
        """Who comes back when he is told to has a token in the end, or the truth: what is not due nobody looks at."""
        for _ in range(COMES_BACK):
            answer = self._token(TOKEN, connection_id, {})
            if answer["statusCode"] != 503:
                break
            self.world.pass_time(json.loads(answer["body"])["retry_after"])
            self.sound()
        status = self._grant(connection_id).status
        assert answer["statusCode"] == (200 if status == "active" else 409), ("I9: neither fresh nor dead", answer)

    def _no_secret_outside(self) -> None:
        """I10: in tables and queues nothing but sealed sets."""
        secrets = [t for f in self.world.provider._families for t in (*f.refresh_tokens, *f.access_tokens)]
        dumped = str([self.world.aws.dynamodb.dump(table) for table in ("grants", "audit", "requests")])
        dumped += str(self.old_messages) + str(self.world.parked())
        assert not any(secret in dumped for secret in secrets)

    def _grant(self, connection_id: str) -> Grant:
        """As it stands in the table; no fault is met on the way."""
        return next(
            read_grant(row) for row in self.world.aws.dynamodb.dump("grants")
            if (row["pk"]["S"], row["sk"]["S"]) == (f"CONNECTION#{connection_id}", "GRANT#main")
        )  # fmt: skip

    def _refresh_token(self, grant: Grant) -> str | None:
        plaintext = self._open(grant)
        return token_set(plaintext, provider=self.world.records["example"], to_spend=True).refresh_token

    def _open(self, grant: Grant) -> bytes:
        with self._calm():
            return self.world.wiring.vault.open(grant.sealed, binding=Binding.of(grant))

    @contextlib.contextmanager
    def _calm(self) -> Iterator[None]:
        """Nothing fails, for what is the test's own."""
        faults = self.world.aws.dynamodb.faults
        planned, faults._planned = faults._planned, []
        self.world.aws.kms.enable()
        try:
            yield
        finally:
            faults._planned = planned
            if self.kms_down:
                self.world.aws.kms.disable()

    def _id(self, at: int) -> str:
        """One of those that live; when none does, the user connects another account."""
        live = [each for each in self.families if self._grant(each).status == "active"]
        if not live and len(self.families) < MOST_CONNECTIONS:
            self.connect()
            return list(self.families)[-1]
        return (live or list(self.families))[at % len(live or self.families)]

    def _heal(self) -> None:
        for faults in (self.world.aws.dynamodb.faults, self.world.aws.sqs.faults):
            faults.clear()
        self.world.aws.kms.enable()
        self.kms_down = False
        self.world.provider._faults.clear()

    def _api_key(self, client_id: str) -> str:
        made = new_api_key()
        scopes = ("connections:token", "connections:write")
        stored = ApiKey(made.key_id, made.secret_hash, scopes, NOON, NOON + 10**9, client_id)
        self.world.wiring.api_keys.put(stored, audit=self.world.event("api_key.created"))
        return made.text


def _die() -> None:
    raise Killed


def run_machine(rule_name: str, monkeypatch: pytest.MonkeyPatch, *, examples: int) -> None:
    """Let Hypothesis choose orders at one kind of provider."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Grantkeeper")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setattr(work_module, "ThreadPoolExecutor", Inline)
    machine = type(f"AnyOrder_{rule_name}", (AnyOrder,), {"rule_name": rule_name})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=True,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )


@pytest.mark.parametrize("rule_name", RULES)
def test_i1_to_i10_hold_in_any_order(rule_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a strict provider, one that repeats itself for a while, and one whose tokens last."""
    run_machine(rule_name, monkeypatch, examples=max(1, EXAMPLES // len(RULES)))


# --- and it finds what is wrong ---


def no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody asks the provider."""

    def taken(grant: Grant, *, token: str, run: Any, **_: Any) -> Any:
        return Held(new_lease(grant, token=token, owner="o", write_id=run.new_id("w"), now=run.clock()))

    monkeypatch.setattr(refresh_module, "take_lease", taken)


def no_rescue(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that DynamoDB refuses is let go."""
    monkeypatch.setattr(save_first_module, "_rescue", lambda made, **_: Kept("lost", made))


def no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes saves, whatever stands there."""

    def save(self: DynamoGrants, successor: Grant) -> Saved:
        self._table.put(grant_item(successor, due_shards=4), condition=None, values={})
        return Saved("saved", successor)

    monkeypatch.setattr(DynamoGrants, "save", save)


def trouble_is_death(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage counts as a refusal, and one is enough."""
    real = refresh_module._refused

    def refused(grant: Grant, told: Any, **rest: Any) -> Any:
        rest["ports"].grants.strike(grant, now=rest["run"].clock() - 60)
        return real(grant, replace(told, kind="dead", uncertain=False), **rest)

    monkeypatch.setattr(refresh_module, "_refused", refused)


def old_tokens_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reported or expired: it is handed out."""
    monkeypatch.setattr(read_token_module, "_serves", lambda *_, **__: True)


@pytest.mark.parametrize("mutant", [no_lease, no_rescue, no_fence, trouble_is_death, old_tokens_are_served])
def test_what_breaks_the_protocol_is_caught(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine finds each of the classic ways to lose a grant."""
    mutant(monkeypatch)

    with pytest.raises((AssertionError, ExceptionGroup)):
        run_machine("strict", monkeypatch, examples=150)
