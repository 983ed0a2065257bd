"""
The life of our own keys: made, published, used, retired, revoked.

The sweeper calls `ensure_keys` every minute; almost always there is nothing
to do. Every change is one conditional write with its audit entry, so racing
sweepers change nothing twice. Nobody who runs this sees a private key.

A signing key is published at least a day before it signs, and stays published
until the last token it signed has expired; relying parties that cache our JWK
Set never meet a kid they cannot find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from grantkeeper import ids
from grantkeeper.errors import NotFound, StoreUnavailable
from grantkeeper.jws import thumbprint
from grantkeeper.model import AuditEvent, BranchKey, SigningKey, SigningKeyRing
from grantkeeper.sealing import BUCKETS

if TYPE_CHECKING:
    from grantkeeper.ports import BranchKeys, KeyMaker, SigningKeys

DAY = 86_400
ALGORITHMS: tuple[Literal["ES256", "RS256"], ...] = ("ES256", "RS256")

_MAX_STEPS = 12  # writes to the ring in one call, those lost to racing sweepers included


@dataclass(frozen=True, slots=True)
class RotationSchedule:
    """When keys change, in seconds."""

    signing_period: int = 90 * DAY  # how long one key signs
    publish_ahead: int = DAY  # published before it signs
    keep: int = DAY  # published after its successor took over; longer than any token of ours lives
    branch_period: int = 365 * DAY
    buckets: int = BUCKETS


SCHEDULE = RotationSchedule()


@dataclass(frozen=True, slots=True)
class Operator:
    """Who is answerable for a change, for its audit entry."""

    actor: str = "system:sweeper"
    request_id: str | None = None

    def event(self, action: str, *, now: int, **details: str) -> AuditEvent:
        """Make an audit entry of a key change."""
        return AuditEvent(
            id=ids.new_id("evt"), time=now, action=action, actor=self.actor, request_id=self.request_id, details=details
        )


SWEEPER = Operator()


def ensure_keys(
    *,
    key_maker: KeyMaker,
    signing_keys: SigningKeys,
    branch_keys: BranchKeys,
    now: int,
    schedule: RotationSchedule = SCHEDULE,
    by: Operator = SWEEPER,
) -> Sequence[AuditEvent]:
    """
    Make, publish and retire what is due.

    The first key of an algorithm is active at once, every later one after
    `publish_ahead`. Done twice, or by two sweepers, it changes nothing more.

    Args:
        key_maker: Makes keys without showing them.
        signing_keys: The item SIGNER.
        branch_keys: One newest version per bucket.
        now: Epoch seconds.
        schedule: Periods.
        by: Who is named in the audit trail.

    Returns:
        The audit entries of what changed; empty when nothing was due.

    Raises:
        StoreUnavailable: KMS or DynamoDB does not answer. What was written stands, the next call goes on.
    """
    changed = _ensure_signing_keys(key_maker, signing_keys, now=now, schedule=schedule, by=by)
    for bucket in range(schedule.buckets):
        newest = branch_keys.newest(bucket)
        if newest is None or newest.created_at + schedule.branch_period <= now:
            changed += add_branch_key(key_maker, branch_keys, newest, bucket=bucket, now=now, by=by)
    return changed


def revoke_signing_key(
    kid: str, *, signing_keys: SigningKeys, now: int, schedule: RotationSchedule = SCHEDULE, by: Operator = SWEEPER
) -> AuditEvent | None:
    """
    Revoke a signing key in an emergency: it leaves the JWK Set and its wrapped private half is deleted.

    A successor that is published already signs at once; otherwise the next
    `ensure_keys` makes one. Tokens of the revoked key are refused by our own
    API 5 minutes later at the latest.

    Returns:
        The audit entry; None when it was revoked before.

    Raises:
        NotFound: No key has this kid.
        StoreUnavailable: DynamoDB does not answer, or other writers were first every time.
    """
    for _ in range(_MAX_STEPS):
        ring = signing_keys.load()
        key = next((key for key in ring.keys if key.kid == kid), None)
        if key is None:
            raise NotFound("No signing key has this kid.")
        if key.state == "revoked":
            return None
        event = by.event("signing_key.revoked", now=now, kid=kid, alg=key.alg)
        revoked = replace(key, state="revoked", retire_at=now + schedule.keep)  # listed a while, for the operator
        successor = _promoted(_without(ring, key, marked=revoked), alg=key.alg, now=now)
        if signing_keys.replace(successor, audit=event):
            return event
    raise StoreUnavailable("The signing keys are being changed by somebody else.", retry_after=1)


def signing_key_age(ring: SigningKeyRing, *, now: int) -> int:
    """Return for how many seconds the oldest key in use has been signing: what the alarm watches."""
    active = [ring.active(alg, now=now) for alg in ALGORITHMS]
    return max((now - key.active_from for key in active if key is not None), default=0)


# --- signing keys ----------------------------------------------------------


def _ensure_signing_keys(
    key_maker: KeyMaker, signing_keys: SigningKeys, *, now: int, schedule: RotationSchedule, by: Operator
) -> list[AuditEvent]:
    changed: list[AuditEvent] = []
    ring = signing_keys.load()
    for _ in range(_MAX_STEPS):
        step = _next_step(ring, key_maker, now=now, schedule=schedule, by=by)
        if step is None:
            break
        ring, event = step
        if signing_keys.replace(ring, audit=event):
            changed.append(event)
        else:
            ring = signing_keys.load()
    return changed


def _next_step(
    ring: SigningKeyRing, key_maker: KeyMaker, *, now: int, schedule: RotationSchedule, by: Operator
) -> tuple[SigningKeyRing, AuditEvent] | None:
    """The next version of the ring, one due change further, and the audit entry of that change."""
    for key in ring.keys:
        if key.retire_at is not None and key.retire_at <= now:
            return _without(ring, key), by.event("signing_key.retired", now=now, kid=key.kid, alg=key.alg)

    for alg in ALGORITHMS:
        live = ring.live(alg, now=now)
        if not live:
            return published(ring, key_maker, alg, active_from=now, now=now, by=by)
        newest = live[-1]
        ends_at = newest.active_from + schedule.signing_period
        if ends_at - schedule.publish_ahead <= now:
            active_from = max(now + schedule.publish_ahead, ends_at)
            retiring = with_key(ring, replace(newest, retire_at=active_from + schedule.keep))
            return published(retiring, key_maker, alg, active_from=active_from, now=now, by=by)
    return None


def published(
    ring: SigningKeyRing,
    key_maker: KeyMaker,
    alg: Literal["ES256", "RS256"],
    *,
    active_from: int,
    now: int,
    by: Operator,
) -> tuple[SigningKeyRing, AuditEvent]:
    """Return the next version of the ring with a new key in it, and the audit entry of that."""
    jwk, wrapped = key_maker.signing_pair(alg)
    key = SigningKey(thumbprint(jwk), alg, jwk, created_at=now, active_from=active_from)
    added = replace(ring, version=ring.version + 1, keys=(*ring.keys, key), wrapped={**ring.wrapped, key.kid: wrapped})
    event = by.event("signing_key.published", now=now, kid=key.kid, alg=alg, active_from=str(active_from))
    return added, event


def with_key(ring: SigningKeyRing, key: SigningKey) -> SigningKeyRing:
    """Put a key in place of its older self, within the same version."""
    return replace(ring, keys=tuple(key if other.kid == key.kid else other for other in ring.keys))


def _without(ring: SigningKeyRing, key: SigningKey, *, marked: SigningKey | None = None) -> SigningKeyRing:
    """Return the next version without a key's private half, and without the key unless `marked` takes its place."""
    keys = tuple(other if other.kid != key.kid else marked for other in ring.keys)
    return SigningKeyRing(
        version=ring.version + 1,
        keys=tuple(other for other in keys if other is not None),
        wrapped={kid: half for kid, half in ring.wrapped.items() if kid != key.kid},
    )


def _promoted(ring: SigningKeyRing, *, alg: str, now: int) -> SigningKeyRing:
    """Let the key published for later sign now, when none is left that does; within the same version."""
    live = ring.live(alg, now=now)
    if not live or ring.active(alg, now=now) is not None:
        return ring
    return with_key(ring, replace(live[0], active_from=now))


# --- branch keys -----------------------------------------------------------


def add_branch_key(
    key_maker: KeyMaker, branch_keys: BranchKeys, newest: BranchKey | None, *, bucket: int, now: int, by: Operator
) -> list[AuditEvent]:
    """Add the version after the newest; returns its audit entry, or nothing when somebody else was faster."""
    version = 1 if newest is None else newest.version + 1
    key = BranchKey(bucket, version, key_maker.branch_key(bucket=bucket, version=version), created_at=now)
    event = by.event("branch_key.created", now=now, bucket=str(bucket), version=str(version))
    return [event] if branch_keys.add(key, audit=event) else []
