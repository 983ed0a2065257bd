"""
What is done in a scenario, before everything is healed and judged.

A plan ends with the faults still on; `Scene.heal` stops them. It asserts that its point was met: a failpoint that
nobody passes proves nothing.
"""

from __future__ import annotations

import base64
import json

from tests.chaos.lane import Outcome, Worker
from tests.chaos.scene import DELETE, FORCE, HOUR, LEASE, REDELIVERY, TOKEN, Scene

SKEW = 5  # seconds two clocks may differ by
TRUTHS = (200, 429, 502, 503)  # what a caller may be told while the world burns; never 409, never 500
FROZEN = LEASE + 4  # seconds: past the lease, and past the function's own end
NAP = 4  # seconds: well within both


def crash(scene: Scene, point: str, *, job: bool = False) -> None:
    """A worker dies at the point; somebody else asks at once, while its lease may stand."""
    worker = scene.worker(f"{point}:kill")
    died = scene.job(worker) if job else scene.call(worker)
    assert died.kind == "killed", died
    assert died.points, "the point was not met"
    _told(scene.call(scene.helper))
    scene.observe()


def freeze(scene: Scene, point: str) -> None:
    """A worker stands still beyond its lease and its own end; another one comes; then it goes on."""
    worker = _stopped(scene, point)
    scene.pass_time(FROZEN)
    _told(scene.call(scene.helper))
    scene.observe()
    _told(worker.resume())
    scene.observe()


def nap(scene: Scene, point: str) -> None:
    """A worker stands still for a while; another one comes and must leave it alone; then it goes on."""
    worker = _stopped(scene, point)
    scene.pass_time(NAP)
    before = len(scene.calls())
    leased = "intent" in scene.lease()
    scene.job(scene.helper)
    if leased:
        assert len(scene.calls()) == before, "somebody asked the provider while a lease stood"
    _told(worker.resume())
    scene.observe()


def disrupt(scene: Scene, point: str, action: str, *, job: bool = False, served: bool = False) -> None:
    """Calls at the point are refused, lost or left hanging; the worker lives with it, and `served` when it passes."""
    worker = scene.worker(f"{point}:{action}")
    done = scene.job(worker) if job else scene.call(worker)
    if job:
        assert done.kind == "answer", done
    else:
        _told(done)
    if served and not job:
        assert done.status == 200, f"a trouble that passes kept a caller from his token: {done}"
        assert len(scene.calls()) == 1
    assert _met(worker, point), "the point was not met"
    scene.observe()


def upstream(scene: Scene, kind: str, *, times: int = 1) -> None:
    """The provider misbehaves, before or after it has obeyed."""
    scene.lane.provider("fault", what="token", kind=kind, times=times)
    _told(scene.call(scene.helper))
    assert scene.calls()[0]["fault"] == kind
    scene.observe()


def refused_connection(scene: Scene, extra: str = "") -> None:
    """Nobody listens at the provider's address: nothing was sent, and no lease is left."""
    worker = scene.worker(f"before_provider:refuse{extra}")
    outcome = scene.call(worker)
    assert not scene.calls()
    if extra:
        return
    _told(outcome)
    assert "intent" not in scene.lease(), "a request that never left keeps its lease"


def stale(scene: Scene) -> None:
    """A worker has read and stands still; the grant is refreshed; what it read is old."""
    worker = _stopped(scene, "after_read")
    assert scene.call(scene.helper).status == 200
    scene.observe()
    answer = worker.resume()
    assert answer.status == 200, answer
    assert answer.body["generation"] == 2
    assert len(scene.calls()) == 1


def revoke(scene: Scene, point: str, *, then: str) -> None:
    """The user disconnects while a worker stands at the point; it wakes, or it dies there."""
    worker = _stopped(scene, point)
    assert scene.disconnect().status == 200
    scene.deliver()
    assert scene.row()["status"] == "revoked"
    if then == "wake":
        woken = worker.resume()
        assert woken.kind == "answer", woken
        assert woken.status in (*TRUTHS, 409), woken
    else:
        worker.kill()
    scene.observe()


def disconnect_dies(scene: Scene, point: str, action: str) -> None:
    """The disconnecting function dies or is cut off; the user asks again, as clients do."""
    worker = scene.worker(f"{point}:{action}")
    outcome = scene.call(worker, DELETE)
    assert outcome.kind == "killed" or outcome.status in TRUTHS, outcome
    assert outcome.points or _met(worker, point), "the point was not met"
    assert scene.disconnect().status == 200


def revocation_dies(scene: Scene, point: str, action: str) -> None:
    """The worker that tells the provider dies, sleeps or is cut off on its way."""
    assert scene.disconnect().status == 200
    bodies = scene.lane.messages("WORK_QUEUE_URL")
    assert bodies, "nothing was queued"
    worker = scene.worker(f"{point}:{action}")
    outcome = scene.job(worker, kind="revoke")
    assert outcome.points or _met(worker, point), "the point was not met"
    if outcome.kind == "stopped":
        scene.pass_time(FROZEN)
        scene.job(scene.helper, kind="revoke")
        worker.resume()
    scene.observe()


def park(scene: Scene, faults: str, *, saved: bool = False) -> Outcome:
    """DynamoDB takes no save until the end of the invocation: the answer is parked."""
    worker = scene.worker(faults)
    outcome = scene.call(worker)
    if outcome.kind == "answer":
        assert outcome.status == 200, "the caller is not served what is in hand"
    assert saved or scene.row()["generation"] == 1
    return outcome


def rescue_dies(scene: Scene, point: str, action: str) -> None:
    """The answer is parked; the function that brings it home dies, sleeps or is cut off; the message comes again."""
    park(scene, "before_save:refuse")
    bodies = scene.lane.messages("RESCUE_QUEUE_URL")
    assert len(bodies) == 1, "nothing was parked"
    scene.pass_time(REDELIVERY)
    worker = scene.worker(f"{point}:{action}")
    outcome = scene.rescue(worker, bodies)
    assert outcome is not None
    assert outcome.points or _met(worker, point), "the point was not met"
    if outcome.kind == "stopped":
        scene.pass_time(REDELIVERY)
        scene.rescue(bodies=bodies)
        worker.resume()
    again = scene.rescue(bodies=bodies)  # SQS delivers until somebody says it is done
    assert again is not None
    assert again.value == {"batchItemFailures": []}
    assert scene.observe() == (2, "active")


def rescue_revoked(scene: Scene) -> None:
    """The user disconnects while the answer is parked: what comes home is revoked upstream."""
    park(scene, "before_save:refuse")
    assert scene.disconnect().status == 200
    scene.rescue()
    scene.observe()


def project_dies(scene: Scene, point: str, action: str) -> None:
    """The function that writes the trail dies or is cut off; the batch comes again."""
    assert scene.call(scene.helper).status == 200
    records = scene.lane.new_generations()
    assert records
    worker = scene.worker(f"{point}:{action}")
    outcome = worker.ask("project", event={"Records": records})
    assert outcome.points or _met(worker, point), "the point was not met"
    for _ in range(2):
        done = scene.helper.ask("project", event={"Records": records})
        assert done.value == {"batchItemFailures": []}, done


def sweep_dies(scene: Scene, point: str, action: str) -> None:
    """The sweeper dies or is cut off; the next one comes in a minute."""
    worker = scene.worker(f"{point}:{action}")
    outcome = worker.ask("sweep")
    assert outcome.points or _met(worker, point), "the point was not met"
    if outcome.kind == "stopped":
        scene.pass_time(61)
        scene.sweep()
        worker.resume()
    scene.deliver()


def release_dies(scene: Scene, action: str) -> None:
    """Nothing was sent, and the lease that should be given back is not: its expiry frees it."""
    worker = scene.worker(f"before_provider:refuse,before_release:{action}")
    outcome = scene.call(worker)
    assert outcome.kind == "killed" or outcome.status in TRUTHS, outcome
    assert outcome.points or _met(worker, "before_release"), "the point was not met"
    assert not scene.calls()


def skewed(scene: Scene, seconds: int) -> None:
    """One container's clock is wrong; another one, right, comes while it is at work."""
    worker = scene.worker()
    worker.ask("skew", seconds=seconds)
    worker.arm("provider_committed:stop")
    assert scene.call(worker, FORCE).kind == "stopped"
    scene.pass_time(7)  # of the eight that a call may take
    scene.job(scene.helper)
    if abs(seconds) <= SKEW:
        assert len(scene.calls()) == 1, "the lease was taken from the living"
    _told(worker.resume())
    scene.observe()


def crowd(scene: Scene, *, workers: int, jobs: int) -> None:
    """Duplicates of one message, token calls and forced refreshes, all at once: one refresh."""
    crew = [scene.worker() for _ in range(workers)]
    for worker in crew:
        worker.ask("wait", really=True)
    at = scene.lane.clock.now + 0.05
    for number, worker in enumerate(crew):
        if number % 2:
            worker.begin("work", event=scene.job_event(generation=1, times=jobs), at=at)
        else:
            worker.begin("http", at=at, **scene.http(TOKEN if number % 4 else FORCE))
    for number, worker in enumerate(crew):
        outcome = worker.outcome()
        assert outcome.kind == "answer", outcome
        if not number % 2:
            assert outcome.status == 200, outcome
            assert outcome.body["generation"] == 2
    assert len(scene.calls()) == 1
    assert scene.observe() == (2, "active")


def late_job(scene: Scene) -> None:
    """A message for a generation that is gone: nothing is done."""
    assert scene.call(scene.helper).status == 200
    scene.pass_time(HOUR + 1)
    scene.job(scene.helper, generation=1, times=32)
    assert len(scene.calls()) == 1
    assert scene.observe()[0] == 2


def odd_answer(scene: Scene, **changes: object) -> None:
    """The provider grants in a strange way."""
    scene.lane.provider("edit", changes=changes)
    answer = scene.call(scene.helper)
    assert answer.status == 200, answer
    assert scene.observe() == (2, "active")


def stranger(scene: Scene) -> None:
    """A refresh is answered with somebody else's tokens (C-81): kept, for what they may spend, and not served."""
    assert scene.call(scene.helper).status == 200  # the first ID token says whose they are
    scene.pass_time(HOUR + 1)
    claims = json.dumps({"sub": "somebody-else"}).encode()
    id_token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b"{}", claims, b"-"))
    scene.lane.provider("edit", changes={"id_token": id_token})
    answer = scene.call(scene.helper)
    assert answer.kind == "answer", answer
    assert answer.status == 503, answer
    scene.observe()


def registration_gone(scene: Scene) -> None:
    """The operator removes our registration while a worker is under its lease, and puts it back: it fails closed."""
    worker = _stopped(scene, "lease_applied")
    scene.helper.ask("register", provider=scene.profile, registered=False)
    try:
        woken, later = worker.resume(), scene.call(scene.worker())
    finally:
        scene.helper.ask("register", provider=scene.profile, registered=True)
    for told in (woken, later):
        assert told.kind == "answer", told
        assert told.status == 200 or told.body["type"].endswith(("provider-not-configured", "refresh-pending")), told
    assert scene.observe()[1] == "active"
    scene.pass_time(61)  # what a process remembers of a registration


def outage(scene: Scene, *, grants: int) -> None:
    """Two hours of an unreachable provider: nothing dies; and when it is back, everything is refreshed."""
    others = [scene.connect() for _ in range(grants)]
    scene.pass_time(HOUR + 1)
    for _ in range(12):
        scene.lane.provider("fault", what="token", kind="503", times=200)
        scene.pass_time(600)
        scene.sweep()
    for connection_id, _ in others:
        assert scene.lane.row_of(connection_id)["status"] == {"S": "active"}
    scene.lane.provider("clear")
    for _ in range(12):
        scene.pass_time(61)
        scene.sweep()
        if all(int(scene.lane.row_of(connection_id)["generation"]["N"]) >= 2 for connection_id, _ in others):
            break
    for connection_id, family in others:
        assert int(scene.lane.row_of(connection_id)["generation"]["N"]) >= 2
        assert scene.lane.provider("alive", profile=scene.profile, family=family)


def torn(scene: Scene) -> None:
    """At every moment of a save the row is a whole generation: sealed set, end and write id change together."""
    parts = ("generation", "n", "write_id", "sealed", "expires_at", "refreshed_at")
    before = [scene.row()[part] for part in parts]
    worker = _stopped(scene, "before_save")
    assert [scene.row()[part] for part in parts] == before
    _told(worker.resume())
    after = [scene.row()[part] for part in parts]
    assert all(one != other for one, other in zip(before, after, strict=True))
    answer = scene.call(scene.worker())
    assert answer.status == 200
    assert answer.body["generation"] == scene.row()["generation"]
    assert answer.body["expires_at"] == scene.row()["expires_at"]


def key_disabled(scene: Scene, point: str) -> None:
    """The vault key is disabled while a worker is on its way, and enabled again."""
    worker = _stopped(scene, point)
    scene.lane.disable_key()
    try:
        _told(worker.resume())
        _told(scene.call(scene.worker()))
    finally:
        scene.lane.enable_key()
    scene.observe()


def _stopped(scene: Scene, point: str) -> Worker:
    worker = scene.worker(f"{point}:stop")
    outcome = scene.call(worker)
    assert outcome.kind == "stopped", f"the point was not met: {outcome}"
    return worker


def _told(outcome: Outcome) -> None:
    assert outcome.kind == "answer", outcome
    assert outcome.status in TRUTHS, outcome


def _met(worker: Worker, point: str) -> bool:
    aliases = {"lease_applied": "after_lease", "save_applied": "after_save", "rescue_sent": "after_rescue"}
    name, _, nth = point.partition("#")
    return bool(worker.ask("visits").value.get(aliases.get(name, name), 0) >= int(nth or 1))
