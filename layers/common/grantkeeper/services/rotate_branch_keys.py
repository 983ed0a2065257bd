"""
A rotation of the branch keys, from the first new version to the last old one retired.

    begun ── a version more for every bucket ── every function knows it ── grants re-sealed ── old versions retired

One item says which versions are wanted, so a rotation that was killed is gone on with and never begun twice. Every
step is one conditional write with its audit entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grantkeeper.errors import StoreUnavailable
from grantkeeper.key_rotation import Rotation, Rotations, SealedGrants
from grantkeeper.ports import BranchKeys, KeyMaker
from grantkeeper.sealing import BUCKETS
from grantkeeper.services.reseal_all import Census, Pace, Queue, census, reseal_all
from grantkeeper.services.rotate_keys import Operator, add_branch_key

DAY = 86_400
# seconds: a function remembers the newest version for 300 (stores/branch_keys.py), and saves with it for 20 more
KNOWN_AFTER = 360
KEPT_RETIRED = 36 * DAY  # longer than a row can come back from a backup (35), and than SQS keeps a parked answer (14)
TRIES = 4


@dataclass(frozen=True, slots=True)
class RotationPorts:
    """What a rotation works on. `rescue_waiting`: how many parked answers wait, dead ones among them."""

    key_maker: KeyMaker
    branch_keys: BranchKeys
    rotations: Rotations
    sealed_grants: SealedGrants
    queue: Queue
    rescue_waiting: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What came of it; `unfinished` says in a sentence why it is not over, and is empty when it is."""

    started_at: int
    resumed: bool
    grants: Census
    retired: Sequence[str] = ()  # bucket#version
    deleted: Sequence[str] = ()
    unfinished: str = ""


def rotate_branch_keys(*, ports: RotationPorts, pace: Pace, by: Operator, buckets: int = BUCKETS) -> Rotated:
    """
    Rotate the branch keys, or go on with the rotation that was left.

    Re-sealed grants keep tokens, generation and status. An old version is retired once no grant is under it and no
    parked answer can be, opens what it sealed for 36 days more, and is deleted by the first rotation after that.

    Args:
        by: Who is named in the trail.

    Raises:
        StoreUnavailable: DynamoDB, KMS or SQS does not answer. What was done stands; call again.
    """
    rotation, resumed = _begin(ports, now=pace.clock(), by=by, buckets=buckets)
    known_at = _make_versions(rotation, ports=ports, pace=pace, by=by) + KNOWN_AFTER
    _wait(until=known_at, pace=pace)
    seen = reseal_all(ports.sealed_grants, targets=rotation.versions, queue=ports.queue, pace=pace)
    if seen.left:
        told = f"{seen.left} grants are still under old versions: they do not open, or no worker works."
        return Rotated(rotation.started_at, resumed, seen, unfinished=told)
    waiting = ports.rescue_waiting()
    if not waiting:  # from here on nobody can write a grant under an old version
        pace.told("Checking", 0, None)
        seen = census(ports.sealed_grants, targets=rotation.versions, consistent=True)
        waiting = ports.rescue_waiting()
    if waiting:
        told = f"{waiting} parked answers wait to be saved and may be under old versions: redrive them, then go on."
        return Rotated(rotation.started_at, resumed, seen, unfinished=told)
    if seen.left:
        return Rotated(rotation.started_at, resumed, seen, unfinished="Grants came back under old versions: go on.")
    retired, deleted = _retire(rotation, ports=ports, now=pace.clock(), by=by)
    _finish(rotation, seen, ports=ports, now=pace.clock(), by=by)
    return Rotated(rotation.started_at, resumed, seen, retired, deleted)


def _begin(ports: RotationPorts, *, now: int, by: Operator, buckets: int) -> tuple[Rotation, bool]:
    """The rotation that goes on, or a new one."""
    for _ in range(TRIES):
        current = ports.rotations.current()
        if current is not None and current.finished_at is None:
            return current, True
        newest = {bucket: ports.branch_keys.newest(bucket) for bucket in range(buckets)}
        targets = {str(bucket): 1 if key is None else key.version + 1 for bucket, key in newest.items()}
        rotation = Rotation(started_at=now, targets=targets)
        event = by.event("branch_keys.rotation_started", now=now, buckets=str(buckets))
        if ports.rotations.put(rotation, replaces=current, audit=event):
            started = ports.rotations.current()
            return (rotation if started is None else started), False
    raise StoreUnavailable("Somebody else rotates the keys.", retry_after=5)


def _make_versions(rotation: Rotation, *, ports: RotationPorts, pace: Pace, by: Operator) -> int:
    """Add what is missing of the versions wanted; returns when the last of them was made (epoch seconds)."""
    made_at = rotation.started_at
    for done, (bucket, target) in enumerate(sorted(rotation.versions.items())):
        pace.told("Making keys", done, len(rotation.targets))
        for _ in range(TRIES):
            newest = ports.branch_keys.newest(bucket)
            if newest is not None and newest.version >= target:
                made_at = max(made_at, newest.created_at)
                break
            add_branch_key(ports.key_maker, ports.branch_keys, newest, bucket=bucket, now=pace.clock(), by=by)
        else:
            raise StoreUnavailable("A branch key could not be added.", retry_after=5)
    return made_at


def _wait(*, until: int, pace: Pace) -> None:
    """Until every function that is warm has forgotten which version was the newest."""
    begun = pace.clock()
    while (now := pace.clock()) < until:
        pace.told("Waiting until every function knows the new keys", now - begun, until - begun)
        pace.sleep(min(5, until - now))


def _retire(rotation: Rotation, *, ports: RotationPorts, now: int, by: Operator) -> tuple[list[str], list[str]]:
    """Retire every version below those wanted, and delete what was retired long enough ago."""
    retired, deleted = [], []
    for bucket, target in sorted(rotation.versions.items()):
        for version, retired_at in sorted(ports.rotations.versions(bucket, below=target).items()):
            named = {"bucket": str(bucket), "version": str(version)}
            if retired_at is None:
                event = by.event("branch_key.retired", now=now, **named)
                if ports.rotations.retire(bucket, version, now=now, audit=event):
                    retired.append(f"{bucket}#{version}")
            elif retired_at <= now - KEPT_RETIRED:
                event = by.event("branch_key.deleted", now=now, **named)
                if ports.rotations.delete(bucket, version, retired_before=now - KEPT_RETIRED, audit=event):
                    deleted.append(f"{bucket}#{version}")
    return retired, deleted


def _finish(rotation: Rotation, seen: Census, *, ports: RotationPorts, now: int, by: Operator) -> None:
    finished = Rotation(rotation.started_at, rotation.targets, finished_at=now)
    event = by.event("branch_keys.rotation_finished", now=now, grants=str(seen.total))
    if not ports.rotations.put(finished, replaces=rotation, audit=event):
        current = ports.rotations.current()  # somebody else went on with it too
        if current is None or current.finished_at is None:
            raise StoreUnavailable("Somebody else changes this rotation.", retry_after=5)
