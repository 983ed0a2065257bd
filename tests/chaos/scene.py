"""
One connection, its provider and its workers; and what is seen from outside: raw rows, and the provider's own record.

Nothing here believes a worker. A grant is lost when the provider no longer honours what we keep; a refresh is in
flight between two times of the provider's own clock; a generation is what the row says.
"""

from __future__ import annotations

import functools
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.chaos.lane import Lane, Outcome, Worker

HOUR = 3600
LEASE, HORIZON, STRIKES = 31, 301, 45  # seconds, each a little more than the protocol's
REDELIVERY = 130  # seconds until the rescue queue delivers again
MOST_TRIES = 8  # of telling a provider
MOST_SWEEPS = 2  # after which a due grant is fresh or declared
EVENT = Path(__file__).parents[2] / "events" / "authorize.json"
TOKEN, FORCE, DELETE = (
    "GET /v1/connections/{id}/token",
    "POST /v1/connections/{id}/refresh",
    "DELETE /v1/connections/{id}",
)


@dataclass
class Scene:
    """A connection whose access token has run out, unless told otherwise."""

    lane: Lane
    profile: str
    connection_id: str = ""
    family: str = ""
    history: list[tuple[int, str]] = field(default_factory=list)  # (generation, status) as the row said
    excused: bool = False
    lost: bool = False
    sweeps: int = 0
    _helper: Worker | None = None

    @classmethod
    def open(cls, lane: Lane, profile: str, *, expired: bool = True) -> Scene:
        """Connect, and let an hour pass."""
        scene = cls(lane, profile)
        scene.connection_id, scene.family = scene.connect()
        if expired:
            lane.clock.advance(HOUR + 1)
        scene.observe()
        return scene

    def connect(self) -> tuple[str, str]:
        """Another connection. Returns its id and its family at the provider."""
        granted = self.lane.provider("grant", profile=self.profile)
        asked = {"provider": self.profile, "account": granted["account"], "answer": granted["answer"]}
        made = self.helper.ask("connect", **asked)
        assert made.kind == "answer", made
        return made.value, granted["family"]

    # --- acting ---

    @property
    def helper(self) -> Worker:
        """A healthy worker, the same for the whole scene."""
        if self._helper is None:
            self._helper = self.lane.worker()
        return self._helper

    def worker(self, failpoint: str = "") -> Worker:
        """A fresh worker."""
        return self.lane.worker(failpoint)

    def call(self, worker: Worker, route: str = TOKEN, *, connection_id: str = "", **query: Any) -> Outcome:
        """An HTTP call as API Gateway hands it to the function."""
        return worker.ask("http", **self.http(route, connection_id=connection_id, **query))

    def http(self, route: str = TOKEN, *, connection_id: str = "", **query: Any) -> dict[str, Any]:
        """The arguments of the command for an HTTP call."""
        event = _event(route, connection_id or self.connection_id, self.lane.api_key, urlencode(query))
        return {"function": "connections" if route == DELETE else "refresh", "event": event}

    def job(self, worker: Worker, *, generation: int = 0, kind: str = "refresh", times: int = 1) -> Outcome:
        """A message of the work queue, delivered."""
        return worker.ask("work", event=self.job_event(generation=generation, kind=kind, times=times))

    def job_event(self, *, generation: int = 0, kind: str = "refresh", times: int = 1) -> dict[str, Any]:
        """The event of that message."""
        ids = [[self.connection_id, generation or self.row()["generation"]]]
        body = json.dumps({"kind": kind, "provider": self.profile, "ids": ids, "request_id": "req"})
        return _batch([body] * times)

    def disconnect(self) -> Outcome:
        """The user disconnects."""
        return self.call(self.helper, DELETE)

    def sweep(self) -> None:
        """One sweep, its messages delivered to a worker, and whatever those put into the queues."""
        swept = self.helper.ask("sweep")
        assert swept.kind == "answer", swept
        self.deliver()

    def deliver(self) -> None:
        """Deliver what waits in the work queue; what failed is delivered once more."""
        for _ in range(3):
            bodies = self.lane.messages("WORK_QUEUE_URL")
            if not bodies:
                break
            done = self.helper.ask("work", event=_batch(bodies))
            assert done.kind == "answer", done
        self.observe()

    def rescue(self, worker: Worker | None = None, bodies: list[str] | None = None) -> Outcome | None:
        """Deliver what waits in the rescue queue; None when nothing does."""
        bodies = self.lane.messages("RESCUE_QUEUE_URL") if bodies is None else bodies
        if not bodies:
            return None
        return (worker or self.helper).ask("rescue", event=_batch(bodies))

    def project(self, *, times: int = 2, worker: Worker | None = None) -> None:
        """Deliver the stream to the projector, and deliver it again: it may."""
        records = self.lane.new_generations()
        for _ in range(times if records else 0):
            done = (worker or self.helper).ask("project", event={"Records": records})
            assert done.value == {"batchItemFailures": []}, done

    def pass_time(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self.lane.clock.advance(seconds)

    # --- seeing ---

    def row(self) -> dict[str, Any]:
        """The grant's row as plain values."""
        return _plain(self.lane.row_of(self.connection_id))

    def lease(self) -> dict[str, Any]:
        """The lease's row; empty when there is none."""
        return _plain(self.lane.row_of(self.connection_id, "LEASE#main"))

    def observe(self) -> tuple[int, str]:
        """Note what the row says; it never goes back, and revoked is final (I3, I5)."""
        row = self.row()
        seen = (row["generation"], row["status"])
        if self.history:
            before = self.history[-1]
            assert seen[0] >= before[0], f"the generation went back: {[*self.history, seen]}"
            assert before[1] != "revoked" or seen[1] == "revoked", f"revoked was revived: {[*self.history, seen]}"
        self.history.append(seen)
        return seen

    def calls(self, what: str = "token") -> list[dict[str, Any]]:
        """The provider's record of this family, in order."""
        calls = self.lane.provider("calls", family=self.family)
        return sorted((c for c in calls if c["what"] == what), key=lambda c: c["began"])

    def alive(self) -> bool:
        """Whether the provider would honour the family's newest refresh token."""
        return bool(self.lane.provider("alive", profile=self.profile, family=self.family))

    def audited(self) -> list[tuple[str, str]]:
        """(action, generation) of the connection's trail."""
        answer = self.lane.dynamodb.query(
            TableName=self.lane.names["AUDIT_TABLE"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"CONNECTION#{self.connection_id}"}},
        )
        entries = [_plain(item) for item in answer["Items"]]
        return [(each["action"], each.get("details", {}).get("generation", "")) for each in entries]

    # --- judging ---

    def check_calls(self) -> None:
        """I1 at most one refresh in flight; I7 no death without two refusals 30 s apart."""
        calls = self.calls()
        for one, other in itertools.pairwise(calls):
            assert other["began"] >= one["ended"] > 0, f"two refreshes in flight: {one} {other}"
        if self.row()["status"] == "needs_reauth":
            refused = [call["at"] for call in calls if call["error"] == "invalid_grant" and not call["fault"]]
            assert refused, "declared dead, and the provider never said so"
            assert refused[-1] - refused[0] >= 30, f"declared dead after {refused}"

    def heal(self) -> None:
        """
        The faults have stopped. What the protocol waits for passes, and then two sweeps must do.

        That is: the lease of whoever died; at a strict provider also the horizon, counted from the finding.
        """
        self.lane.provider("clear")
        self.helper.arm("")
        self.observe()
        self.pass_time(LEASE)
        self.sweep()
        if self._orphaned():  # found; whoever spends now, with an answer perhaps in the rescue queue, spends too soon
            self.pass_time(61)
            self.sweep()
        self._redeliver()
        if self._orphaned():
            self.pass_time(HORIZON)
        for _ in range(MOST_SWEEPS):
            if self._settled():
                break
            self.pass_time(61)
            self.sweep()
            self.sweeps += 1
        self.observe()
        self.check_calls()
        assert self._settled(), f"after {MOST_SWEEPS} sweeps: {self.row()['status']} {self.lease()}"

    def heal_revoked(self) -> None:
        """The same after a disconnect: the provider is told, with growing pauses, and then the sealed set goes."""
        self.lane.provider("clear")
        self.helper.arm("")
        self.observe()
        self.deliver()
        self.pass_time(LEASE)
        for _ in range(MOST_TRIES):
            if self._settled():
                break
            self._redeliver()
            self.sweep()
            self.pass_time(HORIZON)
            self.sweeps += 1
        self.observe()

    def _redeliver(self) -> None:
        bodies = self.lane.messages("RESCUE_QUEUE_URL")
        for _ in range(2 if bodies else 0):  # and once more: SQS may
            self.pass_time(REDELIVERY)
            done = self.rescue(bodies=bodies)
            assert done is not None
            assert done.value == {"batchItemFailures": []}, done
            self.observe()

    def _orphaned(self) -> bool:
        lease = self.lease()
        live = lease.get("generation") == self.row()["generation"] and "intent" in lease
        return self.profile == "strict" and live

    def _settled(self) -> bool:
        """Fresh, or declared; a revoked one: erased."""
        row = self.row()
        if row["status"] == "active":
            return bool(row["expires_at"] > self.lane.clock.now + 60)
        return row["status"] == "needs_reauth" or "sealed" not in row

    def verify(self) -> None:
        """What is served works at the provider, and a refresh works again; or the loss is the excused one."""
        self.project()
        self._check_trail()
        row = self.row()
        self.lost = not self.alive() or row["status"] != "active"
        reader = self.worker()
        answer = self.call(reader)
        if self.lost:
            assert self.excused, f"lost: {row['status']} {row.get('reason')} {self.calls()}"
            assert answer.status == 409, answer
            assert (row["status"], row["reason"]) == ("needs_reauth", "rotation_outcome_unknown")
            return
        generation = row["generation"]
        self._check_served(answer, generation)
        self.pass_time(HOUR + 1)
        again = self.call(reader)
        self._check_served(again, generation + 1)
        self.observe()
        self.check_calls()
        assert self.alive()

    def _check_served(self, answer: Outcome, generation: int) -> None:
        """I4 one whole generation; I8 with time left; and the provider takes it."""
        assert answer.status == 200, answer
        assert answer.body["generation"] == generation
        assert answer.body["expires_at"] >= self.lane.clock.now + 55
        assert self.lane.accepts(self.profile, answer.body["access_token"]), "the provider refuses what we serve"

    def verify_revoked(self) -> None:
        """I5: revoked here, erased, dead at the provider; nothing is served."""
        row = self.row()
        assert row["status"] == "revoked"
        assert "sealed" not in row, "the sealed set is still there"
        answer = self.call(self.worker())
        assert answer.status == 409, answer
        self.lost = self.alive()
        assert not self.lost or self.excused, f"alive at the provider: {self.calls()} {self.calls('revoke')}"
        self.project()
        self._check_trail()

    def _check_trail(self) -> None:
        """I6: one entry for each generation that was saved."""
        entries = sorted(int(generation) for action, generation in self.audited() if action == "grant.refreshed")
        saved = self.row()["generation"]
        assert len(entries) == len(set(entries)), entries
        assert set(entries) == set(range(2, saved + 1)), f"entries {entries}, generation {saved}"


def _event(route: str, connection_id: str, api_key: str, query: str) -> dict[str, Any]:
    event = json.loads(_example())
    method, _, template = route.partition(" ")
    path = template.replace("{id}", connection_id)
    event |= {"routeKey": route, "rawPath": path, "rawQueryString": query, "pathParameters": {"id": connection_id}}
    event["headers"] = {"host": "id.example.com", "x-api-key": api_key}
    event["requestContext"]["http"] |= {"method": method, "path": path}
    event["requestContext"]["routeKey"] = route
    event.pop("queryStringParameters")
    return event


@functools.cache
def _example() -> str:
    return EVENT.read_text()


def _batch(bodies: list[str]) -> dict[str, Any]:
    return {"Records": [{"messageId": str(at), "body": body} for at, body in enumerate(bodies)]}


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in item.items()}


def _value(value: dict[str, Any]) -> Any:
    kind, inner = next(iter(value.items()))
    if kind == "N":
        return int(inner)
    if kind == "M":
        return _plain(inner)
    return inner
