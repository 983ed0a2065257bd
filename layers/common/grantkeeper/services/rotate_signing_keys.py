"""The next signing keys before their time: published now, signing a day later, as with every rotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import AuditEvent
from grantkeeper.ports import KeyMaker, SigningKeys
from grantkeeper.services.rotate_keys import ALGORITHMS, SCHEDULE, Operator, RotationSchedule, published, with_key

TRIES = 6


def rotate_signing_keys(
    *, key_maker: KeyMaker, signing_keys: SigningKeys, now: int, by: Operator, schedule: RotationSchedule = SCHEDULE
) -> Sequence[AuditEvent]:
    """
    Publish a successor of every key that signs.

    It signs from tomorrow on, so that nobody who keeps our JWK Set meets a kid he cannot find; the old key stays
    published until its last token has expired. Where a successor waits already, or no key signs yet, nothing is done:
    so it may be repeated.

    Returns:
        The audit entries of what was published.

    Raises:
        StoreUnavailable: KMS or DynamoDB does not answer, or other writers were first every time.
    """
    changed: list[AuditEvent] = []
    for alg in ALGORITHMS:
        for _ in range(TRIES):
            ring = signing_keys.load()
            live = ring.live(alg, now=now)
            if not live or live[-1].active_from > now:
                break
            begins = now + schedule.publish_ahead
            retiring = with_key(ring, replace(live[-1], retire_at=begins + schedule.keep))
            following, event = published(retiring, key_maker, alg, active_from=begins, now=now, by=by)
            if signing_keys.replace(following, audit=event):
                changed.append(event)
                break
        else:
            raise StoreUnavailable("The signing keys are being changed by somebody else.", retry_after=1)
    return changed
