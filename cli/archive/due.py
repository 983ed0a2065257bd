"""When a grant that was put into a table is due: as if it had been there all along."""

from __future__ import annotations

import secrets

from grantkeeper.errors import GrantkeeperError
from grantkeeper.model import Grant
from grantkeeper.services.forecast import earliest, warning_of
from grantkeeper.services.refresh_run import ProviderRecords
from grantkeeper.services.schedule import due_at
from grantkeeper.services.successor import keepalive_at

SPREAD = 600  # seconds over which what is overdue is spread, so that an import is no storm


def due_again(grant: Grant, *, catalog: ProviderRecords, now: int) -> int | None:
    """
    When the sweeper looks at an active grant: before it ends, for its keep-alive, or to warn its user.

    What would have been due before now is due within ten minutes. None for what is never due.
    """
    due = due_at(
        expires_at=grant.expires_at,
        received_at=grant.refreshed_at,
        refreshable=grant.refreshable,
        rng=secrets.SystemRandom(),
    )
    told = warning_of(grant)
    wanted = earliest(due, told if told is not None and grant.warned_of is None else None)
    if grant.refreshable:
        try:
            wanted = earliest(wanted, keepalive_at(grant, provider=catalog.get(grant.provider)))
        except GrantkeeperError:
            wanted = earliest(wanted, now)  # its provider is not known here yet: the sweeper looks again by itself
    return wanted if wanted is None or wanted > now else now + secrets.randbelow(SPREAD)
