"""Throw away tokens that nobody may confirm: cut their time at once, have them revoked upstream, then erased."""

from __future__ import annotations

import contextlib

from grantkeeper.errors import StoreUnavailable
from grantkeeper.model import Work
from grantkeeper.ports import Connections, WorkQueue

UNCONFIRMED = 0  # the generation of tokens that never came to be one


def abandon_tokens(
    connection_id: str,
    session_id: str,
    *,
    provider: str,
    connections: Connections,
    work_queue: WorkQueue,
    now: int,
    request_id: str,
) -> bool:
    """
    Make unconfirmed tokens unconfirmable and due for upstream revocation.

    Only ids travel; the worker alone can open what is sealed, and it revokes within the radius rule. The message is
    only for speed: the item is due from now on, and the sweeper finds it when the queue refuses.

    Returns:
        False when there were no such tokens.
    """
    if not connections.abandon(connection_id, session_id, now=now):
        return False
    work = Work(kind="erase", provider=provider, ids=((connection_id, UNCONFIRMED),), request_id=request_id)
    with contextlib.suppress(StoreUnavailable):
        work_queue.send([work])
    return True
