"""Every five minutes: goes on with the erasures that were begun, so that nobody has to ask for the end of one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger

from grantkeeper import ids, wiring
from grantkeeper.errors import GrantkeeperError
from grantkeeper.services.change_user import By
from grantkeeper.services.erase_user import erase_user
from grantkeeper.services.erasure_ports import Erasure

AT_ONCE = 25  # users of one tick; the others have the next
PARTS = 100  # of one user's erasure in one tick: five thousand connections
NEEDS_MS = 20_000  # that one part takes at most

logger = Logger()
app_wiring = wiring.from_environment(os.environ)
app_wiring.warm_up("erasure", "users", "seen_connections", "audit", "work_queue")


def handler(_event: Mapping[str, Any], context: Any) -> dict[str, int]:
    """
    Go on with each erasure that is not finished, as far as the time allows and nothing has to be waited for.

    Every tick begins at another place in their list: those that wait for a provider for days hold up nobody. An event
    that comes twice, late or while another run is under way does no harm. What fails has the next tick.
    """
    erased = failed = 0
    unfinished = app_wiring.erasure.unfinished(limit=AT_ONCE, start=ids.new_id("usr"))
    for sub in unfinished:
        if context.get_remaining_time_in_millis() < NEEDS_MS:
            break
        try:
            done = _go_on(sub, context)
        except GrantkeeperError as error:
            failed += 1
            logger.warning("erasure postponed", extra={"sub": sub, "error": error.slug})
            continue
        erased += done.state == "erased"
        logger.info("erasure", extra={"sub": sub, "state": done.state, "left": dict(done.left)})
    return {"unfinished": len(unfinished), "erased": erased, "failed": failed}


def _go_on(sub: str, context: Any) -> Erasure:
    for _ in range(PARTS):
        now = int(time.time())
        done = erase_user(sub, by=By("system:erasure", root=True), ports=app_wiring, now=now)
        if done.again_at is None or done.again_at > now or context.get_remaining_time_in_millis() < NEEDS_MS:
            break
    return done
